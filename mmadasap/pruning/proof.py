"""Masked equals slim, tried on a copy before anything is pruned: a trace does not see all that channels go through."""
import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .graph import TraceError, flatten_tensors
from .groups import ChannelGroup, trace_groups
from .masks import ChannelMask, Kept, full_channels, model_tensors, tensor_cuts
from .surgery import slim

# Greatest difference of an output, as a share of its greatest value; wrong cuts differ by more than a hundredth.
TOLERANCES = {torch.float64: 1e-6, torch.float32: 1e-3}
# Some choices of channels agree by chance.
DRAWS, ROUNDS = 2, 3
REASON = 'removing these channels would change more than masking them does (they are split, mixed or reordered)'


def find_groups(model: nn.Module,
                example: Tensor,
                forward: Callable[[nn.Module, Tensor], Any],
                protect: Sequence[str] = ()) -> list[ChannelGroup]:
    """As :func:`trace_groups`; groups for which a masked and a slim copy of ``model`` disagree are protected, too.

    Memory: two copies of the weights, in double precision.

    Raises:
        TraceError: As :func:`trace_groups`; or the copies disagree whatever is protected.
    """
    groups = trace_groups(model, example, forward, protect)
    trial = _Trial(model, example, forward)
    for _ in range(ROUNDS):
        if trial.agrees(groups):
            return groups
        groups = [g if g.protected or trial.agrees([g]) else replace(g, protected=REASON) for g in groups]
    raise TraceError(f'{type(model).__name__} computes something else when channels are removed than when they are '
                     'masked, and no one group of channels is to blame; name in protect what mixes them.')


class _Trial:
    """Removes a third of the channels from copies of a model."""

    def __init__(self, model: nn.Module, example: Tensor, forward: Callable[[nn.Module, Tensor], Any]):
        self._draws = torch.Generator().manual_seed(0)
        self._forward = forward
        self._model, self._input = _lively(model, self._draws).double(), self._like(example).double()
        try:
            self._run(self._model)
        except Exception:
            # Some operations are written for single precision alone.
            self._model, self._input = self._model.float(), self._input.float()

    def agrees(self, groups: Sequence[ChannelGroup]) -> bool:
        """Whether masking some channels of unprotected ``groups`` and removing them give the same outputs."""
        return all(self._agrees_once(groups) for _ in range(DRAWS))

    def _agrees_once(self, groups: Sequence[ChannelGroup]) -> bool:
        model = copy.deepcopy(self._model)
        try:
            cuts = tensor_cuts(model, groups, self._some(groups))
            ChannelMask(model_tensors(model), cuts).apply()
            masked = self._run(model)
            slim(model, cuts)
            found = self._run(model)
        except Exception:
            return False
        return len(found) == len(masked) and all(_close(a, b) for a, b in zip(found, masked))

    def _some(self, groups: Sequence[ChannelGroup]) -> Kept:
        kept = full_channels(groups)
        for group in groups:
            if group.protected is None:
                kept[group.name][torch.randperm(group.width, generator=self._draws)[:group.width // 3]] = False
        return kept

    def _like(self, example: Tensor) -> Tensor:
        return torch.randn(example.shape, generator=self._draws).to(example)

    @torch.no_grad()
    def _run(self, model: nn.Module) -> list[Tensor]:
        return flatten_tensors(self._forward(model, self._input))


@torch.no_grad()
def _lively(model: nn.Module, draws: torch.Generator) -> nn.Module:
    """A copy in eval mode in which no zero, as networks begin with, hides what a channel does."""
    model = copy.deepcopy(model).eval()
    means = [m.running_mean for m in model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    for tensor in (*model.parameters(), *means):
        noise = torch.randn(tensor.shape, generator=draws).to(tensor) * 0.1
        tensor.copy_(torch.where(tensor == 0, noise, tensor))
    return model


def _close(found: Tensor, wanted: Tensor) -> bool:
    if found.shape != wanted.shape:
        return False
    if not found.is_floating_point() or not found.numel():
        return torch.equal(found, wanted)
    difference = (found - wanted).abs().max()
    return bool(difference <= TOLERANCES.get(found.dtype, 1e-2) * wanted.abs().max())
