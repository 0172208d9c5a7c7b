import itertools

import numpy as np
import pytest
from knapsack_instances import brute_force, random_instance

from mmadasap.pruning.knapsack import solve_multiple_choice


@pytest.mark.parametrize('seed', range(5))
def test_equals_brute_force(seed):
    generator = np.random.default_rng(seed)
    for _ in range(100):
        values, costs, capacity = random_instance(generator)
        choice = solve_multiple_choice(values, costs, capacity)
        assert all(0 <= i < len(v) for i, v in zip(choice, values)) and len(choice) == len(values)
        assert sum(c[i] for c, i in zip(costs, choice)) <= capacity
        found = sum(v[i] for v, i in zip(values, choice))
        assert found == pytest.approx(brute_force(values, costs, capacity), rel=1e-12, abs=1e-12)


def added(costs, choice):
    total = 0.0
    for c, i in zip(costs, choice):
        total += c[i]
    return total


@pytest.mark.parametrize('seed', range(5))
def test_a_capacity_that_some_choice_meets_exactly_in_rounded_tenths(seed):
    generator = np.random.default_rng(seed)
    for _ in range(200):
        sizes = generator.integers(1, 4, generator.integers(1, 6))
        costs = [generator.integers(0, 10, n) / 10 for n in sizes]
        values = [generator.integers(0, 100, n) / 100 for n in sizes]
        capacity = added(costs, [generator.integers(n) for n in sizes])
        choice = solve_multiple_choice(values, costs, capacity)
        assert added(costs, choice) <= capacity
        best = max(added(values, c) for c in itertools.product(*map(range, sizes)) if added(costs, c) <= capacity)
        assert added(values, choice) == pytest.approx(best, abs=1e-9)


def test_by_hand():
    # Within 5: (cost 3, value 5) with (cost 2, value 3) gives 8; greedy by value alone would take 7 + 0.
    values, costs = [[0, 5, 7], [0, 3]], [[0, 3, 4], [0, 2]]
    assert solve_multiple_choice(values, costs, 5) == [1, 1]
    assert solve_multiple_choice(values, costs, 6) == [2, 1]
    assert solve_multiple_choice(values, costs, 0) == [0, 0]


def test_without_a_limit_the_most_valuable_candidates_are_chosen():
    assert solve_multiple_choice([[0, 5, 4], [3, 0]], [[0, 3, 4], [2, 0]], float('inf')) == [1, 0]


def test_a_capacity_met_to_the_last_bit_is_used():
    costs = [[0.1, 0.2]] * 3
    assert solve_multiple_choice([[0, 1]] * 3, costs, 0.2 + 0.2 + 0.2) == [1, 1, 1]


@pytest.mark.parametrize('groups', [6, 12, 30])
def test_value_proportional_to_cost_leaves_nothing_to_drop_and_is_solved_all_the_same(groups):
    generator = np.random.default_rng(0)
    costs = [generator.random(16) for _ in range(groups)]
    capacity = 0.5 * sum(c.max() for c in costs)
    choice = solve_multiple_choice(costs, costs, capacity)
    total = sum(c[i] for c, i in zip(costs, choice))
    assert capacity * (1 - 2e-5) <= total <= capacity


def test_large_instances_respect_the_capacity_and_reach_the_bound():
    # 40 groups of 64 widths with concave values: near the fractional optimum, and never above the capacity.
    generator = np.random.default_rng(0)
    widths = np.arange(1, 65)
    values = [generator.random() * np.sqrt(widths) for _ in range(40)]
    costs = [generator.random() * widths + generator.random(64) for _ in range(40)]
    for kept in (0.3, 0.5, 0.9):
        capacity = kept * sum(c[-1] for c in costs)
        choice = solve_multiple_choice(values, costs, capacity)
        assert sum(c[i] for c, i in zip(costs, choice)) <= capacity
        found = sum(v[i] for v, i in zip(values, choice))
        prices = np.geomspace(1e-3, 10, 400)
        bound = min(sum(max(v - p * c) for v, c in zip(values, costs)) + p * capacity for p in prices)
        assert bound * 0.998 <= found <= bound * (1 + 1e-9)


@pytest.mark.parametrize('values, costs, capacity, message', [
    ([[1], [1]], [[2], [3]], 4.5, r'capacity=4.5 cannot be met: the cheapest choice costs 5\.0'),
    ([[1]], [[2]], float('nan'), 'capacity=nan'),
    ([[1]], [[2], [3]], 9, 'values has 1 groups and costs has 2'),
    ([[1, 2]], [[2]], 9, 'group 0: values of shape'),
    ([[1], []], [[2], []], 9, 'group 1: values of shape'),
    ([[1]], [[-2]], 9, 'group 0: values must be finite'),
    ([[float('nan')]], [[2]], 9, 'group 0: values must be finite'),
])
def test_bad_input_is_named(values, costs, capacity, message):
    with pytest.raises(ValueError, match=message):
        solve_multiple_choice(values, costs, capacity)


def test_no_groups_is_an_empty_choice():
    assert solve_multiple_choice([], [], 1.0) == []
