"""Two hundred damaged specifications and checkpoints: each ends in one sentence that names what is wrong."""
import copy
import random
import re

import pytest
import torch
from mmengine.config import Config

from mmadasap.engine.checkpoint import load_config
from mmadasap.engine.launch import run_tool
from mmadasap.engine.networks import load_network
from mmadasap.engine.slim_config import write_config
from mmadasap.pruning.specification import OUTPUT_WIDTHS
from tests.engine.hooks.test_channel_pruning_hook import SGD, pruning
from tests.seeds import seeds
from tests.toys import make_runner

SEEDS = seeds(3, 8)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Folder of a pruning run with its slim.py and epoch_4.pth."""
    folder = tmp_path_factory.mktemp('run')
    make_runner(folder, SGD, [pruning()], epochs=4).train()
    return folder


def load(config, checkpoint):
    """As a tool does; the error's sentence, or None."""
    found = {}

    def main():
        found['model'] = load_network(load_config(str(config)), str(checkpoint))

    try:
        run_tool(main)
    except SystemExit as stop:
        # A text as exit code is printed to stderr, and the code is 1.
        assert isinstance(stop.code, str) and stop.code.startswith('Error: ')
        assert 'model' not in found and '\n' not in stop.code and stop.code.endswith('.')
        return stop.code
    assert found['model'] is not None
    return None


def test_the_undamaged_pair_passes(run):
    assert load(run / 'slim.py', run / 'epoch_4.pth') is None


# Each changes a specification in place and returns a pattern that the error must match.
def _entry(channels, rng, with_key=None):
    names = [n for n in sorted(channels) if with_key is None or with_key in channels[n]]
    name = rng.choice(names)
    return name, with_key or rng.choice(sorted(channels[name]))


def _value(make):

    def mutate(channels, rng):
        name, key = _entry(channels, rng)
        channels[name][key] = make(channels[name][key], rng)
        return re.escape(f'channels[{name!r}][{key!r}]={channels[name][key]!r} must be a whole number')

    return mutate


def missing_width(channels, rng):
    name, key = _entry(channels, rng)
    del channels[name][key]
    if key in OUTPUT_WIDTHS and channels[name].get('groups', 1) == 1:
        return re.escape(f'{name}.weight ') + r'.*\(.*in the checkpoint and \(.*in the model'
    return re.escape(f'channels[{name!r}]={channels[name]!r} must give exactly') + f'.*{key}'


def unknown_width(channels, rng):
    name, _ = _entry(channels, rng)
    channels[name]['depth'] = rng.randint(1, 9)
    return re.escape(f'channels[{name!r}]=') + '.*depth.* must give exactly'


def unknown_module(channels, rng):
    name, _ = _entry(channels, rng)
    channels[f'{name}.x'] = channels.pop(name)
    return re.escape(f'channels names {name + ".x"!r}, which is no module of ToyClassifier')


def no_dict(channels, rng):
    name, _ = _entry(channels, rng)
    channels[name] = rng.choice([3, 'wide', None, [4, 4]])
    return re.escape(f'channels[{name!r}]={channels[name]!r} must be a dict')


def other_width(channels, rng):
    name = rng.choice([n for n in sorted(channels) if channels[n].get('in_channels', 0) > 1 and 'depth' not in n])
    channels[name]['in_channels'] -= 1
    return re.escape(f'{name}.weight (') + r'.*in the checkpoint and \(.*in the model'


def forgotten_module(channels, rng):
    name = rng.choice(['net.conv1', 'net.conv2', 'net.fc'])
    del channels[name]
    return re.escape(f'{name}.weight (') + r'.*in the checkpoint and \(.*in the model'


def other_groups(channels, rng):
    name, _ = _entry(channels, rng, 'groups')
    wrong = channels[name]['groups'] = rng.choice([n for n in range(1, 4) if n != channels[name]['groups']])
    whole = re.escape(f'channels[{name!r}]=') + f".*'groups': {wrong}.* does not leave whole groups"
    return re.escape(f"channels[{name!r}]['groups']={wrong} must be a whole number") + f'|{whole}'


