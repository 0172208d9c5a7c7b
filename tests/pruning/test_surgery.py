import copy

import pytest
import torch
from torch import nn

from mmadasap.errors import UserError
from mmadasap.pruning import (
    ChannelMask,
    channel_spec,
    full_channels,
    mask_optimizer,
    model_tensors,
    rebuild,
    slim,
    tensor_cuts,
    trace_groups,
    trace_layers,
)
from tests.toys import ResidualNet, randomize, values


def call(model, x):
    return model(x)


def prepared(activation=nn.ReLU, seed=0):
    """A float64 network with non-trivial values, input, and cuts that take a third of every prunable group."""
    model = randomize(ResidualNet(activation=activation), seed).double()
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    groups = trace_groups(model, x, call)
    kept = full_channels(groups)
    for group in groups:
        if group.protected is None:
            kept[group.name][1::3] = False
    return model, x, groups, kept, tensor_cuts(model, groups, kept)


@pytest.mark.parametrize('activation', [nn.ReLU, nn.SiLU])
@pytest.mark.parametrize('training', [False, True])
def test_masked_equals_slim_and_differs_from_dense(activation, training):
    model, x, _, _, cuts = prepared(activation)
    model.train(training)
    dense = copy.deepcopy(model)(x)
    ChannelMask(model_tensors(model), cuts).apply()
    small = copy.deepcopy(model)
    slim(small, cuts)
    masked, slimmed = model(x), small(x)
    scale = masked.abs().max()
    assert (masked - slimmed).abs().max() <= 1e-10 * scale
    assert (masked - dense).abs().max() > 1e-2 * scale


def test_every_width():
    model, _, _, _, cuts = prepared()
    slim(model, cuts)
    # A third of 8 channels (1, 4, 7) and of 6 channels (1, 4) is gone.
    assert (model.stem.in_channels, model.stem.out_channels, model.stem_norm.num_features) == (3, 5, 5)
    assert (model.conv1.in_channels, model.conv1.out_channels, model.norm1.num_features) == (5, 4, 4)
    assert (model.conv2.in_channels, model.conv2.out_channels, model.norm2.num_features) == (4, 5, 5)
    assert (model.depthwise.in_channels, model.depthwise.out_channels, model.depthwise.groups) == (5, 5, 5)
    assert (model.fc.in_features, model.fc.out_features) == (5, 3)


def test_norms_without_weights_become_narrower_too():
    model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.BatchNorm2d(6, affine=False), nn.Conv2d(6, 2, 1)).eval()
    model[1].running_mean.normal_()
    x = torch.randn(1, 3, 4, 4)
    groups = trace_groups(model, x, call)
    cuts = tensor_cuts(model, groups, full_channels(groups) | {'0': torch.arange(6) > 1})
    ChannelMask(model_tensors(model), cuts).apply()
    masked = model(x)
    slim(model, cuts)
    assert model[1].num_features == len(model[1].running_mean) == 4
    torch.testing.assert_close(model(x), masked)
    spec = channel_spec(model, ['0', '1', '2'], [])
    again = rebuild(nn.Sequential(nn.Conv2d(3, 6, 1), nn.BatchNorm2d(6, affine=False), nn.Conv2d(6, 2, 1)), spec)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.eval()(x), model(x)) and len(trace_layers(model, x, call)) == 3


OPTIMIZERS = [
    lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    # A bias before a norm has a gradient of rounding noise alone, which a small eps would blow up.
    lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.01, amsgrad=True, eps=1e-3),
]


def masked_and_small(make, activation, dtype):
    """A masked network in the middle of training and its slim copy, each with its optimizer; input, and the cuts."""
    model, x, _, _, cuts = prepared(activation)
    model, x = model.to(dtype).train(), x.to(dtype)
    optimizer = make(model.parameters())
    for _ in range(2):
        step(model, optimizer, x)
    ChannelMask(model_tensors(model), cuts).apply()
    mask_optimizer(optimizer, dict(model.named_parameters()), cuts)

    small = copy.deepcopy(model)
    small_optimizer = make(small.parameters())
    small_optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    slim(small, cuts, small_optimizer)
    return model, optimizer, small, small_optimizer, x, cuts


@pytest.mark.parametrize('make', OPTIMIZERS)
@pytest.mark.parametrize('activation', [nn.ReLU, nn.SiLU])
def test_the_first_step_after_surgery_in_single_precision(make, activation):
    model, optimizer, small, small_optimizer, x, cuts = masked_and_small(make, activation, torch.float32)
    before = values(small)
    step(model, optimizer, x)
    step(small, small_optimizer, x)
    slim(model, cuts, optimizer)
    for name, masked in model.state_dict().items():
        assert (masked - small.state_dict()[name]).abs().max() <= 1e-5 * masked.abs().max(), name
        assert not torch.equal(before[name], masked), name


