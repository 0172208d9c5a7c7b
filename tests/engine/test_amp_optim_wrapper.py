import copy

import pytest
import torch
from mmengine.device import get_device
from mmengine.optim import AmpOptimWrapper
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from mmadasap.engine import AdaSAPOptimWrapper, AmpAdaSAPOptimWrapper, amp_optim_wrapper
from mmadasap.errors import UserError
from tests.toys import ToyClassifier, ToyData, make_runner, same, values

LINEAR = F.linear
SAM = dict(type='UniformRadius', rho=0.05)
SCALE = dict(init_scale=2.0**10, growth_interval=1000)


class Overflowing(ToyClassifier):
    """Multiplies its loss by the next of ``factors``."""

    def __init__(self, factors):
        super().__init__()
        self.factors = list(factors)

    def forward(self, inputs, labels=None, mode='tensor'):
        out = super().forward(inputs, labels, mode)
        return dict(loss=out['loss'] * self.factors.pop(0)) if mode == 'loss' else out


def wrapper_for(model, lr=0.1, **kwargs):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    return AmpAdaSAPOptimWrapper(optimizer=optimizer, **(dict(radius=SAM, loss_scale=dict(SCALE)) | kwargs))


def batch():
    data = ToyData()
    return dict(inputs=data.images, labels=data.labels)


def test_is_an_amp_wrapper_by_type_and_state(tmp_path):
    model = ToyClassifier()
    wrapper = wrapper_for(model)
    assert isinstance(wrapper, AmpOptimWrapper) and isinstance(wrapper, AdaSAPOptimWrapper)
    model.train_step(batch(), wrapper)
    state = wrapper.state_dict()
    assert state['loss_scaler']['scale'] == 2.0**10
    other = wrapper_for(model, loss_scale='dynamic')
    other.load_state_dict(state)
    assert other.loss_scaler.get_scale() == 2.0**10