SPECS = dict(
    negative=_value(lambda v, rng: -rng.randint(1, 99)),
    zero=_value(lambda v, rng: 0),
    fraction=_value(lambda v, rng: v - 0.5),
    text=_value(lambda v, rng: f'{v}'),
    truth=_value(lambda v, rng: True),
    nothing=_value(lambda v, rng: None),
    too_large=_value(lambda v, rng: 100 + rng.randint(0, 999)),
    missing_width=missing_width,
    unknown_width=unknown_width,
    unknown_module=unknown_module,
    no_dict=no_dict,
    other_width=other_width,
    forgotten_module=forgotten_module,
    other_groups=other_groups)


@pytest.mark.parametrize('kind', SPECS)
@pytest.mark.parametrize('seed', SEEDS)
def test_a_damaged_specification_in_a_config(run, tmp_path, kind, seed):
    cfg = Config.fromfile(run / 'slim.py')
    channels = cfg.model.channels.to_dict()
    pattern = SPECS[kind](channels, random.Random(seed))
    cfg.model.channels = channels
    path = write_config(cfg, str(tmp_path / 'slim.py'))
    assert re.search(pattern, load(path, run / 'epoch_4.pth') or 'no error')


@pytest.mark.parametrize('kind', sorted({*SPECS} - {'other_width', 'forgotten_module'}))
@pytest.mark.parametrize('seed', seeds(1, 4))
def test_a_damaged_specification_in_a_checkpoint_that_a_dense_config_adopts(run, tmp_path, kind, seed):
    checkpoint = torch.load(run / 'epoch_4.pth', weights_only=True)
    pattern = SPECS[kind](checkpoint['channel_pruning']['channels'], random.Random(seed))
    torch.save(checkpoint, tmp_path / 'c.pth')
    dense = tmp_path / 'dense.py'
    dense.write_text("default_scope = 'mmengine'\nmodel = dict(type='ToyClassifier')\n")
    assert load(dense, run / 'epoch_4.pth') is None
    assert re.search(pattern, load(dense, tmp_path / 'c.pth') or 'no error')


# Each changes a loaded checkpoint and returns it with a pattern.
def _weight(checkpoint, rng):
    return rng.choice([k for k in sorted(checkpoint['state_dict']) if 'num_batches' not in k])


def missing_key(checkpoint, rng):
    key = _weight(checkpoint, rng)
    del checkpoint['state_dict'][key]
    return checkpoint, re.escape(f'{key} is missing')


def other_rows(checkpoint, rng):
    key = _weight(checkpoint, rng)
    checkpoint['state_dict'][key] = checkpoint['state_dict'][key][:-1]
    shape = re.escape(str(tuple(checkpoint['state_dict'][key].shape)))
    return checkpoint, f'{re.escape(key)} (is )?{shape} in the checkpoint'


def no_tensor(checkpoint, rng):
    key = _weight(checkpoint, rng)
    checkpoint['state_dict'][key] = rng.choice([None, 3, 'x', [1.0]])
    return checkpoint, re.escape(f'c.pth: {key}={checkpoint["state_dict"][key]!r} is no tensor')


def no_weights(checkpoint, rng):
    checkpoint['state_dict'] = rng.choice([{}, None, 7])
    return checkpoint, re.escape(f'c.pth: state_dict={checkpoint["state_dict"]!r} holds no weights')


def without_weights(checkpoint, rng):
    del checkpoint['state_dict']
    return checkpoint, 'c.pth: meta=.* is no tensor'


def no_checkpoint(checkpoint, rng):
    value = rng.choice([[1], 3, 'x'])
    return value, f'c.pth holds a {type(value).__name__} where a checkpoint is a dict'


def no_state(checkpoint, rng):
    checkpoint['channel_pruning'] = rng.choice([[], 4, 'x', dict(masks=None)])
    return checkpoint, re.escape(f'c.pth: channel_pruning={checkpoint["channel_pruning"]!r} has no channels')


