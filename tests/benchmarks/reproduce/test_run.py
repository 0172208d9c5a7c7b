"""A dense and a pruned run from their configs to their results, through tools/train.py."""
import json
import os
import shutil
import signal
import time
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from threading import Thread

import cifar
import measure
import pytest
import run as runner
import runs
import starts
import torch
from mmpretrain.datasets.categories import CIFAR10_CATEGORIES
from provenance import data_hash
from run import run_once, warn_if_changed
from runs import resolve, training_hash
from starts import publish_start, published_start
from training import alone, train

from mmadasap.corruption.versions import library_versions
from mmadasap.errors import UserError
from mmadasap.fileio import file_digest, write_json
from tests.datasets.image_folders import write_images

ROOT = Path(__file__).parents[3]


@pytest.fixture
def setting(tmp_path, monkeypatch):
    """CIFAR's story at 4 channels on 40 images, writing to a temporary folder."""
    for split in ('train', 'test'):
        write_images(tmp_path / 'cifar10' / split, CIFAR10_CATEGORIES)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(runs, 'WORK_DIR', str(tmp_path / 'work'))
    monkeypatch.setattr(runs, 'RESULTS', str(tmp_path / 'results'))
    monkeypatch.setattr(measure, 'CORRUPTIONS', ('fog', 'gaussian_noise'))
    monkeypatch.setattr(measure, 'SHARPNESS', dict(rho=0.05, batches=2, steps=1))
    data = {'model.backbone.stem_channels': 4, 'model.backbone.base_channels': 4, 'model.head.in_channels': 32,
            'train_dataloader.batch_size': 4, 'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False}
    data |= {f'{part}_dataloader.dataset.data_root': str(tmp_path / 'cifar10') for part in ('train', 'val', 'test')}
    return cifar.Setting('toy', dense=2, epochs=3, begin=1, end=2, interval=2, data=data, every=2)


@pytest.mark.slow
def test_from_configs_to_results_in_any_order(setting, monkeypatch, capfd):
    dense = cifar.dense(setting)
    slim = cifar.pruned(setting, 'adasap-p', 50)
    monkeypatch.setattr(runner, 'RUNS', {run.name: run for run in (dense, slim)})
    # As where the dense network's result is kept and its checkpoint is not.
    for run in (slim, dense):
        run_once(run, 1, 'cpu')
    first, second = (json.loads(Path(run.result_path(1)).read_text()) for run in (dense, slim))
    assert first['test']['parameters'] > 1.9 * second['test']['parameters']
    assert 0 <= first['train'] <= 1 and 'before' not in first
    assert second['before']['accuracy'] >= 0 and second['after']['loss'] > 0
    assert second['measuring_seconds'] > 0 and 'commit' in second['versions']
    assert {'loss', 'one_step', 'projected'} <= second['after']['sharpness'].keys()
    assert second['test']['corrupted'].keys() == {'fog', 'gaussian_noise'} and second['test']['every'] == 2
    # 20 images in batches of 4, 3 epochs, the phase over after 2.
    assert (second['cost']['iterations'], second['cost']['iterations_before']) == (15, 10)
    assert second['cost']['training_seconds'] > 0 and second['peak_memory_bytes'] > 1e8
    assert second['training']['devices'] == 'cpu' and second['training']['versions'] == second['versions']
    assert all(second['cost']['step_ms'][name] > 0 for name in ('plain', 'before', 'after', 'masked'))
    assert 'step_ms' not in first['cost']
    assert library_versions().items() <= second['versions'].items() and 'torch' in second['versions']
    assert first['data_hash'] == second['data_hash'] and first['config_hash'] != second['config_hash']
    assert 'toy_dense-seed1.json; its config and checkpoints' in capfd.readouterr().out


def test_the_training_of_another_config_is_not_taken_for_this_one(setting):
    dense = cifar.dense(setting)
    Path(dense.work_dir(0)).mkdir(parents=True)
    (Path(dense.work_dir(0)) / 'training.json').write_text('{"hash": "another", "peak_memory_bytes": 1}')
    slim = cifar.pruned(setting, 'adasap-p', 50)
    for run in (dense, slim):
        with pytest.raises(UserError, match='toy_dense-seed0 holds a training of another config .another, now'):
            train(run, 0, 'cpu', {dense.name: dense})


def test_a_checkpoint_nobody_knows_the_config_of_is_not_taken(setting):
    dense = cifar.dense(setting)
    Path(dense.work_dir(0)).mkdir(parents=True)
    Path(runs.checkpoint_path(resolve(dense, 0))).touch()
    with pytest.raises(UserError, match='toy_dense-seed0 holds a training of another config .unknown, now'):
        train(dense, 0, 'cpu', {dense.name: dense})


def test_a_result_of_another_config_is_pointed_out(setting, monkeypatch, capsys):
    dense = cifar.dense(setting)
    monkeypatch.setattr(runner, 'RUNS', {dense.name: dense})
    mine = dict(config_hash=training_hash(dense, 0, {}), data_hash=data_hash(resolve(dense, 0)))
    assert mine['data_hash']
    for stated, warning in (({}, ''), (dict(config_hash='x'), 'was made with another config (x, now '),
                            (dict(data_hash='x'), 'was made with other data (x, now ')):
        write_json(dense.result_path(0), mine | stated)
        warn_if_changed(dense, 0)
        said = capsys.readouterr().out
        assert warning in said and bool(warning) == bool(said)


def test_results_are_not_of_other_data_where_there_are_none(setting, tmp_path, monkeypatch, capsys):
    dense = cifar.dense(replace(setting, data={key: str(tmp_path / 'nowhere') if key.endswith('root') else value
                                               for key, value in setting.data.items()}))
    monkeypatch.setattr(runner, 'RUNS', {dense.name: dense})
    assert data_hash(resolve(dense, 0)) is None
    write_json(dense.result_path(0), dict(config_hash=training_hash(dense, 0, {}), data_hash='x'))
    warn_if_changed(dense, 0)
    assert not capsys.readouterr().out


def test_a_training_does_not_go_on_on_other_devices(setting, monkeypatch):
    dense = cifar.dense(setting)
    Path(dense.work_dir(0)).mkdir(parents=True)
    write_json(f'{dense.work_dir(0)}/training.json', dict(
        hash=training_hash(dense, 0, {}), peak_memory_bytes=None, devices='8 x cuda'))
    with pytest.raises(UserError, match='holds a training begun on 8 x cuda, and this is cpu: batches'):
        train(dense, 0, 'cpu', {dense.name: dense})


@pytest.mark.slow
def test_a_trained_run_is_measured_without_training_again(setting, monkeypatch):
    dense = cifar.dense(setting)
    monkeypatch.setattr(runner, 'RUNS', {dense.name: dense})
    run_once(dense, 0, 'cpu')
    whole = json.loads(Path(dense.result_path(0)).read_text())
    Path(dense.result_path(0)).unlink()
    last = Path(runs.checkpoint_path(resolve(dense, 0)))
    before = last.stat().st_mtime_ns
    run_once(dense, 0, 'cpu')
    again = json.loads(Path(dense.result_path(0)).read_text())
    assert last.stat().st_mtime_ns == before and all(
        again[key] == whole[key] for key in ('test', 'train', 'cost', 'peak_memory_bytes'))


@pytest.mark.slow
def test_a_pruned_run_starts_from_published_weights_where_its_start_is_not_trained_here(setting, monkeypatch, tmp_path):
    monkeypatch.setattr(starts, 'STARTS', str(tmp_path / 'starts'))
    dense, slim = cifar.dense(setting), cifar.pruned(setting, 'adasap-p', 50)
    every = {run.name: run for run in (dense, slim)}
    monkeypatch.setattr(starts, 'RUNS', every)
    with pytest.raises(UserError, match='epoch_2.pth is not there, or not whole; .*run.py toy_dense --seeds 0 trains'):
        publish_start(dense, 0)
    train(dense, 0, 'cpu', every)
    path = publish_start(dense, 0)
    assert published_start(dense, 0) is None
    weights = torch.load(runs.checkpoint_path(resolve(dense, 0)))['state_dict']
    shutil.rmtree(dense.work_dir(0))
    assert published_start(replace(dense, epochs=3), 0) is None
    found = train(slim, 0, 'cpu', every)
    assert not Path(dense.work_dir(0)).exists() and found['start'] == file_digest(path)[:16]
    for name, value in torch.load(path, weights_only=True)['state_dict'].items():
        torch.testing.assert_close(value.to(weights[name].dtype), weights[name], rtol=1e-3, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize('kill, epochs', [(os.kill, [[*range(1, 9)]]), (os.killpg, [[1], [*range(2, 9)]])],
                         ids=['the program', 'the training, too'])
def test_after_a_kill_no_epoch_is_lost_or_trained_twice(setting, kill, epochs):
    dense = cifar.dense(replace(setting, dense=8))
    cfg = resolve(dense, 0)
    program = get_context('fork').Process(target=_train_in_a_group, args=(dense, ))
    program.start()
    # What --resume reads, written after the checkpoint.
    while not (Path(cfg.work_dir) / 'last_checkpoint').exists():
        assert program.is_alive()
        time.sleep(0.01)
    kill(program.pid, signal.SIGKILL)
    program.join()
    assert json.loads((Path(cfg.work_dir) / 'training.json').read_text())['peak_memory_bytes'] > 0
    train(dense, 0, 'cpu', {})
    logs = [path.read_text().splitlines() for path in sorted(Path(cfg.work_dir).glob('*/vis_data/scalars.json'))]
    found = [[line['epoch'] for line in map(json.loads, log) if 'loss' in line] for log in logs]
    assert found == epochs


def _train_in_a_group(run):
    os.setpgrp()
    train(run, 0, 'cpu', {})


def test_one_trains_in_a_folder_at_a_time(tmp_path, capsys):
    entered = []

    def enter():
        with alone(str(tmp_path)):
            entered.append(True)

    with alone(str(tmp_path)):
        second = Thread(target=enter)
        second.start()
        second.join(0.2)
        assert not entered
    second.join(10)
    assert entered and f'waiting for another process that trains in {tmp_path}' in capsys.readouterr().out
