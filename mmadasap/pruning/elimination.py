"""The greatest sum of tables that share variables, by eliminating one variable after the other: exact on any graph,
and cheap where few variables meet in one table, as the widths of a network do.
"""
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from math import prod
from typing import Optional

import numpy as np

Scope = tuple[int, ...]
"""Variables a table depends on, rising; one axis each."""

Table = tuple[Scope, np.ndarray]

# Time of one operation on a small table, in entries of a large one.
OVERHEAD = 10_000


def elimination_order(sizes: Mapping[int, int], scopes: Iterable[Scope],
                      last: Optional[int] = None) -> tuple[list[int], list[Scope]]:
    """Which variable to eliminate next: always the one that makes the smallest table.

    Args:
        sizes: Number of states of each variable.
        scopes: Variables of each table.
        last: Variable to eliminate after all others; None: any.

    Returns:
        Variables in order, and the variables of the table each elimination looks at.
    """
    near = {v: {v} for v in sizes}
    for scope in scopes:
        for v in scope:
            near[v].update(scope)
    weight = {v: _entries(sizes, near[v]) for v in sizes}
    order, cliques = [], []
    while near:
        v = min(near, key=lambda v: (v == last, weight[v], v))
        clique = near.pop(v)
        order.append(v)
        cliques.append(tuple(sorted(clique)))
        for u in clique - {v}:
            near[u] = (near[u] | clique) - {v}
            weight[u] = _entries(sizes, near[u])
    return order, cliques


def _entries(sizes: Mapping[int, int], scope: Iterable[int]) -> int:
    return prod(sizes[v] for v in scope)


def effort(sizes: Mapping[int, int], cliques: Iterable[Scope]) -> int:
    """Table entries an elimination looks at, with what starting on a table costs counted in entries too."""
    return sum(_entries(sizes, clique) + OVERHEAD for clique in cliques)


def maximise(tables: Sequence[Table], order: Sequence[int]) -> dict[int, int]:
    """The states of all variables that make the sum of all tables greatest; lowest states first among ties.

    Args:
        tables: Each variable must appear in at least one.
        order: From :func:`elimination_order`.
    """
    trail, pool = [], list(tables)
    for v in order:
        mine, pool = _split(pool, v)
        trail.append((v, mine))
        pool.append(_max_out(mine, v))
    states: dict[int, int] = {}
    for v, mine in reversed(trail):
        rows = [table[tuple(slice(None) if u == v else states[u] for u in scope)] for scope, table in mine]
        states[v] = int(np.argmax(sum(rows)))
    return states


def max_marginal(tables: Sequence[Table], order: Sequence[int]) -> np.ndarray:
    """For each state of the last variable of ``order``, the greatest sum of all tables in that state."""
    pool = list(tables)
    for v in order[:-1]:
        mine, pool = _split(pool, v)
        pool.append(_max_out(mine, v))
    return sum(table for _, table in pool)


def _split(pool: list[Table], v: int) -> tuple[list[Table], list[Table]]:
    return [t for t in pool if v in t[0]], [t for t in pool if v not in t[0]]


def _max_out(mine: list[Table], v: int) -> Table:
    """Maximum over ``v`` of the sum of the tables ``mine``, which all have it."""
    rest = tuple(sorted({u for scope, _ in mine for u in scope} - {v}))
    axes = (v, *rest)
    spread = [_with_axes(scope, table, axes) for scope, table in sorted(mine, key=lambda t: len(t[0]))]
    return rest, reduce(np.add, spread).max(axis=0)


def _with_axes(scope: Scope, table: np.ndarray, axes: Scope) -> np.ndarray:
    """The table with its axes in the order of ``axes``, of length 1 where it does not depend on one."""
    have = [v for v in axes if v in scope]
    table = table.transpose([scope.index(v) for v in have])
    shape = iter(table.shape)
    return table.reshape([next(shape) if v in scope else 1 for v in axes])
