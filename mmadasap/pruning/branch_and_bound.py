"""The search for the most valuable widths within a capacity: Lagrangian bounds, local search, branch and bound."""
import heapq
from typing import Optional

import numpy as np

from .joint_problem import Choice, Domains, JointProblem, Narrowed

# Bounds are sums of floats: less than their rounding is no gap.
SLACK = 1e-9


class Search:
    """Finds the best choice of ``problem`` within ``capacity``, or a good one and a bound.

    Args:
        problem: Values and costs.
        capacity: Cost to stay within.
        work: Table entries to look at before the search ends with what it has.

    Attributes:
        best: The best choice so far; None before the first.
        value: Its value.
    """

    def __init__(self, problem: JointProblem, capacity: float, work: int):
        self.problem, self.capacity, self._left = problem, capacity, work
        self._independent = problem.independent_groups()
        self.best: Optional[Choice] = None
        self.value = -np.inf

    def offer(self, choice: Choice) -> None:
        """Takes a choice that is within the capacity and worth more than the best one."""
        value = self.problem.value(choice)
        if value > self.value and self.problem.cost(choice) <= self.capacity:
            self.best, self.value = list(choice), value

    def run(self) -> float:
        """Searches until the gap is closed or the work is done; returns a bound on the value of all choices."""
        frontier, number = [(-np.inf, 0, self.problem.whole)], 0
        while frontier and (self._left > 0 or number == 0):
            if -frontier[0][0] <= self._goal():
                break
            negative, _, domains = heapq.heappop(frontier)
            bound, parts = self._look(domains)
            for part in parts:
                number += 1
                heapq.heappush(frontier, (-min(bound, -negative), number, part))
        return max([self.value] + [-negative for negative, _, _ in frontier])

    def bound(self) -> float:
        """A bound on the value of all choices, by the best price alone, without a search."""
        return self._dual(self.problem.within(self.problem.whole))[0]

    def _goal(self) -> float:
        """A bound up to here promises nothing."""
        return self.value + SLACK * (1 + abs(self.value))

    def _look(self, domains: Domains) -> tuple[float, list[Domains]]:
        """A bound on the choices within ``domains``, and the parts of them that may hold something better."""
        problem, before = self.problem.within(domains), self.value
        bound, price, rich, thrifty = self._dual(problem)
        if self.value > before:
            self._polish()
        parts = []
        if bound > self._goal():
            # A node that is too large to be split in the time left keeps its bound.
            parts = [domains]
            if self._left > problem.work:
                parts = _halves(problem.promising(price, self._goal() - price * self.capacity), rich, thrifty)
        self._left -= problem.work
        return bound, parts

    def _dual(self, problem: Narrowed) -> tuple[float, float, Choice, Choice]:
        """The lowest bound that any price on cost gives: (bound, price, a choice above the capacity, one within it).

        Both choices are best at that price. The bound is -inf where nothing is within the capacity, and the value of
        the richest choice where that is.
        """
        value, cost = self.problem.value, self.problem.cost
        rich, thrifty = problem.best(0.0), problem.cheapest()
        for choice in (rich, thrifty):
            self.offer(choice)
        if cost(thrifty) > self.capacity or cost(rich) <= self.capacity:
            return (value(rich) if cost(rich) <= self.capacity else -np.inf), 0.0, rich, thrifty
        while True:
            price = (value(rich) - value(thrifty)) / (cost(rich) - cost(thrifty))
            known = value(rich) - price * cost(rich)
            found = problem.best(price)
            self.offer(found)
            ahead = value(found) - price * cost(found)
            if ahead <= known + SLACK * (1 + abs(known)) or found in (rich, thrifty):
                return max(known, ahead) + price * self.capacity, price, rich, thrifty
            rich, thrifty = (found, thrifty) if cost(found) > self.capacity else (rich, found)

    def _polish(self) -> None:
        """Local search: the best candidates of groups that share no term, all others as they are, set after set."""
        before = -np.inf
        while self.value > before:
            before = self.value
            for groups in self._independent:
                prices = [self.problem.prices_beside(self.best, g) for g in groups]
                spent = sum(float(p[self.best[g]]) for g, p in zip(groups, prices))
                room = self.capacity - self.problem.cost(self.best) + spent
                chosen = self.problem.independent_choice(groups, prices, room)
                self.offer([chosen.get(g, place) for g, place in enumerate(self.best)])


def _halves(domains: Domains, rich: Choice, thrifty: Choice) -> list[Domains]:
    """The domains split between two choices, in the group where these are furthest apart."""
    apart = [abs(int(np.searchsorted(d, r)) - int(np.searchsorted(d, t))) / len(d)
             for d, r, t in zip(domains, rich, thrifty)]
    group = int(np.argmax(apart))
    low = domains[group] <= (rich[group] + thrifty[group]) // 2
    return [[*domains[:group], domains[group][side], *domains[group + 1:]] for side in (low, ~low)]
