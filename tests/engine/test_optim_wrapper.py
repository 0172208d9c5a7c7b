import copy
import warnings

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmadasap.engine import AdaSAPOptimWrapper
from mmadasap.errors import UserError
from mmadasap.sharpness import UniformRadius
from tests.engine.quadratic import ADAPTIVE, SAM, Quadratic, one_step
from tests.toys import ToyClassifier, ToyData, make_runner, same, values


def test_sam_step_by_hand():
    # g = (3, 4), norm 5; w + eps = (3.3, 4.4); new w = (3, 4) - 0.1 (3.3, 4.4).
    model = Quadratic(3.0, 4.0)
    assert one_step(model, radius=dict(type='UniformRadius', rho=0.5)) == pytest.approx([2.67, 3.56], abs=1e-15)
    assert model.seen[0] == [3.0, 4.0]
    assert model.seen[1] == pytest.approx([3.3, 4.4], abs=1e-15)


def test_asam_step_by_hand():
    # T = |w| + 1 = (4, 5), T g = (12, 20), norm = sqrt(544); eps = 0.5 T^2 g / norm = 0.5 (48, 100) / norm.
    norm = 544**0.5
    model = Quadratic(3.0, 4.0)
    new = one_step(model, radius=dict(type='UniformRadius', rho=0.5), asam=True, eta=1.0)
    there = [3 + 24 / norm, 4 + 50 / norm]
    assert model.seen[1] == pytest.approx(there, abs=1e-15)
    assert new == pytest.approx([3 - 0.1 * there[0], 4 - 0.1 * there[1]], abs=1e-15)


def test_a_step_with_a_norm_for_each_neuron_by_hand():
    # Each neuron moves by its whole radius along the sign of its gradient: w + eps = (3.5, 4.1).
    model = Quadratic(3.0, 4.0)
    new = one_step(model, radius=dict(type='AdaptiveRadius', rho_min=0.1, rho_max=0.5), norm_scope='neuron')
    assert model.seen[1] == pytest.approx([3.5, 4.1], abs=1e-15)
    assert new == pytest.approx([3 - 0.35, 4 - 0.41], abs=1e-15)


def test_adaptive_step_by_hand():
    # The smaller neuron gets rho_max = 0.5, the larger one rho_min = 0.1: eps = (0.5 * 3, 0.1 * 4) / 5.
    model = Quadratic(3.0, 4.0)
    new = one_step(model, radius=dict(type='AdaptiveRadius', rho_min=0.1, rho_max=0.5))
    assert model.seen[1] == pytest.approx([3.3, 4.08], abs=1e-15)
    assert new == pytest.approx([3 - 0.33, 4 - 0.408], abs=1e-15)


def test_clipping_acts_on_the_second_gradient_alone():
    # The perturbed point is that of SAM without clipping; the gradient there (3.3, 4.4), norm 5.5, is cut to norm 1.
    model = Quadratic(3.0, 4.0)
    new = one_step(model, radius=dict(type='UniformRadius', rho=0.5), clip_grad=dict(max_norm=1.0))
    assert model.seen[1] == pytest.approx([3.3, 4.4], abs=1e-15)
    assert new == pytest.approx([3 - 0.06, 4 - 0.08], abs=1e-7)


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_a_gradient_that_is_not_finite_skips_the_step_whole(bad):
    model = Quadratic(3.0, 4.0)
    assert one_step(model, batch=(bad, 1.0), radius=SAM) == [3.0, 4.0]
    assert model.seen == [[3.0, 4.0], [3.0, 4.0]]


def test_a_zero_gradient_moves_nothing():
    model = Quadratic(3.0, 4.0)
    assert one_step(model, batch=(0.0, 0.0), radius=SAM) == [3.0, 4.0]


@pytest.mark.parametrize('dropout', [0.0, 0.5])
@pytest.mark.parametrize('accumulative_counts', [1, 2])
def test_radius_zero_is_the_plain_wrapper_to_the_bit(tmp_path, dropout, accumulative_counts):
    runs = {}
    for name, wrapper in dict(
            plain=dict(type='OptimWrapper'),
            zero=dict(type='mmadasap.AdaSAPOptimWrapper', radius=dict(type='UniformRadius', rho=0)),
            none=dict(type='mmadasap.AdaSAPOptimWrapper', radius=None)).items():
        wrapper = dict(wrapper, accumulative_counts=accumulative_counts, clip_grad=dict(max_norm=1.0))
        model = make_runner(tmp_path / name, wrapper, model=dict(dropout=dropout)).train()
        runs[name] = (values(model), model.loss_calls)
    assert same(runs['zero'][0], runs['plain'][0]) and same(runs['none'][0], runs['plain'][0])
    assert {name: calls for name, (_, calls) in runs.items()} == dict(plain=6, zero=12, none=6)


