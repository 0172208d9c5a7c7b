"""Note a forward call, and make it again with the same inputs and the same random draws."""
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


@contextmanager
def note_forward(model: nn.Module, on_call: Callable[[NotedForward], None]) -> Iterator[None]:
    """Hands every training forward call of ``model`` made inside (``mode='loss'``) to ``on_call`` before it runs."""

    def note(module, args, kwargs):
        if kwargs.get('mode') == 'loss':
            on_call(NotedForward(module, args, kwargs, RandomState.capture()))

    handle = model.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
