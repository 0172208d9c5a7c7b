"""Damaged specifications of a removed branch, and damaged files that are shown without their config."""
import copy
import random
import re

import pytest
import torch
from mmengine.config import Config

from mmadasap.engine.inspection import format_report, inspect_slim
from mmadasap.engine.launch import run_tool
from mmadasap.engine.slim_config import dense_config, write_config
from tests.engine.hooks.test_branch_removal import BLOCK, train
from tests.engine.test_fuzz import load
from tests.engine.test_fuzz_resume import resume
from tests.seeds import seeds

LAYERS = ['conv1', 'bn1', 'conv2', 'bn2']


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Folder of a run that removed a branch, with the config to resume it from and the dense one."""
    folder = tmp_path_factory.mktemp('run')
    cfg = train(folder, epochs=4).cfg
    cfg.custom_hooks = [h for h in cfg.custom_hooks if h['type'] != 'Worthless']
    cfg.train_cfg.max_epochs = 5
    cfg.dump(folder / 'config.py')
    write_config(dense_config(Config.fromfile(folder / 'slim.py')), str(folder / 'dense.py'))
    return folder


def inspect(path):
    """As the tool does; the error's sentence, or None."""
    try:
        run_tool(lambda: format_report(inspect_slim(str(path))))
    except SystemExit as stop:
        assert stop.code.startswith('Error: ') and '\n' not in stop.code and stop.code.endswith('.')
        return stop.code
    return None


def with_channels(checkpoint, channels):
    """The checkpoint with this specification wherever it carries one."""
    cfg = Config.fromstring(checkpoint['meta']['cfg'], '.py')
    cfg.model.channels = channels
    checkpoint['channel_pruning']['channels'] = channels
    checkpoint['meta']['cfg'] = cfg.pretty_text
    return checkpoint


# Each reads a file with these channels, as one of the tools does; the error's sentence, or None.
def by_config(run, folder, channels, monkeypatch):
    cfg = Config.fromfile(run / 'slim.py')
    cfg.model.channels = channels
    return load(write_config(cfg, str(folder / 'slim.py')), run / 'epoch_4.pth')


def _write(run, folder, channels):
    torch.save(with_channels(torch.load(run / 'epoch_4.pth', weights_only=True), channels), folder / 'c.pth')
    return folder / 'c.pth'


def by_checkpoint(run, folder, channels, monkeypatch):
    return load(run / 'dense.py', _write(run, folder, channels))


def by_resuming(run, folder, channels, monkeypatch):
    return resume(run, folder, _write(run, folder, channels), monkeypatch)


def by_inspection(run, folder, channels, monkeypatch):
    return inspect(_write(run, folder, channels))


WAYS = (by_config, by_checkpoint, by_resuming, by_inspection)


@pytest.mark.parametrize('way', WAYS)
def test_the_undamaged_specification_passes(run, tmp_path, monkeypatch, way):
    channels = Config.fromfile(run / 'slim.py').model.channels.to_dict()
    assert channels[BLOCK] == dict(gone=LAYERS, stays=['relu'])
    assert way(run, tmp_path, channels, monkeypatch) is None


DAMAGED = dict(
    gone_number=(BLOCK, dict(gone=5), r"\['gone'\]=5 must be a list of names"),
    gone_none=(BLOCK, dict(gone=None), r"\['gone'\]=None must be a list of names"),
    gone_text=(BLOCK, dict(gone='conv1'), r"\['gone'\]='conv1' must be a list of names"),
    gone_nested=(BLOCK, dict(gone=[['a']]), r"\['gone'\]=\[\['a'\]\] must be a list of names"),
    stays_number=(BLOCK, dict(stays=3), r"\['stays'\]=3 must be a list of names"),
    stays_nested=(BLOCK, dict(stays=[None]), r"\['stays'\]=\[None\] must be a list of names"),
    unknown_key=(BLOCK, dict(depth=3), r".*'depth': 3.* must give exactly \['gone', 'stays'\]"),
    gone_empty=(BLOCK, dict(gone=[]), r".*'gone': \[\].* must be .*conv1"),
    gone_partial=(BLOCK, dict(gone=LAYERS[:2]), r".*'bn1'\].* must be .*bn2"),
    gone_twice=(BLOCK, dict(gone=[*LAYERS, 'bn2']), r".*'bn2', 'bn2'\].* must be .*bn2"),
    gone_unknown=(BLOCK, dict(gone=[*LAYERS[:3], 'bn9']), r".*'bn9'\].* must be .*bn2"),
    stays_empty=(BLOCK, dict(stays=[]), r".*'stays': \[\].* must be .*'relu'"),
    stays_unknown=(BLOCK, dict(stays=['gelu']), r".*'gelu'.* must be .*'relu'"),
    downsampling=('backbone.layer2.0', dict(gone=LAYERS, stays=['relu']), '.*does not reach its output unchanged'),
    no_block=('neck', dict(gone=[], stays=[]), '.*does not reach its output unchanged'),
    inner_width=(f'{BLOCK}.conv1', dict(in_channels=4, out_channels=2, groups=1), '.*within a block whose branch'))


