"""The tools as a user calls them, on a few drawn images."""
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch

from mmadasap.datasets.shapes import CLASSES, write_shapes

ROOT = Path(__file__).parents[2]
DENSE = str(ROOT / 'configs/quickstart/ssd256_r50-w16_dense_shapes.py')
ADASAP = str(ROOT / 'configs/quickstart/ssd256_r50-w16_adasap-p-macs50_shapes.py')


def tool(name, *args, cwd, check=True):
    found = subprocess.run([sys.executable, str(ROOT / 'tools' / name), *map(str, args)], cwd=cwd, text=True,
                           capture_output=True, env=os.environ | dict(CI='true', PYTHONPATH=str(ROOT)))
    assert not check or found.returncode == 0, found.stderr[-3000:]
    return found


def refusal(name, args, cwd, monkeypatch):
    """The one sentence a tool ends with, with exit code 1; in this process, for others take their time to start."""
    monkeypatch.chdir(cwd)
    monkeypatch.setattr('sys.argv', [name, *map(str, args)])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(ROOT / 'tools' / name), run_name='__main__')
    # A text as exit code is printed to stderr, and the code is 1.
    assert isinstance(caught.value.code, str) and '\n' not in caught.value.code
    return caught.value.code


def small(data):
    return ['--cfg-options', 'train_cfg.max_epochs=3', 'train_cfg.val_interval=3', 'param_scheduler=None',
            *[f'{split}_dataloader.{key}={value}' for split in ('train', 'val', 'test')
              for key, value in (('dataset.data_root', data), ('batch_size', 4), ('num_workers', 0),
                                 ('persistent_workers', False))]]


PHASE = ['custom_hooks.1.begin=1', 'custom_hooks.1.end=2', 'custom_hooks.1.interval=1', 'load_from=None']


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp('tools')
    write_shapes(str(root / 'data'), train=8, test=3)
    out = tool('train.py', ADASAP, '--work-dir', root / 'slim', *small(root / 'data'), *PHASE, cwd=root)
    return root, out


@pytest.mark.slow
def test_train_writes_checkpoints_and_the_slim_config(trained):
    root, _ = trained
    assert (root / 'slim/epoch_3.pth').exists() and (root / 'slim/slim.py').exists()


@pytest.mark.slow
def test_resume_goes_on_after_surgery(trained):
    root, _ = trained
    options = [o.replace('max_epochs=3', 'max_epochs=4') for o in small(root / 'data')]
    tool('train.py', ADASAP, '--work-dir', root / 'slim', '--resume', *options, *PHASE, cwd=root)
    assert (root / 'slim/epoch_4.pth').exists()


@pytest.mark.slow
def test_a_dense_config_and_the_slim_config_test_a_slim_checkpoint_alike(trained):
    root, _ = trained
    found = []
    for config in (DENSE, root / 'slim/slim.py'):
        out = tool('test.py', config, root / 'slim/epoch_3.pth', '--work-dir', root / 'test', '--out',
                   root / 'found.pkl', '--show-dir', 'painted', *small(root / 'data'), cwd=root)
        found.append(next(line for line in out.stdout.splitlines() if line.startswith('| mAP')))
        assert ('holds a pruned network' in out.stdout) == (config == DENSE)
    assert found[0] == found[1]
    assert (root / 'found.pkl').exists() and list((root / 'test').rglob('painted/**/*.jpg'))


@pytest.fixture(scope='module')
def slim_pair(trained):
    root, _ = trained
    config = root / 'shapes.py'
    config.write_text(f"_base_ = '{root}/slim/slim.py'\n")
    return root, [config, root / 'slim/epoch_3.pth']


@pytest.mark.slow
def test_robustness_writes_its_grid(slim_pair):
    root, pair = slim_pair
    out = tool('test_robustness.py', *pair, *pair, '--corruptions', 'fog', 'contrast', '--severities', 1, 3, '--out',
               root / 'r', cwd=root)
    grids = json.loads((root / 'r/robustness.json').read_text())['models']
    assert list(grids) == [f'{pair[1]} (1)', f'{pair[1]} (2)']
    grid = next(iter(grids.values()))
    assert set(grid['corrupted']) == {'fog', 'contrast'} and set(grid['corrupted']['fog']) == {'1', '3'}
    assert 'R_C' in out.stdout and (root / 'r/margins.png').exists()
    assert set(grid['clean_classes']) <= {'disk', 'square', 'star', 'triangle'}


