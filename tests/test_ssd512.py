"""The showpiece at full size: SSD512-ResNet50 on data in VOCdevkit layout takes a training step on a processor."""
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmadasap.datasets.shapes import write_shapes

CONFIGS = Path(__file__).parents[1] / 'configs'
FILES = [
    'dense/ssd512_r50_dense-8xb16-800e_voc0712.py',
    'adasap/ssd512_r50_adasap-p-macs40-8xb16-800e_voc0712.py',
    'baselines/ssd512_r50_magnitude-sgd-macs40-8xb16-800e_voc0712.py',
]
VOC_NAMES = dict(disk='bottle', square='tvmonitor', star='bird', triangle='boat')


@pytest.fixture(scope='module')
def devkit(tmp_path_factory):
    """VOCdevkit with a few drawn images under VOC's class names."""
    root = tmp_path_factory.mktemp('VOCdevkit')
    write_shapes(str(root / 'VOC2007'), train=2, test=1)
    for path in (root / 'VOC2007/Annotations').glob('*.xml'):
        text = path.read_text()
        for ours, theirs in VOC_NAMES.items():
            text = text.replace(f'<name>{ours}</name>', f'<name>{theirs}</name>')
        path.write_text(text)
    shutil.copytree(root / 'VOC2007', root / 'VOC2012')
    return root


def small_run(file, devkit, work_dir):
    """The config as it is, but for paths, batches of two and no worker processes."""
    cfg = Config.fromfile(CONFIGS / file)
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = f'{work_dir}'.replace('/', '-')
    cfg.log_level = 'WARNING'
    cfg.model.backbone.init_cfg = None
    loaders = [cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader]
    for loader in loaders:
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
    for dataset in (*cfg.train_dataloader.dataset.datasets, cfg.val_dataloader.dataset, cfg.test_dataloader.dataset):
        dataset.data_root = f'{devkit}/'
    return Runner.from_cfg(cfg)


@pytest.mark.slow
@pytest.mark.parametrize('file', FILES)
def test_one_training_iteration(file, devkit, tmp_path):
    runner = small_run(file, devkit, tmp_path)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    loader = runner.build_dataloader(runner._train_dataloader)
    assert len(loader.dataset) == 4 and len(loader.dataset.metainfo['classes']) == 20
    before = runner.model.backbone.layer3[5].conv3.weight.detach().clone()
    runner.model.train()
    logs = runner.model.train_step(next(iter(loader)), runner.optim_wrapper)
    assert torch.isfinite(logs['loss'])
    assert not torch.equal(runner.model.backbone.layer3[5].conv3.weight, before)


@pytest.mark.slow
def test_imagenet_weights_are_loaded_from_a_file_in_torchvisions_format(devkit, tmp_path):
    import torchvision
    weights = torchvision.models.resnet50(weights=None).state_dict()
    torch.save(weights, tmp_path / 'resnet50.pth')
    runner = small_run(FILES[0], devkit, tmp_path)
    runner.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'resnet50.pth'))
    runner.model.init_weights()
    state = runner.model.backbone.state_dict()
    assert state.keys() <= weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in state.items())
