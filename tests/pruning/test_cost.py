import pytest
import torch
from torch import nn

from mmadasap.pruning import (
    COSTS,
    NetworkCost,
    count_parameters,
    full_channels,
    slim,
    tensor_cuts,
    trace_groups,
    trace_layers,
)
from tests.toys import ResidualNet


def call(model, x):
    return model(x)


def costs_of(model, size=8):
    x = torch.randn(1, 3, size, size)
    groups, layers = trace_groups(model, x, call), trace_layers(model, x, call)
    return groups, {name: NetworkCost(layers, groups, cost) for name, cost in COSTS.items()}


def test_costs_by_hand():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 2))
    groups, costs = costs_of(net)
    kept = full_channels(groups)
    # Conv: 4 * 3 * 9 weights and 4 biases at 16 positions; norm 8; linear 2 * 64 + 2.
    assert costs['parameters'](kept) == 4 * 27 + 4 + 8 + 130
    assert costs['macs'](kept) == 4 * 27 * 16 + 128
    assert costs['channels'](kept) == 6
    # One of four channels gone: 3 filters, 48 inputs of the linear layer.
    kept['0'][1] = False
    assert costs['parameters'](kept) == 3 * 27 + 3 + 6 + 98
    assert costs['macs'](kept) == 3 * 27 * 16 + 96
    assert costs['channels'](kept) == 5


def test_predicted_parameters_are_those_of_the_slim_network():
    model = ResidualNet()
    groups, costs = costs_of(model)
    assert costs['parameters'](full_channels(groups)) == count_parameters(model)
    kept = full_channels(groups)
    for group in groups:
        if group.protected is None:
            kept[group.name][::2] = False
    predicted = costs['parameters'](kept), costs['macs'](kept), costs['channels'](kept)
    slim(model, tensor_cuts(model, groups, kept))
    assert predicted[0] == count_parameters(model)
    groups, costs = costs_of(model)
    whole = full_channels(groups)
    assert predicted == (costs['parameters'](whole), costs['macs'](whole), costs['channels'](whole))


def test_a_layer_used_twice_counts_twice():

    class Shared(nn.Module):

        def __init__(self):
            super().__init__()
            self.head = nn.Conv2d(3, 2, 1, bias=False)

        def forward(self, x):
            return self.head(x), self.head(x[:, :, ::2, ::2])

    _, costs = costs_of(Shared())
    assert costs['macs'].by_layer({}) == {'head': 6 * (64 + 16)}


class Regions(nn.Module):
    """A second stage: five regions of an image as rows."""

    def __init__(self):
        super().__init__()
        self.conv, self.head, self.fc = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 6, 3, padding=1, bias=False), nn.Linear(24, 2)

    def forward(self, x):
        regions = self.conv(x)[:, :, :2, :2].repeat(5, 1, 1, 1)
        return self.fc(self.head(regions).relu().flatten(1)).sigmoid()


@pytest.mark.parametrize('images', [1, 2])
def test_every_region_of_an_image_counts(images):
    layers = {s.name: s for s in trace_layers(Regions(), torch.randn(images, 3, 4, 4), call)}
    assert [layers[n].positions for n in ('conv', 'head', 'fc')] == [16, 5 * 4, 5]
    # Below each other, so that one image's operation computes all of them.
    found = {n: [(o.kind, o.size) for o in s.operations] for n, s in layers.items()}
    assert found == dict(conv=[('conv', (4, 4))], head=[('conv', (10, 2)), ('relu', (10, 2))],
                         fc=[('linear', (5, 1)), ('sigmoid', (5, 1))])


def test_total_adds_what_lies_outside_the_layers():
    model = ResidualNet()
    x = torch.randn(1, 3, 8, 8)
    groups, layers = trace_groups(model, x, call), trace_layers(model, x, call)
    cost = NetworkCost(layers, groups, COSTS['parameters'], total=count_parameters(model) + 100)
    assert cost(full_channels(groups)) == pytest.approx(count_parameters(model) + 100)
