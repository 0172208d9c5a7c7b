"""Registered model parts."""
from mmadasap.hosts import is_installed, stand_in
from mmadasap.registry import MODELS

from .mobilenet_v1 import MobileNetV1
from .slim_model import SlimModel

__all__ = ['MobileNetV1', 'SlimModel']

if is_installed('mmdet'):
    from .ssd_head import SSDHead
    __all__ += ['SSDHead']
else:
    stand_in(MODELS, 'mmdet', 'SSDHead')
