"""The forward calls that make up one step, to be made again at w + eps."""
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional

import torch
from torch import Tensor

from .replay import NotedForward
from .state import StateBackup


class Cycle:
    """Forward calls from one step to the next (one, or several under gradient accumulation), and what they move."""

    def __init__(self):
        self._pending: Optional[NotedForward] = None
        self._calls: list[tuple[NotedForward, int]] = []
        self._losses: list[Tensor] = []
        self._at_start = StateBackup()
        self._after_first = StateBackup()

    def expect(self) -> None:
        """Forgets a call that no loss came from."""
        self._pending = None

    def note(self, forward: NotedForward) -> None:
        """Takes a call that is about to be made; before the first one of a cycle, the model's state as well.

        Raises:
            RuntimeError: There is one already: what the second loss leaves out could not be made again.
        """
        if self._pending is not None:
            raise RuntimeError("A sharpness-aware step replays one forward call with mode='loss', and this is the "
                               'second; make both losses in one forward, or set radius=None for plain steps.')
        if not self._calls:
            self._at_start.save(forward.model)
        self._pending = forward

    def admit(self, count: int) -> bool:
        """Makes the pending call part of the cycle, numbered ``count``; False if there is none."""
        if self._pending is None:
            return False
        self._calls.append((self._pending, count))
        self._pending = None
        return True

    def add_loss(self, loss: Tensor) -> None:
        """Takes a share of the loss."""
        self._losses.append(loss.detach())

    def take_loss(self) -> Tensor:
        """The sum of the shares since the last call."""
        losses, self._losses = self._losses, []
        return torch.stack(losses).sum()

    @contextmanager
    def again(self, first_counts: bool) -> Iterator[list[tuple[NotedForward, int]]]:
        """For a second pass over the calls, from the state before the first: state moves once a step in all.

        Args:
            first_counts: Keep the state of the first pass; otherwise that of the second stays.

        Yields:
            The calls with their numbers.
        """
        if first_counts:
            self._after_first.save(self._calls[0][0].model)
        self._at_start.restore()
        yield self._calls
        if first_counts:
            self._after_first.restore()

    def undo(self) -> None:
        """Brings back the state from before the cycle."""
        self._at_start.restore()

    @property
    def begin(self) -> int:
        """Number of the first call."""
        return self._calls[0][1]

    def close(self) -> None:
        """Ends the cycle and lets go of its inputs."""
        self._calls.clear()
        self._losses.clear()
