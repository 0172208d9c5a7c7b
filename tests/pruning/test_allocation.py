import itertools

import numpy as np
import pytest

from mmadasap.pruning import CostTerm, allocate, allocate_halp, allocate_repriced
from mmadasap.pruning.allocation import CapacityError, _filled, least_cost
from mmadasap.pruning.joint_problem import JointProblem


def random_network(generator):
    """2 to 5 groups of 1 to 5 widths with rising values, and layers between random pairs of them (or of a group and
    itself, or outside): cost is the product of the widths, plus noise in half of the instances.
    """
    sizes = generator.integers(1, 6, generator.integers(2, 6)).tolist()
    values = [np.cumsum(np.sort(generator.random(n))[::-1]) for n in sizes]
    noise = generator.random() if generator.random() < 0.5 else 0.0
    terms = [CostTerm((), np.array(generator.random()))]
    for _ in range(int(generator.integers(1, 8))):
        reads, writes = (int(g) for g in generator.integers(0, len(sizes), 2))
        groups = tuple(sorted({reads, writes}))
        costs = np.ones([sizes[g] for g in groups])
        for axis, g in enumerate(groups):
            costs = costs * (1 + np.arange(sizes[g])).reshape([-1 if a == axis else 1 for a in range(len(groups))])
        terms.append(CostTerm(groups, costs + noise * generator.random(costs.shape), (writes, )))
    most = JointProblem(values, terms).cost([n - 1 for n in sizes])
    least = least_cost(values, terms)
    return values, terms, least + generator.random() * (most - least)


def brute_force(values, terms, capacity):
    problem = JointProblem(values, terms)
    everything = itertools.product(*(range(len(v)) for v in values))
    return max(problem.value(c) for c in everything if problem.cost(c) <= capacity)


@pytest.mark.parametrize('seed', range(5))
def test_equals_brute_force_and_is_never_below_halp(seed):
    generator = np.random.default_rng(seed)
    for i in range(100):
        values, terms, capacity = random_network(generator)
        current = [len(v) - 1 for v in values]
        found = allocate(values, terms, capacity, current)
        problem = JointProblem(values, terms)
        assert found.cost == problem.cost(found.choice) <= capacity
        assert found.value == problem.value(found.choice) == pytest.approx(brute_force(values, terms, capacity))
        assert found.gap <= 2e-9 and found.bound >= found.value
        # They take five times as long.
        for baseline in (allocate_halp, allocate_repriced) if i % 5 == 0 else ():
            try:
                halp = baseline(values, terms, current, capacity)
            except ValueError:
                continue
            assert halp.cost > capacity or halp.value <= found.value
            assert baseline is allocate_halp or halp.bound >= found.value - 1e-9


def chain(widths, layers=20, seed=0):
    """A chain of layers: each reads what the one before writes."""
    generator = np.random.default_rng(seed)
    values = [generator.random() * np.sqrt(widths) for _ in range(layers)]
    terms = [CostTerm((g, g + 1), np.outer(widths, widths) * generator.random(), (g + 1, )) for g in range(layers - 1)]
    return values, [CostTerm((0, ), 3.0 * widths, (0, )), *terms]


@pytest.mark.parametrize('keep', [0.1, 0.3, 0.7])
def test_large_networks_come_close_to_the_bound_and_use_the_capacity(keep):
    values, terms = chain(np.arange(8.0, 257, 8))
    current = [len(v) - 1 for v in values]
    capacity = keep * JointProblem(values, terms).cost(current)
    found = allocate(values, terms, capacity, current)
    assert 0.97 * capacity <= found.cost <= capacity and found.gap < 2e-3
    assert found == allocate(values, terms, capacity, current)
    # HALP sees products of two shrinking widths as if one of them did not shrink.
    halp = allocate_repriced(values, terms, current, capacity)
    assert 0.97 * capacity <= halp.cost <= capacity and halp.value < found.value
    assert halp.gap >= found.value / halp.value - 1 and halp.bound == pytest.approx(found.bound, rel=2e-3)


@pytest.mark.parametrize('keep', [0.3, 0.5, 0.7])
@pytest.mark.parametrize('seed', range(4))
def test_halp_uses_the_capacity_where_no_capacity_by_its_own_prices_does(seed, keep):
    values, terms = chain(np.arange(8.0, 129, 8), layers=12, seed=seed)
    current, problem = [len(v) - 1 for v in values], JointProblem(values, terms)
    capacity = keep * problem.cost(current)
    halp = allocate_repriced(values, terms, current, capacity)
    assert 0.97 * capacity <= halp.cost <= capacity
    assert halp.cost == problem.cost(halp.choice) and halp.value == problem.value(halp.choice)
    # Not one more block fits.
    wider = [[*halp.choice[:g], i + 1, *halp.choice[g + 1:]] for g, i in enumerate(halp.choice) if i < current[g]]
    assert all(problem.cost(choice) > capacity for choice in wider)


