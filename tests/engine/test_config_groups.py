import pytest
from mmengine.config import Config

from mmadasap.engine import config_groups as module
from mmadasap.engine.config_groups import config_groups
from mmadasap.errors import UserError
from mmadasap.pruning import find_groups
from tests.engine.hooks.test_channel_pruning_hook import pruning
from tests.toy_detector import toy_detector

STEM, STAGE = 'backbone.conv1', 'backbone.layer2'


def config(hooks, **kwargs):
    return Config(dict(model=toy_detector(), custom_hooks=hooks, **kwargs))


def hook(**kwargs):
    settings = pruning(**kwargs) | dict(input_size=32)
    return {k: v for k, v in settings.items() if v is not None}


def named(groups):
    """Layers kept whole because they are named in protect."""
    return {layer for g in groups if 'protect' in (g.protected or '') for layer in g.modules('out')}


def test_what_the_runs_hook_protects_is_protected():
    layers = named(config_groups(config([dict(type='EMAHook'), hook(protect=(STAGE, ))])))
    assert {'backbone.layer2.0.conv1', 'backbone.layer2.1.conv2'} <= layers and STEM not in layers


def test_so_is_what_it_protects_by_default():
    assert STEM in named(config_groups(config([hook(protect=None)])))


@pytest.mark.parametrize('hooks', [None, [], [dict(type='EMAHook')]])
def test_without_a_hook_nothing_is_named(hooks):
    assert not named(config_groups(config(hooks, input_size=32)))


def test_the_command_line_wins():
    assert not named(config_groups(config([hook(protect=(STAGE, ))]), protect=[]))
    assert named(config_groups(config([hook(protect=())]), protect=[STEM])) >= {STEM}


def test_the_network_is_traced_at_its_own_size(monkeypatch):
    seen = []

    def note(model, example, *args):
        seen.append(tuple(example.shape))
        return find_groups(model, example, *args)

    monkeypatch.setattr(module, 'find_groups', note)
    config_groups(config([hook() | dict(input_size=(32, 64))]))
    config_groups(config([hook()]), size=(64, 32))
    assert seen == [(1, 3, 32, 64), (1, 3, 64, 32)]


def test_a_wrong_hook_is_one_sentence():
    with pytest.raises(UserError, match=r"ChannelPruningHook=.*unexpected keyword argument 'budge'"):
        config_groups(config([hook() | dict(budge=1)]))
