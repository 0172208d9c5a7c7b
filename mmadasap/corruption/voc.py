"""Which images a data set in Pascal VOC layout holds."""
import os.path as osp
from typing import Optional

from mmadasap.errors import UserError

from .sources import SUFFIXES, Source, SourceImage, is_inside, names_in


def is_voc(root: str) -> bool:
    """Whether a folder holds lists of images in Pascal VOC's way."""
    return osp.isdir(osp.join(root, 'ImageSets', 'Main'))


def read_voc(root: str, split: Optional[str], limit: Optional[int]) -> Source:
    """The images of a list in ImageSets/Main; for arguments and errors see :func:`.layouts.find_source`."""
    name = split or next((n for n in ('test', 'val') if osp.isfile(osp.join(root, f'ImageSets/Main/{n}.txt'))), 'test')
    path = f'ImageSets/Main/{name}.txt'
    ids = _read_list(osp.join(root, path))
    source, images = Source('voc'), _Images(osp.join(root, 'JPEGImages'))
    for image_id in ids[:limit]:
        if not is_inside(image_id):
            source.refused.append((image_id, f'in {path} lies outside the data set, and nothing is read there'))
        elif not osp.isfile(osp.join(root, f'Annotations/{image_id}.xml')):
            source.refused.append((image_id, f'has no Annotations/{image_id}.xml'))
        else:
            target = f'JPEGImages/{image_id}'
            source.add(SourceImage(image_id, target + images.suffix(image_id), target))
    kept = [image.image_id for image in source.images]
    source.copied = {f'Annotations/{i}.xml': osp.join(root, f'Annotations/{i}.xml') for i in kept}
    source.written = {path: ''.join(f'{i}\n' for i in kept).encode('utf-8', 'surrogateescape')}
    source.dataset = dict(ann_file=path, data_prefix=dict(sub_data_root=''))
    return source


def _read_list(path: str) -> list[str]:
    try:
        with open(path, encoding='utf-8-sig', errors='surrogateescape') as file:
            return list(dict.fromkeys(line.rstrip('\r\n') for line in file if line.strip()))
    except OSError as error:
        raise UserError(f'{path!r} cannot be read ({error.strerror}); name a list of ImageSets/Main with --split.'
                        ) from None


class _Images:
    """Suffixes of the images in a folder, in any case of letters; each of its folders is listed once."""

    def __init__(self, root: str):
        self.root = root
        self._found: dict[str, dict[str, str]] = {}

    def suffix(self, image_id: str) -> str:
        """As the file's name has it; .jpg where there is no such image."""
        folder, name = osp.split(image_id)
        if folder not in self._found:
            self._found[folder] = _suffixes(names_in(osp.join(self.root, folder)))
        return self._found[folder].get(name, '.jpg')


def _suffixes(names: list[str]) -> dict[str, str]:
    """Name without suffix -> the first of ``SUFFIXES`` that a file of that name has, in lower case where both are."""
    parts = [osp.splitext(name) for name in names]
    ranked = sorted((SUFFIXES.index(suffix.lower()), suffix != suffix.lower(), stem, suffix)
                    for stem, suffix in parts if suffix.lower() in SUFFIXES)
    return {stem: suffix for _, _, stem, suffix in reversed(ranked)}
