"""Registered data sets and transforms."""
from .corrupt import Corrupt
from .voc import VOCDataset

__all__ = ['Corrupt', 'VOCDataset']
