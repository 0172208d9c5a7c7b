import copy

import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmadasap.engine.host import raw_outputs
from mmadasap.errors import UserError
from mmadasap.pruning import (
    COSTS,
    Allocator,
    Budget,
    ChannelMask,
    ChannelPruner,
    MagnitudeImportance,
    NetworkCost,
    channel_spec,
    count_parameters,
    find_branches,
    full_channels,
    mask_optimizer,
    model_tensors,
    rebuild,
    trace_groups,
    trace_layers,
)
from mmadasap.pruning.branches import IdentityPath, parts_of, remove, silence
from mmadasap.registry import MODELS
from tests.toy_detector import toy_detector
from tests.toys import randomize, same, values


def call(model, x):
    return model(x)


class Block(nn.Module):
    """A residual block as detectors have it; may change the width of its input on the way past, and act in place."""

    def __init__(self, width, inner, out=None, activation=nn.ReLU):
        super().__init__()
        out = out or width
        self.conv1, self.norm1 = nn.Conv2d(width, inner, 3, padding=1), nn.BatchNorm2d(inner)
        self.conv2, self.norm2 = nn.Conv2d(inner, inner, 1), nn.BatchNorm2d(inner)
        self.conv3, self.norm3 = nn.Conv2d(inner, out, 1), nn.BatchNorm2d(out)
        self.act = activation(inplace=True)
        self.past = nn.Conv2d(width, out, 1) if out != width else None

    def forward(self, x):
        out = self.act(self.norm2(self.conv2(self.act(self.norm1(self.conv1(x))))))
        out = self.norm3(self.conv3(out))
        out += x if self.past is None else self.past(x)
        return self.act(out)


class Net(nn.Module):
    """Two blocks with an identity path, one without between them."""

    def __init__(self, activation=nn.ReLU):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.blocks = nn.Sequential(
            Block(4, 6, activation=activation), Block(4, 4, 8, activation), Block(8, 6, activation=activation))
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(self.blocks(torch.relu(self.norm(self.stem(x)))).mean((2, 3)))


def prepared(activation=nn.ReLU):
    """A float64 network, input, groups, its branches, and live channels without those of its last block."""
    model = randomize(Net(activation)).double()
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    groups = trace_groups(model, x, call)
    branches = find_branches(model, x, call, groups)
    kept = full_channels(groups)
    for name in branches[-1].groups:
        kept[name][:] = False
    return model, x, groups, branches, kept


def mask(model, branches):
    cuts = silence(model, branches, {})
    ChannelMask(model_tensors(model), cuts).apply()
    return cuts


def test_blocks_with_an_identity_path_are_found_with_what_is_in_them():
    _, _, groups, branches, _ = prepared()
    assert [b.block for b in branches] == ['blocks.0', 'blocks.2']
    assert branches[0].gone == ('conv1', 'norm1', 'conv2', 'norm2', 'conv3', 'norm3')
    assert branches[0].stays == ('act', ) and branches[0].last == 'blocks.0.norm3'
    inner = {g.name: g.modules('out') for g in groups}
    assert [inner[name][0] for name in branches[0].groups] == ['blocks.0.conv1', 'blocks.0.conv2']


@pytest.mark.parametrize('change', ['functional', 'shared', 'protected', 'parameter', 'scaled', 'output', 'argument'])
def test_blocks_of_another_form_are_left_alone(change):
    model, protect = Net(), ()
    block = model.blocks[2]
    if change == 'functional':
        block.forward = lambda x: torch.relu(block.norm3(block.conv3(block.conv2(block.conv1(x)))) + x)
    elif change == 'shared':
        model.blocks = nn.Sequential(*model.blocks, model.blocks[2])
    elif change == 'protected':
        protect = ['blocks.2.conv2']
    elif change == 'parameter':
        block.extra = nn.Parameter(torch.ones(8, 1, 1))
        block.forward = lambda x: block.act(block.norm3(block.conv3(block.conv2(block.conv1(x)))) + x) + block.extra
    elif change == 'scaled':
        block.forward = lambda x: block.act(torch.add(2 * block.norm3(block.conv3(block.conv2(block.conv1(x)))), x))
    elif change == 'argument':
        forward = block.forward
        block.forward = lambda x, identity=None: forward(x)
        model.blocks.forward = lambda x: block(model.blocks[1](model.blocks[0](x)), None)
    else:
        inner = []
        block.norm1.register_forward_hook(lambda m, args, output: inner.append(output.clone()))
        model.forward = lambda x: (Net.forward(model, x), inner.pop())
    x = torch.randn(1, 3, 8, 8)
    groups = trace_groups(model, x, call, protect)
    assert [b.block for b in find_branches(model, x, call, groups)] == ['blocks.0']


