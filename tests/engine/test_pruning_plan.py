import pytest
import torch

from mmadasap.engine import ChannelPruningHook
from mmadasap.errors import UserError
from tests.engine.hooks.test_channel_pruning_hook import SGD, pruning
from tests.toys import make_runner


@pytest.mark.parametrize('kwargs, message', [
    (dict(protect='net.stem'), r"protect='net.stem' must be several names; write \('net.stem', \)"),
    (dict(begin='2'), "whole numbers from 0, but begin='2'"),
    (dict(interval=1.5), 'interval=1.5 must be a whole number of iterations'),
    (dict(keep=0), 'keep=0'),
    (dict(keep=1.5), 'keep=1.5'),
    (dict(begin=3, end=3), 'begin=3 and end=3'),
])
def test_wrong_arguments_are_refused_at_construction(kwargs, message):
    settings = pruning(**kwargs)
    settings.pop('type')
    with pytest.raises(UserError, match=message):
        ChannelPruningHook(**settings)


@pytest.mark.parametrize('kwargs, message', [
    (dict(end=9), 'ends after epoch 9, but training has only 4'),
    (dict(interval=7), 'interval=7'),
    (dict(keep=0.001), 'budget of .* cannot be met.*raise the budget'),
    (dict(protect=['backbone.conv1']), "protect='backbone.conv1' is no module"),
])
def test_what_does_not_fit_the_run_is_refused_before_the_first_step(tmp_path, kwargs, message):
    runner = make_runner(tmp_path, SGD, [pruning(**kwargs)], epochs=4)
    with pytest.raises(UserError, match=message):
        runner.train()
    assert runner.iter == 0


def test_epochs_are_refused_where_training_counts_iterations(tmp_path):
    runner = make_runner(tmp_path, SGD, [pruning(0, 1)], train_cfg=dict(by_epoch=False, max_iters=8))
    with pytest.raises(UserError, match='begin=0 and end=1 count epochs, and training counts iterations'):
        runner.train()


def test_a_network_of_six_channels_whose_preprocessor_says_so_is_pruned(tmp_path):
    radar = dict(dataset=dict(type='ToyData', colors=6), batch_size=4, num_workers=0, sampler=dict(
        type='DefaultSampler', shuffle=True), collate_fn=dict(type='default_collate'))
    runner = make_runner(tmp_path, SGD, [pruning()], dict(colors=6), epochs=4, train_dataloader=radar)
    runner.model.data_preprocessor.register_buffer('mean', torch.zeros(6, 1, 1))
    assert runner.train().net.stem.out_channels < 8


def test_a_network_of_grey_images_is_pruned(tmp_path):
    grey = dict(dataset=dict(type='ToyData', colors=1), batch_size=4, num_workers=0, sampler=dict(
        type='DefaultSampler', shuffle=True), collate_fn=dict(type='default_collate'))
    model = make_runner(tmp_path, SGD, [pruning()], dict(colors=1), epochs=4, train_dataloader=grey).train()
    assert model.net.stem.in_channels == 1 and model.net.stem.out_channels < 8
