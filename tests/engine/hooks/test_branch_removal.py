"""Training runs in which a residual branch is removed go on: resumed, averaged, with their optimizer's groups."""
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner
from torch import nn

from mmadasap.pruning.branches import IdentityPath
from tests.engine.hooks.test_channel_pruning_hook import SGD, hook_of, pruning
from tests.toy_detector import detector_loader, toy_detector
from tests.toys import make_runner, same, values

BLOCK = 'backbone.layer1.1'
OPTIMIZER = dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=1e-3)


class Worthless(Hook):
    """Makes the channels within the branch worth nothing."""

    def before_train(self, runner):
        if runner.iter == 0:
            nn.init.constant_(runner.model.get_submodule(f'{BLOCK}.conv1').weight, 1e-9)


def detector_runner(folder, wrapper, hooks, **kwargs):
    return make_runner(
        folder, dict(wrapper, optimizer=OPTIMIZER), hooks, toy_detector(), train_dataloader=detector_loader(),
        default_scope='mmdet', **(dict(epochs=5) | kwargs))


def train(folder, hooks=(), wrapper=SGD, watch=None, **kwargs):
    """The runner of a finished run that takes the branch out after its third epoch."""
    hook = pruning(
        keep=0.8, interval=3, protect=('backbone.conv1', ), allocator=dict(block=1, remove_branches=True),
        importance=dict(type='MagnitudeImportance', normalize='none')) | dict(input_size=32)
    runner = detector_runner(folder, wrapper, [hook, *hooks], **kwargs)
    for hook in (Worthless(), *([watch] if watch else [])):
        runner.register_hook(hook)
    runner.train()
    assert isinstance(runner.model.get_submodule(BLOCK), IdentityPath)
    return runner


@pytest.mark.parametrize('wrapper', [SGD, dict(SGD, paramwise_cfg=dict(norm_decay_mult=0.0))],
                         ids=['one group', 'a group a parameter'])
@pytest.mark.parametrize('epoch', [2, 4], ids=['in the middle of the phase', 'after surgery'])
def test_resuming_goes_on_as_the_uninterrupted_run(tmp_path, epoch, wrapper):
    whole = train(tmp_path / 'whole', wrapper=wrapper)
    again = train(tmp_path / 'again', wrapper=wrapper, resume=True,
                  load_from=str(tmp_path / f'whole/epoch_{epoch}.pth'))
    assert hook_of(again).channels == hook_of(whole).channels
    assert same(values(again.model), values(whole.model))
    for p, q in zip(again.model.parameters(), whole.model.parameters()):
        a, b = (r.optim_wrapper.optimizer.state[t]['momentum_buffer'] for r, t in ((again, p), (whole, q)))
        assert torch.equal(a, b)


@pytest.mark.parametrize('update_buffers', [False, True])
def test_an_averaged_copy_loses_the_branch_along(tmp_path, update_buffers):
    average = dict(type='EMAHook', momentum=0.5, update_buffers=update_buffers)
    for run in (train(tmp_path / 'whole', [average]),
                train(tmp_path / 'again', [average], resume=True, load_from=str(tmp_path / 'whole/epoch_4.pth'))):
        averaged = hook_of(run, EMAHook).ema_model
        assert {k: v.shape for k, v in averaged.module.state_dict().items()} == {
            k: v.shape for k, v in run.model.state_dict().items()}
        before = values(averaged.module)
        averaged.update_parameters(run.model)
        assert not same(values(averaged.module), before)


class Rates(Hook):
    """Keeps each parameter's learning rate, weight decay and momentum of every iteration."""

    priority = 'LOWEST'

    def __init__(self):
        self.seen = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        names = {p: name for name, p in runner.model.named_parameters()}
        self.seen.append({names[p]: (group['lr'], group['weight_decay'], group['momentum'])
                          for group in runner.optim_wrapper.optimizer.param_groups for p in group['params']})


OPTIONS = dict(norm_decay_mult=0.0, bias_lr_mult=2.0, custom_keys={'backbone': dict(lr_mult=0.1, decay_mult=3.0)})


def test_schedules_and_options_of_groups_are_kept_over_surgery_and_resuming(tmp_path):
    schedule = [dict(type='LinearLR', start_factor=0.1, end=4, by_epoch=False),
                dict(type='CosineAnnealingLR', T_max=5, by_epoch=True, convert_to_iter_based=True)]
    wrapper = dict(SGD, paramwise_cfg=OPTIONS)
    whole, again, dense = Rates(), Rates(), Rates()
    runner = train(tmp_path / 'whole', wrapper=wrapper, watch=whole, param_scheduler=schedule)
    train(tmp_path / 'again', wrapper=wrapper, watch=again, param_scheduler=schedule, resume=True,
          load_from=str(tmp_path / 'whole/epoch_4.pth'))
    unpruned = detector_runner(tmp_path / 'dense', wrapper, [], param_scheduler=schedule)
    unpruned.register_hook(dense)
    unpruned.train()
    slim = {name for name, _ in runner.model.named_parameters()}
    # Three kinds of parameters, whose rates differ in every iteration.
    assert len({rates for seen in dense.seen for rates in seen.values()}) == 3 * 15
    # Three iterations an epoch; surgery follows the ninth.
    assert [set(seen) - slim != set() for seen in whole.seen] == [True] * 9 + [False] * 6
    assert [set(seen) for seen in whole.seen[9:]] == [slim] * 6
    assert whole.seen == [{n: rates for n, rates in d.items() if n in w} for d, w in zip(dense.seen, whole.seen)]
    assert again.seen == whole.seen[12:]


@pytest.mark.parametrize('options', [None, OPTIONS], ids=['one group', 'a group a parameter'])
def test_the_slim_config_resumes_as_the_pruning_one_does(tmp_path, options):
    # The ratio is of what schedules hold for each group.
    schedule = [dict(type='CosineAnnealingLR', T_max=5, eta_min_ratio=0.1, by_epoch=True, convert_to_iter_based=True)]
    wrapper, expected, seen = dict(SGD, paramwise_cfg=options), Rates(), Rates()
    whole = train(tmp_path, wrapper=wrapper, watch=expected, param_scheduler=schedule)
    cfg = Config.fromfile(tmp_path / 'slim.py')
    cfg.merge_from_dict(dict(work_dir=f'{tmp_path}/again', resume=True, load_from=f'{tmp_path}/epoch_4.pth'))
    again = Runner.from_cfg(cfg)
    again.register_hook(seen)
    again.train()
    assert seen.seen == expected.seen[12:]
    assert same(values(again.model), values(whole.model))
