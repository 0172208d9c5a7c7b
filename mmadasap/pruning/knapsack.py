"""Choosing one candidate per group for the most value within a capacity: the multiple-choice knapsack, exactly."""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

# Partial choices that dynamic programming may look at together; more only arise where value is proportional to cost.
LIMIT = 5_000_000
# Bounds are sums of floats: a candidate is dropped only if it is worse by more than their rounding.
SLACK = 1e-9


@dataclass(frozen=True)
class Candidates:
    """Candidates of one group that no other candidate of it makes pointless, cheapest first.

    Attributes:
        values: Shape (candidates,), rising.
        costs: Shape (candidates,), rising.
        index: Their places in what the caller gave.
    """
    values: np.ndarray
    costs: np.ndarray
    index: np.ndarray

    def keep(self, wanted: np.ndarray) -> 'Candidates':
        """The candidates where ``wanted`` is true."""
        return Candidates(self.values[wanted], self.costs[wanted], self.index[wanted])


def solve_multiple_choice(values: Sequence, costs: Sequence, capacity: float) -> list[int]:
    """Picks exactly one candidate of every group, of greatest total value among choices within ``capacity``.

    Provably optimal: a Lagrangian bound drops candidates that no optimal choice can contain, and dynamic programming
    over undominated (cost, value) pairs, pruned by the same bound, decides among the rest. Where nearly all choices are
    equally good per cost, so that bounds drop none, HiGHS decides: then optimal to 1e-5 of the value.

    Args:
        values: One 1-D array a group: value of each candidate.
        costs: One 1-D array a group: cost of each candidate, at least 0, in the unit of ``capacity``.
        capacity: What the choice may cost in total; inf for no limit.

    Returns:
        One index per group.

    Raises:
        ValueError: Arrays that do not match or hold something not finite or negative costs; or a capacity below the
            least reachable one, which the message names.
    """
    groups = _undominated(values, costs)
    least = _total(groups, [0] * len(groups))[1]
    if not capacity >= least:
        raise ValueError(f'capacity={capacity} cannot be met: the cheapest choice costs {least}; raise the capacity to '
                         'at least that.')
    # Bounds are products with the capacity, which the dearest choice may stand for.
    capacity = min(capacity, _total(groups, [-1] * len(groups))[1])
    multiplier, floor = _best_multiplier(groups, capacity)
    margin = SLACK * (1 + sum(float(np.abs(g.values).max()) for g in groups))
    groups = _drop_hopeless(groups, capacity, multiplier, floor - margin)
    places = _search(groups, capacity, multiplier, floor - margin) or _by_highs(groups, capacity)
    return [int(g.index[place]) for g, place in zip(groups, places)]


def _undominated(values: Sequence, costs: Sequence) -> list[Candidates]:
    if len(values) != len(costs):
        raise ValueError(f'values has {len(values)} groups and costs has {len(costs)}; give one array each per group.')
    groups = []
    for number, (v, c) in enumerate(zip(values, costs)):
        v, c = np.asarray(v, dtype=float), np.asarray(c, dtype=float)
        if v.ndim != 1 or v.shape != c.shape or not v.size:
            raise ValueError(f'group {number}: values of shape {v.shape} and costs of shape {c.shape} must be 1-D, of '
                             'equal length and not empty.')
        if not (np.isfinite(v).all() and np.isfinite(c).all() and (c >= 0).all()):
            raise ValueError(f'group {number}: values must be finite, costs finite and at least 0; got {v} and {c}.')
        order = np.lexsort((-v, c))
        best = np.maximum.accumulate(v[order])
        rising = np.concatenate([[True], best[1:] > best[:-1]])
        groups.append(Candidates(v[order][rising], c[order][rising], order[rising]))
    return groups


def _total(groups: list[Candidates], places: list[int]) -> tuple[float, float]:
    """Value and cost of a choice, added from left to right as the search does: what fits must not hang on rounding."""
    value = cost = 0.0
    for g, place in zip(groups, places):
        value, cost = value + float(g.values[place]), cost + float(g.costs[place])
    return value, cost


def _relaxed(groups: list[Candidates], multiplier: float) -> list[int]:
    """The choice that is best when cost is paid for at ``multiplier``; the cheapest among ties."""
    return [int(np.argmax(g.values - multiplier * g.costs)) for g in groups]


