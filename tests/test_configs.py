"""Every config builds: its model, wrapper and hooks, on data or without."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from mmadasap.corruption.build import Settings, build
from mmadasap.datasets.shapes import CLASSES, write_shapes
from mmadasap.registry import DATASETS, HOOKS, MODELS, TRANSFORMS

CONFIGS = Path(__file__).parents[1] / 'configs'
FILES = sorted(str(p.relative_to(CONFIGS)) for p in CONFIGS.rglob('*.py') if '_base_' not in p.parts)


def test_there_are_configs():
    assert len(FILES) >= 7


@pytest.mark.parametrize('file', FILES)
def test_it_builds(file):
    cfg = Config.fromfile(CONFIGS / file)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    build_optim_wrapper(model, cfg.optim_wrapper)
    for hook in cfg.get('custom_hooks') or []:
        HOOKS.build(hook)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        dataset = loader.dataset
        for pipeline in [d.pipeline for d in dataset.get('datasets', [dataset])]:
            for step in pipeline:
                TRANSFORMS.build(step)


@pytest.mark.parametrize('file', [f for f in FILES if 'adasap' in f or 'magnitude' in f])
def test_pruning_phases_fit_their_training(file):
    cfg = Config.fromfile(CONFIGS / file)
    hook = next(h for h in cfg.custom_hooks if h.type == 'mmadasap.ChannelPruningHook')
    assert 0 <= hook.begin < hook.end < cfg.train_cfg.max_epochs


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
