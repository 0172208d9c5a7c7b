"""Registered model parts."""
from mmadasap.hosts import is_installed, stand_in
from mmadasap.registry import MODELS

from .slim_model import SlimModel

__all__ = ['SlimModel']

if is_installed('mmdet'):
    from .ssd_head import SSDHead
    __all__ += ['SSDHead']
else:
    stand_in(MODELS, 'mmdet', 'SSDHead')