@pytest.fixture(scope='module')
def guesser(trained):
    """Config and checkpoint of a detector that a single pixel makes find other boxes."""
    root, _ = trained
    config = root / 'guesser.py'
    config.write_text(f"_base_ = '{DENSE}'\ncustom_imports = dict(imports=['tests.evaluation.guesser'])\n"
                      "model = dict(_delete_=True, type='PixelGuesser', data_preprocessor=dict("
                      "type='DetDataPreprocessor'))\n"
                      f"test_dataloader = dict(dataset=dict(data_root='{root}/data'))\n")
    torch.save(dict(state_dict=dict(weight=torch.zeros(1))), root / 'guesser.pth')
    return root, [config, root / 'guesser.pth']


def accuracies(out):
    """mAP clean and of every cell, which must tell one set of pixels from another."""
    found = next(iter(json.loads((out / 'robustness.json').read_text())['models'].values()))
    values = [found['clean'], *(v for row in found['corrupted'].values() for v in row.values())]
    assert len(set(values)) == len(values) and min(values) > 0
    return values


@pytest.mark.slow
def test_stored_and_on_the_fly_and_any_number_of_workers_give_one_table(guesser):
    root, pair = guesser
    tool('build_corrupted_dataset.py', root / 'data', '--out', root / 'c', '--corruptions', 'fog', 'snow', cwd=root)
    tables = set()
    for i, source in enumerate([[], [], ['--stored', root / 'c'], ['--stored', root / 'c']]):
        out = root / f'table{i}'
        tool('test_robustness.py', *pair, '--corruptions', 'fog', 'snow', '--workers', 1 + 2 * (i % 2), '--out', out,
             *source, cwd=root)
        tables.add((out / 'robustness.csv').read_text() + (out / 'robustness.md').read_text())
    assert len(tables) == 1 and len(accuracies(out)) == 3
    tool('test_robustness.py', *pair, '--corruptions', 'fog', 'snow', '--seed', 1, '--out', root / 'seed', cwd=root)
    assert accuracies(root / 'seed')[1:] != accuracies(out)[1:]


@pytest.mark.parametrize('args, message', [
    (['--severities', 0], 'severity=0 is the clean data set itself'),
    (['--stored', 'c', '--seed', 1], '--seed 1 is for corruptions made on the fly')])
def test_what_has_no_effect_on_robustness_is_refused(tmp_path, monkeypatch, args, message):
    assert message in refusal('test_robustness.py', [DENSE, 'x.pth', *args], tmp_path, monkeypatch)


@pytest.mark.slow
def test_robustness_on_two_processes_is_that_on_one(guesser):
    root, pair = guesser
    args = [*pair, '--corruptions', 'fog', '--out']
    tool('test_robustness.py', *args, root / 'one', cwd=root)
    command = [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2', '--master_port=29631',
               str(ROOT / 'tools/test_robustness.py'), *map(str, args), str(root / 'two'), '--launcher', 'pytorch']
    found = subprocess.run(command, cwd=root, text=True, capture_output=True, env=os.environ | dict(
        CI='true', CUDA_VISIBLE_DEVICES='-1', OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT)))
    assert found.returncode == 0, found.stderr[-3000:]
    assert len(accuracies(root / 'two')) == 2
    assert (root / 'two/robustness.csv').read_text() == (root / 'one/robustness.csv').read_text()


@pytest.mark.slow
def test_corruptions_are_browsed(slim_pair):
    root, pair = slim_pair
    image = root / 'data/JPEGImages/00001.jpg'
    tool('browse_corruptions.py', image, *pair, *pair, '--out', root / 'browse', '--corruptions', 'noise', cwd=root)
    sheet = cv2.imread(str(root / 'browse/corruptions.png'))
    assert sheet.shape[1] > 6 * 200 and sheet.shape[0] > 3 * 200
    assert cv2.imread(str(root / 'browse/detections.png')).std() > 5


@pytest.mark.slow
def test_what_cannot_be_drawn_is_said(trained):
    root, _ = trained
    image, classifier = root / 'data/JPEGImages/00001.jpg', root / 'classifier.py'
    classifier.write_text("default_scope = 'mmpretrain'\nmodel = dict(type='ImageClassifier')\n")
    other = root / 'other.py'
    other.write_text(f"_base_ = '{DENSE}'\ntest_dataloader = dict(dataset=dict(metainfo=dict(classes=('a', 'b'))))\n")
    checkpoint = root / 'slim/epoch_3.pth'
    for config, message in ((classifier, "is of default_scope='mmpretrain' and finds no boxes to draw"),
                            (other, 'draw models of the same classes side by side')):
        found = tool('browse_corruptions.py', image, DENSE, checkpoint, config, checkpoint, '--out', root / 'b',
                     '--corruptions', 'fog', cwd=root, check=False)
        assert found.returncode == 1 and message in found.stderr and 'Traceback' not in found.stderr


