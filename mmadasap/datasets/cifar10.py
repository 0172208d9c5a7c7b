"""CIFAR-10, decoded once and kept in memory."""
import os.path as osp

import cv2
import numpy as np
from mmpretrain.datasets import BaseDataset
from mmpretrain.datasets.categories import CIFAR10_CATEGORIES

from mmadasap.datasets.folders import list_images
from mmadasap.errors import UserError
from mmadasap.registry import DATASETS

BATCHES = dict(train=tuple(f'data_batch_{i}.bin' for i in range(1, 6)), test=('test_batch.bin', ))
SIDE = 32
# One byte of label, then the red, the green and the blue plane.
RECORD = 1 + 3 * SIDE * SIDE


@DATASETS.register_module()
class CIFAR10(BaseDataset):
    """CIFAR-10 from a folder of images or from its official binary version; the images are kept in memory.

    Layouts of ``data_root``::

        train/<class>/*.jpg, test/<class>/*.jpg                 (or .png)
        data_batch_1.bin ... data_batch_5.bin, test_batch.bin   (also in cifar-10-batches-bin/)

    Gives ``img`` (uint8 RGB, as mmpretrain's CIFAR10 does), ``gt_label``, ``img_id`` and ``shift`` ('clean'); no
    loading transform is needed.

    Args:
        data_root: Folder in one of these layouts.
        split: 'train' or 'test'.
        every: Keeps every n-th image, n from 1; folders are read class by class, so that classes stay balanced.
        **kwargs: Of :class:`mmpretrain.datasets.BaseDataset`: pipeline, indices, test_mode, ...

    Raises:
        UserError: Another split, ``every`` below 1, a folder in neither layout, or a damaged file.
    """

    METAINFO = {'classes': CIFAR10_CATEGORIES}

    def __init__(self, data_root: str, split: str, every: int = 1, **kwargs):
        if split not in BATCHES:
            raise UserError(f"CIFAR10: split={split!r} must be 'train' or 'test'.")
        if every < 1:
            raise UserError(f'CIFAR10: every={every} must be a whole number from 1.')
        self.split, self.every = split, every
        super().__init__(ann_file='', data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Reads and decodes all images."""
        for folder in (self.data_root, osp.join(self.data_root, 'cifar-10-batches-bin')):
            if osp.isfile(osp.join(folder, BATCHES[self.split][0])):
                return self._of_batches(folder)[::self.every]
        folder = osp.join(self.data_root, self.split)
        if not osp.isdir(folder):
            raise UserError(f'{self.data_root!r} holds neither the folder {self.split}/ of images nor '
                            f'{BATCHES[self.split][0]}; set data_root to CIFAR-10 as an image folder or as its '
                            'official binary version.')
        images = list_images(folder, self.METAINFO['classes'])
        return [self._of_file(path, label) for path, label in images[::self.every]]

    def _of_file(self, path: str, label: int) -> dict:
        image = cv2.imread(path, cv2.IMREAD_COLOR)
        if image is None:
            raise UserError(f'{path!r} is no readable image; extract the data set anew.')
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        return dict(img=image, gt_label=label, img_id=osp.relpath(path, self.data_root), shift='clean')

    def _of_batches(self, folder: str) -> list[dict]:
        found = []
        for name in BATCHES[self.split]:
            path = osp.join(folder, name)
            if not osp.isfile(path) or osp.getsize(path) == 0 or osp.getsize(path) % RECORD:
                raise UserError(f'{path!r} is missing or no whole number of records of {RECORD} bytes; extract the '
                                'data set anew.')
            records = np.fromfile(path, np.uint8).reshape(-1, RECORD)
            images = records[:, 1:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
            found += [dict(img=np.ascontiguousarray(image), gt_label=int(label), img_id=f'{name}/{i}', shift='clean')
                      for i, (image, label) in enumerate(zip(images, records[:, 0]))]
        return found
