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
    __all__ += ['CIFAR10']
else:
    stand_in(DATASETS, 'mmpretrain', 'CIFAR10')