def no_channels(checkpoint, rng):
    checkpoint['channel_pruning']['channels'] = rng.choice([[], 4, 'x'])
    return checkpoint, re.escape(f'c.pth: channels={checkpoint["channel_pruning"]["channels"]!r} must be a dict')


def cut_config(checkpoint, rng):
    del checkpoint['channel_pruning']
    text = checkpoint['meta']['cfg']
    # Up to the middle of the model, which is no Python.
    checkpoint['meta']['cfg'] = text[:text.index('SlimModel') + rng.randint(9, 10)]
    return checkpoint, r"c.pth: meta\['cfg'\]=.*cannot be read as a config"


def no_config_text(checkpoint, rng):
    del checkpoint['channel_pruning']
    checkpoint['meta']['cfg'] = rng.choice([5, ['x'], dict(model=3), 2.5])
    return checkpoint, re.escape(f"c.pth: meta['cfg']={checkpoint['meta']['cfg']!r} is no text of a config")


def config_of_other_channels(checkpoint, rng):
    del checkpoint['channel_pruning']
    cfg = Config.fromstring(checkpoint['meta']['cfg'], '.py')
    cfg.model.channels = rng.choice([5, None, 'wide', [4]])
    checkpoint['meta']['cfg'] = cfg.pretty_text
    return checkpoint, re.escape(f'c.pth: channels={cfg.model.channels!r} must be a dict')


def config_without_channels(checkpoint, rng):
    del checkpoint['channel_pruning']
    cfg = Config.fromstring(checkpoint['meta']['cfg'], '.py')
    del cfg.model['channels']
    checkpoint['meta']['cfg'] = cfg.pretty_text
    return checkpoint, 'c.pth: channels=None must be a dict'


CHECKPOINTS = (missing_key, other_rows, no_tensor, no_weights, without_weights, no_checkpoint, no_state, no_channels,
               cut_config, no_config_text, config_of_other_channels, config_without_channels)


@pytest.mark.parametrize('mutate', CHECKPOINTS)
@pytest.mark.parametrize('seed', seeds(1, 4))
def test_a_damaged_checkpoint(run, tmp_path, mutate, seed):
    checkpoint, pattern = mutate(torch.load(run / 'epoch_4.pth', weights_only=True), random.Random(seed))
    torch.save(checkpoint, tmp_path / 'c.pth')
    assert re.search(pattern, load(run / 'slim.py', tmp_path / 'c.pth') or 'no error')


@pytest.mark.parametrize('seed', SEEDS)
@pytest.mark.parametrize('name', ['epoch_4.pth', 'slim.py'])
def test_a_truncated_file(run, tmp_path, name, seed):
    paths = dict(slim=run / 'slim.py', weights=run / 'epoch_4.pth')
    data = (run / name).read_bytes()
    cut = tmp_path / name
    # Inside the model's dict a config is no Python; before it, it has no model.
    end = len(data) if name.endswith('pth') else data.index(b'SlimModel')
    cut.write_bytes(data[:random.Random(seed).randrange(end) if seed else 0])
    paths['weights' if name.endswith('pth') else 'slim'] = cut
    error = load(paths['slim'], paths['weights']) or 'no error'
    assert re.search(re.escape(str(cut)), error)
    assert re.search('cannot be read as a checkpoint|cannot be read as a config|model=None', error)


@pytest.mark.parametrize('key, value', [('detector', None), ('detector', 'NoSuchModel'), ('detector', 3),
                                        ('channels', None), ('channels', 5)])
def test_a_slim_model_without_its_parts(run, tmp_path, key, value):
    cfg = copy.deepcopy(Config.fromfile(run / 'slim.py'))
    cfg.model[key] = value
    path = write_config(cfg, str(tmp_path / 'slim.py'))
    assert re.search(re.escape(f'{key}={value!r}'), load(path, run / 'epoch_4.pth') or 'no error')
