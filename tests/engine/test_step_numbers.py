"""What the wrapper tells of its steps, and how often it waits for the device to tell it."""

import pytest
import torch
from mmengine.logging import MessageHub
from torch.utils._python_dispatch import TorchDispatchMode

from mmadasap.engine import AdaSAPOptimWrapper
from tests.engine.quadratic import ADAPTIVE, SAM, Quadratic, one_step
from tests.toys import ToyClassifier, ToyData, make_runner


def test_the_number_of_skipped_steps_is_kept():
    model = Quadratic(3.0, 4.0)
    wrappers = [AdaSAPOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.0), radius=SAM) for _ in range(2)]
    model.train_step(dict(x=torch.tensor([float('nan'), 1.0], dtype=torch.float64)), wrappers[0])
    wrappers[1].load_state_dict(wrappers[0].state_dict())
    assert wrappers[1].skipped_steps == 1


def test_the_logged_norms_are_those_of_gradients_for_asam_and_reused_directions_too(tmp_path):
    hub = MessageHub.get_instance(f'norms-{tmp_path.name}')
    for kwargs, steps in ((dict(asam=True, eta=1.0), 1), (dict(interval=2), 2)):
        model = Quadratic(3.0, 4.0)
        wrapper = AdaSAPOptimWrapper(
            torch.optim.SGD(model.parameters(), lr=0.0), radius=dict(type='UniformRadius', rho=0.5), **kwargs)
        for _ in range(steps):
            model.train_step(dict(x=torch.tensor([1.0, 2.0], dtype=torch.float64)), wrapper)
            assert hub.get_scalar('train/grad_norm_at_w').current() == pytest.approx((9 + 64)**0.5)


def test_numbers_of_the_step_are_in_the_message_hub(tmp_path):
    # g = (3, 4), norm 5; losses 12.5 and (3.3^2 + 4.4^2) / 2 = 15.125.
    hub = MessageHub.get_instance(f'numbers-{tmp_path.name}')
    MessageHub._instance_dict.move_to_end(hub.instance_name)
    model = Quadratic(3.0, 4.0)
    one_step(model, radius=dict(type='UniformRadius', rho=0.5))
    logged = {key: buffer.current() for key, buffer in hub.log_scalars.items()}
    assert logged == pytest.approx({
        'train/rho_min': 0.5, 'train/rho_mean': 0.5, 'train/rho_max': 0.5, 'train/grad_norm_at_w': 5,
        'train/grad_norm_at_w_eps': 5.5, 'train/loss_at_w': 12.5, 'train/loss_at_w_eps': 15.125,
        'train/sharpness': 2.625, 'train/skipped_steps': 0})


def test_after_the_last_sharpness_aware_step_its_numbers_are_gone(tmp_path):
    hub = MessageHub.get_instance(f'gone-{tmp_path.name}')
    MessageHub._instance_dict.move_to_end(hub.instance_name)
    model, batch = Quadratic(3.0, 4.0), dict(x=torch.ones(2, dtype=torch.float64))
    wrapper = AdaSAPOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), radius=SAM)
    model.train_step(batch, wrapper)
    wrapper.radius = None
    hub.update_scalar('train/loss', 1.0)
    model.train_step(batch, wrapper)
    assert hub.log_scalars.keys() == {'train/loss'}
    # A run that is resumed after them finds them in its hub.
    hub.update_scalar('train/rho_mean', 1.0)
    model.train_step(batch, AdaSAPOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), radius=None))
    assert hub.log_scalars.keys() == {'train/loss'}


def test_histories_of_these_numbers_stay_short(monkeypatch, tmp_path):
    monkeypatch.setattr('mmadasap.engine.step_log.HISTORY', 4)
    wrapper = dict(type='mmadasap.AdaSAPOptimWrapper', radius=SAM)
    runner = make_runner(tmp_path, wrapper, epochs=3)
    runner.train()
    lengths = {key: len(buffer.data[0]) for key, buffer in runner.message_hub.log_scalars.items()}
    assert lengths['train/sharpness'] == lengths['train/rho_mean'] == 4 and lengths['train/loss'] == 9


def test_two_synchronisations_a_step_whatever_the_depth(monkeypatch):
    from mmadasap.engine import optim_wrapper
    reads = []

    class Count(TorchDispatchMode):

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func.name().startswith('aten::_local_scalar_dense'):
                reads.append('scalar')
            return func(*args, **(kwargs or {}))

    read_numbers = optim_wrapper.read_numbers
    monkeypatch.setattr(optim_wrapper, 'read_numbers', lambda *t: (reads.append('together'), read_numbers(*t))[1])
    data = ToyData()
    for kwargs, expected in ((dict(radius=SAM, asam=True), [2, 2]), (dict(radius=ADAPTIVE, asam=True), [2, 2]),
                             (dict(radius=SAM, interval=2), [2, 1]), (dict(radius=SAM, ascent_fraction=0.5), [2, 2])):
        model, counts = ToyClassifier(), []
        wrapper = AdaSAPOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), **kwargs)
        for _ in range(2):
            with wrapper.optim_context(model):
                loss = model(inputs=data.images, labels=data.labels, mode='loss')['loss']
            reads.clear()
            with Count():
                wrapper.update_params(loss)
            counts.append(len(reads))
            assert 'scalar' not in reads
        assert counts == expected