# One of every check: the others differ in what the entry holds, which all ways read by the same function.
EVERY_WAY = ('gone_number', 'gone_partial', 'downsampling')


@pytest.mark.parametrize('kind, way', [
    pytest.param(kind, way, marks=() if way is by_config or kind in EVERY_WAY else pytest.mark.slow)
    for kind in DAMAGED for way in WAYS])
def test_a_damaged_specification(run, tmp_path, monkeypatch, way, kind):
    name, change, message = DAMAGED[kind]
    channels = Config.fromfile(run / 'slim.py').model.channels.to_dict()
    channels[name] = (channels[name] | change) if name == BLOCK else change
    error = way(run, tmp_path, channels, monkeypatch) or 'no error'
    assert re.search(re.escape(f'channels[{name!r}]') + message, error)


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('key', ['gone', 'stays'])
def test_half_of_an_entry(run, tmp_path, monkeypatch, way, key):
    channels = Config.fromfile(run / 'slim.py').model.channels.to_dict()
    del channels[BLOCK][key]
    error = way(run, tmp_path, channels, monkeypatch) or 'no error'
    assert re.search(re.escape(f"channels['{BLOCK}']=") + r".* must give exactly \['gone', 'stays'\]", error)


@pytest.mark.parametrize('way', WAYS)
def test_a_branch_nobody_says_is_gone(run, tmp_path, monkeypatch, way):
    channels = Config.fromfile(run / 'slim.py').model.channels.to_dict()
    del channels[BLOCK]
    error = way(run, tmp_path, channels, monkeypatch) or 'no error'
    assert re.search(re.escape(f'{BLOCK}.conv1.weight is missing') + f'|no residual branch in {BLOCK}', error)


# Each changes a checkpoint in place and returns a pattern that the error must match.
def other_budget(checkpoint, rng):
    wrong = rng.choice([5, 'macs', [0.5], 2.5])
    checkpoint['channel_pruning']['budget'] = wrong
    return re.escape(f'budget={wrong!r} is no dict')


def unknown_setting(checkpoint, rng):
    wrong = rng.choice([dict(kep=0.5), dict(cost='macs', kep=0.5), {}])
    checkpoint['channel_pruning']['budget'] = wrong
    return re.escape(f'budget={wrong!r}: ')


def wrong_budget(checkpoint, rng):
    name, wrong = rng.choice([('cost', 'time'), ('keep', 0), ('keep', 'half')])
    checkpoint['channel_pruning']['budget'] = dict(cost='macs', keep=0.5) | {name: wrong}
    return f'budget.*{name}.{{1,3}}{wrong!r}'


def other_parent(checkpoint, rng):
    wrong = checkpoint['channel_pruning']['parent'] = rng.choice([5, ['a.pth'], dict(a=1)])
    return re.escape(f'parent={wrong!r} is no path')


def without_config(checkpoint, rng):
    wrong = rng.choice([None, ''])
    checkpoint['meta']['cfg'] = wrong
    return 'not its config'


def dense_config_inside(checkpoint, rng):
    text = checkpoint['meta']['cfg'].replace("'mmadasap.SlimModel'", "'RetinaNet'")
    checkpoint['meta']['cfg'] = f'# was a mmadasap.SlimModel\n{text}'
    return 'not its config'


def no_config(checkpoint, rng):
    wrong = checkpoint['meta']['cfg'] = rng.choice([5, ['x'], dict(model=3)])
    return re.escape(f"meta['cfg']={wrong!r} is no text")


def no_meta(checkpoint, rng):
    checkpoint['meta'] = rng.choice([5, 'x', [1]])
    return re.escape(f'meta={checkpoint["meta"]!r} is no dict')


@pytest.mark.parametrize('seed', seeds(1, 4))
@pytest.mark.parametrize('mutate', [other_budget, unknown_setting, wrong_budget, other_parent, without_config,
                                    dense_config_inside, no_config, no_meta])
def test_a_damaged_file_is_not_shown(run, tmp_path, mutate, seed):
    checkpoint = copy.deepcopy(torch.load(run / 'epoch_4.pth', weights_only=True))
    pattern = mutate(checkpoint, random.Random(seed))
    torch.save(checkpoint, tmp_path / 'c.pth')
    error = inspect(tmp_path / 'c.pth') or 'no error'
    assert re.search(f'c.pth: .*{pattern}', error)
