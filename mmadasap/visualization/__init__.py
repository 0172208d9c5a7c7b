"""Pictures for people."""
from .channels import draw_channels
from .panels import draw_panels

__all__ = ['draw_channels', 'draw_panels']
