import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmadasap.pruning import TraceError, format_groups, trace_groups
from tests.toys import ResidualNet, randomize, values


def call(model, x):
    return model(x)


def groups_of(model, protect=(), size=8):
    found = trace_groups(model, torch.randn(1, 3, size, size), call, protect)
    return {g.name: g for g in found}


def sides(group):
    return {(m.module, m.side) for m in group.members}


def test_residual_depthwise_and_norms_are_one_group():
    groups = groups_of(ResidualNet())
    by_width = {g.width: g for g in groups.values()}
    assert set(by_width) == {3, 6, 8} and len(groups) == 3
    assert sides(by_width[6]) == {('conv1', 'out'), ('norm1', 'out'), ('conv2', 'in')}
    shared = {('stem', 'out'), ('stem_norm', 'out'), ('conv2', 'out'), ('norm2', 'out'), ('depthwise', 'out'),
              ('norm3', 'out'), ('conv1', 'in'), ('fc', 'in')}
    assert sides(by_width[8]) - {('depthwise', 'in')} == shared


def test_outputs_are_protected_and_named():
    groups = groups_of(ResidualNet())
    assert groups['fc'].protected == 'fc is an output of the network'
    assert [g.name for g in groups.values() if g.protected is None] != []


def test_a_feature_map_that_leaves_the_network_is_an_output_too():

    class Leaking(nn.Module):

        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 1)

        def forward(self, x):
            x = self.a(x).relu()
            return [self.b(x), dict(feature=x * 2)]

    groups = groups_of(Leaking())
    assert groups['a'].protected == 'a is an output of the network'


def test_protection_by_configuration_covers_what_lies_below():
    groups = groups_of(nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 1)), nn.Conv2d(4, 5, 1)), protect=['0'])
    assert groups['0.0'].protected == '0.0 is protected by configuration'


def test_a_convolution_with_one_output_channel_protects_nothing_it_reads():

    class Objectness(nn.Module):

        def __init__(self):
            super().__init__()
            self.stem, self.cls, self.obj = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 4, 1), nn.Conv2d(8, 1, 1)

        def forward(self, x):
            x = self.stem(x).relu()
            return self.cls(x), self.obj(x)

    assert groups_of(Objectness())['stem'].protected is None


def test_what_a_layer_only_training_runs_may_read_concatenated_is_whole():

    class Auxiliary(nn.Module):

        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Conv2d(3, 8, 1), nn.Conv2d(3, 8, 1), nn.Conv2d(16, 6, 1)
            self.d, self.aux = nn.Conv2d(6, 4, 1), nn.Conv2d(16, 4, 1)

        def forward(self, x):
            x = torch.cat([self.a(x), self.b(x)], 1)
            return (self.d(self.c(x)), self.aux(x)) if self.training else self.d(self.c(x))

    groups = groups_of(Auxiliary())
    assert groups['c'].protected is None
    assert all(groups[name].protected.startswith('aux, which the traced pass does not run') for name in 'ab')


def test_layers_that_read_outputs_alone_hold_no_group():

    class TwoStages(nn.Module):

        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 6, 1)
            self.roi_head = nn.Sequential(nn.Linear(4 * 49, 8), nn.Conv2d(4, 4, 1))

    def forward(model, x):
        return model.b(model.a(x))

    model, x = TwoStages(), torch.randn(1, 3, 8, 8)
    found = {g.name: g.protected for g in trace_groups(model, x, forward)}
    assert 'does not run, may read' in found['a']
    forward.reads_outputs = ('roi_head.', )
    found = {g.name: g.protected for g in trace_groups(model, x, forward)}
    assert found == dict(a=None, b='b is an output of the network')


def test_concatenation_maps_channels_to_columns():

    class Concat(nn.Module):

        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 3, 1), nn.Conv2d(5, 4, 1)

        def forward(self, x):
            return self.c(torch.cat([self.a(x), self.b(x)], 1))

    member = {m.module: m for m in groups_of(Concat())['b'].members}['c']
    assert member.side == 'in' and member.index.tolist() == [2, 3, 4] and member.channel.tolist() == [0, 1, 2]


def test_what_cannot_be_cut_is_left_whole_with_a_reason():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4), nn.Conv2d(4, 4, 1, groups=2), nn.ReLU(),
                        nn.Conv2d(4, 2, 1))
    groups = groups_of(net)
    assert any('GroupNorm' in g.protected for g in groups.values())
    assert all(g.protected for g in groups.values())


def test_tracing_leaves_the_model_as_it_was():
    model = randomize(ResidualNet())
    model.train()
    model.norm1.eval()
    model.stem.weight.requires_grad_(False)
    before = values(model)
    groups_of(model)
    after = values(model)
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert model.training and not model.norm1.training and model.norm2.training
    assert not model.stem.weight.requires_grad and all(p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks for m in model.modules())


@pytest.mark.parametrize('model, protect, message', [
    (ResidualNet(), ['backbone.conv1'], "protect='backbone.conv1' is no module of ResidualNet"),
    (nn.Sequential(nn.Conv2d(5, 4, 1)), [], 'Sequential cannot be traced with an input of shape'),
    (nn.ReLU(), [], 'nothing to prune|cannot be traced'),
])
def test_errors_name_the_model(model, protect, message):
    with pytest.raises(TraceError, match=message):
        groups_of(model, protect)


def test_the_table_shows_every_group():
    text = format_groups(groups_of(ResidualNet()).values())
    assert len(text.splitlines()) == 4 and 'fc is an output of the network' in text


class Checkpointed(nn.Module):

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 6, 1), nn.Conv2d(6, 2, 1)
        self.with_cp = True

    def forward(self, x):
        x = self.a(x)
        return self.c(checkpoint(self.b, x, use_reentrant=True) if self.with_cp else self.b(x))


def test_gradient_checkpointing_is_off_while_tracing():
    model = Checkpointed()
    groups = trace_groups(model, torch.randn(1, 3, 8, 8), call)
    assert {g.name: g.protected for g in groups if g.name != 'c'} == dict(a=None, b=None) and model.with_cp


def test_an_error_without_words_is_told_by_its_place():

    def forward(model, x):
        raise AssertionError

    with pytest.raises(TraceError, match=r'AssertionError in test_groups.py, line \d+'):
        trace_groups(Checkpointed(), torch.randn(1, 3, 8, 8), forward)
