"""Pascal VOC layout as people really have it: any classes, degenerate boxes, broken files named."""
import glob
import logging
import os.path as osp
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Optional

from mmdet.datasets import VOCDataset as _VOCDataset
from mmdet.datasets import XMLDataset
from mmengine.logging import print_log

from mmadasap.corruption.sources import SUFFIXES
from mmadasap.errors import UserError
from mmadasap.registry import DATASETS, takes


class ImageSuffix:
    """Among the bases of a data set of mmdet's XMLDataset family, first: image files of any suffix.

    Args:
        img_suffix: Of the image files.
        **kwargs: Of the data set.
    """

    def __init__(self, img_suffix: str = '.jpg', **kwargs):
        self.img_suffix = img_suffix
        super().__init__(**kwargs)

    def parse_data_info(self, img_info: dict) -> dict:
        """As the data set's, which writes .jpg."""
        name = osp.splitext(img_info['file_name'])[0] + self.img_suffix
        return super().parse_data_info(dict(img_info, file_name=name))


def with_suffix(kind: type) -> type:
    """The data set ``kind``, or one made of it, that can be told ``img_suffix``.

    Raises:
        UserError: It is none of mmdet's XMLDataset family.
    """
    if takes(kind, 'img_suffix'):
        return kind
    if not issubclass(kind, XMLDataset):
        raise UserError(f'{kind.__name__} is no XMLDataset of mmdet, so it cannot be told to read images of another '
                        'suffix; build the copy with --format jpg.')
    return type(kind.__name__, (ImageSuffix, kind), dict(__reduce__=lambda self: (_empty, (kind, ), self.__dict__)))


def _empty(kind: type) -> ImageSuffix:
    """A data set of :func:`with_suffix`, as pickle finds it where loading processes are spawned."""
    made = with_suffix(kind)
    return made.__new__(made)


@DATASETS.register_module()
class VOCDataset(ImageSuffix, _VOCDataset):
    """mmdet's VOCDataset that says what is wrong with the data, and drops boxes without area.

    Args:
        img_suffix: Of the image files.
        **kwargs: Of :class:`mmdet.datasets.VOCDataset`. ``data_prefix=dict(sub_data_root='')`` reads a folder that
            holds Annotations, ImageSets and JPEGImages itself.

    Raises:
        UserError: The list of images, an annotation or the folder they should be in is missing.
        UserError: An annotation is not readable XML or incomplete, or names a class the config does not know.
    """

    def load_data_list(self) -> list[dict]:
        """As mmdet's, without blank lines of the list, with one warning for all boxes of zero width or height."""
        if not osp.isfile(self.ann_file):
            raise UserError(f'There is no list of images at {self.ann_file!r}; set data_root to the folder '
                                    'that holds it, or ann_file to its path in there.')
        self._degenerate: dict[str, int] = {}
        data = [info for info in super().load_data_list() if info is not None]
        if self._degenerate:
            files = ', '.join(self._degenerate)
            print_log(
                f'{sum(self._degenerate.values())} boxes of zero width or height were dropped, in {files}.',
                logger='current',
                level=logging.WARNING)
        return data

    def parse_data_info(self, img_info: dict) -> Optional[dict]:
        """As mmdet's, but without boxes that have no area; None for a blank line."""
        if not img_info['img_id'].strip():
            return None
        path = img_info['xml_path']
        complaint = _complaint(path, _read_xml(path), self._metainfo['classes'])
        if complaint is not None:
            raise complaint
        info = super().parse_data_info(img_info)
        if not osp.isfile(info['img_path']):
            raise _missing(info['img_path'])
        boxes = info['instances']
        info['instances'] = [b for b in boxes if b['bbox'][0] < b['bbox'][2] and b['bbox'][1] < b['bbox'][3]]
        if len(info['instances']) < len(boxes):
            self._degenerate[path] = len(boxes) - len(info['instances'])
        return info


def image_suffixes(stem: str) -> list[str]:
    """Suffixes of the image files of a path without one, in order."""
    found = (osp.splitext(path) for path in glob.glob(f'{glob.escape(stem)}.*'))
    return sorted(suffix for name, suffix in found if name == stem and suffix.lower() in SUFFIXES)


def _missing(path: str) -> UserError:
    stem, suffix = osp.splitext(path)
    others = image_suffixes(stem)
    if others:
        return UserError(f'The image {path!r} is listed but missing, and {stem + others[0]!r} is there; set '
                         f'img_suffix={others[0]!r} in place of {suffix!r} in the config of the data set.')
    return UserError(f'The image {path!r} is listed but missing; complete the data set or take it from the list of '
                     'images.')


def _read_xml(path: str) -> ET.Element:
    if not osp.isfile(path):
        raise UserError(f'The annotation {path!r} is listed but missing; complete the data set or take it from the '
                        'list of images.')
    try:
        return ET.parse(path).getroot()
    except ET.ParseError as error:
        raise UserError(f'{path!r} is no readable XML ({error}); repair it or take it from the data set.') from None
    except (ValueError, LookupError) as error:
        raise UserError(f'{path!r} is in an encoding that cannot be read ({error}); save it as UTF-8 and say so in its '
                        'first line.') from None


def _complaint(path: str, root: ET.Element, classes: tuple[str, ...]) -> Optional[Exception]:
    """What is wrong with an annotation, as the error to raise; None where it is sound."""
    try:
        for side in ('width', 'height') if root.find('size') is not None else ():
            int(root.find('size').find(side).text)
        for obj in root.findall('object'):
            name, difficult = obj.find('name').text, obj.find('difficult')
            int(0 if difficult is None else difficult.text)
            for corner in ('xmin', 'ymin', 'xmax', 'ymax'):
                int(float(obj.find('bndbox').find(corner).text))
            if name not in classes:
                return UserError(f'{path!r} holds an object of class {name!r}, which is not among the classes of the '
                                 f'config {tuple(classes)}; add it to metainfo.classes or correct the file.')
    except (AttributeError, TypeError, ValueError, OverflowError):
        return UserError(f'{path!r} holds a size without whole width and height, or an object without a name, with a '
                         'difficult that is no number, or with an incomplete bndbox (xmin, ymin, xmax, ymax); repair '
                         'it or take it from the list of images.')
    return None


def classes_in(folder: str) -> tuple[str, ...]:
    """Class names found in the annotations of a VOC-layout folder, sorted.

    Raises:
        UserError: ``folder`` holds no annotations.
        UserError: An annotation cannot be read, or none holds an object.
    """
    annotations = osp.join(folder, 'Annotations')
    files = sorted(Path(annotations).glob('*.xml'))
    if not files:
        raise UserError(f'There are no annotations in {annotations!r}; give a folder in Pascal VOC layout '
                                '(Annotations, ImageSets/Main, JPEGImages).')
    found = set()
    for path in files:
        found.update(obj.findtext('name') for obj in _read_xml(str(path)).findall('object'))
    found.discard(None)
    if not found:
        raise UserError(f'No annotation in {annotations!r} holds an object, so there is nothing to train on.')
    return tuple(sorted(found))
