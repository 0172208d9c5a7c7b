import itertools

import numpy as np
import pytest

from mmadasap.pruning.elimination import effort, elimination_order, max_marginal, maximise


def random_tables(generator):
    sizes = {v: int(generator.integers(1, 5)) for v in range(int(generator.integers(1, 6)))}
    scopes = [(v, ) for v in sizes]
    for _ in range(int(generator.integers(0, 6))):
        width = int(generator.integers(1, min(3, len(sizes)) + 1))
        scopes.append(tuple(sorted(generator.choice(len(sizes), width, replace=False).tolist())))
    return sizes, [(scope, generator.standard_normal([sizes[v] for v in scope])) for scope in scopes]


def total(tables, states):
    return sum(float(table[tuple(states[v] for v in scope)]) for scope, table in tables)


@pytest.mark.parametrize('seed', range(50))
def test_the_maximum_and_every_marginal_are_those_of_brute_force(seed):
    sizes, tables = random_tables(np.random.default_rng(seed))
    everything = [dict(enumerate(s)) for s in itertools.product(*map(range, sizes.values()))]
    scopes = [scope for scope, _ in tables]
    best = max(total(tables, s) for s in everything)
    assert total(tables, maximise(tables, elimination_order(sizes, scopes)[0])) == pytest.approx(best)
    for v in sizes:
        order, _ = elimination_order(sizes, scopes, last=v)
        assert order[-1] == v and sorted(order) == list(sizes)
        expected = [max(total(tables, s) for s in everything if s[v] == state) for state in range(sizes[v])]
        assert max_marginal(tables, order) == pytest.approx(np.array(expected))


def test_a_long_chain_never_makes_a_large_table():
    sizes = {v: 100 for v in range(30)}
    _, cliques = elimination_order(sizes, [(v, v + 1) for v in range(29)])
    assert max(map(len, cliques)) == 2
    assert effort(sizes, cliques) < 29 * 100**2 + 100 + 30 * 20_000


def test_minus_infinity_forbids():
    tables = [((0, ), np.array([3.0, 1.0])), ((1, ), np.array([3.0, 1.0])),
              ((0, 1), np.array([[-np.inf, 0.0], [0.0, 0.0]]))]
    states = maximise(tables, elimination_order({0: 2, 1: 2}, [(0, 1)])[0])
    assert total(tables, states) == 4 and states[0] != states[1]
