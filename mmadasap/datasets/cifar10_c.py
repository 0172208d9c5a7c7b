"""CIFAR-10-C from its published files."""
import os.path as osp

import numpy as np
from mmpretrain.datasets import BaseDataset
from mmpretrain.datasets.categories import CIFAR10_CATEGORIES

from mmadasap.datasets.cifar10 import SIDE
from mmadasap.datasets.imagenet import check_published
from mmadasap.errors import UserError
from mmadasap.registry import DATASETS

SEVERITIES = 5


@DATASETS.register_module()
class CIFAR10C(BaseDataset):
    """One corruption and severity of the published CIFAR-10-C: ``data_root/<corruption>.npy`` and ``labels.npy``.

    Its severities are milder than ImageNet-C's, which :class:`mmadasap.datasets.Corrupt` applies: CIFAR-10 corrupted
    with those is another, harder data set. Images are RGB, as :class:`CIFAR10` gives them.

    Args:
        data_root: Folder of the extracted archive.
        corruption: One of ``mmadasap.corruption.CORRUPTIONS``.
        severity: 1 to 5.
        **kwargs: Of :class:`mmpretrain.datasets.BaseDataset`.

    Raises:
        UserError: Unknown corruption or severity, or files that are missing or of other shapes.
    """

    METAINFO = {'classes': CIFAR10_CATEGORIES}

    def __init__(self, data_root: str, corruption: str, severity: int, **kwargs):
        check_published(type(self).__name__, corruption, severity)
        self.corruption, self.severity = corruption, severity
        super().__init__(ann_file='', data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Reads this severity's images, a fifth of the file, in the order of the test set."""
        images, labels = self._load(self.corruption), self._load('labels')
        if (images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE, 3) or len(images) % SEVERITIES
                or labels.shape != (len(images), )):
            raise UserError(f'{self.corruption}.npy and labels.npy in {self.data_root!r} have shapes {images.shape} '
                            f'of {images.dtype} and {labels.shape}, where (5 n, 32, 32, 3) of uint8 and (5 n,) are '
                            'needed; extract the data set anew.')
        count = len(images) // SEVERITIES
        part = slice((self.severity - 1) * count, self.severity * count)
        return [
            dict(img=np.array(image), gt_label=int(label), img_id=f'test/{index}',
                 shift=f'c/{self.corruption}/{self.severity}')
            for index, (image, label) in enumerate(zip(images[part], labels[part]))
        ]

    def _load(self, name: str) -> np.ndarray:
        path = osp.join(self.data_root, f'{name}.npy')
        if not osp.isfile(path):
            raise UserError(f'There is no {path!r}; set data_root to the folder of the published CIFAR-10-C.')
        try:
            return np.load(path, mmap_mode='r')
        except (ValueError, EOFError, OSError) as error:
            raise UserError(f'{path!r} is damaged ({error}); extract the data set anew.') from None
