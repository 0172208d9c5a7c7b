"""Damaged checkpoints of a pruning run that ``tools/train.py --resume`` is given: one sentence, and no step taken."""
import random
import re
import runpy
from pathlib import Path

import pytest
import torch

from mmadasap.engine.launch import run_tool
from tests.engine.hooks.test_channel_pruning_hook import SGD, pruning
from tests.seeds import seeds
from tests.toys import make_runner

TRAIN = runpy.run_path(str(Path(__file__).parents[2] / 'tools/train.py'))['main']
HOOKS = [pruning(importance=dict(type='TaylorImportance')), dict(type='EMAHook')]
MIDDLE, AFTER = 'epoch_2.pth', 'epoch_4.pth'


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Folder of a pruning run, with the config to resume it from: epoch 2 is within the phase, epoch 4 after it."""
    folder = tmp_path_factory.mktemp('run')
    schedule = [dict(type='CosineAnnealingLR', T_max=5, by_epoch=True)]
    runner = make_runner(folder, SGD, HOOKS, epochs=4, param_scheduler=schedule)
    runner.train()
    runner.cfg.train_cfg.max_epochs = 5
    runner.cfg.dump(folder / 'config.py')
    return folder


def resume(run, folder, checkpoint, monkeypatch):
    """As a user does; the error's sentence, or None."""
    monkeypatch.setattr('sys.argv', ['train.py', str(run / 'config.py'), '--work-dir', str(folder / 'again'),
                                     '--resume', str(checkpoint)])
    try:
        run_tool(TRAIN)
    except SystemExit as stop:
        assert isinstance(stop.code, str) and stop.code.startswith('Error: ')
        assert '\n' not in stop.code and stop.code.endswith('.')
        assert not list(folder.glob('again/epoch_*'))
        return stop.code
    assert (folder / 'again/epoch_5.pth').exists()
    return None


@pytest.mark.parametrize('name', [MIDDLE, AFTER])
def test_the_undamaged_checkpoint_passes(run, tmp_path, monkeypatch, name):
    assert resume(run, tmp_path, run / name, monkeypatch) is None


def holder_of(checkpoint, path):
    *keys, last = path
    for key in keys:
        checkpoint = checkpoint[key]
    return checkpoint, last


def named(path):
    """The last two keys of a path as errors write them."""
    where, key = ([None, *path])[-2:]
    return re.escape(f'{where}[{key!r}]' if where else key)


RECORD = [('meta', ), ('meta', 'epoch'), ('meta', 'iter'), ('message_hub', ), ('message_hub', 'log_scalars'),
          ('message_hub', 'runtime_info'), ('message_hub', 'resumed_keys')]
STATE = [*RECORD, ('optimizer', 'state'), ('optimizer', 'param_groups')]
MASKS = [('channel_pruning', 'masks'), ('channel_pruning', 'masks', 'kept'), ('channel_pruning', 'masks', 'importance')]


@pytest.mark.parametrize('name, paths', [(MIDDLE, [*STATE, *MASKS]), (AFTER, [*STATE, ('channel_pruning', 'masks')])])
def test_a_missing_key(run, tmp_path, monkeypatch, name, paths):
    for path in paths:
        checkpoint = torch.load(run / name, weights_only=True)
        holder, key = holder_of(checkpoint, path)
        del holder[key]
        torch.save(checkpoint, tmp_path / 'c.pth')
        assert re.search(f'{named(path)} is missing', resume(run, tmp_path, tmp_path / 'c.pth', monkeypatch) or 'none')


@pytest.mark.parametrize('seed', seeds(1, 3))
@pytest.mark.parametrize('name, paths', [
    (MIDDLE, [*STATE, *MASKS, ('optimizer', ), ('param_schedulers', ), ('ema_state_dict', )]),
    (AFTER, [*STATE, ('channel_pruning', 'masks'), ('optimizer', ), ('param_schedulers', ), ('ema_state_dict', )])])
def test_another_kind_of_value(run, tmp_path, monkeypatch, name, paths, seed):
    for path in paths:
        checkpoint = torch.load(run / name, weights_only=True)
        holder, key = holder_of(checkpoint, path)
        holder[key] = [2.5, 'text', True][seed]
        torch.save(checkpoint, tmp_path / 'c.pth')
        error = resume(run, tmp_path, tmp_path / 'c.pth', monkeypatch)
        assert re.search(rf'{named(path)}={re.escape(repr(holder[key]))} is no ', error or 'none'), path


# Each changes a checkpoint in place and returns a pattern that the error must match.
def no_hub(checkpoint, rng):
    checkpoint['message_hub'] = None
    return 'message_hub=None is no dict'


def negative(checkpoint, rng):
    key = rng.choice(['epoch', 'iter'])
    checkpoint['meta'][key] = -rng.randint(1, 9)
    return re.escape(f'meta[{key!r}]={checkpoint["meta"][key]} is below 0')


def short_history(checkpoint, rng):
    scalars = checkpoint['message_hub']['log_scalars']
    name = rng.choice(sorted(scalars))
    key = rng.choice(['history', 'counts'])
    scalars[name][key] = scalars[name][key][:-1]
    return re.escape(f"message_hub['log_scalars'][{name!r}] has a history of shape")


