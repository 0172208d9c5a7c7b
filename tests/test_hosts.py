"""Detection works without mmpretrain, classification without mmdet."""
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from mmengine.config import Config

from mmadasap import hosts
from mmadasap.errors import UserError

ROOT = Path(__file__).parents[1]
BUILD = '''
import sys
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmadasap.engine.launch import load_config
from mmadasap.engine.networks import build_network
from mmadasap.errors import UserError
from mmadasap.registry import DATASETS, HOOKS, MODELS
from mmengine.optim import build_optim_wrapper
config, part, refused = sys.argv[1:]
cfg = load_config(config)
cfg.model.backbone.init_cfg = None
model = build_network(cfg)
build_optim_wrapper(model, cfg.optim_wrapper)
for hook in cfg.custom_hooks:
    HOOKS.build(hook)
try:
    DATASETS.build(dict(type='mmadasap.' + part))
except UserError as error:
    print(error)
try:
    load_config(refused)
except UserError as error:
    print(error)
'''
DETECTION = 'configs/quickstart/ssd256_r50-w16_adasap-p-macs50_shapes.py'
CLASSIFICATION = 'configs/classification/cifar10/resnet18-w16_adasap-p-params50-1xb128-20e_cifar10.py'


def without(host, folder, broken, *args):
    """Runs BUILD where everything installed here is, but one library, or that one is broken."""
    for entry in Path(sysconfig.get_paths()['purelib']).iterdir():
        if host not in entry.name:
            (folder / entry.name).symlink_to(entry)
    if broken:
        (folder / host).mkdir()
        (folder / host / 'version.py').write_text(f'__version__ = "{dict(mmdet="3.3.0", mmpretrain="1.2.0")[host]}"')
        (folder / host / '__init__.py').write_text('raise ImportError("libGL.so.1 is missing")')
    env = os.environ | dict(PYTHONPATH=f'{ROOT}{os.pathsep}{folder}')
    return subprocess.run([sys.executable, '-S', '-c', BUILD, *args], cwd=ROOT, env=env, text=True,
                          capture_output=True)


@pytest.mark.slow
@pytest.mark.parametrize('broken', [False, True])
@pytest.mark.parametrize('host, works, part, refused', [
    ('mmpretrain', DETECTION, 'CIFAR10', CLASSIFICATION),
    ('mmdet', CLASSIFICATION, 'VOCDataset', DETECTION),
])
def test_one_host_is_enough(tmp_path, host, works, part, refused, broken):
    found = without(host, tmp_path, broken, works, part, refused)
    assert found.returncode == 0, found.stderr[-2000:]
    purpose = hosts.HOSTS[host].purpose
    why = ('cannot be imported (ImportError: libGL.so.1 is missing)' if broken else
           'is not installed')
    assert f'mmadasap.{part} needs {host} (for {purpose}), which {why}; ' in found.stdout
    assert f"This config (default_scope='{host}') needs {host}" in found.stdout


def test_an_absent_host_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setattr(hosts, 'missing', lambda host: 'is not installed')
    with pytest.raises(UserError, match=r'mmpretrain \(for classification\), which is not installed; install '
                                        "mmpretrain, or beside OneDL's mmengine and mmcv onedl-mmpretrain"):
        hosts.check_scope(Config(dict(default_scope='mmpretrain')))
    hosts.check_scope(Config(dict(default_scope='mmengine')))


@pytest.mark.parametrize('error, remedy', [
    (ModuleNotFoundError("No module named 'mmcv._ext'"), 'mmcv lacks its compiled part.*--no-build-isolation mmcv'),
    (ImportError('x/mmcv/_ext.cpython-311.so: undefined symbol'), 'or it is of another torch: .*pip install'),
    (AssertionError('MMCV==2.2.0 is used but incompatible.'), 'MMCV==2.2.0 .*; install versions that go together'),
])
def test_a_broken_host_is_named_with_the_remedy(monkeypatch, error, remedy):

    def fail(name):
        raise error

    monkeypatch.setattr(hosts, 'import_module', fail)
    hosts.missing.cache_clear()
    try:
        with pytest.raises(UserError, match=f'This test needs mmdet .*cannot be imported.*{remedy}'):
            hosts.require('mmdet', 'This test')
    finally:
        hosts.missing.cache_clear()


def test_a_foreign_scope_is_refused_where_it_matters():
    with pytest.raises(UserError, match="default_scope='mmseg'.*mmdet, mmpretrain"):
        hosts.host_of(Config(dict(default_scope='mmseg')))


@pytest.mark.parametrize('scope, wanted', [
    ('mmdet', dict(draw=True, show=True, wait_time=3, test_out_dir='out')),
    ('mmpretrain', dict(enable=True, interval=1, show=True, wait_time=3, out_dir='work/out')),
])
def test_drawing_is_turned_on_the_hosts_way(scope, wanted):
    cfg = Config(dict(default_scope=scope, work_dir='work', default_hooks=dict(visualization=dict(type='X'))))
    hosts.draw_predictions(cfg, True, 'out', 3)
    assert cfg.default_hooks.visualization == dict(wanted, type='X')
    with pytest.raises(UserError, match='default_hooks.visualization'):
        hosts.draw_predictions(Config(dict(default_scope=scope)), True, None, 3)
