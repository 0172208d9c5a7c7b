"""One hook a file."""
from .channel_pruning_hook import ChannelPruningHook
from .channels_last_hook import ChannelsLastHook
from .mesa_hook import MESAHook
from .plain_checkpoint_hook import PlainCheckpointHook
from .sharpness_phase_hook import SharpnessPhaseHook
from .width_guard_hook import WidthGuardHook

__all__ = [
    'ChannelPruningHook', 'ChannelsLastHook', 'MESAHook', 'PlainCheckpointHook', 'SharpnessPhaseHook', 'WidthGuardHook'
]
