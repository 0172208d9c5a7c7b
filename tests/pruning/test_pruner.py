from copy import deepcopy

import pytest
import torch
from torch import nn

from mmadasap.engine import AdaSAPOptimWrapper
from mmadasap.pruning import (
    Budget,
    BudgetError,
    ChannelPruner,
    MagnitudeImportance,
    TaylorImportance,
    slim,
    tensor_cuts,
)
from tests.toys import ResidualNet, ToyClassifier, ToyData, randomize, same, values


def make(keep=0.5, cost='macs', importance=None, model=None, example=None):
    model = model or randomize(ResidualNet())
    example = torch.zeros(1, 3, 8, 8) if example is None else example
    return ChannelPruner(model, example, lambda m, x: m(x), Budget(cost, keep), importance or MagnitudeImportance(), ())


@pytest.mark.parametrize('cost', ['macs', 'parameters', 'channels'])
def test_pruning_meets_the_budget_and_masks_hold(cost):
    pruner = make(cost=cost)
    assert pruner.target == pytest.approx(0.5 * pruner.dense)
    pruner.prune(pruner.target)
    assert pruner.cost(pruner.kept) <= pruner.target
    pruner.mask()
    dead = ~pruner.kept[next(g.name for g in pruner.groups if g.width == 6)]
    assert dead.any() and not pruner.model.conv1.weight[dead].any() and not pruner.model.conv2.weight[:, dead].any()
    assert pruner.model.conv1.weight[~dead].any()


def test_removing_leaves_what_was_kept():
    pruner = make()
    pruner.prune(pruner.target)
    expected = int(pruner.kept[next(g.name for g in pruner.groups if g.width == 6)].sum())
    optimizer = torch.optim.SGD(pruner.model.parameters(), lr=0.1)
    copy = deepcopy(pruner.model)
    touched = pruner.remove(optimizer, [copy])
    assert same(values(copy), values(pruner.model))
    assert pruner.model.conv1.out_channels == copy.conv1.out_channels == expected
    assert {'conv1', 'norm1', 'conv2'} <= touched


def test_it_goes_on_from_its_state():
    runs = []
    for restore in (False, True):
        pruner = make(importance=TaylorImportance())
        pruner.model(torch.ones(2, 3, 8, 8)).sum().backward()
        pruner.observe()
        pruner.prune(0.8 * pruner.dense)
        pruner.observe()
        if restore:
            state = pruner.state_dict()
            gradients = [p.grad for p in pruner.model.parameters()]
            pruner = make(importance=TaylorImportance(), model=pruner.model)
            for p, g in zip(pruner.model.parameters(), gradients):
                p.grad = g
            pruner.load_state_dict(state)
        pruner.prune(pruner.target)
        pruner.mask()
        runs.append(values(pruner.model))
    assert same(*runs)


def test_an_impossible_budget_is_refused_at_once():
    with pytest.raises(BudgetError, match='cannot be met'):
        make(keep=0.01)


@pytest.mark.parametrize('activation', [nn.ReLU, nn.SiLU, nn.Sigmoid, nn.Softplus])
def test_sharpness_aware_steps_of_the_masked_and_of_the_slim_network_are_one(activation):
    # Of zero the last two make something, so columns that read a pruned channel would get a gradient.
    torch.manual_seed(0)
    masked = ToyClassifier(activation=activation.__name__).double()
    pruner = make(model=masked, cost='channels', example=torch.zeros(1, 3, 8, 8, dtype=torch.float64))
    pruner.prune(pruner.target)
    pruner.mask()
    slimmed, cuts = deepcopy(masked), tensor_cuts(masked, pruner.groups, pruner.kept)
    slim(slimmed, cuts)
    data = ToyData()
    for model in (masked, slimmed):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
        if model is masked:
            optimizer.register_step_post_hook(lambda *_: pruner.mask())
        wrapper = AdaSAPOptimWrapper(optimizer, radius=dict(type='UniformRadius', rho=1.0))
        for _ in range(3):
            model.train_step(dict(inputs=data.images.double(), labels=data.labels), wrapper)
    pruner.remove(torch.optim.SGD(masked.parameters(), lr=0.1), [])
    assert masked.net.conv1.out_channels < 6
    for name, value in values(slimmed).items():
        torch.testing.assert_close(values(masked)[name], value, rtol=0, atol=1e-9)


def test_gradients_are_free_again_once_channels_are_removed():
    pruner = make()
    pruner.prune(pruner.target)
    pruner.remove(torch.optim.SGD(pruner.model.parameters(), lr=0.1), [])
    assert not any(p._backward_hooks for p in pruner.model.parameters())
