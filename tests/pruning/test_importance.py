import pytest
import torch
from mmengine.hooks import Hook
from torch import nn

from mmadasap.engine import ChannelPruningHook
from mmadasap.errors import UserError
from mmadasap.pruning import (
    IMPORTANCES,
    MagnitudeImportance,
    TaylorImportance,
    build_importance,
    full_channels,
    register_importance,
    trace_groups,
)
from tests.engine.hooks.test_channel_pruning_hook import pruning
from tests.toys import make_runner


def traced(net, size=2):
    return trace_groups(net, torch.randn(1, 1, size, size), lambda m, x: m(x))


def plain():
    """Two channels with filters (3, 4) and (0, 1), read by one output."""
    net = nn.Sequential(nn.Conv2d(1, 2, (1, 2), bias=False), nn.Conv2d(2, 1, 1))
    net[0].weight.data = torch.tensor([3., 4., 0., 1.]).view(2, 1, 1, 2)
    return net


def test_magnitude_by_hand():
    net = plain()
    groups = traced(net)
    assert MagnitudeImportance('none').scores(net, groups, full_channels(groups))['0'].tolist() == [5.0, 1.0]
    normed = MagnitudeImportance('mean').scores(net, groups, full_channels(groups))['0']
    torch.testing.assert_close(normed, torch.tensor([5 / 3, 1 / 3]))


def test_the_mean_is_taken_over_live_channels():
    net = plain()
    groups = traced(net)
    kept = full_channels(groups)
    kept['0'][1] = False
    assert MagnitudeImportance('mean').scores(net, groups, kept)['0'][0] == pytest.approx(1.0)


def test_coupled_layers_add_up():

    class Sum(nn.Module):

        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Conv2d(1, 2, 1), nn.Conv2d(1, 2, 1), nn.Conv2d(2, 1, 1)

        def forward(self, x):
            return self.c(self.a(x) + self.b(x))

    net = Sum()
    net.a.weight.data, net.b.weight.data = torch.tensor([3., 1.]).view(2, 1, 1, 1), torch.tensor([4., 0.]).view(
        2, 1, 1, 1)
    groups = traced(net)
    scores = MagnitudeImportance('none').scores(net, groups, full_channels(groups))
    assert [s.tolist() for name, s in scores.items() if name in ('a', 'b')] == [[5.0, 1.0]]


def test_taylor_on_weights_by_hand_and_averaged():
    net = plain()
    groups = traced(net)
    importance = TaylorImportance('none')
    # |3 * 1 + 4 * -1| = 1 and |0 + 2| = 2, then 2 and 4: means 1.5 and 3.
    for factor in (1., 2.):
        for p in net.parameters():
            p.grad = torch.zeros_like(p)
        net[0].weight.grad = factor * torch.tensor([1., -1., 5., 2.]).view(2, 1, 1, 2)
        importance.observe(net, groups)
    for _ in range(2):
        assert importance.scores(net, groups, full_channels(groups))['0'].tolist() == [1.5, 3.0]
    importance.observe(net, groups)
    assert importance.scores(net, groups, full_channels(groups))['0'].tolist() == [2.0, 4.0]
    with pytest.raises(UserError, match='has seen no optimizer step'):
        TaylorImportance().scores(net, groups, full_channels(groups))


def test_taylor_uses_norms_where_every_layer_has_one():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1))
    net[1].weight.data, net[1].bias.data = torch.tensor([2., 3.]), torch.tensor([1., -1.])
    for p in net.parameters():
        p.grad = torch.full_like(p, 100.)
    net[1].weight.grad, net[1].bias.grad = torch.tensor([1., -1.]), torch.tensor([4., 2.])
    groups = traced(net)
    importance = TaylorImportance('none')
    importance.observe(net, groups)
    # |2 * 1 + 1 * 4| = 6 and |3 * -1 + -1 * 2| = 5.
    assert importance.scores(net, groups, full_channels(groups))['0'].tolist() == [6.0, 5.0]