def test_unusable_images_are_listed_and_the_exit_code_is_1(tmp_path):
    write_shapes(str(tmp_path / 'data'), train=1, test=3)
    (tmp_path / 'data/JPEGImages/00002.jpg').write_bytes(b'')
    args = [tmp_path / 'data', '--out', tmp_path / 'c', '--corruptions', 'fog']
    found = tool('build_corrupted_dataset.py', *args, cwd=tmp_path, check=False)
    assert found.returncode == 1 and '  JPEGImages/00002.jpg is empty' in found.stdout
    assert 'Error: 1 files could not be used' in found.stderr and 'Traceback' not in found.stderr
    assert len(list((tmp_path / 'c').rglob('*.png'))) == 2
    found = tool('build_corrupted_dataset.py', *args, '--verify', cwd=tmp_path, check=False)
    assert found.returncode == 1 and 'was left out: its source is empty' in found.stdout


@pytest.mark.slow
def test_sharpness_of_a_slim_checkpoint(trained):
    root, _ = trained
    config = root / 'eight.py'
    config.write_text(f"_base_ = '{root}/slim/slim.py'\n")
    out = tool('measure_sharpness.py', config, root / 'slim/epoch_3.pth', DENSE, root / 'slim/epoch_3.pth', '--batches',
               1, '--rho', 0.1, '--out', root / 's.json', cwd=root, check=False)
    assert 'Error: There is no list of images' in out.stderr
    out = tool('measure_sharpness.py', config, root / 'slim/epoch_3.pth', '--batches', 1, '--rho', 0.1, '--out',
               root / 's.json', cwd=root)
    row = next(iter(json.loads((root / 's.json').read_text())['models'].values()))
    assert row['projected'] >= row['one_step'] > 0 and 'projected' in out.stdout
    args = [config, root / 'slim/epoch_3.pth', '--batches', 1, '--rho', 0.1, '--out', root / 'again.json']
    tool('measure_sharpness.py', *args, cwd=root)
    assert (root / 's.json').read_text() == (root / 'again.json').read_text()


@pytest.mark.slow
def test_groups_of_a_dense_config_and_of_a_slim_one(trained):
    root, _ = trained
    rows = [tool('print_groups.py', config, '--input-size', 256, 256, cwd=root).stdout.splitlines()
            for config in (DENSE, root / 'slim/slim.py')]
    assert rows[0][0].split()[:2] == ['group', 'channels'] and len(rows[0]) == len(rows[1]) > 10
    total = [sum(int(row.split()[1]) for row in part[1:]) for part in rows]
    assert total[1] < total[0]


@pytest.mark.slow
def test_a_pruned_checkpoint_is_shown_without_its_config(trained):
    root, _ = trained
    out = tool('inspect_slim.py', root / 'slim/epoch_3.pth', cwd=root).stdout
    assert 'backbone.layer1.0.conv1' in out and 'budget: 50% of the macs' in out
    assert (root / 'slim/epoch_3-channels.png').stat().st_size > 1000


@pytest.mark.slow
def test_a_published_slim_checkpoint_tests_like_the_original(trained):
    root, _ = trained
    said = tool('publish_model.py', root / 'slim/epoch_3.pth', root / 'toy.pth', cwd=root).stdout
    path = said.split()[-1]
    lines = [
        next(line for line in tool('test.py', DENSE, p, '--work-dir', root / 'test', *small(root / 'data'),
                                   cwd=root).stdout.splitlines() if line.startswith('| mAP'))
        for p in (path, root / 'slim/epoch_3.pth')
    ]
    assert lines[0] == lines[1]


@pytest.mark.slow
def test_test_time_augmentation_of_a_slim_checkpoint(trained):
    root, _ = trained
    for config in (DENSE, root / 'slim/slim.py'):
        out = tool('test.py', config, root / 'slim/epoch_3.pth', '--tta', '--work-dir', root / 'tta',
                   *small(root / 'data'), cwd=root)
        assert any(line.startswith('| mAP') for line in out.stdout.splitlines())


@pytest.mark.slow
def test_a_slim_config_fine_tunes_and_resumes_with_other_classes(trained):
    root, _ = trained
    config, classes = root / 'fine.py', (*CLASSES, 'one more')
    config.write_text(f"_base_ = '{root}/slim/slim.py'\nload_from = '{root}/slim/epoch_3.pth'\n"
                      f"model = dict(bbox_head=dict(num_classes={len(classes)}))\n"
                      f"train_dataloader = dict(dataset=dict(metainfo=dict(classes={classes})))\n"
                      f"val_dataloader = dict(dataset=dict(metainfo=dict(classes={classes})))\n")
    options = [o for o in small(root / 'data') if not o.startswith(('train_cfg', 'param'))]
    for epochs, resume in ((1, []), (2, ['--resume'])):
        tool('train.py', config, '--work-dir', root / 'fine', *resume, *options, f'train_cfg.max_epochs={epochs}',
             'train_cfg.val_interval=9', 'param_scheduler=None', cwd=root)
    assert (root / 'fine/epoch_2.pth').exists()
    found = tool('test.py', config, root / 'slim/epoch_3.pth', '--work-dir', root / 'test', *options, cwd=root,
                 check=False)
    assert found.returncode == 1 and 'bbox_head.cls_convs' in found.stderr.strip().splitlines()[-1]


