import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmadasap.errors import UserError
from mmadasap.pruning.operations import Operation, trace_operations


class Net(nn.Module):
    """Conv, norm, activation, pooling, a sum, a concatenation, upsampling and a linear layer."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.b = nn.Conv2d(4, 4, 1)
        self.c = nn.Conv2d(4, 6, 3, padding='same', groups=2)
        self.fc = nn.Linear(10, 2)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm(self.a(x))), 2)
        x = x + self.b(x)
        joined = torch.cat([F.interpolate(F.silu(x), scale_factor=2), F.interpolate(self.c(x), scale_factor=2)], 1)
        return self.fc(joined.mean((2, 3)))


def kinds(operations):
    return sorted(o.kind for o in operations)


def test_each_operation_goes_to_the_layer_it_follows():
    net = Net().train()
    found = trace_operations(net, torch.randn(1, 3, 16, 16), lambda m, x: m(x))
    assert kinds(found['a']) == ['conv'] and kinds(found['norm']) == ['max_pool', 'norm', 'relu']
    # The sum and what follows it have the width of b; the concatenation joins b and c, and its mean has both widths.
    assert kinds(found['b']) == ['add', 'cat', 'conv', 'mean', 'silu', 'upsample']
    assert kinds(found['c']) == ['cat', 'conv', 'mean', 'upsample'] and kinds(found['fc']) == ['linear']
    assert net.training and not any(m._forward_hooks for m in net.modules())


def test_what_is_measured_by_hand():
    found = trace_operations(Net(), torch.randn(1, 3, 16, 16), lambda m, x: m(x))
    assert found['a'] == (Operation('conv', (16, 16), (3, 3), (2, 2), (1, 1)), )
    assert Operation('max_pool', (8, 8), (2, 2), (2, 2)) in found['norm']
    assert Operation('conv', (4, 4), (3, 3), (1, 1), (1, 1), group_width=2, group_outs=3, bias=True) in found['c']
    assert Operation('upsample', (4, 4), stride=(2, 2)) in found['c']
    assert found['fc'] == (Operation('linear', (1, 1), bias=True), )


def test_a_shared_layer_has_every_call():
    conv = nn.Conv2d(3, 3, 1)
    found = trace_operations(conv, torch.randn(1, 3, 8, 8), lambda m, x: [m(x), m(x[..., :4, :4])])
    assert [o.size for o in found['']] == [(8, 8), (4, 4)]


class PadsItself(nn.Conv2d):
    """As mmcv's Conv2dAdaptivePadding: the output is the input over the stride, rounded up."""

    def forward(self, x):
        rows, columns = (max((-(-n // s) - 1) * s + k - n, 0) for n, s, k in zip(
            x.shape[2:], self.stride, self.kernel_size))
        return super().forward(F.pad(x, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2]))


@pytest.mark.parametrize('size, kernel, stride, padding', [
    ((7, 7), 5, 1, (2, 2)), ((112, 14), 3, 2, (1, 1)), ((4, 4), 5, 2, (2, 2)), ((4, 9), 1, 2, (0, 0))])
def test_a_convolution_that_pads_within_is_measured_at_its_real_size(size, kernel, stride, padding):
    conv = PadsItself(3, 6, kernel, stride, groups=3)
    found = trace_operations(conv, torch.randn(2, 3, *size), lambda m, x: m(x))[''][0]
    assert found.size == size and found.padding == padding
    same = nn.Conv2d(3, 6, found.kernel, found.stride, found.padding)
    assert same(torch.zeros(1, 3, *size)).shape[2:] == tuple(-(-n // stride) for n in size)


def test_a_map_that_is_not_quite_doubled_is_measured_doubled():
    found = trace_operations(nn.Conv2d(3, 4, 1), torch.randn(1, 3, 10, 6),
                             lambda m, x: F.interpolate(m(x), size=(19, 12)))
    assert found[''][1] == Operation('upsample', (10, 6), stride=(2, 2))


def test_channels_of_a_linear_layer_are_last():
    """A block of a transformer: tokens, or maps with their channels last, as ConvNeXt has them."""
    net = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4))
    for shape, tokens in (((2, 5, 4), 5), ((2, 3, 5, 4), 15)):
        found = trace_operations(net, torch.randn(shape), lambda m, x: x + m(x).mul(2.0))
        assert found['0'] == (Operation('linear', (tokens, 1), bias=True), Operation('gelu', (tokens, 1)))
        assert found['2'] == (Operation('linear', (tokens, 1), bias=True), )
        found = trace_operations(net, torch.randn(shape), lambda m, x: m(x) + m(x))
        assert found['2'][2] == Operation('add', (tokens, 1))


def test_from_plain_data():
    operation = Operation('conv', (16, 8), (3, 3))
    assert Operation.from_dict(dict(kind='conv', size=[16, 8], kernel=[3, 3])) == operation
    with pytest.raises(UserError, match='color'):
        Operation.from_dict(dict(kind='conv', size=[1, 1], color='red'))
    with pytest.raises(UserError, match='operation=5 must be a dict'):
        Operation.from_dict(5)
    with pytest.raises(UserError, match="size='8' must be of type"):
        Operation.from_dict(dict(kind='conv', size='8'))
