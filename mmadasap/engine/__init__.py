"""Thin adapters mmengine calls; the arithmetic lives in sharpness/ and pruning/."""
from .hooks import ChannelPruningHook, ChannelsLastHook, SharpnessPhaseHook
from .optim_wrapper import AdaSAPOptimWrapper

__all__ = ['AdaSAPOptimWrapper', 'ChannelPruningHook', 'ChannelsLastHook', 'SharpnessPhaseHook']
