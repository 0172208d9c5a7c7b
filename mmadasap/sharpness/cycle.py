"""The forward calls that make up one step, to be made again at w + eps."""
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional

import torch
from torch import Tensor

from .perturbation import TensorBackup
from .replay import NotedForward


class Cycle:
    """Forward calls from one step to the next (one, or several under gradient accumulation), and norm statistics."""

    def __init__(self):
        self._pending: Optional[NotedForward] = None
        self._calls: list[tuple[NotedForward, int]] = []
        self._losses: list[Tensor] = []
        self._at_start = TensorBackup()
        self._after_first = TensorBackup()

    def note(self, forward: NotedForward) -> None:
        """Takes a call that is about to be made; before the first one of a cycle, the statistics as well."""
        if not self._calls:
            self._at_start.save(list(forward.model.buffers()))
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
    def again(self, statistics_are_good: bool) -> Iterator[list[tuple[NotedForward, int]]]:
        """For a second pass over the calls, through which norm statistics move once a step in all.

        Args:
            statistics_are_good: Keep those of the first pass. Otherwise the second pass starts from those before the
                first, and its own stay.

        Yields:
            The calls with their numbers.
        """
        if statistics_are_good:
            self._after_first.save(list(self._calls[0][0].model.buffers()))
        else:
            self._at_start.restore()
        yield self._calls
        if statistics_are_good:
            self._after_first.restore()

    def undo_statistics(self) -> None:
        """Brings back the statistics from before the cycle."""
        self._at_start.restore()

    def close(self) -> None:
        """Ends the cycle and lets go of its inputs."""
        self._calls.clear()
        self._losses.clear()
