"""Measured time."""
from .measure import interleaved_medians

__all__ = ['interleaved_medians']