@pytest.mark.parametrize('radius', [SAM, ADAPTIVE])
@pytest.mark.parametrize('asam', [False, True])
def test_statistics_move_once_and_weights_return(radius, asam):
    torch.manual_seed(0)
    model = ToyClassifier()
    twin = copy.deepcopy(model)
    data = ToyData()
    batch = dict(inputs=data.images, labels=data.labels)
    wrapper = AdaSAPOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.0), radius=radius, asam=asam)
    before = values(model)
    model.train_step(batch, wrapper)
    twin.train_step(batch, OptimWrapper(torch.optim.SGD(twin.parameters(), lr=0.0)))
    after, expected = values(model), values(twin)
    assert same(after, expected)
    assert int(after['net.norm1.num_batches_tracked']) == 1
    assert not torch.equal(after['net.norm1.running_mean'], before['net.norm1.running_mean'])
    weights = dict(model.named_parameters())
    assert all(torch.equal(before[name], p) for name, p in weights.items())


def test_statistics_come_back_on_a_skipped_step():
    model = ToyClassifier()
    before = values(model)
    wrapper = AdaSAPOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), radius=SAM)
    data = ToyData()
    model.train_step(dict(inputs=data.images * float('nan'), labels=data.labels), wrapper)
    assert same(values(model), before) and wrapper.skipped_steps == 1
    model.train_step(dict(inputs=data.images, labels=data.labels), wrapper)
    assert not same(values(model), before) and wrapper.skipped_steps == 1


def test_frozen_layers_stay_and_the_rest_trains():
    model = ToyClassifier()
    for p in model.net.stem.parameters():
        p.requires_grad_(False)
    frozen = model.net.stem.weight.clone()
    wrapper = AdaSAPOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), radius=ADAPTIVE)
    data = ToyData()
    before = values(model)
    model.train_step(dict(inputs=data.images, labels=data.labels), wrapper)
    assert torch.equal(model.net.stem.weight, frozen)
    assert all(not torch.equal(p, before[name]) for name, p in model.named_parameters()
               if p.requires_grad and p.dim() > 1)


def test_asam_scores_neurons_by_the_gradient_itself():
    # w = (1, 3), g = (10, 3): |w g| = 10 > 9, so the first has the small radius. Of T g = (20, 12), with T = |w| + 1,
    # |w T g| = 20 < 36 would be the other way round.
    model = Quadratic(1.0, 3.0)
    radius = dict(type='AdaptiveRadius', rho_min=0.1, rho_max=0.5, score='taylor')
    one_step(model, (10.0, 1.0), radius=radius, asam=True, eta=1.0)
    norm = (20**2 + 12**2)**0.5
    assert model.seen[1] == pytest.approx([1 + 0.1 * 2 * 20 / norm, 3 + 0.5 * 4 * 12 / norm])


def test_a_new_radius_takes_effect_at_the_next_cycle():
    model = Quadratic(3.0, 4.0)
    wrapper = AdaSAPOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.0), radius=SAM, accumulative_counts=2)
    batch = dict(x=torch.ones(2, dtype=torch.float64))
    model.train_step(batch, wrapper)
    wrapper.radius = None
    model.train_step(batch, wrapper)
    assert len(model.seen) == 4
    model.train_step(batch, wrapper)
    model.train_step(batch, wrapper)
    assert len(model.seen) == 6


def test_switching_on_in_the_middle_of_a_cycle_waits_for_the_next():
    model = Quadratic(3.0, 4.0)
    wrapper = AdaSAPOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.0), radius=None, accumulative_counts=2)
    batch = dict(x=torch.ones(2, dtype=torch.float64))
    model.train_step(batch, wrapper)
    wrapper.radius = UniformRadius(0.05)
    model.train_step(batch, wrapper)
    assert len(model.seen) == 2
    model.train_step(batch, wrapper)
    model.train_step(batch, wrapper)
    assert len(model.seen) == 6


def test_a_radius_is_checked_and_built_where_it_is_assigned():
    model = Quadratic(3.0, 4.0)
    wrapper = AdaSAPOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), radius=None)
    wrapper.radius = dict(type='UniformRadius', rho=0.5)
    model.train_step(dict(x=torch.ones(2, dtype=torch.float64)), wrapper)
    assert model.seen[1] == pytest.approx([3.3, 4.4], abs=1e-15)
    with pytest.raises(UserError, match='radius=0.05 is no policy'):
        wrapper.radius = 0.05


