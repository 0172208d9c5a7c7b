import pytest
import torch

from mmadasap.errors import UserError
from mmadasap.pruning import Budget, BudgetError, ChannelGroup, check_reachable, full_channels, keep_best


def toy(protected=None):
    groups = [ChannelGroup('a', 3, ()), ChannelGroup('b', 2, (), protected)]
    scores = dict(a=torch.tensor([0.1, 0.9, 0.5]), b=torch.tensor([0.3, 0.2]))
    return groups, scores, full_channels(groups)


def count(kept):
    return float(sum(int(live.sum()) for live in kept.values()))


def lists(kept):
    return {name: live.tolist() for name, live in kept.items()}


@pytest.mark.parametrize('budget, a, b', [
    (5, [1, 1, 1], [1, 1]),
    (4, [0, 1, 1], [1, 1]),
    (3, [0, 1, 1], [1, 0]),
    (2, [0, 1, 0], [1, 0]),
    (3.5, [0, 1, 1], [1, 0]),
])
def test_the_least_important_go_first_and_no_more_than_needed(budget, a, b):
    groups, scores, kept = toy()
    assert lists(keep_best(groups, scores, kept, count, budget)) == dict(a=[bool(x) for x in a], b=[bool(x) for x in b])


def test_the_pruned_stay_pruned():
    groups, scores, kept = toy()
    kept['a'][1] = False
    assert lists(keep_best(groups, scores, kept, count, 3))['a'] == [False, False, True]


def test_protected_groups_stay_whole():
    groups, scores, kept = toy(protected='output')
    assert lists(keep_best(groups, scores, kept, count, 3)) == dict(a=[False, True, False], b=[True, True])


@pytest.mark.parametrize('act', [
    lambda groups, scores, kept: keep_best(groups, scores, kept, count, 1.5),
    lambda groups, scores, kept: check_reachable(groups, count, 1.5),
])
def test_an_impossible_budget_names_the_least_cost(act):
    with pytest.raises(BudgetError, match='budget of 1.5 cannot be met.* 2;'):
        act(*toy())


def test_scores_that_are_not_finite_are_refused():
    groups, scores, kept = toy()
    scores['a'][0] = float('nan')
    with pytest.raises(UserError, match="group 'a' are not finite"):
        keep_best(groups, scores, kept, count, 3)


@pytest.mark.parametrize('cost, keep, message', [
    ('macs', 0, 'keep=0'), ('macs', 1.2, 'keep=1.2'), ('macs', -0.5, 'keep=-0.5'), ('flops', 0.5, "cost='flops'")])
def test_wrong_budgets_are_refused(cost, keep, message):
    with pytest.raises(UserError, match=message):
        Budget(cost, keep)