@pytest.mark.parametrize('activation', [nn.ReLU, nn.SiLU])
@pytest.mark.parametrize('training', [False, True])
def test_masked_removed_and_zeroed_last_norm_agree(activation, training):
    model, x, _, branches, _ = prepared(activation)
    model.train(training)
    dense, zeroed, small = copy.deepcopy(model), copy.deepcopy(model), copy.deepcopy(model)
    nn.init.zeros_(zeroed.blocks[2].norm3.weight)
    nn.init.zeros_(zeroed.blocks[2].norm3.bias)
    mask(model, branches[1:])
    remove(small, branches[1:])
    expected, was = zeroed(x), dense(x)
    scale = expected.abs().max()
    assert (model(x) - expected).abs().max() <= 1e-10 * scale
    assert (small(x) - expected).abs().max() <= 1e-10 * scale
    assert (was - expected).abs().max() > 1e-2 * scale


def step(model, optimizer, x):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), torch.tensor([0, 1, 2, 0])).backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    optimizer.step()
    return norm


@pytest.mark.parametrize('activation', [nn.ReLU, nn.SiLU])
def test_training_goes_on_as_the_masked_network_does(activation):
    model, x, _, branches, _ = prepared(activation)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    step(model, optimizer, x)
    cuts = mask(model, branches[1:])
    mask_optimizer(optimizer, dict(model.named_parameters()), cuts)
    small = copy.deepcopy(model)
    small_optimizer = torch.optim.SGD(small.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    small_optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    remove(small, branches[1:], small_optimizer)
    for _ in range(3):
        assert step(model, optimizer, x) == pytest.approx(float(step(small, small_optimizer, x)), rel=1e-9)
    own = model.state_dict()
    for name, tensor in small.state_dict().items():
        torch.testing.assert_close(own[name], tensor, rtol=1e-9, atol=1e-10)
    for layer in branches[1].layers:
        assert not model.get_submodule(layer).weight.any()
        assert model.get_submodule(layer).weight.grad is not None, 'distributed training waits for it'


def test_the_optimizer_forgets_what_is_gone_and_keeps_its_groups():
    model, x, _, branches, _ = prepared()
    optimizer = torch.optim.SGD([dict(params=[p]) for p in model.parameters()], lr=0.1, momentum=0.9)
    step(model, optimizer, x)
    before = len(optimizer.param_groups)
    remove(model, branches, optimizer)
    held = {id(p) for group in optimizer.param_groups for p in group['params']}
    assert held == {id(p) for p in model.parameters()} == {id(p) for p in optimizer.state}
    assert len(optimizer.param_groups) == before
    step(model, optimizer, x)
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))


def test_the_specification_says_what_is_gone_and_rebuilds_it():
    model, x, _, branches, _ = prepared()
    remove(model, branches[1:])
    spec = channel_spec(model, ['fc', 'blocks.2', 'blocks.2.conv1'])
    layers = ['conv1', 'norm1', 'conv2', 'norm2', 'conv3', 'norm3']
    assert spec == {'blocks.2': dict(gone=layers, stays=['act']), 'fc': dict(in_features=8, out_features=3)}
    assert not any(key.startswith('blocks.2') for key in model.state_dict())
    again = rebuild(Net().double(), spec)
    again.load_state_dict(model.state_dict())
    assert torch.equal(model.eval()(x), again.eval()(x))
    assert isinstance(rebuild(again, spec).blocks[2], IdentityPath)