def test_what_halp_leaves_is_spent_on_the_most_value_for_its_cost():
    values = [np.array([0.0, 1.0, 1.1]), np.array([0.0, 3.0])]
    terms = [CostTerm((0, ), np.array([1.0, 2.0, 4.0]), (0, )), CostTerm((0, 1), np.array([[1.0, 2]] * 3), (1, ))]
    problem = JointProblem(values, terms)
    assert _filled(problem, [0, 0], 2.0) == [0, 0]
    assert _filled(problem, [0, 0], 3.0) == [0, 1]
    assert _filled(problem, [0, 0], 4.0) == [1, 1]
    assert _filled(problem, [0, 0], 9.0) == [2, 1]


def test_halps_prices_by_hand():
    # Two layers in a row, widths 1 or 2: inputs 2 wide, so HALP prices the second at 2 * width.
    values = [np.array([1.0, 1.5]), np.array([1.0, 3.0])]
    first, second = np.array([10.0, 20.0]), np.array([[1.0, 2.0], [2.0, 4.0]])
    terms = [CostTerm((0, ), first, (0, )), CostTerm((0, 1), second, (1, )), CostTerm((1, ), np.array([5.0, 10.0]))]
    # Output layer: 10 all the time. Prices (10, 20) and (2, 4): within 24 it thinks only (0, 1) at 24 to be possible.
    halp = allocate_halp(values, terms, [1, 1], 24.0)
    assert halp.choice == [0, 1] and halp.cost == 10 + 2 + 10 and halp.value == 4
    with pytest.raises(ValueError, match=r'cheapest choice costs 12\.0'):
        allocate_halp(values, terms, [1, 1], 21.0)
    # Jointly (0, 0) costs 16 and (0, 1) costs 22.
    assert allocate_repriced(values, terms, [1, 1], 22.0).choice == allocate(values, terms, 22.0).choice == [0, 1]
    assert allocate_repriced(values, terms, [1, 1], 21.0).choice == allocate(values, terms, 21.0).choice == [0, 0]


def test_what_is_not_allowed_is_not_chosen():
    tie = np.where(np.eye(3, dtype=bool), 0.0, np.inf)
    values = [np.array([0.0, 2.0, 3.0]), np.array([0.0, 1.0, 9.0])]
    terms = [CostTerm((0, 1), tie), CostTerm((0, ), np.array([0.0, 1.0, 2.0]), (0, ))]
    assert allocate(values, terms, 1.5).choice == [1, 1]
    # HALP decides group by group, so nothing but what stands can be beside what stands.
    assert allocate_halp(values, terms, [2, 2], 9.0).choice == [2, 2]
    with pytest.raises(ValueError, match=r'cheapest choice costs 2\.0'):
        allocate_halp(values, terms, [2, 2], 1.5)


def test_a_capacity_below_the_least_is_refused_with_the_least():
    values, terms = chain(np.arange(1.0, 5), layers=4)
    least = JointProblem(values, terms).cost([0] * 4)
    assert allocate(values, terms, least).choice == [0] * 4
    with pytest.raises(CapacityError, match=f'cheapest choice costs {least}'):
        allocate(values, terms, 0.999 * least)
    with pytest.raises(CapacityError, match='capacity=nan'):
        allocate(values, terms, float('nan'))
    with pytest.raises(CapacityError, match=f'cheapest choice costs {least}'):
        allocate_repriced(values, terms, [3] * 4, 0.999 * least)


@pytest.mark.parametrize('values, terms, message', [
    ([[1, 2], []], [], 'group 1: values must be'),
    ([[1, float('nan')]], [], 'group 0: values must be'),
    ([[1], [2]], [CostTerm((1, 0), np.zeros((1, 1)))], r'groups=\(1, 0\).*groups must rise'),
    ([[1], [2]], [CostTerm((2, ), np.zeros(1))], 'does not fit 2 groups'),
    ([[1], [2]], [CostTerm((0, ), np.zeros(1), (1, ))], 'writes be some of them'),
    ([[1, 2]], [CostTerm((0, ), np.zeros(3))], r'in shape \(2,\)'),
    ([[1, 2]], [CostTerm((0, ), np.array([1, -1]))], 'at least 0'),
    ([[1, 2]], [CostTerm((0, ), np.array([1, np.nan]))], 'at least 0'),
])
def test_bad_input_is_named(values, terms, message):
    with pytest.raises(ValueError, match=message):
        allocate(values, terms, 10.0)


def test_without_a_limit_the_most_valuable_candidates_are_chosen():
    values, terms = chain(np.arange(1.0, 5), layers=4)
    assert allocate(values, terms, float('inf'), [3] * 4).choice == [3] * 4
    assert allocate_halp(values, terms, [3] * 4, float('inf')).choice == [3] * 4
    assert allocate_repriced(values, terms, [3] * 4, float('inf')).choice == [3] * 4


def test_no_groups_cost_what_is_constant():
    found = allocate([], [CostTerm((), np.array(2.0))], 3.0)
    assert found.choice == [] and found.cost == 2.0 and found.gap == 0
