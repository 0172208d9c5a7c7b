"""The same parts in a run of mmdet's and in one of mmpretrain's."""
import ast
import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner.checkpoint import load_checkpoint
from mmpretrain import ImageClassificationInferencer, get_model

import mmadasap
from mmadasap.engine.host import raw_outputs
from mmadasap.engine.networks import adopt_slim_model, load_network
from mmadasap.pruning import Budget, ChannelPruner, MagnitudeImportance
from mmadasap.registry import MODELS
from tests.toy_classifier import classifier_loader, toy_classifier
from tests.toy_detector import detector_loader, toy_detector
from tests.toys import make_runner, randomize, same, values

PACKAGE = Path(mmadasap.__file__).parent
HOSTS = {
    'mmdet': dict(model=toy_detector(), train_dataloader=detector_loader(), default_scope='mmdet'),
    'mmpretrain': dict(model=toy_classifier(), train_dataloader=classifier_loader(), default_scope='mmpretrain'),
}
ADASAP = dict(
    type='mmadasap.AdaSAPOptimWrapper', radius=dict(type='AdaptiveRadius', rho_min=0.01, rho_max=0.1),
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9))


HOOKS = [
    dict(type='mmadasap.ChannelPruningHook', input_size=32, budget=dict(cost='parameters', keep=0.5), begin=1, end=2,
         interval=1),
    dict(type='mmadasap.SharpnessPhaseHook', radius=dict(type='UniformRadius', rho=0.05)),
    dict(type='mmadasap.PlainCheckpointHook'),
]


def run(work_dir, host, custom_hooks, epochs=3, **kwargs):
    settings = copy.deepcopy(HOSTS[host]) | kwargs
    model = settings.pop('model')
    runner = make_runner(work_dir, ADASAP, custom_hooks, model, epochs, **settings)
    runner.train()
    return runner


@pytest.mark.parametrize('host', HOSTS)
def test_the_same_hooks_serve_both_hosts(tmp_path, host):
    runner = run(tmp_path, host, HOOKS)
    pruning, phase, _ = (h for h in runner.hooks if type(h).__name__ in {hook['type'].split('.')[1] for hook in HOOKS})
    assert pruning.channels and runner.optim_wrapper.radius is phase.radius
    assert runner.optim_wrapper.skipped_steps == 0
    dense = sum(p.numel() for p in MODELS.build(copy.deepcopy(HOSTS[host]['model'])).parameters())
    assert 0.4 < sum(p.numel() for p in runner.model.parameters()) / dense <= 0.5


@pytest.fixture(scope='module')
def pruned(tmp_path_factory):
    folder = tmp_path_factory.mktemp('classifier')
    return folder, run(folder, 'mmpretrain', HOOKS)


def test_the_slim_config_rebuilds_the_classifier(pruned):
    folder, runner = pruned
    cfg = Config.fromfile(folder / 'slim.py')
    assert cfg.model.detector == 'ImageClassifier' and cfg.default_scope == 'mmpretrain'
    model = load_network(cfg, str(folder / 'epoch_3.pth'))
    assert same(values(model), values(runner.model))


def test_a_dense_config_adopts_a_slim_checkpoint(pruned):
    folder, runner = pruned
    cfg = Config(dict(model=copy.deepcopy(HOSTS['mmpretrain']['model']), default_scope='mmpretrain'))
    assert adopt_slim_model(cfg, str(folder / 'epoch_3.pth'))
    init_default_scope('mmpretrain')
    model = MODELS.build(cfg.model)
    load_checkpoint(model, str(folder / 'epoch_3.pth'), strict=True)
    assert same(values(model), values(runner.model))


def test_checkpoints_need_no_unpickling(pruned):
    folder, _ = pruned
    assert torch.load(folder / 'epoch_3.pth', weights_only=True)['channel_pruning']['channels']


def test_mmpretrains_own_inference_takes_the_slim_config(pruned):
    folder, runner = pruned
    cfg = Config.fromfile(folder / 'slim.py')
    cfg.test_dataloader = dict(dataset=dict(pipeline=[dict(type='PackInputs')]))
    cfg.dump(folder / 'infer.py')
    image = torch.randint(256, (32, 32, 3), dtype=torch.uint8).numpy()
    config, checkpoint = str(folder / 'infer.py'), str(folder / 'epoch_3.pth')
    (found, ) = ImageClassificationInferencer(config, pretrained=checkpoint, classes=list('abc'))(image)
    model = get_model(config, pretrained=checkpoint).eval()
    data = model.data_preprocessor(dict(inputs=torch.tensor(image).permute(2, 0, 1)[None]))
    scores = raw_outputs(model, data['inputs']).softmax(1)[0]
    assert found['pred_scores'] == pytest.approx(scores.tolist(), abs=1e-5)


def test_a_resumed_run_goes_on_with_the_slim_classifier(pruned, tmp_path):
    folder, runner = pruned
    resumed = run(tmp_path, 'mmpretrain', HOOKS, epochs=4, resume=True, load_from=str(folder / 'epoch_3.pth'))
    assert [p.shape for p in resumed.model.parameters()] == [p.shape for p in runner.model.parameters()]


def test_mesa_on_a_classifier(tmp_path):
    runner = run(tmp_path, 'mmpretrain', [dict(type='mmadasap.MESAHook', begin=1, head='head')], epochs=2)
    losses = runner.message_hub.log_scalars['train/loss_mesa'].data[0]
    assert len(losses) == len(runner.train_dataloader) and min(losses) > 0


@pytest.mark.parametrize('backbone, channels', [
    (dict(type='ResNet', depth=50, base_channels=4, stem_channels=4), 128),
    (dict(type='mmadasap.MobileNetV1', widen_factor=0.25), 256),
    (dict(type='MobileNetV2', widen_factor=0.25), 1280),
], ids=['resnet50', 'mobilenet-v1', 'mobilenet-v2'])
def test_masked_equals_slim(backbone, channels):
    """In double precision, with values everywhere, and unlike the dense network."""
    init_default_scope('mmpretrain')
    cfg = toy_classifier(backbone, channels)
    model = randomize(MODELS.build(cfg)).double().eval()
    image = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    pruner = ChannelPruner(model, image[:1], raw_outputs, Budget('parameters', 0.6), MagnitudeImportance(),
                           ('backbone.conv1', ))
    dense = raw_outputs(model, image)
    pruner.prune(pruner.target)
    pruner.mask()
    masked = raw_outputs(model, image)
    pruner.remove(torch.optim.SGD(model.parameters(), lr=0.1), [])
    slim = raw_outputs(model, image)
    scale = masked.abs().max()
    assert (masked - slim).abs().max() <= 1e-10 * scale and (masked - dense).abs().max() > 1e-2 * scale


@pytest.mark.parametrize('folder', ['engine', 'sharpness', 'pruning'])
def test_no_part_asks_for_the_host(folder):
    """Neither an import nor a comparison with the name of mmpretrain; mmdet is only ever a default."""
    for path in (PACKAGE / folder).rglob('*.py'):
        tree = ast.parse(path.read_text())
        imported = {alias.name.partition('.')[0] for node in ast.walk(tree) if isinstance(node, ast.Import)
                    for alias in node.names}
        imported |= {node.module.partition('.')[0] for node in ast.walk(tree)
                     if isinstance(node, ast.ImportFrom) and node.module}
        compared = {c.value for node in ast.walk(tree) if isinstance(node, ast.Compare) for c in ast.walk(node)
                    if isinstance(c, ast.Constant)}
        assert not {'mmdet', 'mmpretrain'} & (imported | compared), path
