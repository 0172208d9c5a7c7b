"""Choosing the widths of a whole network together: what a layer costs hangs on its own group and on those that feed it.

Unlike the multiple-choice knapsack, the candidates of one group then have no cost of their own.
"""
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Optional

import numpy as np

from .branch_and_bound import SLACK, Search
from .joint_problem import Choice, CostTerm, JointProblem

# Table entries one search may look at; what is left of the gap then is reported. About a second on one core.
WORK = 100_000_000
# Steps of the search for a capacity that HALP's prices turn into the one wanted: to 0.1% of it.
HALVINGS = 12


class CapacityError(ValueError):
    """A capacity that no choice is within.

    Args:
        capacity: The capacity.
        least: The least reachable one.
    """

    def __init__(self, capacity: float, least: float):
        super().__init__(f'capacity={capacity} cannot be met: the cheapest choice costs {least}; raise the capacity to '
                         'at least that.')
        self.least = least


@dataclass(frozen=True)
class Allocation:
    """A choice of one candidate per group.

    Attributes:
        choice: Place of the chosen candidate of each group.
        value: Its total value.
        cost: Its total cost, as the terms give it together.
        bound: No choice within the capacity has more value than this.
    """
    choice: Choice
    value: float
    cost: float
    bound: float

    @property
    def gap(self) -> float:
        """How much more value there could be at most, as a share of the value found; 0 for a proven optimum."""
        missing = self.bound - self.value
        return 0.0 if missing <= 0 else missing / abs(self.value) if self.value else float('inf')


def allocate(values: Sequence[np.ndarray],
             terms: Sequence[CostTerm],
             capacity: float,
             current: Optional[Sequence[int]] = None) -> Allocation:
    """Picks exactly one candidate of every group, of greatest total value among choices whose terms cost ``capacity``.

    A price on cost turns the constraint into a term of the objective (Lagrange), which variable elimination then
    maximises exactly; the best price gives a bound, and the choices on the way to it candidates. Branch and bound
    closes the gap on small problems, and narrows it on large ones until a fixed amount of work is spent.

    Args:
        values: One 1-D array a group: value of each candidate.
        terms: What the choices cost.
        capacity: What the choice may cost in total.
        current: The candidates in place now. Where given, the result is worth at least what :func:`allocate_halp`
            chooses from there, if that choice is within ``capacity``.

    Raises:
        CapacityError: A capacity below the least reachable one, which the message names.
        ValueError: Values and terms that do not fit each other.
    """
    problem = JointProblem(values, terms)
    least = problem.cost(problem.within(problem.whole).cheapest())
    if not capacity >= least:
        raise CapacityError(capacity, least)
    search = Search(problem, capacity, WORK)
    if current is not None:
        with suppress(ValueError):  # HALP's prices may allow nothing where there is a choice.
            search.offer(_linearised(problem, current, capacity))
    bound = search.run()
    return Allocation(search.best, search.value, problem.cost(search.best), bound)


def allocate_halp(values: Sequence[np.ndarray], terms: Sequence[CostTerm], current: Sequence[int],
                  capacity: float) -> Allocation:
    """HALP's own problem (Shen et al. 2022): each layer's output width is priced at the input widths in place now.

    These prices are wrong as soon as the inputs change too: ``cost`` of the result is what all terms say together.
    ``bound`` is that of HALP's problem, which is solved exactly: ``value``.

    Args:
        values, terms: As :func:`allocate`'s.
        current: The candidates in place now.
        capacity: What the choice may cost by HALP's prices.

    Raises:
        ValueError: A capacity below the least reachable one by these prices, which the message names.
    """
    problem = JointProblem(values, terms)
    choice = _linearised(problem, current, capacity)
    return Allocation(choice, problem.value(choice), problem.cost(choice), problem.value(choice))


def allocate_repriced(values: Sequence[np.ndarray], terms: Sequence[CostTerm], current: Sequence[int],
                      capacity: float) -> Allocation:
    """HALP's choice for the capacity by its own prices that makes the network really cost up to ``capacity``.

    HALP overlooks that a layer also gets cheaper by what its inputs lose, and leaves much of the capacity unused when
    much is pruned at once. A baseline should not lose by that: what no capacity by its own prices uses up is spent on
    single candidates, the most value for their true cost first, until no better one fits. ``bound`` is that of the
    joint problem, by the best price on cost.

    Args:
        values, terms, capacity: As :func:`allocate`'s.
        current: The candidates in place now.

    Raises:
        CapacityError: A capacity below what HALP's cheapest choice costs.
    """
    problem = JointProblem(values, terms)
    prices, constant = problem.halp_prices(list(current))
    low = constant + sum(float(p[np.isfinite(p)].min()) for p in prices)
    high = constant + sum(float(p[np.isfinite(p)].max()) for p in prices)
    best = _linearised(problem, current, low + SLACK * (1 + low))
    if not capacity >= problem.cost(best):
        raise CapacityError(capacity, problem.cost(best))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        choice = _linearised(problem, current, middle)
        fits = problem.cost(choice) <= capacity
        low, high = (middle, high) if fits else (low, middle)
        best = max(best, choice, key=problem.value) if fits else best
    choice = _filled(problem, best, capacity)
    return Allocation(choice, problem.value(choice), problem.cost(choice), Search(problem, capacity, WORK).bound())


def least_cost(values: Sequence[np.ndarray], terms: Sequence[CostTerm]) -> float:
    """Cost of the cheapest choice; inf where none is allowed."""
    problem = JointProblem(values, terms)
    return problem.cost(problem.within(problem.whole).cheapest())


def _linearised(problem: JointProblem, current: Sequence[int], capacity: float) -> Choice:
    prices, constant = problem.halp_prices(list(current))
    chosen = problem.independent_choice(range(len(prices)), prices, capacity - constant)
    return [chosen[g] for g in range(len(prices))]


def _filled(problem: JointProblem, choice: Choice, capacity: float) -> Choice:
    """The choice after spending what is left of the capacity, candidate by candidate."""
    while True:
        room = capacity - problem.cost(choice)
        steps = sorted(step for group in range(len(choice)) for step in _steps(problem, choice, group, room))
        better = ([*choice[:group], place, *choice[group + 1:]] for _, group, place in reversed(steps))
        found = next((c for c in better if problem.cost(c) <= capacity), None)
        if found is None:
            return choice
        choice = found


def _steps(problem: JointProblem, choice: Choice, group: int, room: float) -> list[tuple[float, int, int]]:
    """(value gained per cost, ``group``, place) of its candidates that are worth more and cost up to ``room`` more."""
    prices, values = problem.prices_beside(choice, group), problem.values[group]
    gains, extra = values - values[choice[group]], prices - prices[choice[group]]
    places = np.flatnonzero((gains > 0) & (extra <= room)).tolist()
    return [(float(gains[i] / extra[i]) if extra[i] > 0 else np.inf, group, i) for i in places]
