"""Convolutions in the memory format processors and tensor cores prefer."""
import torch
from mmengine.hooks import Hook

from mmadasap.engine.host import bare_model
from mmadasap.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Keeps the model's weights in channels-last format during training; results differ by rounding alone."""

    def before_run(self, runner) -> None:
        """Converts the model; activations follow the weights."""
        bare_model(runner.model).to(memory_format=torch.channels_last)
