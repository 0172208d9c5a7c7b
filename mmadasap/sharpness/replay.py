"""Note a forward call, and make it again with the same inputs and the same random draws."""
import copy
import math
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn


@dataclass(frozen=True)
class RandomState:
    """State of the generators a model may draw from: Python's, NumPy's, and torch's of processors and CUDA devices."""
    python: Any
    numpy: Any
    torch_cpu: torch.Tensor
    torch_cuda: tuple[torch.Tensor, ...]

    @classmethod
    def capture(cls) -> 'RandomState':
        """The state now."""
        cuda = tuple(torch.cuda.get_rng_state_all()) if torch.cuda.is_initialized() else ()
        return cls(random.getstate(), np.random.get_state(), torch.get_rng_state(), cuda)

    def restore(self) -> None:
        """Makes this the state."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.torch_cpu)
        if self.torch_cuda:
            torch.cuda.set_rng_state_all(list(self.torch_cuda))


@dataclass(frozen=True)
class NotedForward:
    """A forward call: what was called, with which inputs, from which random state."""
    model: nn.Module
    args: tuple
    kwargs: dict
    random_state: RandomState

    def replay(self, counts: bool = False) -> Any:
        """Calls again with the noted inputs and draws.

        Args:
            counts: Leave the random state where this call leaves it, as the one that the next draws follow; otherwise
                it is as it was before.
        """
        after = RandomState.capture()
        self.random_state.restore()
        try:
            return self.model(*self.args, **self.kwargs)
        finally:
            if not counts:
                after.restore()


def part_of_batch(value: Any, size: int, kept: int) -> Any:
    """The first ``kept`` samples of a batch of ``size``: of tensors and lists of that length, at any depth."""
    if isinstance(value, dict):
        return type(value)({key: part_of_batch(v, size, kept) for key, v in value.items()})
    if isinstance(value, torch.Tensor):
        return value[:kept] if _has_rows(value) and len(value) == size else value
    if isinstance(value, (list, tuple)):
        if len(value) == size and not _are_batches(value) and not hasattr(value, '_fields'):
            return value[:kept]
        return _same_kind(value, [part_of_batch(v, size, kept) for v in value])
    return value


def batch_size(values: Iterable[Any]) -> int:
    """Length of the first list or tensor among ``values``, in dicts and lists of batches; 0 where there is none."""
    for value in values:
        if isinstance(value, dict) or _are_batches(value):
            size = batch_size(value.values() if isinstance(value, dict) else value)
        else:
            size = len(value) if isinstance(value, (list, tuple)) or _has_rows(value) else 0
        if size:
            return size
    return 0


def _are_batches(value: Any) -> bool:
    """Whether it is a list of several views of a batch: images have three dimensions, batches of them four."""
    return isinstance(value, (list, tuple)) and len(value) > 0 and all(
        isinstance(v, torch.Tensor) and v.dim() >= 4 for v in value)


def _same_kind(like: Any, values: list) -> Any:
    return type(like)(*values) if hasattr(like, '_fields') else type(like)(values)


def _has_rows(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.dim() > 0


def untouched(value: Any) -> Any:
    """A copy of a model's inputs that shares its tensors: heads may write into their samples, not into images."""
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, dict):
        return type(value)({key: untouched(v) for key, v in value.items()})
    if isinstance(value, (list, tuple)):
        return _same_kind(value, [untouched(v) for v in value])
    return copy.deepcopy(value)


@contextmanager
def note_forward(model: nn.Module,
                 on_call: Callable[[NotedForward], None],
                 fraction: float = 1.0) -> Iterator[None]:
    """Hands every training forward call of ``model`` made inside (``mode='loss'``) to ``on_call`` before it runs.

    Args:
        model: A model, bare or in a distributed wrapper.
        on_call: Receives the call with its whole batch.
        fraction: The call itself then runs on this part of its batch, rounded up.
    """

    def note(module, args, kwargs):
        if kwargs.get('mode') != 'loss':
            return None
        on_call(NotedForward(module, untouched(args), untouched(kwargs), RandomState.capture()))
        if fraction == 1:
            return None
        inputs = {k: v for k, v in kwargs.items() if k != 'mode'}
        size = batch_size((*args, *inputs.values()))
        kept = math.ceil(fraction * size)
        return (tuple(part_of_batch(a, size, kept) for a in args),
                dict(kwargs, **part_of_batch(inputs, size, kept)))

    handle = model.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
