"""Channel groups of a config's network, as its training run would find them."""
from collections.abc import Sequence
from typing import Optional

import torch
from mmengine.config import Config

from mmadasap.engine.hooks import ChannelPruningHook
from mmadasap.engine.host import raw_outputs
from mmadasap.engine.networks import build_network, input_size
from mmadasap.errors import build_from
from mmadasap.pruning import ChannelGroup, find_groups, image_channels
from mmadasap.registry import type_name


def config_groups(cfg: Config,
                  size: Optional[Sequence[int]] = None,
                  protect: Optional[Sequence[str]] = None) -> list[ChannelGroup]:
    """Traces the network of a config.

    Args:
        cfg: Dense or slim.
        size: (H, W) of the traced input; None takes the config's.
        protect: Modules whose output channels are all kept; None takes those of the config's pruning hook, if any.

    Raises:
        UserError: No model, no input size, a wrong pruning hook, or a network that cannot be traced.
    """
    model = build_network(cfg)
    example = torch.zeros(1, image_channels(model), *input_size(cfg, size))
    if protect is None:
        protect = _protected(cfg)
    return find_groups(model, example, raw_outputs, protect)


def _protected(cfg: Config) -> tuple[str, ...]:
    for hook in cfg.get('custom_hooks') or []:
        if type_name(hook) == ChannelPruningHook.__name__:
            settings = {name: value for name, value in hook.items() if name not in ('type', 'priority')}
            return build_from(ChannelPruningHook, 'ChannelPruningHook', settings).plan.protect
    return ()