@pytest.mark.skipif(get_device() != 'cpu', reason='about processors')
@pytest.mark.parametrize('native', [False, True])
def test_processors_without_bfloat16_multiply_in_float32(monkeypatch, native):
    monkeypatch.setattr(amp_optim_wrapper, 'has_bfloat16', lambda: native)
    multiplied = []

    class Noted(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            multiplied.extend([args[0].dtype, torch.is_autocast_enabled('cpu')] if func is LINEAR else [])
            return func(*args, **(kwargs or {}))

    model = ToyClassifier()
    wrapper = wrapper_for(model, radius=None)
    with Noted():
        model.train_step(batch(), wrapper)
    assert multiplied == ([torch.bfloat16, True] if native else [torch.float32, False])
    assert all(torch.isfinite(v).all() for v in values(model).values())


@pytest.mark.parametrize('factors', [[float('inf'), 1.0], [1.0, float('inf')], [float('nan'), float('nan')]])
@pytest.mark.parametrize('clip_grad', [None, dict(max_norm=1.0)])
def test_an_overflow_in_either_pass_skips_the_step_and_halves_the_scale_once(factors, clip_grad):
    model = Overflowing([*factors, 1.0, 1.0])
    wrapper = wrapper_for(model, clip_grad=clip_grad)
    before = values(model)
    model.train_step(batch(), wrapper)
    assert same(values(model), before)
    assert wrapper.loss_scaler.get_scale() == 2.0**9 and wrapper.skipped_steps == 1
    model.train_step(batch(), wrapper)
    assert not same(values(model), before)
    assert wrapper.loss_scaler.get_scale() == 2.0**9 and wrapper.skipped_steps == 1


def test_without_a_loss_scale_a_step_that_is_not_finite_is_skipped_as_well():
    model = Overflowing([1.0, float('nan'), 1.0, 1.0])
    wrapper = wrapper_for(model, loss_scale=dict(enabled=False))
    before = values(model)
    model.train_step(batch(), wrapper)
    assert same(values(model), before) and wrapper.skipped_steps == 1
    model.train_step(batch(), wrapper)
    assert not same(values(model), before) and all(torch.isfinite(v).all() for v in values(model).values())


def test_the_scale_grows_once_a_step():
    model = ToyClassifier()
    wrapper = wrapper_for(model, loss_scale=dict(init_scale=4.0, growth_interval=2))
    for expected in (4.0, 8.0, 8.0, 16.0):
        model.train_step(batch(), wrapper)
        assert wrapper.loss_scaler.get_scale() == expected


@pytest.mark.parametrize('radius', [SAM, dict(type='AdaptiveRadius', rho_min=0.01, rho_max=0.1, score='taylor')])
@pytest.mark.parametrize('asam', [False, True])
def test_a_power_of_two_as_loss_scale_changes_nothing(radius, asam):
    models, logged = [], []
    for scale in (1.0, 2.0**15):
        torch.manual_seed(0)
        model = ToyClassifier()
        wrapper = wrapper_for(model, radius=radius, asam=asam, loss_scale=scale)
        for _ in range(3):
            model.train_step(batch(), wrapper)
        models.append(values(model))
        logged.append([wrapper.message_hub.get_scalar(f'train/{name}').current() for name in (
            'grad_norm_at_w', 'grad_norm_at_w_eps', 'loss_at_w', 'loss_at_w_eps')])
    assert same(*models)
    assert logged[0] == pytest.approx(logged[1], rel=1e-6)


def test_the_second_pass_sees_the_perturbed_weights_under_autocast():
    # Radius large enough for bfloat16 to see; a cached low-precision copy of w would give the first loss again.
    model, losses = ToyClassifier(), []
    model.register_forward_hook(lambda module, args, out: losses.append((out['loss'].item(), out['loss'].dtype)))
    scores = []
    model.net.fc.register_forward_hook(lambda module, args, out: scores.append(out.dtype))
    model.train_step(batch(), wrapper_for(model, radius=dict(type='UniformRadius', rho=1.0)))
    assert losses[1][0] > losses[0][0]
    assert scores == [torch.bfloat16] * 2


def test_a_run_resumes_to_the_bit(tmp_path):
    wrapper = dict(type='mmadasap.AmpAdaSAPOptimWrapper', radius=SAM, dtype='bfloat16',
                   loss_scale=dict(init_scale=8.0, growth_interval=3))
    whole = values(make_runner(tmp_path / 'whole', copy.deepcopy(wrapper), epochs=3).train())
    make_runner(tmp_path / 'first', copy.deepcopy(wrapper), epochs=1).train()
    resumed = make_runner(tmp_path / 'second', copy.deepcopy(wrapper), epochs=3, resume=True,
                          load_from=str(tmp_path / 'first/epoch_1.pth')).train()
    assert same(values(resumed), whole)


@pytest.mark.skipif(get_device() != 'cpu', reason='about processors')
@pytest.mark.parametrize('loss_scale', [512, 'dynmic'])
def test_a_loss_scale_of_another_kind_is_refused(loss_scale):
    with pytest.raises(UserError, match=f'loss_scale={loss_scale!r}'):
        wrapper_for(ToyClassifier(), loss_scale=loss_scale)


@pytest.mark.skipif(get_device() != 'cpu', reason='about processors')
def test_a_type_that_processors_do_not_have_is_refused():
    with pytest.raises(UserError, match="dtype='float16'"):
        wrapper_for(ToyClassifier(), dtype='float16')


@pytest.mark.gpu
@pytest.mark.parametrize('factors', [[float('inf'), 1.0], [1.0, float('inf')]])
def test_an_overflow_on_a_device_skips_the_step(factors):
    model = Overflowing([*factors, 1.0, 1.0]).cuda()
    wrapper = wrapper_for(model, dtype='float16')
    data = {key: value.cuda() for key, value in batch().items()}
    before = values(model)
    model.train_step(data, wrapper)
    assert same(values(model), before) and wrapper.loss_scaler.get_scale() == 2.0**9
    model.train_step(data, wrapper)
    assert not same(values(model), before)
