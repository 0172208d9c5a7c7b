"""Which images a data set holds: Pascal VOC, COCO and plain folders."""
import os
import os.path as osp
from collections.abc import Iterator
from typing import Optional

from mmadasap.errors import UserError

from .coco import is_coco, read_coco
from .sources import SUFFIXES, Source, SourceImage, is_inside, names_in
from .voc import is_voc, read_voc


def find_source(root: str, suffix: str, split: Optional[str] = None, limit: Optional[int] = None) -> Source:
    """Reads what a data set holds; its layout is told from its folders.

    Args:
        root: The data set.
        suffix: Of the images to be written.
        split: VOC: the list in ImageSets/Main (default: test, else val). COCO: the name in
            ``annotations/instances_<name>.json`` or ``<name>.json`` (default: val2017, else the only one). Folders:
            one of them, such as ``test`` (default: all).
        limit: Take so many images from the start.

    Raises:
        UserError: There is no such folder, list or annotation file, or no image in it.
    """
    if not osp.isdir(root):
        raise UserError(f'There is no data set {root!r}; give a folder in VOC or COCO layout, or one of images.')
    if is_voc(root):
        source = read_voc(root, split, limit)
    elif is_coco(root):
        source = read_coco(root, suffix, split, limit)
    else:
        _check_folder(root, split)
        source = _folder(root, split, limit)
    if not source.images:
        reasons = f' ({source.refused[0][0]} {source.refused[0][1]})' if source.refused else ''
        raise UserError(f'{root!r} holds no image to corrupt{reasons}; give a data set in VOC or COCO layout, or a '
                        'folder of images.')
    return source


def _check_folder(root: str, split: Optional[str]) -> None:
    inner = [name for name in names_in(root) if is_voc(osp.join(root, name))]
    if inner:
        raise UserError(f'{root!r} is no data set in VOC layout but holds some ({", ".join(inner)}); give '
                        f'{osp.join(root, inner[0])!r}.')
    if split is not None and not (is_inside(split) and osp.isdir(osp.join(root, split))):
        raise UserError(f'--split {split}: {root!r} is neither in VOC nor in COCO layout, and holds no folder of that '
                        'name; leave --split out or name a folder.')


def _folder(root: str, split: Optional[str], limit: Optional[int]) -> Source:
    # A data set that takes one of its folders finds that folder in every copy.
    source = Source('folder', dataset={} if split else dict(data_prefix='', ann_file=''))
    below = split or ''
    for path, reason in _walk(root, below, (osp.realpath(osp.join(root, below)), )):
        if reason is not None:
            source.refused.append((path, reason))
        else:
            source.folders.append(osp.dirname(path))
            if limit is None or len(source.images) < limit:
                source.add(SourceImage(path.replace(os.sep, '/'), path, osp.splitext(path)[0]))
    # Classes are told from folders: none may be missing because no image of it was taken.
    source.folders = [folder for folder in dict.fromkeys(source.folders) if folder]
    return source


def _walk(root: str, below: str, above: tuple[str, ...]) -> Iterator[tuple[str, Optional[str]]]:
    """(path from the root, None) of every image file, in order, or (path, reason) of what leads nowhere."""
    for name in names_in(osp.join(root, below)):
        path = osp.join(below, name)
        whole = osp.join(root, path)
        if osp.isdir(whole):
            real = osp.realpath(whole)
            if real in above:
                yield path, 'is a link to a folder that holds it'
            else:
                yield from _walk(root, path, (*above, real))
        elif osp.splitext(name)[1].lower() in SUFFIXES:
            yield path, None
        elif osp.islink(whole) and not osp.exists(whole):
            yield path, 'is a link that leads nowhere'
