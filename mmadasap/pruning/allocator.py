"""Allocating the widths of a network: which solver, which candidates."""
from dataclasses import dataclass

import torch

from mmadasap.errors import UserError

from .allocation import Allocation, CapacityError, allocate, allocate_repriced, least_cost
from .candidates import WidthCandidates
from .cost import NetworkCost
from .importance import Scores
from .masks import Kept
from .ranking import BudgetError

SOLVERS = dict(
    exact=lambda values, terms, current, capacity: allocate(values, terms, capacity, current), halp=allocate_repriced)


@dataclass(frozen=True)
class Allocator:
    """How widths are chosen.

    Args:
        solver: 'exact': the most valuable widths, each layer priced by its input and its output width together; 'halp':
            HALP's own problem, inputs priced at their widths before the step.
        block: Every pruned width is a multiple of this; what runs fast on the device.
        min_width: No prunable group becomes narrower than this, or than its dense width if that is smaller.
        remove_branches: Whether residual branches may go as a whole, leaving the identity path ('exact' alone does it).

    Raises:
        UserError: Unknown solver, numbers below 1, or 'halp' with ``remove_branches``.
    """
    solver: str = 'exact'
    block: int = 8
    min_width: int = 1
    remove_branches: bool = False

    def __post_init__(self):
        if self.solver not in SOLVERS:
            raise UserError(f'allocator: solver={self.solver!r} is unknown; choose one of {sorted(SOLVERS)}.')
        for name in ('block', 'min_width'):
            if type(getattr(self, name)) is not int or getattr(self, name) < 1:
                raise UserError(f'allocator: {name}={getattr(self, name)!r} must be a whole number of at least 1.')
        if self.remove_branches and self.solver != 'exact':
            raise UserError(f"allocator: solver={self.solver!r} decides group by group and cannot remove branches; set "
                            "remove_branches=False or solver='exact'.")

    def bind(self, network: NetworkCost) -> 'NetworkAllocator':
        """For the groups of one network."""
        return NetworkAllocator(self, network)


class NetworkAllocator:
    """An allocator for one network; prices all its candidate widths once.

    Args:
        rule: How widths are chosen.
        network: The network's cost, which budgets are in.
    """

    def __init__(self, rule: Allocator, network: NetworkCost):
        self._rule = rule
        self._candidates = WidthCandidates(network, rule.block, rule.min_width)

    def allocate(self, kept: Kept, scores: Scores, budget: float) -> tuple[Kept, Allocation]:
        """The live channels to go on with within ``budget``, none of them pruned now, and how good that choice is.

        Raises:
            BudgetError: Naming the least reachable cost.
            UserError: Scores that are not finite.
        """
        values, terms, current = self._candidates.problem(kept, scores)
        try:
            found = SOLVERS[self._rule.solver](values, terms, current, budget)
        except CapacityError as error:
            raise self._unreachable(error.least, budget) from None
        return self._candidates.choose(found.choice, kept, scores), found

    def check_reachable(self, kept: Kept, budget: float) -> None:
        """Refuses a budget below the cost of the least allowed network, before any training.

        Raises:
            BudgetError: Naming the least reachable cost.
        """
        scores = {name: torch.zeros(len(live)) for name, live in kept.items()}
        values, terms, _ = self._candidates.problem(kept, scores)
        least = least_cost(values, terms)
        if least > budget:
            raise self._unreachable(least, budget)

    def _unreachable(self, least: float, budget: float) -> BudgetError:
        return BudgetError(f'A budget of {budget:.6g} cannot be met: in blocks of {self._rule.block} channels the '
                           f'least network that can be reached costs {least:.6g}; raise the budget, protect less or '
                           'use smaller blocks.')
