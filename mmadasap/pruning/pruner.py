"""Everything a pruning run knows of its model: which channels live, what that costs, and how to take the rest out."""
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Optional

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mmadasap.errors import UserError

from .allocation import Allocation
from .allocator import Allocator
from .branches import find_branches, remove, silence
from .budget import Budget
from .cost import COSTS, LayerCost, NetworkCost, count_parameters, trace_layers
from .importance import Importance
from .masks import ChannelMask, Kept, check_kept, full_channels, mask_optimizer, model_tensors, tensor_cuts
from .proof import find_groups
from .ranking import check_reachable, keep_best
from .surgery import slim


class ChannelPruner:
    """Prunes the channels of one model step by step: masked at first, removed in the end.

    Args:
        model: The model; traced in eval mode and left as it is.
        example: Input, shape (N, C, H, W).
        forward: Runs the model on ``example`` and returns its raw outputs.
        budget: What the pruned network may cost.
        importance: Criterion that ranks channels.
        protect: Modules whose output channels are all kept.
        allocator: Chooses the width of every group; None: all channels are ranked against each other.
        latency: Time of one layer in ms at given widths, for a budget of 'latency'.

    Attributes:
        branches: Residual branches that may go as a whole.
        allocation: What the allocator chose last, with its optimality gap; None before the first step.

    Raises:
        TraceError: The model cannot be traced.
        UserError: The budget is of latency and there is none.
        BudgetError: The budget is below the cost of the least allowed network.
    """

    def __init__(self, model: nn.Module, example: Tensor, forward: Callable[[nn.Module, Tensor], Any], budget: Budget,
                 importance: Importance, protect: Sequence[str], allocator: Optional[Allocator] = None,
                 latency: Optional[LayerCost] = None):
        self.model, self.importance = model, importance
        self.groups = find_groups(model, example, forward, protect)
        self.kept = full_channels(self.groups)
        layers, totals = trace_layers(model, example, forward), dict(parameters=count_parameters(model))
        known = COSTS if latency is None else COSTS | dict(latency=latency)
        removable = allocator is not None and allocator.remove_branches
        self.branches = find_branches(model, example, forward, self.groups) if removable else []
        self.costs = {
            name: NetworkCost(layers, self.groups, cost, totals.get(name), self.branches)
            for name, cost in known.items()
        }
        if budget.cost not in self.costs:
            raise UserError(f'budget: cost={budget.cost!r} needs a latency table.')
        self.cost = self.costs[budget.cost]
        self.dense = self.cost(self.kept)
        self.target = budget.target(self.dense)
        self.allocation: Optional[Allocation] = None
        self._held: list[RemovableHandle] = []
        self._allocator = None if allocator is None else allocator.bind(self.cost)
        if self._allocator is None:
            check_reachable(self.groups, self.cost, self.target)
        else:
            self._allocator.check_reachable(self.kept, self.target)
        self._spread()

    def observe(self) -> None:
        """Shows the criterion the gradients of the coming step."""
        self.importance.observe(self.model, self.groups)

    def prune(self, budget: float) -> None:
        """Chooses which channels to keep within ``budget`` (in the unit of the budget's cost).

        Raises:
            BudgetError: No network that can be reached from the live channels costs so little.
        """
        scores = self.importance.scores(self.model, self.groups, self.kept)
        if self._allocator is None:
            self.kept = keep_best(self.groups, scores, self.kept, self.cost, budget)
        else:
            self.kept, self.allocation = self._allocator.allocate(self.kept, scores, budget)
        self._spread()

    def adopt(self, kept: Kept) -> None:
        """Goes on with these live channels: another rank's choice."""
        self.kept = kept
        self._spread()

    def mask(self) -> None:
        """Zeroes pruned channels in the model."""
        self._mask.apply()

    def mask_state(self, optimizer: torch.optim.Optimizer, copies: Iterable[nn.Module]) -> None:
        """Zeroes pruned channels in the optimizer's state and in averaged copies of the model."""
        mask_optimizer(optimizer, dict(self.model.named_parameters()), self._cuts)
        for copy in copies:
            ChannelMask(model_tensors(copy), self._cuts).apply()

    def remove(self, optimizer: torch.optim.Optimizer, copies: Iterable[nn.Module]) -> set[str]:
        """Takes pruned channels out of the model, the optimizer's state and averaged copies.

        Returns:
            Names of the modules that became smaller, and of the blocks that lost their branch.
        """
        self._let_go()
        gone = [b for b in self.branches if b.is_removed(self.kept)]
        layers = {layer for branch in gone for layer in branch.layers}
        cuts = {name: dims for name, dims in self._cuts.items() if name.rpartition('.')[0] not in layers}
        for model, its_optimizer in [(self.model, optimizer), *((copy, None) for copy in copies)]:
            remove(model, gone, its_optimizer)
            slim(model, cuts, its_optimizer)
        return {*(name.rpartition('.')[0] for name in cuts), *(branch.block for branch in gone)}

    def summary(self) -> str:
        """Share of every cost that is kept, for people."""
        whole = full_channels(self.groups)
        return ', '.join(f'{name} {cost(self.kept) / cost(whole):.1%}' for name, cost in self.costs.items())

    def state_dict(self) -> dict:
        """Live channels and what the criterion has seen, as plain tensors and numbers."""
        return dict(kept=self.kept, importance=self.importance.state_dict())

    def load_state_dict(self, state: dict) -> None:
        """Goes on from :meth:`state_dict`.

        Raises:
            UserError: It is of another network, or damaged.
        """
        check_kept(state['kept'], self.groups)
        self.kept = {name: live.bool().cpu() for name, live in state['kept'].items()}
        self.importance.load_state_dict(state['importance'])
        self._spread()

    def _spread(self) -> None:
        cuts = tensor_cuts(self.model, self.groups, self.kept)
        self._cuts = silence(self.model, [b for b in self.branches if b.is_removed(self.kept)], cuts)
        self._mask = ChannelMask(model_tensors(self.model), self._cuts)
        self._let_go()
        self._held = self._mask.hold_gradients()

    def _let_go(self) -> None:
        for handle in self._held:
            handle.remove()
        self._held = []
