"""Products of what is rounded to bfloat16, in float32."""
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint

from mmadasap import bfloat16
from mmadasap.bfloat16 import rounded_products

LINEAR = F.linear


def gradients(layer, image, inside):
    """What a layer gives, and its gradients, under autocast and, if ``inside``, rounding."""
    layer.zero_grad()
    image = image.clone().requires_grad_()
    with torch.autocast('cpu', torch.bfloat16):
        if inside:
            with rounded_products():
                out = layer(image)
        else:
            out = layer(image)
    out.float().square().sum().backward()
    return out, image.grad, *(p.grad.clone() for p in layer.parameters())


@pytest.mark.parametrize('layer, shape', [
    (nn.Conv2d(8, 4, 3, padding=1), (2, 8, 5, 5)),
    (nn.Conv2d(8, 8, 3, stride=2, dilation=2, groups=4, bias=False, padding_mode='reflect', padding=2), (2, 8, 9, 9)),
    (nn.ConvTranspose2d(8, 4, 2, stride=2), (2, 8, 3, 3)),
    (nn.Linear(8, 4), (3, 8)),
])
def test_it_gives_what_bfloat16_gives_but_for_the_order_of_sums(layer, shape):
    torch.manual_seed(0)
    image = torch.randn(shape)
    plain, rounded = (gradients(layer, image, inside) for inside in (False, True))
    assert [value.dtype for value in rounded] == [value.dtype for value in plain]
    for ours, theirs in zip(rounded, plain):
        torch.testing.assert_close(ours, theirs, rtol=2**-6, atol=2**-6 * theirs.abs().max().item())


def test_by_hand():
    # 1 + 2^-9 rounds to 1 as a weight and as an input. 1 * 1 + 2^-8 * 1 is 1 + 2^-8 in float32, between 1 and 1 + 2^-7,
    # and rounds to the even one, 1; three times 2^-8 beside 1 is nearer to 1 + 2^-7 + 2^-8, and rounds to 1 + 2^-6.
    layer = nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1 + 2**-9, 2**-8, 0., 0.]]))
    ones = torch.full((1, 4), 1 + 2**-9)
    with torch.autocast('cpu', torch.bfloat16), rounded_products():
        assert layer(ones).item() == 1
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([[1, 2**-8, 2**-8, 2**-8]]))
        assert layer(ones).item() == 1 + 2**-6


def test_outside_of_autocast_nothing_is_rounded():
    layer, image = nn.Conv2d(3, 4, 1), torch.randn(2, 3, 2, 2)
    plain = layer(image)
    with rounded_products():
        assert torch.equal(layer(image), plain)
        with torch.autocast('cpu', torch.bfloat16), torch.autocast('cpu', enabled=False):
            assert torch.equal(layer(image), plain)


def test_few_channels_are_left_to_torch_where_its_library_writes_past_its_memory():
    seen = []

    class Noted(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.extend([torch.is_autocast_enabled('cpu')] if func is torch.conv2d else [])
            return func(*args, **(kwargs or {}))

    with Noted(), torch.autocast('cpu', torch.bfloat16), rounded_products():
        for channels, kernel in ((4, 1), (8, 1), (4, 3)):
            assert nn.Conv2d(channels, 8, kernel, stride=2)(torch.randn(2, channels, 4, 4)).dtype == torch.bfloat16
    assert seen == [True, False, False]


@pytest.mark.parametrize('reentrant', [False, True])
def test_what_is_computed_again_in_the_backward_pass_is_the_same(reentrant):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))
    image, found = torch.randn(2, 8, 8, 8, requires_grad=True), []
    for again in (False, True):
        net.zero_grad()
        with rounded_products():
            with torch.autocast('cpu', torch.bfloat16):
                out = checkpoint(net, image, use_reentrant=reentrant) if again else net(image)
            out.float().square().sum().backward()
        found.append([p.grad.clone() for p in net.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found))


def test_attention_is_within_and_types_that_autocast_leaves_are_not(monkeypatch):
    seen, rounded = [], bfloat16._rounded
    monkeypatch.setattr(bfloat16, '_rounded', lambda value, dtype: (seen.append(dtype), rounded(value, dtype))[1])
    attention, double, value = nn.MultiheadAttention(8, 2), nn.Linear(2, 2).double(), torch.randn(3, 1, 8)
    with torch.autocast('cpu', torch.bfloat16), rounded_products():
        assert double(torch.ones(1, 2).double()).dtype == torch.float64 and not seen
        attention(value, value, value)
    assert len(seen) >= 6 and F.linear is LINEAR
