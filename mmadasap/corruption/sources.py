"""Which images a data set holds: Pascal VOC, COCO and plain folders."""
import json
import os
import os.path as osp
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Optional

from mmadasap.errors import UserError

SUFFIXES = ('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.tif', '.tiff', '.ppm', '.pgm', '.gif')


@dataclass(frozen=True)
class SourceImage:
    """An image of a data set.

    Attributes:
        image_id: What its random draws depend on; the id that mmdet's data sets give it.
        path: Where it is, from the root of the data set.
        target: Where its corrupted versions go, from the root of a copy, without suffix.
    """
    image_id: str
    path: str
    target: str


@dataclass
class Source:
    """The images of a data set, and what its copies share.

    Attributes:
        layout: 'voc', 'coco' or 'folder'.
        images: In the order of the data set.
        refused: (file, reason) of what cannot be used.
        copied: Files that go along as they are: path from the root of the copy -> path of the file.
        written: Files that are written anew: path from the root of the copy -> content.
        folders: Folders that exist in every copy, empty or not.
        dataset: What a copy changes in the config of its data set, besides its root and suffix.
    """
    layout: str
    images: list[SourceImage] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    copied: dict[str, str] = field(default_factory=dict)
    written: dict[str, bytes] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    dataset: dict = field(default_factory=dict)

    def __post_init__(self):
        self._targets: dict[str, str] = {}

    def add(self, image: SourceImage) -> None:
        """Takes an image, unless it leaves the data set or would overwrite another."""
        for path in (image.path, image.target):
            if not is_inside(path):
                self.refused.append((image.path, 'lies outside the data set, and nothing is read or written there'))
                return
        if image.target in self._targets:
            self.refused.append((image.path, f'would overwrite the corrupted {self._targets[image.target]}'))
            return
        self._targets[image.target] = image.path
        self.images.append(image)


def is_inside(path: str) -> bool:
    """Whether a relative path stays below the folder it starts from."""
    return not osp.isabs(path) and '\0' not in path and osp.normpath(path).split(os.sep)[0] not in ('..', '.')


def find_source(root: str, suffix: str, split: Optional[str] = None, limit: Optional[int] = None) -> Source:
    """Reads what a data set holds; its layout is told from its folders.

    Args:
        root: The data set.
        suffix: Of the images to be written.
        split: VOC: the list in ImageSets/Main (default: test, else val). COCO: the name in
            ``annotations/instances_<name>.json`` (default: val2017, else the only one). Folders: one of them, such as
            ``test`` (default: all).
        limit: Take so many images from the start.

    Raises:
        UserError: There is no such folder, list or annotation file, or no image in it.
    """
    if not osp.isdir(root):
        raise UserError(f'There is no data set {root!r}; give a folder in VOC or COCO layout, or one of images.')
    if osp.isdir(osp.join(root, 'ImageSets', 'Main')):
        source = _voc(root, split, limit)
    elif any(name.endswith('.json') for name in _names(osp.join(root, 'annotations'))):
        source = _coco(root, suffix, split, limit)
    elif split is not None and not (is_inside(split) and osp.isdir(osp.join(root, split))):
        raise UserError(f'--split {split}: {root!r} is neither in VOC nor in COCO layout, and holds no folder of that '
                        'name; leave --split out or name a folder.')
    else:
        source = _folder(root, split, limit)
    if not source.images:
        reasons = f' ({source.refused[0][0]} {source.refused[0][1]})' if source.refused else ''
        raise UserError(f'{root!r} holds no image to corrupt{reasons}; give a data set in VOC or COCO layout, or a '
                        'folder of images.')
    return source


