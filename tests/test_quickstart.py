"""The whole story at toy scale: every stage, the table and the pictures, and going on after a kill."""
import json
import shutil
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from mmadasap import quickstart
from mmadasap.datasets.shapes import write_shapes
from mmadasap.errors import UserError

CONFIGS = str(Path(__file__).parents[1] / 'configs')


@pytest.fixture
def tiny(monkeypatch):
    """Three corruptions, few images, few epochs."""
    make = quickstart.stage_config

    def stage_config(stage, data, work_dir, configs):
        cfg = make(stage, data, work_dir, configs)
        cfg.train_cfg.update(max_epochs=3, val_interval=3)
        cfg.param_scheduler = []
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            loader.update(batch_size=4, num_workers=0, persistent_workers=False)
        for hook in cfg.custom_hooks:
            if hook.type == 'mmadasap.ChannelPruningHook':
                hook.update(begin=1, end=2, interval=1)
        return cfg

    monkeypatch.setattr(quickstart, 'stage_config', stage_config)
    monkeypatch.setitem(quickstart.SUBSETS, 'paper18', ('fog', 'contrast'))
    monkeypatch.setattr(quickstart, 'TRAIN_IMAGES', 8)
    monkeypatch.setattr(quickstart, 'TEST_IMAGES', 3)


@pytest.mark.slow
def test_it_runs_to_its_table_and_pictures_and_goes_on_after_a_kill(tiny, tmp_path, capsys):
    work = tmp_path / 'work'
    quickstart.run_quickstart(None, str(work), CONFIGS)
    results = json.loads((work / 'results.json').read_text())
    dense, slim = results['models']['dense'], results['models']['slim']
    assert slim['macs'] <= 0.5 * dense['macs'] and slim['parameters'] < dense['parameters']
    assert set(slim['corrupted']) == {'fog', 'contrast'} and slim['latency_ms'] > 0
    for picture in ('detections.png', 'channels.png'):
        assert cv2.imread(str(work / picture)).std() > 5
    assert 'R_C      mAP_C / mAP' in capsys.readouterr().out
    assert Config.fromfile(work / 'slim/slim.py').model.type == 'mmadasap.SlimModel'
    for stage in ('dense', 'slim'):
        assert torch.load(work / stage / 'epoch_3.pth', weights_only=True)['meta']['epoch'] == 3

        assert len(list((work / stage).glob('*/vis_data/scalars.json'))) == 1

    # As a kill leaves it while the last checkpoint is written.
    (work / 'slim/epoch_3.pth').write_bytes(b'torn')
    (work / 'slim/last_checkpoint').write_text(str(work / 'slim/epoch_2.pth'))
    dense_time = (work / 'dense/epoch_3.pth').stat().st_mtime
    quickstart.run_quickstart(None, str(work), CONFIGS)
    again = json.loads((work / 'results.json').read_text())['models']['slim']
    assert again['macs'] == slim['macs'] and (work / 'dense/epoch_3.pth').stat().st_mtime == dense_time


def test_the_users_data_gives_the_classes_and_lists(tmp_path):
    folder = tmp_path / 'mine'
    write_shapes(str(folder), train=3, test=2)
    lists = folder / 'ImageSets/Main'
    shutil.move(lists / 'trainval.txt', lists / 'train.txt')
    shutil.move(lists / 'test.txt', lists / 'val.txt')
    data = quickstart.find_data(str(folder), str(tmp_path))
    assert set(data.classes) <= {'disk', 'square', 'star', 'triangle'}
    assert (data.train, data.test) == ('ImageSets/Main/train.txt', 'ImageSets/Main/val.txt')
    cfg = quickstart.stage_config('slim', data, str(tmp_path / 'work'), CONFIGS)
    assert cfg.model.bbox_head.num_classes == len(data.classes)
    assert cfg.train_dataloader.dataset.metainfo.classes == data.classes
    assert cfg.test_dataloader.dataset.ann_file == 'ImageSets/Main/val.txt'


def test_images_need_not_be_jpg(tmp_path):
    folder = tmp_path / 'mine'
    write_shapes(str(folder), train=2, test=1)
    assert quickstart.find_data(str(folder), str(tmp_path)).suffix == '.jpg'
    for path in (folder / 'JPEGImages').iterdir():
        path.rename(path.with_suffix('.png'))
    data = quickstart.find_data(str(folder), str(tmp_path))
    cfg = quickstart.stage_config('dense', data, str(tmp_path / 'work'), CONFIGS)
    init_default_scope('mmdet')
    assert DATASETS.build(cfg.test_dataloader.dataset)[0]['data_samples'].img_path.endswith('.png')


def test_no_image_is_trained_on_and_tested_on(tmp_path):
    """VOC2012 comes with trainval, train and val, and without test."""
    folder = tmp_path / 'mine'
    write_shapes(str(folder), train=3, test=2)
    lists = folder / 'ImageSets/Main'
    train, val = (lists / 'trainval.txt').read_text(), (lists / 'test.txt').read_text()
    (lists / 'test.txt').unlink()
    for name, text in dict(trainval=train + val, train=train, val=val).items():
        (lists / f'{name}.txt').write_text(text)
    data = quickstart.find_data(str(folder), str(tmp_path))
    assert (data.train, data.test) == ('ImageSets/Main/train.txt', 'ImageSets/Main/val.txt')


@pytest.mark.parametrize('make, message', [
    (lambda folder: None, 'There is no data folder'),
    (lambda folder: folder.mkdir(), 'needs ImageSets/Main/trainval.txt or train.txt to train on'),
    (lambda folder: (write_shapes(str(folder), 2, 1), shutil.rmtree(folder / 'Annotations')),
     'There are no annotations'),
    (lambda folder: (write_shapes(str(folder), 2, 1), (folder / 'ImageSets/Main/test.txt').unlink()),
     'and test.txt or val.txt to test on'),
    (lambda folder: (write_shapes(str(folder), 2, 1), shutil.copy(folder / 'ImageSets/Main/trainval.txt',
                                                                  folder / 'ImageSets/Main/test.txt')),
     'trainval.txt and ImageSets/Main/test.txt share 2 images, .000'),
])
def test_what_is_missing_is_named(tmp_path, make, message):
    make(tmp_path / 'mine')
    with pytest.raises(UserError, match=message):
        quickstart.find_data(str(tmp_path / 'mine'), str(tmp_path))


def test_results_of_other_data_are_never_taken_for_these(tmp_path):
    mine, other = (quickstart.Data(str(tmp_path / n), ('a', ), 'x', 'y') for n in ('mine', 'other'))
    for _ in range(2):
        quickstart.claim_folder(str(tmp_path / 'work'), mine)
    with pytest.raises(UserError, match='holds results on .*mine'):
        quickstart.claim_folder(str(tmp_path / 'work'), other)
