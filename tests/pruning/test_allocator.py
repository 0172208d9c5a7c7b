import pytest
import torch

from mmadasap.errors import UserError
from mmadasap.pruning import Allocator, Budget, BudgetError, ChannelPruner, MagnitudeImportance, TaylorImportance
from tests.toys import ResidualNet, randomize


def milliseconds(layer, c_in, c_out):
    return 0.01 + 1e-4 * c_in * c_out * layer.positions


def make(budget, allocator, latency=None):
    model = randomize(ResidualNet(width=32, inner=24))
    example = torch.zeros(1, 3, 8, 8)
    return ChannelPruner(model, example, lambda m, x: m(x), budget, MagnitudeImportance(), (), allocator, latency)


@pytest.mark.parametrize('solver', ['exact', 'halp'])
@pytest.mark.parametrize('block', [1, 8])
@pytest.mark.parametrize('cost', ['macs', 'latency'])
def test_every_width_is_of_blocks_and_the_budget_is_met(solver, block, cost):
    pruner = make(Budget(cost, 0.5), Allocator(solver, block), milliseconds)
    for share in (0.8, 0.5):
        before = pruner.kept
        pruner.prune(share * pruner.dense)
        assert pruner.cost(pruner.kept) == pruner.allocation.cost <= share * pruner.dense
        for group in pruner.groups:
            live = pruner.kept[group.name]
            assert int(live.sum()) % block == 0 or live.all()
            assert not (live & ~before[group.name]).any()
    if block == 1:
        assert pruner.cost(pruner.kept) >= 0.97 * pruner.target
    assert not all(live.all() for live in pruner.kept.values())


def test_a_budget_in_milliseconds():
    pruner = make(Budget('latency', at_most=10), Allocator(block=4), milliseconds)
    assert pruner.target == 10 < pruner.dense
    pruner.prune(pruner.target)
    assert pruner.cost(pruner.kept) <= 10


def test_a_budget_above_the_dense_network_prunes_nothing():
    pruner = make(Budget('latency', at_most=1e3), Allocator(), milliseconds)
    pruner.prune(pruner.target)
    assert all(live.all() for live in pruner.kept.values())


@pytest.mark.parametrize('solver', ['exact', 'halp'])
def test_a_budget_out_of_reach_names_the_least(solver):
    with pytest.raises(BudgetError, match='in blocks of 8 channels the least network that can be reached') as error:
        make(Budget('macs', 0.001), Allocator(solver))
    least = float(str(error.value).split('reached costs ')[1].split(';')[0])
    pruner = make(Budget('macs', at_most=least), Allocator(solver))
    with pytest.raises(BudgetError, match=f'reached costs {least:.6g}'):
        pruner.prune(0.99 * least)
    pruner.prune(least)
    assert pruner.cost(pruner.kept) == least
    assert all(int(live.sum()) in (8, len(live)) for live in pruner.kept.values())


def test_latency_without_a_table():
    with pytest.raises(UserError, match="cost='latency' needs a latency table"):
        make(Budget('latency', 0.5), Allocator())


@pytest.mark.parametrize('kwargs, message', [
    (dict(solver='greedy'), r"solver='greedy' is unknown; choose one of \['exact', 'halp'\]"),
    (dict(block=0), 'block=0 must be a whole number'),
    (dict(block=8.0), r'block=8\.0 must be'),
    (dict(min_width=0), 'min_width=0 must be'),
    (dict(solver='halp', remove_branches=True), "solver='halp' .* cannot remove branches; set remove_branches=False"),
])
def test_bad_settings_are_refused(kwargs, message):
    with pytest.raises(UserError, match=message):
        Allocator(**kwargs)


def test_it_goes_on_from_its_state():
    runs = []
    for restore in (False, True):
        pruner = make(Budget('macs', 0.5), Allocator(block=2))
        pruner.prune(0.8 * pruner.dense)
        if restore:
            state, pruner = pruner.state_dict(), make(Budget('macs', 0.5), Allocator(block=2))
            pruner.load_state_dict(state)
        pruner.prune(pruner.target)
        runs.append(pruner.kept)
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])


def test_any_criterion_can_be_allocated():
    pruner = make(Budget('macs', 0.5), Allocator(block=2))
    pruner.importance = TaylorImportance()
    pruner.model(torch.ones(2, 3, 8, 8)).sum().backward()
    pruner.observe()
    pruner.prune(pruner.target)
    assert pruner.cost(pruner.kept) <= pruner.target
