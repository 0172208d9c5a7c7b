"""Registered data sets and transforms."""
from mmadasap.hosts import is_installed, stand_in
from mmadasap.registry import DATASETS

from .corrupt import Corrupt

__all__ = ['Corrupt']

if is_installed('mmdet'):
    from .voc import VOCDataset
    __all__ += ['VOCDataset']
else:
    stand_in(DATASETS, 'mmdet', 'VOCDataset')

if is_installed('mmpretrain'):
    from .cifar10 import CIFAR10
    from .cifar10_c import CIFAR10C
    from .imagenet import ImageNet, ImageNetC, ImageNetV2
    __all__ += ['CIFAR10', 'CIFAR10C', 'ImageNet', 'ImageNetC', 'ImageNetV2']
else:
    stand_in(DATASETS, 'mmpretrain', 'CIFAR10', 'CIFAR10C', 'ImageNet', 'ImageNetC', 'ImageNetV2')
