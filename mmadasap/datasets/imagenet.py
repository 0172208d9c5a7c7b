"""ImageNet-1K, ImageNet-V2 and ImageNet-C as they are published: folders of images, one folder a class."""
import os
import os.path as osp
import re

from mmpretrain.datasets import BaseDataset
from mmpretrain.datasets.categories import IMAGENET_CATEGORIES

from mmadasap.corruption import check_corruption
from mmadasap.datasets.folders import list_images
from mmadasap.errors import UserError
from mmadasap.registry import DATASETS

WNID = re.compile(r'n\d{8}')
# Name of a selection -> its folder in the published archive, with and without the later ending.
V2_FOLDERS = {
    variant: (f'imagenetv2-{name}-format-val', f'imagenetv2-{name}')
    for variant, name in (('matched-frequency', 'matched-frequency'), ('threshold-0.7', 'threshold0.7'),
                          ('top-images', 'top-images'))
}
# The archives of ImageNet-C; some people keep their names as folders.
C_ARCHIVES = ('', 'noise', 'blur', 'weather', 'digital', 'extra')


class _FolderDataset(BaseDataset):
    """Images of one folder of classes; each carries ``shift``, what sets its images apart from clean ones."""

    METAINFO = {'classes': IMAGENET_CATEGORIES}

    def __init__(self, data_root: str, shift: str, **kwargs):
        self.shift = shift
        super().__init__(ann_file='', data_root=data_root, **kwargs)

    def _folder(self) -> str:
        raise NotImplementedError

    def _id_root(self) -> str:
        """The folder that image ids are told from."""
        return self._folder()

    def _names(self, folder: str) -> list[str]:
        """Folder of each class: WordNet numbers, in the order of the classes."""
        if not osp.isdir(folder):
            raise UserError(f'There is no folder {folder!r}; set data_root to where the data set was extracted.')
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
        classes = len(self.metainfo['classes'])
        wrong = [name for name in names if not WNID.fullmatch(name)]
        if wrong or len(names) != classes:
            shown = f', among them {wrong[0]!r}' if wrong else ''
            raise UserError(f'{folder!r} must hold {classes} folders named by WordNet numbers such as n01440764, but '
                            f'it holds {len(names)} folders{shown}; sort the images into one folder a class, or set '
                            'data_root right.')
        return names

    def load_data_list(self) -> list[dict]:
        """Lists all images."""
        folder, root = self._folder(), self._id_root()
        return [
            dict(img_path=path, gt_label=label, img_id=osp.relpath(path, root), shift=self.shift)
            for path, label in list_images(folder, self._names(folder))
        ]


@DATASETS.register_module()
class ImageNet(_FolderDataset):
    """ImageNet-1K in ``data_root/{train,val}/<WordNet number>/``.

    As mmpretrain's of the same name, but it says what is wrong with the folders, and images carry ``img_id`` (what
    corruptions are drawn by, wherever the data lies) and ``shift`` ('clean').

    Args:
        data_root: Folder that holds train and val.
        split: 'train' or 'val'.
        **kwargs: Of :class:`mmpretrain.datasets.BaseDataset`.

    Raises:
        UserError: Another split, or folders that are not in this layout, such as unsorted validation images.
    """

    def __init__(self, data_root: str, split: str, **kwargs):
        if split not in ('train', 'val'):
            raise UserError(f"ImageNet: split={split!r} must be 'train' or 'val'.")
        self.split = split
        super().__init__(data_root, 'clean', **kwargs)

    def _folder(self) -> str:
        return osp.join(self.data_root, self.split)

    def _id_root(self) -> str:
        return self.data_root


@DATASETS.register_module()
class ImageNetV2(_FolderDataset):
    """ImageNet-V2 (Recht et al. 2019) in ``data_root/imagenetv2-<variant>-format-val/<class number>/``.

    The folders are named 0 to 999; sorted as strings (0, 1, 10, 100, ...) they would give wrong labels.

    Args:
        data_root: Folder that holds the extracted archives.
        variant: 'matched-frequency', 'threshold-0.7' or 'top-images'.
        **kwargs: Of :class:`mmpretrain.datasets.BaseDataset`.

    Raises:
        UserError: Another variant, or folders that are not in this layout.
    """

    def __init__(self, data_root: str, variant: str = 'matched-frequency', **kwargs):
        if variant not in V2_FOLDERS:
            raise UserError(f'ImageNetV2: variant={variant!r} is unknown; choose one of {", ".join(V2_FOLDERS)}.')
        self.variant = variant
        super().__init__(data_root, f'v2/{variant}', **kwargs)

    def _folder(self) -> str:
        candidates = [osp.join(self.data_root, name) for name in V2_FOLDERS[self.variant]]
        return next((folder for folder in candidates if osp.isdir(folder)), candidates[0])

    def _names(self, folder: str) -> list[str]:
        return [str(label) for label in range(len(self.metainfo['classes']))]


@DATASETS.register_module()
class ImageNetC(_FolderDataset):
    """One corruption and severity of ImageNet-C (Hendrycks and Dietterich 2019), from its published files.

    Layouts: ``data_root/<corruption>/<severity>/<WordNet number>/``, or the same below the name of an archive
    (``data_root/noise/gaussian_noise/1/...``).

    Args:
        data_root: Folder that holds the extracted archives.
        corruption: One of ``mmadasap.corruption.CORRUPTIONS``.
        severity: 1 to 5.
        **kwargs: Of :class:`mmpretrain.datasets.BaseDataset`.

    Raises:
        UserError: Unknown corruption or severity, or folders that are not in this layout.
    """

    def __init__(self, data_root: str, corruption: str, severity: int, **kwargs):
        check_published(type(self).__name__, corruption, severity)
        self.corruption, self.severity = corruption, severity
        super().__init__(data_root, f'c/{corruption}/{severity}', **kwargs)

    def _folder(self) -> str:
        below = osp.join(self.corruption, str(self.severity))
        candidates = [osp.join(self.data_root, archive, below) for archive in C_ARCHIVES]
        return next((folder for folder in candidates if osp.isdir(folder)), candidates[0])


def check_published(name: str, corruption: str, severity: int) -> None:
    """Refuses what no published corrupted data set holds.

    Raises:
        UserError: Naming the value.
    """
    check_corruption(corruption, severity)
    if severity == 0:
        raise UserError(f'{name}: severity=0 is the clean data set itself; use that, or 1 to 5.')
