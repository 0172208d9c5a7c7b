"""Note a forward call, and make it again with the same inputs and the same random draws."""
import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn


@dataclass(frozen=True)
class RandomState:
    """State of every generator a model may draw from: Python's, NumPy's and torch's."""
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

    def replay(self) -> Any:
        """Calls again with the noted inputs and draws; afterwards the random state is as it was before the replay."""
        after = RandomState.capture()
        self.random_state.restore()
        try:
            return self.model(*self.args, **self.kwargs)
        finally:
            after.restore()


def part_of_batch(value: Any, size: int, kept: int) -> Any:
    """The first ``kept`` samples of a batch of ``size``: of tensors and lists of that length, at any depth."""
    if isinstance(value, dict):
        return type(value)({key: part_of_batch(v, size, kept) for key, v in value.items()})
    if isinstance(value, torch.Tensor):
        return value[:kept] if value.dim() and len(value) == size else value
    if isinstance(value, (list, tuple)):
        return value[:kept] if len(value) == size else type(value)(part_of_batch(v, size, kept) for v in value)
    return value


def batch_size(value: Any) -> int:
    """Length of the first tensor in ``value``, at any depth; 0 where there is none."""
    if isinstance(value, torch.Tensor):
        return len(value) if value.dim() else 0
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return next((size for part in parts if (size := batch_size(part))), 0)


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
        on_call(NotedForward(module, args, kwargs, RandomState.capture()))
        if fraction == 1:
            return None
        inputs = {k: v for k, v in kwargs.items() if k != 'mode'}
        size = batch_size((*args, inputs))
        kept = math.ceil(fraction * size)
        return (tuple(part_of_batch(a, size, kept) for a in args),
                dict(kwargs, **part_of_batch(inputs, size, kept)))

    handle = model.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
