"""Image corruptions of ImageNet-C, repeatable to the bit, and corrupted copies of data sets."""
from .corrupt import MIN_SIDE, corrupt
from .names import CORRUPTIONS, SUBSETS, check_corrupting, check_corruption, resolve_corruptions

__all__ = [
    'CORRUPTIONS', 'MIN_SIDE', 'SUBSETS', 'check_corrupting', 'check_corruption', 'corrupt', 'resolve_corruptions'
]
