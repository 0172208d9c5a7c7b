"""Masked equals slim, tried on a copy before anything is pruned: a trace does not see all that channels go through."""
import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmadasap.errors import brief

from .graph import TraceError, flatten_tensors
from .groups import ChannelGroup, trace_groups
from .masks import ChannelMask, Kept, full_channels, model_tensors, tensor_cuts
from .surgery import slim

# Greatest difference of an output, as a share of its greatest value.
TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-6}
TINY = 1e-2
# Some choices of channels agree by chance.
DRAWS, ROUNDS = 2, 3
REASON = 'removing these channels would change more than masking them does (they are split, mixed or reordered)'


def find_groups(model: nn.Module,
                example: Tensor,
                forward: Callable[[nn.Module, Tensor], Any],
                protect: Sequence[str] = ()) -> list[ChannelGroup]:
    """As :func:`trace_groups`; groups for which a masked and a slim copy of ``model`` disagree are protected, too.

    Memory: two copies of the weights.

    Raises:
        TraceError: As :func:`trace_groups`; or there is no copy that runs, or the copies disagree whatever is
            protected.
    """
    groups, rounds = trace_groups(model, example, forward, protect), 0
    trial = _Trial(model, example, forward)
    while not trial.agrees(groups):
        trial.check_copy()
        if rounds == ROUNDS:
            raise TraceError(f'{type(model).__name__} computes something else when channels are removed than when they '
                             'are masked, and no one group of channels is to blame; name in protect what mixes them.')
        groups = [g if g.protected or trial.agrees([g]) else replace(g, protected=REASON) for g in groups]
        rounds += 1
    return groups


class _Trial:
    """Removes a third of the channels from copies of a model."""

    def __init__(self, model: nn.Module, example: Tensor, forward: Callable[[nn.Module, Tensor], Any]):
        self._draws = torch.Generator().manual_seed(0)
        self._forward = forward
        self._model = _lively(model, self._draws)
        self._input = torch.randn(example.shape, generator=self._draws).to(example.device)

    def check_copy(self) -> None:
        """Refuses a model whose copy does not run.

        Raises:
            TraceError: Telling what goes wrong.
        """
        try:
            self._run(copy.deepcopy(self._model).float(), self._input.float())
        except torch.cuda.OutOfMemoryError:
            raise
        except Exception as error:
            raise TraceError(f'A copy of {type(self._model).__name__} does not run on an input of shape '
                             f'{tuple(self._input.shape)} ({brief(error)}); check input_size, or leave out pruning for '
                             'this model.') from error

    def agrees(self, groups: Sequence[ChannelGroup]) -> bool:
        """Whether masking some channels of unprotected ``groups`` and removing them give the same outputs."""
        return all(self._agrees_on(groups, self._some(groups)) for _ in range(DRAWS))

    def _agrees_on(self, groups: Sequence[ChannelGroup], kept: Kept) -> bool:
        # Single precision is several times faster; what it cannot tell double precision decides.
        return any(self._agrees_in(dtype, groups, kept) for dtype in TOLERANCES)

    def _agrees_in(self, dtype: torch.dtype, groups: Sequence[ChannelGroup], kept: Kept) -> bool:
        model, x = copy.deepcopy(self._model).to(dtype), self._input.to(dtype)
        try:
            cuts = tensor_cuts(model, groups, kept)
            ChannelMask(model_tensors(model), cuts).apply()
            masked = self._run(model, x)
            slim(model, cuts)
            found = self._run(model, x)
        except torch.cuda.OutOfMemoryError:
            raise
        except Exception:
            # Layers of widths that do not fit each other, or an operation for single precision alone.
            return False
        return len(found) == len(masked) and all(_close(a, b, TOLERANCES[dtype]) for a, b in zip(found, masked))

    def _some(self, groups: Sequence[ChannelGroup]) -> Kept:
        kept = full_channels(groups)
        for group in groups:
            if group.protected is None:
                kept[group.name][torch.randperm(group.width, generator=self._draws)[:_some_of(group.width)]] = False
        return kept

    @torch.no_grad()
    def _run(self, model: nn.Module, x: Tensor) -> list[Tensor]:
        return flatten_tensors(self._forward(model, x))


def _some_of(width: int) -> int:
    return max(width // 3, 1) if width > 1 else 0


@torch.no_grad()
def _lively(model: nn.Module, draws: torch.Generator) -> nn.Module:
    """A copy in eval mode in which no zero or tiny factor, as networks begin with, hides what a channel does."""
    model = copy.deepcopy(model).eval()
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    for tensor in (*model.parameters(), *(norm.running_mean for norm in norms)):
        if tensor.numel():
            noise = torch.randn(tensor.shape, generator=draws).to(tensor) * 0.1
            tensor.copy_(torch.where((tensor == 0) | (tensor.abs().max() < TINY), noise, tensor))
    for norm in norms:
        # Of channels that are masked already.
        norm.running_var.masked_fill_(norm.running_var == 0, 1)
    return model


def _close(found: Tensor, wanted: Tensor, tolerance: float) -> bool:
    if found.shape != wanted.shape:
        return False
    if not found.is_floating_point() or not found.numel():
        return torch.equal(found, wanted)
    # Infinities are what they are.
    differ = found != wanted
    if not differ.any():
        return True
    scale = wanted[wanted.isfinite()].abs().amax() if wanted.isfinite().any() else 0
    return bool(((found - wanted)[differ].abs() <= tolerance * scale).all())
