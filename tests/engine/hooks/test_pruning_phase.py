"""When the pruning phase ends, whatever becomes of epochs, and what then begins anew."""
from itertools import islice

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmengine.hooks import Hook

from mmadasap.sharpness import UniformRadius
from tests.engine.hooks.test_channel_pruning_hook import SAM, SGD, UNIFORM, VALIDATION, Watch, hook_of, pruning
from tests.toys import make_runner


@pytest.mark.parametrize('batch_size', [1, 4], ids=['a half', 'twice'])
def test_a_phase_counted_in_epochs_ends_with_its_epoch_on_other_devices(tmp_path, batch_size):
    """As many batches an epoch as half or twice the devices would have, from the middle of the phase on."""
    hooks = [pruning(begin=1, end=5), UNIFORM]
    make_runner(tmp_path, SAM, hooks, epochs=5, batch_size=2).train()
    again = make_runner(tmp_path / 'again', SAM, hooks, epochs=6, batch_size=batch_size, resume=True,
                        load_from=str(tmp_path / 'epoch_3.pth'))
    watch = Watch()
    again.register_hook(watch)
    again.train()
    assert [torch.load(tmp_path / f'again/epoch_{e}.pth')['channel_pruning']['channels'] is None
            for e in (4, 5, 6)] == [True, False, False]
    # The network in the middle of the phase is not the dense one, and never grows back.
    assert len(watch.live) == 3 * 12 // batch_size and watch.live[0] < 6
    assert sorted(watch.live, reverse=True) == watch.live and again.optim_wrapper.radius == UniformRadius(0.05)


class OneShort(DefaultSampler):
    """Gives a batch less than its length says, as samplers by aspect ratio may that drop what is left over."""

    def __iter__(self):
        return islice(super().__iter__(), len(self) - 4)


@pytest.mark.parametrize('counts', [1, 2], ids=['plain', 'accumulating'])
def test_epochs_cut_short_lose_no_pruning_step(tmp_path, counts):
    loader = dict(dataset=dict(type='ToyData'), batch_size=4, num_workers=0, sampler=dict(
        type=OneShort, shuffle=False), collate_fn=dict(type='default_collate'))
    hooks = [pruning(begin=1, end=4, interval=3), UNIFORM]
    runner = make_runner(tmp_path, dict(SAM, accumulative_counts=counts), hooks, epochs=4, train_dataloader=loader)
    runner.train()
    assert runner.iter == 4 * 2 and (tmp_path / 'slim.py').exists()
    assert runner.optim_wrapper.radius == UniformRadius(0.05)
    assert torch.load(tmp_path / 'epoch_4.pth')['channel_pruning']['channels'] == hook_of(runner).channels is not None


def test_the_slim_config_lies_in_the_folder_of_a_run_resumed_after_surgery(tmp_path):
    make_runner(tmp_path / 'a', SGD, [pruning()], epochs=4).train()
    make_runner(tmp_path / 'b', SGD, [pruning()], epochs=5, resume=True, load_from=str(
        tmp_path / 'a/epoch_4.pth')).train()
    assert Config.fromfile(tmp_path / 'b/slim.py').model == Config.fromfile(tmp_path / 'a/slim.py').model


def test_a_learning_rate_that_follows_scores_looks_for_those_of_the_slim_network(tmp_path):
    schedule = dict(type='ReduceOnPlateauLR', monitor='accuracy', rule='greater', patience=0, by_epoch=True)
    runner = make_runner(tmp_path, SGD, [pruning()], epochs=5, param_scheduler=schedule, **VALIDATION)
    rates = []

    class Rates(Hook):
        priority = 'LOWEST'

        def after_val_epoch(self, runner, metrics=None):
            rates.append(runner.optim_wrapper.optimizer.param_groups[0]['lr'])

    runner.register_hook(Rates())
    runner.train()
    # Accuracy falls: every validation but the first of the dense and the first of the slim network is worse; after the
    # last epoch there is no schedule.
    assert rates == pytest.approx([0.05, 0.005, 0.005, 0.0005, 0.0005])
