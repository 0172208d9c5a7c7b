"""Registered model parts."""
from .slim_model import SlimModel
from .ssd_head import SSDHead

__all__ = ['SSDHead', 'SlimModel']
