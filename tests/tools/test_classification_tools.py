"""The tools as a user of mmpretrain calls them, on a few images in CIFAR-10's layout."""
import json
import pickle

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.datasets.categories import CIFAR10_CATEGORIES

from mmadasap.corruption import CORRUPTIONS
from mmadasap.engine.networks import build_network
from tests.datasets.image_folders import write_images
from tests.tools.test_tools import ROOT, tool

CONFIGS = ROOT / 'configs/classification/cifar10'
DENSE = str(CONFIGS / 'resnet18-w16_dense-1xb128-20e_cifar10.py')
ADASAP = str(CONFIGS / 'resnet18-w16_adasap-p-params50-1xb128-20e_cifar10.py')


def small(data):
    return ['--cfg-options', 'train_cfg.max_epochs=3', 'train_cfg.val_interval=3', 'param_scheduler=None',
            *[f'{split}_dataloader.{key}={value}' for split in ('train', 'val', 'test')
              for key, value in (('dataset.data_root', data), ('batch_size', 10), ('num_workers', 0),
                                 ('persistent_workers', False))]]


PHASE = ['custom_hooks.1.begin=1', 'custom_hooks.1.end=2', 'custom_hooks.1.interval=1', 'load_from=None']
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp('classification')
    for split in ('train', 'test'):
        write_images(root / 'data' / 'cifar10' / split, CIFAR10_CATEGORIES)
    data = root / 'data' / 'cifar10'
    tool('train.py', ADASAP, '--amp', '--work-dir', root / 'slim', *small(data), *PHASE, cwd=root)
    return root, data


def test_train_and_resume(trained):
    root, data = trained
    assert (root / 'slim/epoch_3.pth').exists() and (root / 'slim/slim.py').exists()
    options = [o.replace('max_epochs=3', 'max_epochs=4') for o in small(data)]
    tool('train.py', ADASAP, '--amp', '--work-dir', root / 'slim', '--resume', *options, *PHASE,
         'default_hooks.checkpoint.max_keep_ckpts=2', cwd=root)
    assert (root / 'slim/epoch_4.pth').exists()


def test_a_dense_config_tests_a_slim_checkpoint_draws_and_dumps(trained):
    root, data = trained
    found = tool('test.py', DENSE, root / 'slim/epoch_3.pth', '--work-dir', root / 'out', '--out', root / 'out.pkl',
                 '--show-dir', 'drawn', *small(data), cwd=root)
    assert 'holds a pruned network' in found.stdout and 'accuracy/top1' in found.stdout + found.stderr
    with open(root / 'out.pkl', 'rb') as file:
        assert len(pickle.load(file)) == 20
    assert list(root.rglob('drawn/*.png'))


def test_flipped_images_are_averaged_the_hosts_way(trained):
    root, data = trained
    tool('test.py', DENSE, root / 'slim/epoch_3.pth', '--work-dir', root / 'tta', '--tta', *small(data), cwd=root)
    (scores, ) = (root / 'tta').glob('*/*.json')
    assert 'accuracy/top1' in json.loads(scores.read_text())


def test_export(trained):
    root, data = trained
    write_images(root / 'images', ['a'])
    found = tool('export_onnx.py', DENSE, root / 'slim/epoch_3.pth', '--out', 'slim.onnx', '--input-size', 32, 32,
                 '--images', root / 'images/a/0.png', cwd=root)
    assert 'largest absolute difference' in found.stdout and (root / 'slim.onnx').exists()


def test_an_evaluated_classifier_ends_without_suppression_and_its_record_says_so(trained):
    root, _ = trained
    args = [DENSE, root / 'slim/epoch_3.pth', '--out', 'tested.onnx', '--input-size', 32, 32]
    tool('export_onnx.py', *args, '--evaluate', cwd=root)
    found = json.loads((root / 'tested.onnx.json').read_text())
    assert found['nms'] is False and 'accuracy/top1' in found['metrics']
    refused = tool('export_onnx.py', *args, '--nms', cwd=root, check=False)
    assert refused.returncode == 1 and 'Error: --nms: ImageClassifier' in refused.stderr.strip().splitlines()[-1]


def test_sharpness_groups_and_robustness(trained):
    root, _ = trained
    checkpoint = root / 'slim/epoch_3.pth'
    # These read data/cifar10 below the folder they are called in, as the configs say.
    tool('measure_sharpness.py', root / 'slim/slim.py', checkpoint, '--batches', 1, '--out', 's.json', cwd=root)
    assert json.loads((root / 's.json').read_text())['models']
    assert 'head.fc is an output of the network' in tool('print_groups.py', DENSE, cwd=root).stdout
    found = tool('test_robustness.py', DENSE, checkpoint, '--corruptions', 'fog', 'snow', cwd=root)
    assert 'snow' in found.stdout


def test_the_published_cifar10_c(trained):
    root, _ = trained
    folder = root / 'data/cifar10-c'
    folder.mkdir()
    for name in CORRUPTIONS:
        np.save(folder / f'{name}.npy', np.zeros((5 * 20, 32, 32, 3), np.uint8))
    # A network that sees nothing but class 3: a tenth of the clean images, and all of severity 1.
    np.save(folder / 'labels.npy', np.repeat([3, 0], [20, 80]))
    network = build_network(Config.fromfile(DENSE))
    network.head.fc.weight.data.zero_()
    network.head.fc.bias.data = torch.eye(10)[3]
    torch.save(dict(state_dict=network.state_dict()), root / 'three.pth')
    # It reads data/ below the folder it is called in, as the config says.
    tool('test.py', CONFIGS / 'resnet18-w16_robust_cifar10.py', root / 'three.pth', '--work-dir', root / 'robust',
         cwd=root)
    (scores, ) = (root / 'robust').glob('*/*.json')
    found = json.loads(scores.read_text())
    expected = {f'robust/c/{name}/top1': 20 for name in CORRUPTIONS}
    expected |= {'robust/top1': 10, 'robust/c/top1': 20, 'robust/R_C': 2}
    assert {key: found[key] for key in expected} == pytest.approx(expected)


def test_latency_table_and_report(trained):
    root, _ = trained
    size = ['--input-size', 16, 24]
    found = tool('build_latency_table.py', DENSE, '--budget-minutes', 0.05, '--block', 1, '--out', 't.json', *size,
                 cwd=root)
    assert 'written to t.json' in found.stdout
    assert 'slim' in tool('latency_report.py', DENSE, root / 'slim/epoch_3.pth', 't.json', '--rounds', 3,
                          *size, cwd=root).stdout
