import pytest
import torch
from torch import nn

from mmadasap.sharpness import (
    AdaptiveRadius,
    NeuronLayer,
    Neurons,
    Perturbation,
    TensorBackup,
    UniformRadius,
    global_norm,
    read_numbers,
)


def toy():
    """One layer of two neurons, w = (3, 4), b = (1, 0), with gradients (0.6, 0) and (0.8, 0): norm 1."""
    weight, bias = nn.Parameter(torch.tensor([[3.], [4.]])), nn.Parameter(torch.tensor([1., 0.]))
    weight.grad, bias.grad = torch.tensor([[0.6], [0.]]), torch.tensor([0.8, 0.])
    return Neurons((NeuronLayer(weight, (bias, ), (True, )), ), (), ())


def perturb(neurons, policy, eta=None, norm_scope='global'):
    """eps of every tensor, found by climbing and coming back."""
    tensors = neurons.tensors()
    before = [t.detach().clone() for t in tensors]
    weights = [layer.weight for layer in neurons.layers]
    perturbation = Perturbation(eta, norm_scope)
    with torch.no_grad():
        radii = policy(weights, [w.grad for w in weights])
        perturbation.climb(neurons, radii, perturbation.norm(neurons).item())
        eps = [t - b for t, b in zip(tensors, before)]
    perturbation.come_back()
    assert all(torch.equal(t, b) for t, b in zip(tensors, before))
    return eps


def test_sam_by_hand():
    weight, bias = perturb(toy(), UniformRadius(0.5))
    torch.testing.assert_close(weight, torch.tensor([[0.3], [0.]]))
    torch.testing.assert_close(bias, torch.tensor([0.4, 0.]))


def test_asam_by_hand():
    # T = 3 + 1 on the first weight and 1 on biases: T g = 2.4, 0.8; eps = 0.5 T (T g) / sqrt(2.4^2 + 0.8^2).
    norm = (2.4**2 + 0.8**2)**0.5
    weight, bias = perturb(toy(), UniformRadius(0.5), eta=1.0)
    torch.testing.assert_close(weight, torch.tensor([[0.5 * 4 * 2.4 / norm], [0.]]))
    torch.testing.assert_close(bias, torch.tensor([0.5 * 0.8 / norm, 0.]))


def test_adaptive_radius_by_hand():
    # |w| = 3 < 4, so the first neuron has rho_max = 0.5 for its weight and its bias.
    weight, bias = perturb(toy(), AdaptiveRadius(0.1, 0.5))
    torch.testing.assert_close(weight, torch.tensor([[0.3], [0.]]))
    torch.testing.assert_close(bias, torch.tensor([0.4, 0.]))


def test_adaptive_radius_with_asam_by_hand():
    # As above, with rho_max = 0.5 on the first neuron: weight 0.5 T^2 g = 0.5 * 16 * 0.6, bias 0.5 * 0.8.
    norm = (2.4**2 + 0.8**2)**0.5
    weight, bias = perturb(toy(), AdaptiveRadius(0.1, 0.5), eta=1.0)
    torch.testing.assert_close(weight, torch.tensor([[0.5 * 16 * 0.6 / norm], [0.]]))
    torch.testing.assert_close(bias, torch.tensor([0.5 * 0.8 / norm, 0.]))


def test_constant_radius_under_the_global_norm_is_sam_on_random_tensors():
    torch.manual_seed(0)
    w, b, loose = (nn.Parameter(torch.randn(s)) for s in ((4, 3, 2, 2), (4, ), (5, )))
    for p in (w, b, loose):
        p.grad = torch.randn_like(p)
    grads = [p.grad.clone() for p in (w, b, loose)]
    eps = perturb(Neurons((NeuronLayer(w, (b, ), (True, )), ), (loose, ), (False, )), AdaptiveRadius(0.3, 0.3))
    norm = torch.cat([g.flatten() for g in grads]).norm()
    for e, g in zip(eps, grads):
        torch.testing.assert_close(e, 0.3 * g / norm)


def test_neuron_scope_gives_every_neuron_its_whole_radius():
    torch.manual_seed(0)
    w, b = nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(4))
    w.grad, b.grad = torch.randn(4, 3), torch.randn(4)
    w.grad[2], b.grad[2] = 0, 0
    loose = nn.Parameter(torch.randn(5))
    loose.grad = torch.randn(5)
    eps_w, eps_b, eps_loose = perturb(
        Neurons((NeuronLayer(w, (b, ), (True, )), ), (loose, ), (False, )), UniformRadius(0.7), norm_scope='neuron')
    sizes = (eps_w.square().sum(1) + eps_b.square()).sqrt()
    torch.testing.assert_close(sizes, torch.tensor([0.7, 0.7, 0.0, 0.7]))
    torch.testing.assert_close(eps_loose.norm(), torch.tensor(0.7))


@pytest.mark.parametrize('policy', [UniformRadius(0.5), AdaptiveRadius(0.1, 0.5)])
@pytest.mark.parametrize('norm_scope', ['global', 'neuron'])
@pytest.mark.parametrize('eta', [None, 0.01])
def test_a_zero_gradient_gives_no_perturbation(policy, norm_scope, eta):
    neurons = toy()
    for t in neurons.tensors():
        t.grad.zero_()
    for e in perturb(neurons, policy, eta, norm_scope):
        assert torch.equal(e, torch.zeros_like(e))


@pytest.mark.parametrize('eta', [None, 0.01])
def test_return_is_bit_exact_and_leaves_the_memory_of_w_alone(eta):
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.randn(50, 1) * 10.0**k) for k in range(-1, 2)]
    neurons = Neurons(tuple(NeuronLayer(w, (), ()) for w in weights), (), ())
    before = [(w.detach().clone(), w.data_ptr()) for w in weights]
    perturbation = Perturbation(eta, 'global')
    for _ in range(2):
        for w in weights:
            w.grad = torch.randn_like(w)
        perturbation.climb(neurons, UniformRadius(1.0)(weights, []), perturbation.norm(neurons).item())
        assert not any(torch.equal(w, b) for w, (b, _) in zip(weights, before))
        perturbation.come_back()
        perturbation.come_back()
        assert all(torch.equal(w, b) and w.data_ptr() == p for w, (b, p) in zip(weights, before))


def test_backup_follows_shapes_that_change():
    backup, tensor = TensorBackup(), torch.ones(4)
    backup.save([tensor])
    smaller = torch.full((2, ), 3.)
    backup.save([smaller])
    smaller.zero_()
    backup.restore()
    assert torch.equal(smaller, torch.full((2, ), 3.))


def test_norm_of_a_gradient_that_is_not_finite_is_not_finite():
    assert not torch.isfinite(global_norm([torch.ones(3), torch.tensor([float('nan')])]))
    assert not torch.isfinite(global_norm([torch.ones(3), torch.tensor([float('inf')])]))


def test_numbers_are_read_together():
    assert read_numbers(torch.tensor(1.5), torch.tensor([2.0, 3.0], dtype=torch.float64)) == [1.5, 2.0, 3.0]