@pytest.mark.parametrize('kwargs, message', [
    (dict(radius=dict(type='UniformRadius', rho=-1)), 'rho=-1'),
    (dict(radius=dict(type='AdaptiveRadius', rho_min=0.2, rho_max=0.1)), 'rho_min=0.2'),
    (dict(radius=dict(type='AdaptiveRadius', rho_min=0.1, rho_max=0.2, score='l1')), "score='l1'"),
    (dict(radius=SAM, norm_scope='row'), "norm_scope='row'"),
    (dict(radius=SAM, eta=-0.1), 'eta=-0.1'),
    (dict(radius=SAM, ddp_sync='all'), "ddp_sync='all'"),
    (dict(radius=SAM, interval=0), 'interval=0'),
    (dict(radius=SAM, interval=1.5), 'interval=1.5'),
    (dict(radius=SAM, reuse_scale=-1), 'reuse_scale=-1'),
    (dict(radius=SAM, ascent_fraction=0), 'ascent_fraction=0'),
    (dict(radius=SAM, ascent_fraction=1.5), 'ascent_fraction=1.5'),
])
def test_wrong_arguments_are_refused(kwargs, message):
    with pytest.raises(UserError, match=message):
        AdaSAPOptimWrapper(torch.optim.SGD([nn.Parameter(torch.ones(1, 1))], lr=0.1), **kwargs)


def test_a_radius_without_neurons_is_refused_at_construction():
    norm = nn.BatchNorm2d(4)
    with pytest.raises(UserError, match='needs neurons.*in place of FSDP'):
        AdaSAPOptimWrapper(torch.optim.SGD(norm.parameters(), lr=0.1), radius=SAM)
    AdaSAPOptimWrapper(torch.optim.SGD(norm.parameters(), lr=0.1), radius=None)


@pytest.mark.parametrize('bad', [False, True])
def test_what_the_optimizer_does_not_train_takes_no_part(bad):
    torch.manual_seed(0)
    model, data = ToyClassifier(), ToyData()
    rest = [p for name, p in model.named_parameters() if not name.startswith('net.stem')]
    wrapper = AdaSAPOptimWrapper(torch.optim.SGD(rest, lr=0.1), radius=SAM)
    seen = []
    model.register_forward_pre_hook(lambda module, args: seen.append(module.net.stem.weight.clone()))
    images = data.images * float('nan') if bad else data.images
    model.train_step(dict(inputs=images, labels=data.labels), wrapper)
    model.train_step(dict(inputs=data.images, labels=data.labels), wrapper)
    assert all(torch.equal(weight, seen[0]) for weight in seen) and wrapper.skipped_steps == int(bad)


@pytest.mark.gpu
@pytest.mark.parametrize('radius', [SAM, ADAPTIVE])
def test_a_step_on_a_device_is_the_processors_step(radius):
    torch.manual_seed(0)
    model, data = ToyClassifier(), ToyData()
    twin = copy.deepcopy(model).cuda()
    for m, device in ((model, 'cpu'), (twin, 'cuda')):
        wrapper = AdaSAPOptimWrapper(torch.optim.SGD(m.parameters(), lr=0.1), radius=radius)
        m.train_step(dict(inputs=data.images.to(device), labels=data.labels.to(device)), wrapper)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(twin.state_dict()[name].cpu(), value, rtol=1e-4, atol=1e-5)


@pytest.mark.gpu
def test_on_a_device_a_step_waits_twice_and_holds_one_copy_of_the_weights():
    peaks, size = {}, 0
    for name, radius in dict(sgd=None, sam=SAM).items():
        torch.cuda.empty_cache()
        model = nn.Sequential(*(nn.Linear(1024, 1024) for _ in range(8))).cuda()
        size = sum(p.numel() * p.element_size() for p in model.parameters())
        wrapper = AdaSAPOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), radius=radius)
        model.forward = lambda x, mode='tensor', net=model: dict(loss=nn.Sequential.forward(net, x).square().mean())
        model.parse_losses = lambda losses: (losses['loss'], losses)
        for step in range(3):
            torch.cuda.reset_peak_memory_stats()
            with wrapper.optim_context(model):
                loss = model(torch.ones(1, 1024, device='cuda'), mode='loss')['loss']
            torch.cuda.set_sync_debug_mode('warn' if step else 'default')
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter('always')
                wrapper.update_params(loss)
            torch.cuda.set_sync_debug_mode('default')
        assert len([w for w in caught if 'synchroniz' in str(w.message)]) <= 2
        peaks[name] = torch.cuda.max_memory_allocated()
    assert peaks['sam'] - peaks['sgd'] <= 1.1 * size