def _best_multiplier(groups: list[Candidates], capacity: float) -> tuple[float, float]:
    """A price of cost with a tight bound, and the value of the best feasible choice seen on the way to it."""
    value, cost = _total(groups, _relaxed(groups, 0.0))
    if cost <= capacity:
        return 0.0, value
    floor, _ = _total(groups, [0] * len(groups))
    low, high = 0.0, 1.0
    while _total(groups, _relaxed(groups, high))[1] > capacity:
        low, high = high, 2 * high
    for _ in range(100):
        middle = (low + high) / 2
        places = _relaxed(groups, middle)
        if _total(groups, places)[1] > capacity:
            low = middle
            continue
        high = middle
        for choice in (places, _fill(groups, places, capacity)):
            value, cost = _total(groups, choice)
            floor = max(floor, value) if cost <= capacity else floor
    return high, floor


def _fill(groups: list[Candidates], places: list[int], capacity: float) -> list[int]:
    """The choice after spending what is left on better candidates, group by group; may miss capacity by rounding."""
    left, filled = capacity - _total(groups, places)[1], []
    for g, place in zip(groups, places):
        better = max(place, int(np.searchsorted(g.costs, g.costs[place] + left, side='right')) - 1)
        left -= float(g.costs[better] - g.costs[place])
        filled.append(better)
    return filled


def _drop_hopeless(groups: list[Candidates], capacity: float, multiplier: float, floor: float) -> list[Candidates]:
    """Drops candidates with which even the bound stays below ``floor``."""
    reduced = [g.values - multiplier * g.costs for g in groups]
    bound = sum(float(r.max()) for r in reduced) + multiplier * capacity
    return [g.keep(bound - r.max() + r >= floor) for g, r in zip(groups, reduced)]


def _search(groups: list[Candidates], capacity: float, multiplier: float, floor: float) -> list[int]:
    """Dynamic programming over partial choices: the places of the best whole one; empty where they are too many."""
    ahead = np.cumsum([float((g.values - multiplier * g.costs).max()) for g in groups][::-1])[::-1].tolist() + [0.0]
    cheapest = np.cumsum([float(g.costs[0]) for g in groups][::-1])[::-1].tolist() + [0.0]
    cost, value, steps = np.zeros(1), np.zeros(1), []
    for number, g in enumerate(groups):
        if len(cost) * len(g.costs) > LIMIT:
            return []
        costs, values = (cost[:, None] + g.costs).ravel(), (value[:, None] + g.values).ravel()
        bound = values + multiplier * (capacity - costs) + ahead[number + 1]
        # The last sum is the one that counts; before it, leave room for rounding.
        room = capacity if number + 1 == len(groups) else capacity - cheapest[number + 1] + SLACK * (1 + capacity)
        possible = np.flatnonzero((bound >= floor) & (costs <= room))
        order = possible[np.lexsort((-values[possible], costs[possible]))]
        best = np.maximum.accumulate(values[order])
        order = order[np.concatenate([[True], best[1:] > best[:-1]])]
        cost, value = costs[order], values[order]
        steps.append(np.divmod(order, len(g.costs)))
    at, places = int(np.argmax(value)), []
    for parents, chosen in reversed(steps):
        places.append(int(chosen[at]))
        at = int(parents[at])
    return places[::-1]


def _by_highs(groups: list[Candidates], capacity: float) -> list[int]:
    if not groups:
        return []
    values, costs = np.concatenate([g.values for g in groups]), np.concatenate([g.costs for g in groups])
    sizes = [len(g.costs) for g in groups]
    member = csr_array((np.ones(len(costs)), (np.repeat(np.arange(len(groups)), sizes), np.arange(len(costs)))))
    scale = max(float(np.abs(values).max()), 1e-300)
    # HiGHS lets constraints be exceeded by its tolerance, 1e-7 after scaling.
    for room in (capacity, capacity * (1 - 1e-6)):
        within = LinearConstraint(costs[None] / capacity, -np.inf, room / capacity)
        found = milp(-values / scale, constraints=[LinearConstraint(member, 1, 1), within],
                     integrality=np.ones(len(costs)), bounds=Bounds(0, 1), options=dict(mip_rel_gap=1e-5))
        places = [int(part.argmax()) for part in np.split(found.x, np.cumsum(sizes)[:-1])]
        if _total(groups, places)[1] <= capacity:
            return places
    raise ArithmeticError(f'HiGHS found no choice within capacity={capacity}: {found.message}')
