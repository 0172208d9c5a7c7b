import pytest
import torch
from torch import nn

from mmadasap.errors import UserError
from mmadasap.sharpness import collect_neurons, trace_norms


class Toy(nn.Module):

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.late_norm = nn.BatchNorm2d(4)
        self.scale = nn.Parameter(torch.ones(()))
        self.fc = nn.Linear(4, 2, bias=False)

    def forward(self, x):
        x = self.norm(self.conv(x)).relu()
        return self.fc(self.late_norm(x).mean((2, 3)) * self.scale)


def neurons_of(model):
    with trace_norms(model) as followers:
        model(torch.randn(2, 3, 5, 5))
    return collect_neurons(model, followers)


def ids(tensors):
    return [id(t) for t in tensors]


def test_a_neuron_owns_its_bias_and_the_norm_that_follows():
    model = Toy()
    neurons = neurons_of(model)
    conv, fc = neurons.layers
    assert conv.weight is model.conv.weight and fc.weight is model.fc.weight
    assert ids(conv.vectors) == ids([model.conv.bias, model.norm.weight, model.norm.bias])
    assert conv.is_bias == (True, False, True)
    assert fc.vectors == ()


def test_tensors_no_neuron_owns_are_the_rest_and_none_is_lost():
    model = Toy()
    neurons = neurons_of(model)
    assert set(ids(neurons.others)) == set(ids([model.late_norm.weight, model.late_norm.bias, model.scale]))
    assert sorted(ids(neurons.tensors())) == sorted(ids(model.parameters()))
    assert len(neurons.bias_flags()) == len(neurons.tensors())


class Levels(nn.Module):
    """One conv for two levels, each with a norm of its own, which share gamma and beta."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(4), nn.BatchNorm2d(4)])
        self.norms[1].weight, self.norms[1].bias = self.norms[0].weight, self.norms[0].bias

    def forward(self, x):
        return sum(norm(self.conv(x)) for norm in self.norms)


def test_a_parameter_that_norms_share_appears_once():
    model = Levels()
    (conv, ) = neurons_of(model).layers
    assert ids(conv.vectors) == ids([model.conv.bias, model.norms[0].weight, model.norms[0].bias])
    assert conv.is_bias == (True, False, True)


@pytest.mark.parametrize('inplace', [False, True])
def test_a_norm_after_an_activation_is_nobodys(inplace):
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace), nn.BatchNorm2d(4))
    neurons = neurons_of(model)
    assert ids(neurons.layers[0].vectors) == ids([model[0].bias])
    assert ids(neurons.others) == ids(model[2].parameters())


def test_frozen_tensors_take_no_part():
    model = Toy()
    model.conv.weight.requires_grad_(False)
    neurons = neurons_of(model)
    model(torch.randn(2, 3, 5, 5)).sum().backward()
    part = neurons.with_gradient()
    assert [layer.weight for layer in part.layers] == [model.fc.weight]
    assert id(model.conv.weight) not in ids(part.tensors())
    assert id(model.conv.bias) in ids(part.others)


def test_layers_of_a_teacher_in_inference_mode_are_passed_over():
    model, teacher = Toy(), Toy()
    model.teacher = teacher

    def run(x):
        with torch.inference_mode():
            teacher(x)
        return Toy.forward(model, x)

    with trace_norms(model) as followers:
        run(torch.randn(2, 3, 5, 5))
    assert list(followers) == [model.conv]


def test_hooks_are_gone_after_tracing():
    model = Toy()
    neurons_of(model)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_model_without_layers_is_refused():
    with pytest.raises(UserError, match='BatchNorm2d has no Conv and no Linear'):
        collect_neurons(nn.BatchNorm2d(3), {})