@pytest.mark.slow
def test_an_export_is_checked_measured_and_evaluated(trained):
    root, _ = trained
    config = root / 'export.py'
    config.write_text(f"_base_ = '{root}/slim/slim.py'\n")
    out = tool('export_onnx.py', config, root / 'slim/epoch_3.pth', '--out', root / 'slim.onnx', '--evaluate', cwd=root)
    found = json.loads((root / 'slim.onnx.json').read_text())
    assert found['differences']['scores'] < 1e-4 and found['differences']['boxes'] < 0.1
    assert found['costs']['slim']['parameters'] < found['costs']['dense']['parameters']
    assert found['costs']['slim']['onnx_bytes'] < found['costs']['dense']['onnx_bytes']
    assert 'largest absolute difference to PyTorch over 3 images' in out.stdout and 'mAP by ONNX Runtime' in out.stdout


@pytest.mark.slow
@pytest.mark.parametrize('name, args', [
    ('test.py', [DENSE, 'cut.pth']),
    ('train.py', [DENSE, '--resume', 'cut.pth']),
    ('inspect_slim.py', ['cut.pth']),
    ('publish_model.py', ['cut.pth', 'x.pth']),
    ('export_onnx.py', [DENSE, 'cut.pth', '--out', 'x.onnx']),
])
def test_a_truncated_checkpoint_is_one_sentence_from_every_tool(trained, tmp_path, name, args):
    data = (trained[0] / 'slim/epoch_3.pth').read_bytes()
    (tmp_path / 'cut.pth').write_bytes(data[:len(data) // 2])
    found = tool(name, *args, cwd=tmp_path, check=False)
    assert found.returncode == 1 and 'Traceback' not in found.stderr
    assert re.match('Error: cut.pth cannot be read as a checkpoint', found.stderr.strip().splitlines()[-1])
    assert not list(tmp_path.glob('x*'))


@pytest.mark.parametrize('name, args, message', [
    ('train.py', ['nowhere.py'], "Error: There is no config file 'nowhere.py'"),
    ('train.py', [ADASAP], "Error: There is no checkpoint 'work_dirs/quickstart/dense/epoch_14.pth'"),
    ('train.py', [DENSE], 'Error: .*There is no list of images at'),
    ('test_robustness.py', [DENSE], 'Error: 1 paths are no pairs'),
    ('test_robustness.py', [DENSE, 'nowhere.pth'], "Error: There is no checkpoint 'nowhere.pth'"),
    ('build_corrupted_dataset.py', ['nowhere', '--out', 'c'], "Error: There is no data set 'nowhere'"),
    ('build_corrupted_dataset.py', ['nowhere', '--out', 'c', '--shard', '1'], "Error: --shard '1' must be i/n"),
    ('build_corrupted_dataset.py', ['nowhere', '--out', 'c', '--verify'], "Error: 'c' holds no corrupted copy"),
    ('browse_corruptions.py', ['nowhere.jpg'], r"Error: 'nowhere.jpg' cannot be read \(No such file"),
    ('measure_sharpness.py', [DENSE, 'nowhere.pth'], "Error: There is no checkpoint 'nowhere.pth'"),
    ('print_groups.py', ['nowhere.py'], "Error: There is no config file 'nowhere.py'"),
    ('print_groups.py', [DENSE, '--input-size', '64', '-1'], 'Error: --input-size 64 -1 is no image'),
    ('build_latency_table.py', [DENSE, '--input-size', '0', '8'], 'Error: --input-size 0 8 is no image'),
    ('build_latency_table.py', [DENSE, '--budget-minutes', 'nan'], 'Error: --budget-minutes nan must be above 0'),
    ('export_onnx.py', [DENSE, 'x.pth', '--out', 'x', '--input-size', '0', '8'], 'Error: --input-size 0 8 is no image'),
    ('publish_model.py', ['nowhere.pth', 'x.pth'], "Error: There is no checkpoint 'nowhere.pth'"),
    ('export_onnx.py', [DENSE, 'nowhere.pth', '--out', 'x.onnx'], "Error: There is no checkpoint 'nowhere.pth'"),
    ('inspect_slim.py', ['nowhere.pth'], "Error: There is no checkpoint 'nowhere.pth'"),
    ('quickstart.py', ['--data', 'nowhere'], "Error: There is no data folder 'nowhere'"),
])
def test_errors_are_one_line_and_exit_code_1(name, args, message, tmp_path, monkeypatch):
    assert re.match(message, refusal(name, args, tmp_path, monkeypatch))