LAYERS = ['conv1', 'norm1', 'conv2', 'norm2', 'conv3', 'norm3']


@pytest.mark.parametrize('entry, message', [
    (dict(gone=LAYERS), r"must give exactly \['gone', 'stays'\]"),
    (dict(stays=['act']), r"must give exactly \['gone', 'stays'\]"),
    (dict(gone=LAYERS, stays=['act'], depth=3), r"must give exactly \['gone', 'stays'\]"),
    (dict(gone=5, stays=['act']), r"\['gone'\]=5 must be a list of names"),
    (dict(gone=None, stays=['act']), r"\['gone'\]=None must be a list of names"),
    (dict(gone='conv1', stays=['act']), r"\['gone'\]='conv1' must be a list of names"),
    (dict(gone=[['conv1']], stays=['act']), r"\['gone'\]=\[\['conv1'\]\] must be a list of names"),
    (dict(gone=LAYERS, stays=3), r"\['stays'\]=3 must be a list of names"),
    (dict(gone=['conv9'], stays=['act']), r"'conv9'.* must be .*conv1.* belongs to another model"),
    (dict(gone=[], stays=['act']), r"'gone': \[\].* must be .*conv1.* belongs to another model"),
    (dict(gone=LAYERS[:2], stays=['act']), r"'norm1'\].* must be .*norm3.* belongs to another model"),
    (dict(gone=LAYERS, stays=[]), r"'stays': \[\].* must be .*'act'.* belongs to another model"),
    (dict(gone=LAYERS, stays=['act', 'act']), r"'act', 'act'.* must be .* belongs to another model"),
])
@pytest.mark.parametrize('again', [False, True])
def test_a_specification_of_another_block_changes_nothing(entry, message, again):
    model, whole = Net(), dict(gone=LAYERS, stays=['act'])
    if again:
        rebuild(model, {'blocks.0': whole})
    with pytest.raises(UserError, match=rf"channels\['blocks.0'\].*{message}"):
        rebuild(model, {'blocks.2': whole, 'blocks.0': entry})
    assert isinstance(model.blocks[2], Block)


def test_widths_within_a_branch_that_is_gone_are_refused():
    model, inner = Net(), dict(in_channels=4, out_channels=2, groups=1)
    with pytest.raises(UserError, match=r"channels\['blocks.0.conv1'\].*is about a module within a block"):
        rebuild(model, {'blocks.0': dict(gone=LAYERS, stays=['act']), 'blocks.0.conv1': inner})
    assert isinstance(model.blocks[0], Block)


@pytest.mark.parametrize('name', ['blocks.1', 'blocks', 'fc', 'blocks.0.conv1', ''])
def test_only_a_block_with_an_identity_path_loses_its_branch(name):
    model = Net()
    layers = [n for n, m in model.get_submodule(name).named_modules() if n and any(True for _ in m.parameters())]
    for gone in (layers, []):
        with pytest.raises(UserError, match=rf"channels\['{name}'\].*input does not reach its output unchanged"):
            rebuild(model, {name: dict(gone=gone, stays=[])})


@pytest.mark.parametrize('activation', [nn.ReLU, nn.SiLU])
def test_a_block_alone_tells_what_the_network_told(activation):
    model, _, _, branches, _ = prepared(activation)
    before, modes = values(model), [m.training for m in model.modules()]
    assert [parts_of(model.blocks[i]) for i in (0, 1, 2)] == [
        (list(branches[0].gone), list(branches[0].stays)), None, (list(branches[1].gone), list(branches[1].stays))]
    assert same(values(model), before) and modes == [m.training for m in model.modules()]
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_a_residual_block_of_linear_layers_alone():

    class Mixing(nn.Module):

        def __init__(self):
            super().__init__()
            self.first, self.act, self.last = nn.Linear(5, 3), nn.GELU(), nn.Linear(3, 5)

        def forward(self, x):
            return x + self.last(self.act(self.first(x)))

    assert parts_of(Mixing()) == (['first', 'last'], [])


