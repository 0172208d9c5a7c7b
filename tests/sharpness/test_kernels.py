import pytest
import torch

from mmadasap.sharpness import kernels


@pytest.fixture(params=['fused', 'foreach', pytest.param('cuda', marks=pytest.mark.gpu)])
def tensors(request, monkeypatch):
    """Two tensors, one in channels-last format, with gradients and room; both ways of computing, and on a device."""
    torch.manual_seed(0)
    weights = [torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last), torch.randn(5)]
    if request.param == 'foreach':
        monkeypatch.setattr(kernels, 'on_device', bool)
    if request.param == 'cuda':
        weights = [w.cuda() for w in weights]
    return weights, [torch.randn_like(w) for w in weights], [torch.empty_like(w) for w in weights]


def test_scale(tensors):
    weights, grads, room = tensors
    scaled = [g.clone() for g in grads]
    kernels.scale(room, weights, scaled, 0.5)
    for w, g, s, found in zip(weights, grads, room, scaled):
        torch.testing.assert_close(s, w.abs() + 0.5)
        torch.testing.assert_close(found, g * (w.abs() + 0.5))


def test_add(tensors):
    weights, grads, room = tensors
    kernels.add(room, weights, grads, -0.25)
    for w, g, found in zip(weights, grads, room):
        torch.testing.assert_close(found, w - 0.25 * g)


def test_add_scaled_broadcasts_along_rows(tensors):
    weights, grads, room = tensors
    factors = [torch.arange(4.0).view(4, 1, 1, 1), torch.tensor(2.0)]
    factors = [f.to(weights[0].device) for f in factors]
    kernels.add_scaled(room, weights, grads, factors)
    for w, g, f, found in zip(weights, grads, factors, room):
        torch.testing.assert_close(found, w + f * g)
        assert found.stride() == w.stride()


def test_add_in_scales(tensors):
    weights, grads, room = tensors
    scales = [w.abs() + 1 for w in weights]
    found = [s.clone() for s in scales]
    kernels.add_in_scales(found, weights, [g.clone() for g in grads], 0.5)
    for w, g, s, f in zip(weights, grads, scales, found):
        torch.testing.assert_close(f, w + 0.5 * s * g)


def test_nothing_is_nothing_to_do():
    kernels.scale([], [], [], None)
    kernels.multiply([], [], [])
    kernels.add([], [], [], 1.0)
    kernels.add_in_scales([], [], [], 1.0)
    kernels.add_scaled([], [], [], [])
