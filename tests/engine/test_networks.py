import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hub import get_config

from mmadasap.datasets.shapes import write_shapes
from mmadasap.engine.networks import adopt_slim_model, build_network, first_test_image, input_size
from mmadasap.errors import UserError
from mmadasap.hosts import scope_of
from mmadasap.registry import DATASETS, MODELS
from tests.engine.hooks.test_channel_pruning_hook import SGD, pruning
from tests.toys import make_runner


def test_a_dense_config_adopts_a_slim_checkpoint(tmp_path):
    runner = make_runner(tmp_path, SGD, [pruning()], epochs=4)
    runner.train()
    dense = Config(dict(model=dict(type='ToyClassifier')))
    line = adopt_slim_model(dense, str(tmp_path / 'epoch_4.pth'))
    assert 'holds a pruned network' in line and dense.model.type == 'mmadasap.SlimModel'
    assert adopt_slim_model(dense, str(tmp_path / 'epoch_4.pth')) is None
    before = Config(dict(model=dict(type='ToyClassifier')))
    assert adopt_slim_model(before, str(tmp_path / 'epoch_1.pth')) is None and before.model.type == 'ToyClassifier'


def test_slim_config_builds_the_slim_model(tmp_path):
    runner = make_runner(tmp_path, SGD, [pruning()], epochs=4)
    model = runner.train().eval()
    again = MODELS.build(Config.fromfile(tmp_path / 'slim.py').model).eval()
    again.load_state_dict(torch.load(tmp_path / 'epoch_4.pth', weights_only=False)['state_dict'])
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(model(x), again(x))


def test_the_first_image_of_the_test_set_is_what_the_detector_sees(tmp_path):
    cfg = Config.fromfile(Path(__file__).parents[2] / 'configs/quickstart/ssd256_r50-w16_dense_shapes.py')
    cfg.test_dataloader.dataset.data_root = str(tmp_path / 'data')
    model = build_network(cfg)
    assert first_test_image(cfg, model, (256, 256)) is None
    write_shapes(str(tmp_path / 'data'), train=1, test=2)
    images = tmp_path / 'data/JPEGImages'
    images.rename(tmp_path / 'elsewhere')
    assert first_test_image(cfg, model, (256, 256)) is None
    (tmp_path / 'elsewhere').rename(images)
    sample = DATASETS.build(cfg.test_dataloader.dataset)[0]
    batch = dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']])
    assert torch.equal(first_test_image(cfg, model, (256, 256)), model.data_preprocessor(batch)['inputs'])
    assert first_test_image(cfg, model, (128, 256)) is None
    assert first_test_image(cfg, torch.nn.Flatten(), (256, 256)) is None


@pytest.mark.parametrize('cfg, size', [
    (dict(custom_hooks=[dict(type='A'), dict(input_size=32)], input_size=64), (32, 32)),
    (dict(custom_hooks=None, input_size=64), (64, 64)),
    (dict(test_pipeline=[dict(type='LoadImageFromFile'), dict(type='CenterCrop', crop_size=224)]), (224, 224)),
    (dict(test_pipeline=[dict(type='Resize', scale=(64, 32)), dict(type='PackDetInputs')]), (32, 64)),
])
def test_the_size_a_config_says(cfg, size):
    assert input_size(Config(cfg)) == size
    assert input_size(Config(cfg), (8, 16)) == (8, 16)
    with pytest.raises(UserError, match='--input-size 0 8 is no image'):
        input_size(Config(cfg), (0, 8))


def test_a_crop_after_resizing_is_what_the_network_sees():
    assert input_size(get_config('mmpretrain::resnet/resnet50_8xb32_in1k.py')) == (224, 224)


def test_classifiers_do_without_compiled_operators():
    """As with mmcv-lite."""
    code = "import sys; sys.modules['mmcv._ext'] = None; import mmadasap.engine.networks"
    done = subprocess.run([sys.executable, '-c', code], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize('kind', ['CenterCrop', 'mmpretrain.CenterCrop', Config])
def test_a_crop_gives_the_size_however_it_is_named(kind):
    kind = type('CenterCrop', (), {}) if kind is Config else kind
    steps = [dict(type='ResizeEdge', scale=256), dict(type=kind, crop_size=224)]
    assert input_size(Config(dict(test_pipeline=steps))) == (224, 224)


def test_a_config_may_leave_its_library_open():
    cfg = Config(dict(model=dict(type='ToyClassifier'), default_scope=None))
    assert scope_of(cfg) == 'mmdet' and build_network(cfg).net is not None
