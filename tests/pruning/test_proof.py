"""What a trace takes for whole channels and is none: protected with a reason, the rest prunable."""
import copy

import pytest
import torch
from mmcv.cnn import build_conv_layer
from torch import nn

from mmadasap.pruning import TraceError, find_groups, trace_groups
from mmadasap.pruning.proof import REASON
from tests.toys import same, values


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def call(model, x):
    return model(x)


class Mixing(nn.Module):
    """conv a -> something between channels -> conv b -> conv c -> conv d."""

    def __init__(self, between, width=8):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 1), nn.Conv2d(width, 6, 1)
        self.c, self.d = nn.Conv2d(6, 6, 1), nn.Conv2d(6, 2, 1)
        self.between = between

    def forward(self, x):
        return self.d(self.c(self.b(self.between(self.a(x))).relu()).relu())


def shuffle(x):
    n, c, h, w = x.shape
    return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def halves(x):
    first, second = x.chunk(2, 1)
    return first * second.sigmoid()


MIXING = dict(
    chunk=(halves, 4), slices=(lambda x: x[:, :4] + x[:, 4:], 4), shuffle=(shuffle, 8),
    pixel_shuffle=(nn.PixelShuffle(2), 2), softmax=(nn.Softmax(1), 8), mean=(lambda x: x * x.mean(1, keepdim=True), 8),
    layer_norm=(nn.LayerNorm((8, 8, 8), elementwise_affine=False), 8))


def reasons(groups):
    return {g.name: g.protected for g in groups}


@pytest.mark.parametrize('between', MIXING)
def test_channels_that_are_split_mixed_or_reordered_stay(between):
    model, x = Mixing(*MIXING[between]), torch.zeros(1, 3, 8, 8)
    assert trace_groups(model, x, call)
    found = reasons(find_groups(model, x, call))
    assert found['a'] is not None and found['b'] is found['c'] is None


@pytest.mark.parametrize('kind', ['ConvWS', 'ConvAWS'])
def test_convolutions_that_compute_their_weights_stay(kind):
    model = Mixing(nn.ReLU())
    model.b = build_conv_layer(dict(type=kind), 8, 6, 1)
    found = reasons(find_groups(model, torch.zeros(1, 3, 8, 8), call))
    assert REASON in (found['a'], found['b']) and found['c'] is None


def test_what_is_zero_at_the_beginning_hides_nothing():
    model = Mixing(shuffle)
    for layer in (model.b, model.d):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    assert reasons(find_groups(model, torch.zeros(1, 3, 8, 8), call))['a'] == REASON


@pytest.mark.parametrize('width', [2, 4])
def test_narrow_groups_are_tried_too(width):
    model = Mixing(halves, width // 2)
    model.a = nn.Conv2d(3, width, 1)
    assert reasons(find_groups(model, torch.zeros(1, 3, 8, 8), call))['a'] == REASON


def test_a_tiny_factor_hides_nothing():

    class Scaled(Mixing):

        def __init__(self):
            super().__init__(nn.ReLU())
            self.gamma = nn.Parameter(torch.full((), 1e-6))

        def forward(self, x):
            x = self.a(x)
            return self.d(self.b(x + self.gamma * shuffle(x)))

    assert reasons(find_groups(Scaled(), torch.zeros(1, 3, 8, 8), call))['a'] == REASON


def test_channels_that_are_masked_already_do_no_harm():
    layers = [layer for _ in range(5) for layer in (nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6), nn.ReLU())]
    model, x = nn.Sequential(nn.Conv2d(3, 6, 1), *layers, nn.Conv2d(6, 2, 1)), torch.zeros(1, 3, 8, 8)
    for layer in layers:
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
                tensor.data[:3] = 0

    def forward(model, x):
        return model(x).exp()

    assert not any(g.protected for g in find_groups(model, x, forward) if not g.leaves)


def test_layers_that_autograd_does_not_follow_leave_the_others_prunable():

    def forward(model, x):
        with torch.no_grad():
            x = model.a(x)
        return model.d(model.c(model.b(x)))

    assert reasons(find_groups(Mixing(nn.ReLU()), torch.zeros(1, 3, 8, 8), forward)) == dict(
        b=None, c=None, d='d is an output of the network')


def test_sound_groups_are_those_of_the_trace_and_nothing_is_touched():
    model, x = Mixing(nn.Sequential(nn.BatchNorm2d(8, affine=False), nn.ReLU())), torch.zeros(1, 3, 8, 8)
    before, state = values(copy.deepcopy(model)), torch.get_rng_state()
    found, wanted = (reasons(find(model, x, call)) for find in (find_groups, trace_groups))
    assert found == wanted and found['a'] is None
    assert same(values(model), before) and torch.equal(torch.get_rng_state(), state) and model.training


def test_operations_for_single_precision_alone_are_tried_in_it():

    def only_float(x):
        if x.dtype != torch.float32:
            raise RuntimeError('not implemented for Double')
        return x.relu()

    for between, protected in ((only_float, None), (lambda x: shuffle(only_float(x)), REASON)):
        assert reasons(find_groups(Mixing(between), torch.zeros(1, 3, 8, 8), call))['a'] == protected


def test_where_no_one_group_is_to_blame_the_model_is_refused():
    # Networks that compute something else at every call agree with nothing, not even with themselves.
    calls = []

    def forward(model, x):
        calls.append(x)
        return model(x) + len(calls)

    with pytest.raises(TraceError, match='no one group of channels is to blame'):
        find_groups(Mixing(nn.ReLU()), torch.zeros(1, 3, 8, 8), forward)


def test_a_copy_that_does_not_run_is_told():

    class Fussy(Mixing):

        def forward(self, x):
            if x.min() < 0:
                raise RuntimeError('images are not negative')
            return super().forward(x)

    with pytest.raises(TraceError, match='A copy of Fussy does not run .*RuntimeError: images are not negative'):
        find_groups(Fussy(nn.ReLU()), torch.zeros(1, 3, 8, 8), call)
