"""Every config builds: its model, wrapper and hooks, on data or without; and every classification config trains."""
from functools import cache
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from mmadasap.corruption.build import build
from mmadasap.corruption.settings import Settings
from mmadasap.datasets.shapes import CLASSES, write_shapes
from mmadasap.pruning import count_parameters
from mmadasap.registry import DATASETS, HOOKS, MODELS, TRANSFORMS
from tests.latency_tables import write_made_up_table
from tests.toy_classifier import classifier_loader

CONFIGS = Path(__file__).parents[1] / 'configs'
FILES = sorted(str(p.relative_to(CONFIGS)) for p in CONFIGS.rglob('*.py') if '_base_' not in p.parts)
CLASSIFICATION = [f for f in FILES if f.startswith('classification/')]
# Small enough for every call of the tests.
FAST = 'classification/cifar10/resnet18-w16_adasap-p-params20-1xb128-20e_cifar10.py'


def load(file):
    cfg = Config.fromfile(CONFIGS / file)
    init_default_scope(cfg.default_scope)
    return cfg


@cache
def build_model(text):
    """A model by the text of its config: most configs share theirs with others."""
    return MODELS.build(Config.fromstring(text, '.py').model)


def pruning_hook(cfg):
    return next((h for h in cfg.get('custom_hooks') or [] if h.type == 'mmadasap.ChannelPruningHook'), None)


def test_there_are_configs():
    assert len(FILES) >= 7 and len(CLASSIFICATION) >= 70


@pytest.mark.parametrize('file', FILES)
def test_it_builds(file):
    cfg = load(file)
    model = build_model(Config(dict(model=cfg.model)).pretty_text)
    build_optim_wrapper(model, cfg.optim_wrapper)
    for hook in cfg.get('custom_hooks') or []:
        HOOKS.build(hook)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        dataset = loader.dataset
        for part in dataset.get('datasets', [dataset]):
            assert part.type in DATASETS
            for step in part.pipeline:
                TRANSFORMS.build(step)


@pytest.mark.parametrize('file', FILES)
def test_a_whole_checkpoint_is_there_while_the_next_is_written(file):
    # mmengine removes the oldest first.
    hook = load(file).get('default_hooks', {}).get('checkpoint', {})
    assert hook.get('max_keep_ckpts', -1) != 1


@pytest.mark.parametrize('file', [f for f in FILES if pruning_hook(load(f))])
def test_pruning_phases_fit_their_training(file):
    cfg = load(file)
    hook = pruning_hook(cfg)
    assert 0 <= hook.begin < hook.end < cfg.train_cfg.max_epochs


def one_iteration(cfg, folder):
    """The config on four random images of 64 pixels, with its pruning in one step after the first iteration."""
    size = 32 if 'cifar10' in cfg.filename else 64
    cfg.train_dataloader = classifier_loader(batch_size=4, length=4, classes=cfg.model.head.num_classes, size=size)
    for key in ('val_dataloader', 'val_cfg', 'val_evaluator', 'test_dataloader', 'test_cfg', 'test_evaluator'):
        cfg[key] = None
    cfg.update(work_dir=str(folder), load_from=None, param_scheduler=None, log_level='WARNING')
    cfg.train_cfg = dict(by_epoch=True, max_epochs=1)
    cfg.experiment_name = str(folder).replace('/', '-')
    hook = pruning_hook(cfg)
    if hook:
        hook.update(input_size=size, begin=0, end=1, interval=1)
    if hook and hook.budget.cost == 'latency':
        hook.latency_table = str(folder / 'table.json')
        write_made_up_table(MODELS.build(cfg.model), size, hook.latency_table)
    runner = Runner.from_cfg(cfg)
    dense = count_parameters(runner.model)
    runner.train()
    return runner, count_parameters(runner.model) / dense


@pytest.mark.parametrize('file', [f if f == FAST else pytest.param(f, marks=pytest.mark.slow) for f in CLASSIFICATION])
def test_it_trains_one_iteration_and_prunes_to_its_size(file, tmp_path):
    cfg = load(file)
    hook = pruning_hook(cfg)
    runner, share = one_iteration(cfg, tmp_path)
    assert runner.iter == 1 and (tmp_path / 'epoch_1.pth').exists()
    if hook is None:
        assert share == 1
    elif hook.budget.cost == 'parameters':
        assert f'-params{round(100 * hook.budget.keep)}-' in file
        assert 0.99 * hook.budget.keep < share <= hook.budget.keep
    else:
        assert f'-latency{round(100 * hook.budget.keep)}-' in file and share < 1


def test_knobs_reach_the_parts_they_turn():
    cfg = Config.fromfile(CONFIGS / 'adasap/ssd512_r50_adasap-p-macs40-8xb16-800e_voc0712.py')
    hook = next(h for h in cfg.custom_hooks if h.type == 'mmadasap.ChannelPruningHook')
    assert hook.budget == cfg.budget and (hook.begin, hook.end, hook.interval) == (cfg.begin, cfg.end, cfg.interval)
    assert cfg.optim_wrapper.radius.rho_max == cfg.rho_max and cfg.optim_wrapper.optimizer.lr == 8e-3


def test_the_voc_schedule_has_the_published_steps():
    cfg = Config.fromfile(CONFIGS / 'dense/ssd512_r50_dense-8xb16-800e_voc0712.py')
    lr = cfg.optim_wrapper.optimizer.lr
    steps = {s.milestones[0]: s.gamma for s in cfg.param_scheduler if s.type == 'MultiStepLR'}
    found = []
    for epoch in (600, 700, 740, 770):
        lr *= steps[epoch]
        found.append(lr / cfg.optim_wrapper.optimizer.lr)
    assert found == pytest.approx([3 / 8, 1 / 8, 1 / 20, 1 / 200])


def test_ssd512_has_its_priors_and_sizes():
    cfg = Config.fromfile(CONFIGS / 'dense/ssd512_r50_dense-8xb16-800e_voc0712.py')
    init_default_scope('mmdet')
    head = MODELS.build(cfg.model).bbox_head
    levels = [64, 32, 16, 8, 4, 2, 1]
    assert head.prior_generator.num_base_priors == [4, 6, 6, 6, 6, 4, 4]
    assert sum(n * s * s for n, s in zip(head.prior_generator.num_base_priors, levels)) == 24564
    shares = [size / 512 for size in head.prior_generator.base_sizes]
    assert shares == pytest.approx([.07, .15, .30, .45, .60, .75, .90], abs=2e-3)


def test_voc_c_stored_and_on_the_fly_are_the_same(tmp_path, monkeypatch):
    write_shapes(str(tmp_path / 'data/VOCdevkit/VOC2007'), train=1, test=2)
    monkeypatch.chdir(tmp_path)
    build('data/VOCdevkit/VOC2007', 'data/VOC2007-C', Settings(('fog', )), show_progress=False)
    init_default_scope('mmdet')
    samples = []
    for name in ('voc07_c', 'voc07_c_stored'):
        dataset = Config.fromfile(CONFIGS / f'_base_/datasets/{name}.py').test_dataloader.dataset
        dataset.metainfo = dict(classes=CLASSES)
        samples.append([DATASETS.build(dataset)[i] for i in range(2)])
    for a, b in zip(*samples):
        assert torch.equal(a['inputs'], b['inputs']) and a['data_samples'].img_id == b['data_samples'].img_id
        assert torch.equal(*(s['data_samples'].gt_instances.bboxes.tensor for s in (a, b)))
