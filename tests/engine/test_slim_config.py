import pytest
from mmengine.config import Config

from mmadasap.engine.slim_config import add_guard, checkpoint_channels, make_slim, slim_config, write_config
from mmadasap.registry import MODELS

SLIM_HOOKS = [dict(type='mmadasap.PlainCheckpointHook'), dict(type='mmadasap.WidthGuardHook')]
CHANNELS = {'backbone.conv1': dict(in_channels=3, out_channels=8, groups=1)}


def dense():
    return Config(
        dict(
            load_from='dense.pth',
            resume=True,
            model=dict(type='SingleStageDetector', backbone=dict(type='ResNet', depth=50)),
            optim_wrapper=dict(type='mmadasap.AdaSAPOptimWrapper', radius=dict(type='AdaptiveRadius')),
            custom_hooks=[
                dict(type='EMAHook'),
                dict(type='mmadasap.ChannelPruningHook'),
                dict(type='mmadasap.SharpnessPhaseHook', radius=dict(type='UniformRadius', rho=0.05))
            ],
            custom_imports=dict(imports=['mine'], allow_failed_imports=True)))


def test_three_keys_of_the_model_change_and_the_pruning_is_over():
    cfg = dense()
    slim = slim_config(cfg, CHANNELS)
    assert slim.model == dict(
        type='mmadasap.SlimModel', detector='SingleStageDetector', channels=CHANNELS,
        backbone=dict(type='ResNet', depth=50))
    assert slim.load_from is None and slim.resume is False and 'work_dir' not in slim
    assert slim.custom_hooks == [dict(type='EMAHook'), *SLIM_HOOKS]
    assert slim.optim_wrapper.radius == dict(type='UniformRadius', rho=0.05)
    assert slim.custom_imports == dict(imports=['mine', 'mmadasap'], allow_failed_imports=True)
    assert cfg.model.type == 'SingleStageDetector' and len(cfg.custom_hooks) == 3


@pytest.mark.parametrize('theirs, imports', [
    (dict(imports='package.module'), ['package.module', 'mmadasap']),
    (dict(imports=['z', 'mmadasap', 'a']), ['z', 'mmadasap', 'a']),
    (dict(imports=None), ['mmadasap']),
    (dict(allow_failed_imports=False), ['mmadasap']),
    (None, ['mmadasap'])])
def test_the_users_imports_stay_in_their_order(theirs, imports):
    cfg = dense()
    cfg.custom_imports = theirs
    assert slim_config(cfg, CHANNELS).custom_imports['imports'] == imports


def test_slimming_a_slim_config_keeps_its_detector():
    again = slim_config(slim_config(dense(), CHANNELS), {})
    assert again.model.detector == 'SingleStageDetector' and again.model.channels == {}
    assert again.custom_hooks == slim_config(dense(), {}).custom_hooks


def test_it_survives_a_file_and_serves_as_a_base(tmp_path):
    slim = slim_config(dense(), CHANNELS)
    path = write_config(slim, str(tmp_path / 'slim.py'))
    (tmp_path / 'child.py').write_text("_base_ = './slim.py'\nmodel = dict(backbone=dict(depth=101))\n")
    child = Config.fromfile(tmp_path / 'child.py')
    assert Config.fromfile(path).model == slim.model
    assert child.model.channels == CHANNELS and child.model.backbone.depth == 101


def test_channels_of_checkpoints():
    assert checkpoint_channels({}) is None and checkpoint_channels(dict(channel_pruning=dict(channels=None))) is None
    assert checkpoint_channels(dict(channel_pruning=dict(channels=CHANNELS))) == CHANNELS
    # A slim network trained on without the pruning hook says so in its config alone.
    text = slim_config(dense(), CHANNELS).pretty_text
    assert checkpoint_channels(dict(meta=dict(cfg=text))) == CHANNELS
    assert checkpoint_channels(dict(meta=dict(cfg=dense().pretty_text))) is None


def test_the_guard_is_added_once():
    cfg = Config(dict(custom_hooks=[dict(type='EMAHook')]))
    add_guard(cfg)
    add_guard(cfg, whole=True)
    assert cfg.custom_hooks == [dict(type='EMAHook'), dict(type='mmadasap.WidthGuardHook', whole=True)]
    bare = Config()
    add_guard(bare)
    assert len(bare.custom_hooks) == 1


def test_training_it_does_not_write_over_the_checkpoints_it_starts_from():
    cfg = dense()
    cfg.work_dir = 'work_dirs/run'
    assert slim_config(cfg, CHANNELS).work_dir == 'work_dirs/run/slim' and cfg.work_dir == 'work_dirs/run'


def test_a_config_in_the_new_style(tmp_path):
    (tmp_path / 'base.py').write_text('from functools import partial\nfrom mmdet.models import SSDNeck\n'
                                      'half = partial(int, 2)()\nneck = dict(type=SSDNeck)\n')
    (tmp_path / 'new.py').write_text(
        'from mmengine.config import read_base\n\nwith read_base():\n    from .base import *\n'
        'from mmdet.models import RetinaNet\n\nmodel = dict(type=RetinaNet, neck=neck)\n')
    cfg = Config.fromfile(tmp_path / 'new.py')
    path = write_config(slim_config(cfg, CHANNELS), str(tmp_path / 'slim.py'))
    slim = Config.fromfile(path)
    assert slim.model.type == 'mmadasap.SlimModel' and slim.half == 2
    assert MODELS.get(slim.model.detector).__name__ == 'RetinaNet'
    assert MODELS.get(slim.model.neck.type).__name__ == 'SSDNeck'
    assert not {'read_base', 'partial', 'RetinaNet', 'SSDNeck'} & set(slim)
    make_slim(cfg.model, CHANNELS)
    assert MODELS.get(cfg.model.detector).__name__ == 'RetinaNet'
