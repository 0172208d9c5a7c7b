"""What a pruning run is asked for, checked at once, and what it makes of a runner and its model."""
from collections.abc import Sequence
from typing import Optional

import torch
from mmengine.runner import IterBasedTrainLoop
from torch import nn

from mmadasap.engine.host import raw_outputs
from mmadasap.errors import UserError, build_from
from mmadasap.latency import LatencyTable
from mmadasap.pruning import Allocator, Budget, ChannelPruner, PruningSchedule, build_importance, image_channels


class PruningPlan:
    """The arguments of :class:`ChannelPruningHook`, which says what they are.

    Raises:
        UserError: Values out of range, or that do not go together.
    """

    def __init__(self, input_size: int | Sequence[int], budget: dict, begin: int, end: int, interval: int,
                 by_epoch: bool, importance: dict, allocator: Optional[dict], latency_table: Optional[str],
                 protect: Sequence[str]):
        self.input_size = (input_size, input_size) if isinstance(input_size, int) else tuple(input_size)
        self.budget = build_from(Budget, 'budget', budget)
        PruningSchedule.check_phase(begin, end, interval)
        self.phase = (begin, end, interval)
        self.by_epoch = by_epoch
        self.importance = build_importance(importance)
        if isinstance(protect, str):
            raise UserError(f"ChannelPruningHook: protect={protect!r} must be several names; write ({protect!r}, ).")
        self.protect = tuple(protect)
        self.allocator = None if allocator is None else dict(allocator)
        build_from(Allocator, 'allocator', self.allocator or {})
        self.latency_table = latency_table
        if (self.budget.cost == 'latency') != (latency_table is not None):
            raise UserError(f'budget: cost={self.budget.cost!r} with latency_table={latency_table!r}; a budget of '
                            'latency needs a table from tools/build_latency_table.py, and no other takes one.')

    def schedule(self, runner) -> PruningSchedule:
        """The phase in iterations of a run.

        Raises:
            UserError: It does not fit the run.
        """
        begin, end, interval = self.phase
        if self.by_epoch:
            if isinstance(runner.train_loop, IterBasedTrainLoop):
                raise UserError(f'ChannelPruningHook: begin={begin} and end={end} count epochs, and training counts '
                                'iterations; set by_epoch=False and give them in iterations.')
            return PruningSchedule.of_epochs(begin, end, interval, len(runner.train_dataloader), runner.max_epochs)
        return PruningSchedule.of_iterations(begin, end, interval, runner.max_iters)

    def done(self, runner, batches: Optional[int] = None) -> int:
        """How much of the run is done, in the iterations its schedule counts.

        Those of a phase in epochs are whole epochs of the data loader's length and what is done of the present one:
        resumed on other devices or with other batches, the runner's own count does not tell its epoch.

        Args:
            runner: The run.
            batches: Batches of the present epoch, right after one of them; None before training.
        """
        if self.by_epoch:
            return runner.epoch * len(runner.train_dataloader) + (batches or 0)
        return runner.iter + (batches is not None)

    def pruner(self, model: nn.Module, table: Optional[LatencyTable]) -> ChannelPruner:
        """What prunes this model.

        Raises:
            UserError: The model cannot be traced, or the budget not be met.
        """
        tensor = next(model.parameters())
        example = torch.zeros(1, image_channels(model), *self.input_size, device=tensor.device, dtype=tensor.dtype)
        return ChannelPruner(model, example, raw_outputs, self.budget, self.importance, self.protect,
                             self._allocator(table), table)

    def _allocator(self, table: Optional[LatencyTable]) -> Optional[Allocator]:
        if table is None:
            return None if self.allocator is None else Allocator(**self.allocator)
        return Allocator(**(dict(block=table.block) | (self.allocator or {})))