def no_history(checkpoint, rng):
    scalars = checkpoint['message_hub']['log_scalars']
    name = rng.choice(sorted(scalars))
    scalars[name]['history'] = rng.choice([None, 3, 'x'])
    return re.escape(f"[{name!r}]['history']={scalars[name]['history']!r} is no Tensor")


def no_schedule(checkpoint, rng):
    wrong = checkpoint['param_schedulers'][0] = rng.choice([None, 3, 'x', [1]])
    return re.escape(f'param_schedulers[0]={wrong!r} is no dict')


def other_momentum(checkpoint, rng):
    state = checkpoint['optimizer']['state']
    number = rng.choice(sorted(state))
    state[number]['momentum_buffer'] = state[number]['momentum_buffer'][:-1]
    shape = tuple(state[number]['momentum_buffer'].shape)
    return re.escape(f"optimizer['state'][{number}]['momentum_buffer'] is {shape} where the parameter is")


def no_momentum(checkpoint, rng):
    state = checkpoint['optimizer']['state']
    number = rng.choice(sorted(state))
    state[number]['momentum_buffer'] = rng.choice([5, 'x', [1.0]])
    return re.escape(f"state[{number}]['momentum_buffer']={state[number]['momentum_buffer']!r} is no Tensor")


def other_groups(checkpoint, rng):
    groups = checkpoint['optimizer']['param_groups']
    groups[0]['params'] = groups[0]['params'][:-rng.randint(1, 5)]
    return re.escape(f"optimizer['param_groups'] has [{len(groups[0]['params'])}] parameters")


def no_rate(checkpoint, rng):
    checkpoint['optimizer']['param_groups'][0]['lr'] = rng.choice(['fast', None, [1.0]])
    return re.escape(f"param_groups['lr']={checkpoint['optimizer']['param_groups'][0]['lr']!r} is no")


def other_average(checkpoint, rng):
    average = checkpoint['ema_state_dict']
    key = rng.choice(sorted(k for k, v in average.items() if v.dim()))
    average[key] = average[key][:-1]
    return re.escape(f"ema_state_dict['{key}'] is {tuple(average[key].shape)} and the weight")


def partial_average(checkpoint, rng):
    key = rng.choice(sorted(k for k in checkpoint['ema_state_dict'] if k != 'steps'))
    del checkpoint['ema_state_dict'][key]
    return re.escape(f"ema_state_dict['{key}'] is missing")


BOTH = (no_hub, negative, short_history, no_history, no_schedule, other_momentum, no_momentum, other_groups, no_rate,
        other_average, partial_average)


def _mask(checkpoint, rng):
    kept = checkpoint['channel_pruning']['masks']['kept']
    return kept, rng.choice(sorted(kept))


def unknown_group(checkpoint, rng):
    kept, name = _mask(checkpoint, rng)
    kept['net.other'] = kept[name]
    return "masks: 'net.other' is no channel group of this network"


def missing_group(checkpoint, rng):
    kept, name = _mask(checkpoint, rng)
    del kept[name]
    return re.escape(f'masks: {name!r} is missing')


def short_mask(checkpoint, rng):
    kept, name = _mask(checkpoint, rng)
    kept[name] = kept[name][:-rng.randint(1, 3)]
    return re.escape(f'masks: {name!r} has shape ({len(kept[name])},) where its group has')


def no_mask(checkpoint, rng):
    kept, name = _mask(checkpoint, rng)
    kept[name] = rng.choice([None, 3, 'x'])
    return re.escape(f'masks: {name!r} has {kept[name]!r} where its group has')


def neither_masks_nor_widths(checkpoint, rng):
    checkpoint['channel_pruning']['masks'] = None
    return 'channel_pruning has masks=None and channels=None'


def another_criterion(checkpoint, rng):
    checkpoint['channel_pruning']['masks']['importance'] = {}
    return 'importance: the resumed state has sums=NoneType, count=None, used=None'


def other_count(checkpoint, rng):
    wrong = rng.choice([-1, 'x', None, 2.5])
    checkpoint['channel_pruning']['masks']['importance'].update(count=wrong)
    return re.escape(f'importance: the resumed state has sums=dict, count={wrong!r}')


def short_sums(checkpoint, rng):
    sums = checkpoint['channel_pruning']['masks']['importance']['sums']
    name = rng.choice(sorted(sums))
    width = len(sums[name])
    sums[name] = sums[name][:-1]
    return re.escape(f'importance: the sums that were resumed have no {width} numbers for {name!r}')


WITHIN = (unknown_group, missing_group, short_mask, no_mask, neither_masks_nor_widths, another_criterion, other_count,
          short_sums)


@pytest.mark.parametrize('seed', seeds(1, 4))
@pytest.mark.parametrize('name, mutate', [
    *[(name, mutate) for mutate in BOTH for name in (MIDDLE, AFTER)], *[(MIDDLE, mutate) for mutate in WITHIN]])
def test_another_damage(run, tmp_path, monkeypatch, name, mutate, seed):
    checkpoint = torch.load(run / name, weights_only=True)
    pattern = mutate(checkpoint, random.Random(seed))
    torch.save(checkpoint, tmp_path / 'c.pth')
    assert re.search(pattern, resume(run, tmp_path, tmp_path / 'c.pth', monkeypatch) or 'no error')