@pytest.mark.parametrize('make', OPTIMIZERS)
@pytest.mark.parametrize('activation', [nn.ReLU, nn.SiLU])
def test_the_step_after_surgery_is_the_masked_networks(make, activation):
    model, optimizer, small, small_optimizer, x, cuts = masked_and_small(make, activation, torch.float64)
    for _ in range(3):
        step(model, optimizer, x)
        step(small, small_optimizer, x)
    slim(model, cuts, optimizer)
    for (name, a), (_, b) in zip(model.state_dict().items(), small.state_dict().items()):
        assert (a - b).abs().max() <= 1e-10 * b.abs().max().clamp(min=1), name
    for a, b in zip(model.parameters(), small.parameters()):
        for key, value in optimizer.state[a].items():
            torch.testing.assert_close(value, small_optimizer.state[b][key], rtol=1e-9, atol=1e-10)


def step(model, optimizer, x):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), torch.tensor([0, 1, 2, 0])).backward()
    optimizer.step()


def test_pruned_entries_stay_zero_while_training():
    model, x, _, _, cuts = prepared(nn.SiLU)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    step(model, optimizer, x)
    ChannelMask(model_tensors(model), cuts).apply()
    mask_optimizer(optimizer, dict(model.named_parameters()), cuts)
    for _ in range(3):
        step(model, optimizer, x)
    tensors = model_tensors(model)
    momentum = {n: optimizer.state[p]['momentum_buffer'] for n, p in model.named_parameters()}
    for name, dims in cuts.items():
        for dim, live in dims.items():
            dead = (~live).nonzero().flatten()
            assert not tensors[name].index_select(dim, dead).any(), name
            assert name not in momentum or not momentum[name].index_select(dim, dead).any(), name


def test_autograd_forgets_the_old_shapes_even_while_a_graph_is_alive():
    model, x, _, _, cuts = prepared()
    graph = model(x).sum()
    slim(model, cuts)
    model(x).sum().backward()
    assert all(p.grad.shape == p.shape for p in model.parameters()) and graph is not None


def test_parameters_stay_the_same_objects():
    model, _, _, _, cuts = prepared()
    before = [id(p) for p in model.parameters()]
    slim(model, cuts)
    assert [id(p) for p in model.parameters()] == before


def test_rebuilding_from_the_specification_gives_the_slim_network():
    model, x, _, _, cuts = prepared()
    slim(model, cuts)
    spec = channel_spec(model, {name.rpartition('.')[0] for name in cuts})
    again = rebuild(ResidualNet().double(), spec)
    again.load_state_dict(model.state_dict())
    assert torch.equal(model.eval()(x), again.eval()(x))


def test_surgery_can_be_repeated():
    model, x, _, _, cuts = prepared()
    ChannelMask(model_tensors(model), cuts).apply()
    slim(model, cuts)
    groups = trace_groups(model, x, call)
    kept = full_channels(groups)
    for group in groups:
        if group.protected is None:
            kept[group.name][0] = False
    cuts = tensor_cuts(model, groups, kept)
    ChannelMask(model_tensors(model), cuts).apply()
    masked = model.eval()(x)
    slim(model, cuts)
    torch.testing.assert_close(model(x), masked, rtol=1e-10, atol=1e-10)
    assert model.stem.out_channels == 4 and model.conv1.out_channels == 3


def test_channels_last_survives():
    model = ResidualNet().to(memory_format=torch.channels_last)
    groups = trace_groups(model, torch.randn(1, 3, 8, 8), call)
    kept = full_channels(groups)
    next(kept[g.name] for g in groups if g.width == 6)[0] = False
    slim(model, tensor_cuts(model, groups, kept))
    assert model.conv1.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('spec, message', [
    ({'conv9': dict(out_channels=1)}, "'conv9', which is no module of ResidualNet"),
    ({'norm1': dict(num_features=0)}, r"channels\['norm1'\]\['num_features'\]=0"),
    ({'norm1': dict(num_features=7)}, "=7 must be a whole number from 1 to 6"),
    ({'norm1': dict(num_features=2.0)}, "=2.0 must be"),
    ({'norm1': dict(width=2)}, r"must give exactly \['num_features'\]"),
    ({'norm1': 4}, "=4 must be a dict"),
    ({'act': dict(num_features=2)}, 'ReLU has no prunable widths'),
])
def test_a_specification_that_does_not_fit_changes_nothing(spec, message):
    model = ResidualNet()
    with pytest.raises(UserError, match=message):
        rebuild(model, {'fc': dict(in_features=4, out_features=3)} | spec)
    assert model.fc.in_features == 8


@pytest.mark.skipif(not hasattr(torch.optim, 'Adafactor'), reason='torch 2.5 and later have it')
def test_an_optimizer_with_state_of_other_shapes_goes_on_after_surgery():
    model, x, _, _, cuts = prepared()
    optimizer = torch.optim.Adafactor(model.parameters(), lr=0.1)

    def step():
        model(x).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    whole = optimizer.state[model.stem.weight]
    slim(model, cuts, optimizer)
    assert model.stem.weight not in optimizer.state and model.fc.bias in optimizer.state and 'row_var' in whole
    before = values(model)
    step()
    assert all(not torch.equal(p, before[name]) for name, p in model.named_parameters() if p.dim() > 1)
