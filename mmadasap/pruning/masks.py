"""Which entries of which tensors belong to pruned channels, and holding them at zero."""
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mmadasap.errors import UserError

from .grouped import is_depthwise, is_grouped
from .groups import ChannelGroup

Kept = dict[str, Tensor]
"""Group name -> bool tensor (width,), True for live channels."""

Cuts = dict[str, dict[int, Tensor]]
"""Tensor name (as in ``state_dict``) -> {dimension: bool tensor of its length, True for live entries}."""


def full_channels(groups: Iterable[ChannelGroup]) -> Kept:
    """Every channel alive."""
    return {g.name: torch.ones(g.width, dtype=torch.bool) for g in groups}


def check_kept(kept: Mapping[str, Any], groups: Iterable[ChannelGroup]) -> None:
    """Refuses saved live channels that are not those of ``groups``.

    Raises:
        UserError: Naming the group and what is wrong with it.
    """
    widths = {g.name: g.width for g in groups}
    for name in sorted({*widths} ^ {*kept}):
        what = 'is missing' if name in widths else 'is no channel group of this network'
        raise UserError(f'masks: {name!r} {what}; resume from a checkpoint of this run.')
    for name, live in kept.items():
        if not isinstance(live, Tensor) or live.shape != (widths[name], ):
            found = f'shape {tuple(live.shape)}' if isinstance(live, Tensor) else repr(live)
            raise UserError(f'masks: {name!r} has {found} where its group has {widths[name]} channels; resume from a '
                            'checkpoint of this run.')


def tensor_cuts(model: nn.Module, groups: Iterable[ChannelGroup], kept: Kept) -> Cuts:
    """Spreads the live channels of the groups over the tensors of ``model``.

    A pruned channel takes with it its rows in the layers that write it, its entries in norms, and its columns in the
    layers that read it. Tensors no pruned channel touches do not appear.
    """
    cuts: Cuts = {}
    modules = dict(model.named_modules())
    for group in groups:
        live = kept[group.name]
        if bool(live.all()):
            continue
        for member in group.members:
            dead = member.index[~live[member.channel]]
            for tensor, dim, length in _tensors_of(modules[member.module], member.side):
                flags = cuts.setdefault(f'{member.module}.{tensor}', {}).setdefault(
                    dim, torch.ones(length, dtype=torch.bool))
                flags[dead] = False
    return cuts


def _tensors_of(module: nn.Module, side: str) -> list[tuple[str, int, int]]:
    """(name, dimension, length) of each tensor of ``module`` that runs along its output or input channels."""
    if side == 'in' and is_grouped(module):
        # Its weight has no column for each input: those of a removed group go with the rows.
        return []
    if side == 'in' and not is_depthwise(module):
        return [('weight', 1, module.weight.shape[1])]
    names = ('weight', 'bias', 'running_mean', 'running_var')
    return [(n, 0, len(getattr(module, n))) for n in names if getattr(module, n, None) is not None]


class ChannelMask:
    """Holds the entries of pruned channels at zero.

    Args:
        tensors: Tensors by name (parameters and buffers of the traced model or of a copy).
        cuts: Live entries of some of them.
    """

    def __init__(self, tensors: Mapping[str, Tensor], cuts: Cuts):
        self._dead = [(tensors[name], dim, (~live).nonzero().flatten().to(tensors[name].device))
                      for name, dims in cuts.items() for dim, live in dims.items()]

    @torch.no_grad()
    def apply(self) -> None:
        """Zeroes the pruned entries in place."""
        for tensor, dim, index in self._dead:
            tensor.index_fill_(dim, index, 0)

    def hold_gradients(self) -> list[RemovableHandle]:
        """Keeps gradients of the pruned entries at zero, for columns that read a pruned channel get some where an
        activation makes something of zero.

        Returns:
            What ends that when removed.
        """
        return [tensor.register_hook(lambda grad, dim=dim, index=index: grad.index_fill(dim, index, 0))
                for tensor, dim, index in self._dead if tensor.requires_grad]


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers of ``model`` by name."""
    return dict(model.named_parameters()) | dict(model.named_buffers())


def mask_optimizer(optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter], cuts: Cuts) -> None:
    """Zeroes the optimizer's state (momentum, moments) of pruned entries."""
    for name, dims in cuts.items():
        if name in parameters:
            for _, value in state_tensors(optimizer, parameters[name]):
                ChannelMask({name: value}, {name: dims}).apply()


def state_tensors(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> list[tuple[Any, Tensor]]:
    """(key, tensor) of the optimizer's state for ``parameter`` that has the parameter's own shape."""
    state = optimizer.state.get(parameter, {})
    return [(k, v) for k, v in state.items() if isinstance(v, Tensor) and v.shape == parameter.shape and v.dim() > 0]