def _voc(root: str, split: Optional[str], limit: Optional[int]) -> Source:
    name = split or next((n for n in ('test', 'val') if osp.isfile(osp.join(root, f'ImageSets/Main/{n}.txt'))), 'test')
    path = f'ImageSets/Main/{name}.txt'
    try:
        with open(osp.join(root, path), encoding='utf-8-sig', errors='surrogateescape') as file:
            ids = list(dict.fromkeys(line.rstrip('\r\n') for line in file if line.strip()))
    except OSError as error:
        raise UserError(f'{osp.join(root, path)!r} cannot be read ({error.strerror}); name a list of ImageSets/Main '
                        'with --split.') from None
    source = Source('voc')
    for image_id in ids[:limit]:
        if not is_inside(image_id):
            source.refused.append((image_id, f'in {path} lies outside the data set, and nothing is read there'))
        elif not osp.isfile(osp.join(root, f'Annotations/{image_id}.xml')):
            source.refused.append((image_id, f'has no Annotations/{image_id}.xml'))
        else:
            found = next((s for s in SUFFIXES if osp.lexists(osp.join(root, f'JPEGImages/{image_id}{s}'))), '.jpg')
            source.add(SourceImage(image_id, f'JPEGImages/{image_id}{found}', f'JPEGImages/{image_id}'))
    kept = [image.image_id for image in source.images]
    source.copied = {f'Annotations/{i}.xml': osp.join(root, f'Annotations/{i}.xml') for i in kept}
    source.written = {path: ''.join(f'{i}\n' for i in kept).encode('utf-8', 'surrogateescape')}
    source.dataset = dict(ann_file=path, data_prefix=dict(sub_data_root=''))
    return source


def _coco(root: str, suffix: str, split: Optional[str], limit: Optional[int]) -> Source:
    path, folder = _coco_paths(root, split)
    content = _read_coco(osp.join(root, path))
    source, kept = Source('coco'), []
    for entry in content['images'][:limit]:
        name, image_id = entry.get('file_name'), entry.get('id')
        if not isinstance(name, str) or not isinstance(image_id, (int, str)):
            source.refused.append((f'{path}, images: {entry}'[:200], 'has no file_name or no id'))
        elif not is_inside(name):
            source.refused.append((name, f'in {path} lies outside the data set, and nothing is read or written there'))
        else:
            before = len(source.images)
            source.add(SourceImage(str(image_id), osp.join(folder, name), osp.join(folder, osp.splitext(name)[0])))
            if len(source.images) > before:
                kept.append(dict(entry, file_name=osp.splitext(name)[0] + suffix))
    ids = {str(entry['id']) for entry in kept}
    annotations = [a for a in content.get('annotations', []) if str(a['image_id']) in ids]
    shared = dict(content, images=kept, annotations=annotations)
    source.written = {path: json.dumps(shared).encode()}
    source.dataset = dict(ann_file=path, data_prefix=dict(img=f'{folder}/' if folder else ''))
    return source


def _coco_paths(root: str, split: Optional[str]) -> tuple[str, str]:
    """The annotation file and the folder of images, from the root."""
    files = [name for name in _names(osp.join(root, 'annotations')) if name.endswith('.json')]
    wanted = f'instances_{split or "val2017"}.json'
    if wanted not in files and (split or len(files) > 1):
        raise UserError(f'{root!r} has no annotations/{wanted}, only {", ".join(files)}; name one with --split.')
    name = wanted if wanted in files else files[0]
    part = name[len('instances_'):-len('.json')] if name.startswith('instances_') else ''
    folder = next((f for f in (part, 'images') if f and osp.isdir(osp.join(root, f))), '')
    return f'annotations/{name}', folder


def _read_coco(path: str) -> dict:
    try:
        with open(path, encoding='utf-8') as file:
            content = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f'{path!r} is no readable JSON ({error}); repair it.') from None
    images = content.get('images') if isinstance(content, dict) else None
    if not isinstance(images, list) or not all(isinstance(entry, dict) for entry in images):
        raise UserError(f'{path!r} has no list of images; give annotations in the format of COCO.')
    annotations = content.get('annotations', [])
    if not isinstance(annotations, list) or not all(isinstance(a, dict) and 'image_id' in a for a in annotations):
        raise UserError(f'{path!r} holds an annotation without image_id, or annotations that are no list; give '
                        'annotations in the format of COCO.')
    return content


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
    for name in _names(osp.join(root, below)):
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


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
