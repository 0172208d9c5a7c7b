"""Thin adapters mmengine calls; the arithmetic lives in sharpness/ and pruning/."""
from .amp_optim_wrapper import AmpAdaSAPOptimWrapper
from .hooks import (
    ChannelPruningHook,
    ChannelsLastHook,
    MESAHook,
    PlainCheckpointHook,
    SharpnessPhaseHook,
    WidthGuardHook,
)
from .optim_wrapper import AdaSAPOptimWrapper

__all__ = [
    'AdaSAPOptimWrapper', 'AmpAdaSAPOptimWrapper', 'ChannelPruningHook', 'ChannelsLastHook', 'MESAHook',
    'PlainCheckpointHook', 'SharpnessPhaseHook', 'WidthGuardHook'
]