def with_gradients(net):
    """Every weight and its gradient 1, so that a term counts how many numbers it sums."""
    for p in net.parameters():
        p.data.fill_(1.0)
        p.grad = torch.ones_like(p) if p.requires_grad else None
    groups = traced(net)
    importance = TaylorImportance('none')
    importance.observe(net, groups)
    return importance.scores(net, groups, full_channels(groups))


def test_taylor_goes_by_the_weights_where_the_norm_is_frozen():
    net = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1))
    assert with_gradients(net)['0'].tolist() == [2.0, 2.0]
    net[1].requires_grad_(False)
    assert with_gradients(net)['0'].tolist() == [1.0, 1.0]


def test_taylor_adds_up_the_norms_of_all_uses_of_a_layer():

    class Shared(nn.Module):

        def __init__(self):
            super().__init__()
            self.conv, self.last = nn.Conv2d(1, 2, 1, bias=False), nn.Conv2d(2, 1, 1)
            self.norms = nn.ModuleList([nn.BatchNorm2d(2) for _ in range(3)])

        def forward(self, x):
            return [self.last(norm(self.conv(x))) for norm in self.norms]

    assert with_gradients(Shared())['conv'].tolist() == [6.0, 6.0]


def test_state_goes_on():
    net = plain()
    groups = traced(net)
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    first, second = TaylorImportance('none'), TaylorImportance('none')
    first.observe(net, groups)
    # What was used once is dropped at the next gradient, by either.
    first.scores(net, groups, full_channels(groups))
    second.load_state_dict(first.state_dict())
    for p in net.parameters():
        p.grad = torch.rand_like(p)
    for importance in (first, second):
        importance.observe(net, groups)
    a, b = (i.scores(net, groups, full_channels(groups))['0'] for i in (first, second))
    assert torch.equal(a, b)


@pytest.fixture
def first_channels():
    """A registered criterion by which channels are worth the less the later they come."""

    @register_importance
    class FirstChannels:

        def __init__(self, step=1.0):
            self.step, self.seen = step, 0

        def observe(self, model, groups):
            self.seen += 1

        def scores(self, model, groups, kept):
            return {g.name: 1e3 - self.step * torch.arange(g.width) for g in groups}

        def state_dict(self):
            return dict(seen=self.seen)

        def load_state_dict(self, state):
            self.seen = state['seen']

    yield FirstChannels
    del IMPORTANCES['FirstChannels']


@pytest.mark.parametrize('allocator', [None, dict(block=1)])
def test_a_criterion_can_be_registered_and_prunes(tmp_path, first_channels, allocator):
    live = {}

    class Watch(Hook):
        priority = 'LOWEST'

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if pruner._pruner is not None:
                live.update({name: kept.tolist() for name, kept in pruner._pruner.kept.items()})

    hook = pruning(importance=dict(type='FirstChannels', step=2.0), allocator=allocator)
    runner = make_runner(tmp_path, dict(type='OptimWrapper'), [hook], epochs=4)
    runner.register_hook(Watch())
    pruner = next(h for h in runner.hooks if isinstance(h, ChannelPruningHook))
    assert isinstance(pruner.plan.importance, first_channels) and pruner.plan.importance.step == 2
    runner.train()
    # Three iterations an epoch, two epochs of pruning.
    assert pruner.plan.importance.seen == 6
    assert all(kept == sorted(kept, reverse=True) for kept in live.values())
    assert not all(all(kept) for kept in live.values()) and pruner.channels
    saved = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)['channel_pruning']['masks']
    assert saved['importance'] == dict(seen=3)


@pytest.mark.parametrize('cfg, message', [
    (dict(type='Random'), "type='Random'"),
    (dict(type='MagnitudeImportance', normalize='max'), "normalize='max'"),
    (dict(type='TaylorImportance', power=2), 'power'),
])
def test_wrong_arguments_are_refused(cfg, message):
    with pytest.raises(UserError, match=message):
        build_importance(cfg)
