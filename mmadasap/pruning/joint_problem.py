"""Widths of a network as variables that share cost terms: what an allocation is searched in."""
from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from typing import Optional

import numpy as np

from .elimination import Scope, Table, effort, elimination_order, max_marginal, maximise
from .knapsack import solve_multiple_choice

Domains = list[np.ndarray]
"""For each group the places of the candidates that are looked at."""

Choice = list[int]
"""Place of the chosen candidate of each group."""


@dataclass(frozen=True)
class CostTerm:
    """A part of the cost that hangs on few groups: mostly one layer.

    Attributes:
        groups: Numbers of the groups it hangs on, rising; () for what never changes.
        costs: One axis for the candidates of each of ``groups``; inf where a combination is not allowed.
        writes: Those of ``groups`` whose channels the layer writes; it reads the others.
    """
    groups: Scope
    costs: np.ndarray
    writes: Scope = ()


class JointProblem:
    """Values of the candidates of each group and cost terms over them, merged into one table for each set of groups.

    Args:
        values: One 1-D array a group.
        terms: What choices cost.

    Raises:
        ValueError: Values or terms that do not fit each other, or hold something not finite (inf in terms is allowed).
    """

    def __init__(self, values: Sequence[np.ndarray], terms: Sequence[CostTerm]):
        self.values = [np.asarray(v, dtype=float) for v in values]
        self.terms = [CostTerm(tuple(t.groups), np.asarray(t.costs, dtype=float), tuple(t.writes)) for t in terms]
        self._check()
        self.sizes = [len(v) for v in self.values]
        self.whole: Domains = [np.arange(n) for n in self.sizes]
        gains = {(g, ): v for g, v in enumerate(self.values)}
        costs = {(g, ): np.zeros(n) for g, n in enumerate(self.sizes)}
        for term in self.terms:
            allowed = np.isfinite(term.costs)
            gains[term.groups] = gains.get(term.groups, 0.0) + np.where(allowed, 0.0, -np.inf)
            costs[term.groups] = costs.get(term.groups, 0.0) + np.where(allowed, term.costs, 0.0)
        self._tables = [(scope, gains[scope], costs[scope]) for scope in costs if scope]

    def _check(self) -> None:
        for number, v in enumerate(self.values):
            if v.ndim != 1 or not v.size or not np.isfinite(v).all():
                raise ValueError(f'group {number}: values must be 1-D, finite and not empty; got {v}.')
        for term in self.terms:
            known = all(0 <= g < len(self.values) for g in term.groups) and set(term.writes) <= set(term.groups)
            if not known or list(term.groups) != sorted(set(term.groups)):
                raise ValueError(f'a term with groups={term.groups} and writes={term.writes} does not fit '
                                 f'{len(self.values)} groups: groups must rise, and writes be some of them.')
            shape = tuple(len(self.values[g]) for g in term.groups)
            if term.costs.shape != shape or not (term.costs >= 0).all():
                raise ValueError(f'the term of groups {term.groups} must hold costs of at least 0 in shape {shape}; '
                                 f'got {term.costs} in shape {term.costs.shape}.')

    def value(self, choice: Choice) -> float:
        """Total value, free of the order of adding."""
        return fsum(float(v[i]) for v, i in zip(self.values, choice))

    def cost(self, choice: Choice) -> float:
        """Total cost, free of the order of adding; inf for what is not allowed."""
        return fsum(float(t.costs[tuple(choice[g] for g in t.groups)]) for t in self.terms)

    def within(self, domains: Domains) -> 'Narrowed':
        """The problem with only the candidates of ``domains``."""
        tables = [(scope, np.ix_(*[domains[g] for g in scope]), v, c) for scope, v, c in self._tables]
        return Narrowed(domains, [(scope, v[at], c[at]) for scope, at, v, c in tables])

    def independent_groups(self) -> list[list[int]]:
        """All groups in few sets, within which no two share a term."""
        near = [set().union(*(t.groups for t in self.terms if g in t.groups)) - {g} for g in range(len(self.sizes))]
        sets: list[list[int]] = []
        for group in sorted(range(len(near)), key=lambda g: (-len(near[g]), g)):
            home = next((s for s in sets if near[group].isdisjoint(s)), None)
            if home is None:
                sets.append([group])
            else:
                home.append(group)
        return sets

    def prices_beside(self, choice: Choice, group: int) -> np.ndarray:
        """Cost of all terms that hang on ``group`` for each of its candidates, with all others as in ``choice``."""
        total = np.zeros(self.sizes[group])
        for term in self.terms:
            if group in term.groups:
                total += term.costs[tuple(slice(None) if g == group else choice[g] for g in term.groups)]
        return total

    def halp_prices(self, current: Choice) -> tuple[list[np.ndarray], float]:
        """HALP's linearised prices of each group's candidates, and what it takes to be constant.

        A layer that one group writes is priced at its input widths of ``current``; other layers do not change, but
        forbid (inf) what is not allowed beside ``current``.
        """
        prices, constant = [np.zeros(n) for n in self.sizes], []
        for term in self.terms:
            for group in term.writes if len(term.writes) == 1 else term.groups:
                beside = term.costs[tuple(slice(None) if g == group else current[g] for g in term.groups)]
                prices[group] += beside if len(term.writes) == 1 else np.where(np.isfinite(beside), 0.0, np.inf)
            if len(term.writes) != 1:
                constant.append(float(term.costs[tuple(current[g] for g in term.groups)]))
        return prices, fsum(constant)

    def independent_choice(self, groups: Sequence[int], prices: Sequence[np.ndarray], room: float) -> dict[int, int]:
        """The best candidate of each of ``groups`` within ``room``, as if their prices did not depend on each other.

        Raises:
            ValueError: Not even the cheapest candidates fit.
        """
        allowed = [np.flatnonzero(np.isfinite(p)) for p in prices]
        chosen = solve_multiple_choice([self.values[g][a] for g, a in zip(groups, allowed)],
                                       [p[a] for p, a in zip(prices, allowed)], room)
        return {g: int(a[i]) for g, a, i in zip(groups, allowed, chosen)}


