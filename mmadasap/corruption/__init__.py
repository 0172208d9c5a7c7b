"""Image corruptions of ImageNet-C, repeatable to the bit."""
from .corrupt import CORRUPTIONS, MIN_SIDE, SUBSETS, check_corruption, corrupt, resolve_corruptions

__all__ = ['CORRUPTIONS', 'MIN_SIDE', 'SUBSETS', 'check_corruption', 'corrupt', 'resolve_corruptions']