@pytest.mark.parametrize('cost', COSTS)
def test_costs_are_those_of_the_network_without_the_branch(cost):
    model, x, groups, branches, kept = prepared()
    network = NetworkCost(trace_layers(model, x, call), groups, COSTS[cost], branches=branches)
    assert all(v == 0 for name, v in network.by_layer(kept).items() if name.startswith('blocks.2'))
    remove(model, branches[1:])
    groups = trace_groups(model, x, call)
    assert NetworkCost(trace_layers(model, x, call), groups, COSTS[cost])(full_channels(groups)) == network(kept)


def test_what_follows_the_sum_is_still_paid_for():
    model, x, groups, branches, kept = prepared()
    layers = trace_layers(model, x, call)

    def kinds(layer, c_in, c_out):
        return sum({'relu': 1, 'add': 10, 'norm': 100, 'conv': 1000}.get(o.kind, 0) for o in layer.operations)

    found = NetworkCost(layers, groups, kinds, branches=branches).by_layer(kept)
    assert [found[f'blocks.2.{n}'] for n in ('conv1', 'norm1', 'conv2', 'norm2', 'conv3', 'norm3')] == [0] * 5 + [1]
    assert found['blocks.0.norm3'] == 111


def worthless(model, branch):
    """Makes the channels within a branch worth nothing."""
    for layer in branch.layers[:-2]:
        nn.init.constant_(model.get_submodule(layer).weight, 1e-9)


@pytest.mark.parametrize('remove_branches', [True, False])
def test_the_pruner_removes_a_branch_worth_nothing(remove_branches):
    model, x, _, branches, _ = prepared()
    worthless(model, branches[1])
    pruner = ChannelPruner(model, x, call, Budget('macs', 0.6), MagnitudeImportance('none'), (),
                           Allocator(block=1, remove_branches=remove_branches))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    averaged = copy.deepcopy(model)
    step(model.train(), optimizer, x)
    pruner.prune(pruner.target)
    pruner.mask()
    pruner.mask_state(optimizer, [averaged])
    assert branches[1].is_removed(pruner.kept) == remove_branches and not branches[0].is_removed(pruner.kept)
    state = pruner.state_dict()
    pruner.load_state_dict(state)
    masked, masked_average = model.eval()(x), averaged.eval()(x)
    touched = pruner.remove(optimizer, [averaged])
    torch.testing.assert_close(model(x), masked, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(averaged(x), masked_average, rtol=1e-9, atol=1e-9)
    assert isinstance(model.blocks[2], IdentityPath) == remove_branches
    spec = channel_spec(model, touched)
    again = rebuild(Net().double(), spec)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.eval()(x), model(x))
    assert count_parameters(model) == pruner.costs['parameters'](pruner.kept)
    step(model.train(), optimizer, x)


def test_a_detector_by_configuration():
    init_default_scope('mmdet')
    config = dict(toy_detector())
    model = randomize(MODELS.build(config)).double().eval()
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    groups = trace_groups(model, x, raw_outputs)
    branches = find_branches(model, x, raw_outputs, groups)
    # Only the first block of the second stage changes resolution.
    assert [b.block for b in branches] == ['backbone.layer1.0', 'backbone.layer1.1', 'backbone.layer2.1']
    assert all(b.stays == ('relu', ) and b.gone == ('conv1', 'bn1', 'conv2', 'bn2') for b in branches)
    zeroed = copy.deepcopy(model)
    nn.init.zeros_(zeroed.backbone.layer1[1].bn2.weight)
    nn.init.zeros_(zeroed.backbone.layer1[1].bn2.bias)
    remove(model, branches[1:2])
    for a, b in zip(raw_outputs(model, x), raw_outputs(zeroed, x)):
        torch.testing.assert_close(a[0], b[0], rtol=1e-10, atol=1e-10)
    slim = MODELS.build(dict(
        config, type='mmadasap.SlimModel', detector=config['type'], channels=channel_spec(model, [])))
    slim.double().load_state_dict(model.state_dict())
    assert same(values(slim), values(model))