class Narrowed:
    """A problem with few candidates left; groups with a single one are no variables any more.

    Args:
        domains: The candidates.
        tables: (groups, value or -inf where not allowed, cost), over these candidates alone.

    Attributes:
        work: Table entries looked at so far.
    """

    def __init__(self, domains: Domains, tables: list[tuple[Scope, np.ndarray, np.ndarray]]):
        self.domains, self.work = domains, 0
        self._sizes = {g: len(d) for g, d in enumerate(domains) if len(d) > 1}
        self._tables = [(tuple(g for g in scope if g in self._sizes), v.squeeze(), c.squeeze())
                        for scope, v, c in tables]
        self._order, self._cliques = self._plan()

    def best(self, price: float) -> Choice:
        """The choice of greatest value less cost times ``price``."""
        return self._maximise([(scope, v - price * c) for scope, v, c in self._tables])

    def cheapest(self) -> Choice:
        """The choice that costs least."""
        return self._maximise([(scope, np.where(np.isneginf(v), v, -c)) for scope, v, c in self._tables])

    def promising(self, price: float, goal: float) -> Domains:
        """The domains without candidates that, at this price, leave even the best choice with them below ``goal``."""
        tables, kept = [(scope, v - price * c) for scope, v, c in self._tables], list(self.domains)
        for group in self._sizes:
            order, cliques = self._plan(last=group)
            self.work += effort(self._sizes, cliques)
            kept[group] = kept[group][max_marginal(tables, order) >= goal]
        return kept

    def _plan(self, last: Optional[int] = None) -> tuple[list[int], list[Scope]]:
        return elimination_order(self._sizes, [scope for scope, _, _ in self._tables], last)

    def _maximise(self, tables: list[Table]) -> Choice:
        self.work += effort(self._sizes, self._cliques)
        places = maximise(tables, self._order)
        return [int(d[places.get(g, 0)]) for g, d in enumerate(self.domains)]
