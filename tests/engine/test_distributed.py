"""Two processes with gloo, started as a user starts them."""
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmadasap.engine import AdaSAPOptimWrapper
from mmadasap.errors import UserError
from mmadasap.registry import MODELS
from tests.toys import ToyData, ToyLinear

ROOT = Path(__file__).parents[2]
RHO, LR = 0.1, 0.5
TORCHRUN = [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2']

CONFIG = """
custom_imports = dict(imports=['mmadasap', 'tests.toys'], allow_failed_imports=False)
default_scope = 'mmengine'
model = {model}
sync_bn = {sync_bn!r}
train_dataloader = dict(
    dataset=dict(type='ToyData', bad={bad}), batch_size=2, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False), collate_fn=dict(type='default_collate'))
train_cfg = dict(by_epoch=True, max_epochs=1)
optim_wrapper = dict(
    type='mmadasap.AdaSAPOptimWrapper', radius=dict(type='UniformRadius', rho={rho}),
    optimizer=dict(type='SGD', lr={lr}), **{wrapper})
custom_hooks = [dict(type='KeepWeights')]
randomness = dict(seed=0)
find_unused_parameters = {sometimes}
env_cfg = dict(dist_cfg=dict(backend='nccl'))
"""


def run_ranks(folder, port, text, *flags, start=None, devices=False):
    """What both ranks of a training run with this config wrote, each to its ``rank<r>.pt``."""
    config = folder / 'config.py'
    config.write_text(text)
    work_dir = ['--work-dir', str(folder), *flags]
    command = start or [*TORCHRUN, f'--master_port={port}', str(ROOT / 'tools/train.py'), str(config), '--launcher',
                        'pytorch']
    paths = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
    visible = {} if devices else dict(CUDA_VISIBLE_DEVICES='-1')
    env = os.environ | visible | dict(OMP_NUM_THREADS='1', PORT=str(port), PYTHONPATH=paths, PATH=os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ['PATH']]))
    done = subprocess.run([*command, *work_dir], cwd=folder, env=env, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(folder / f'rank{rank}.pt', map_location='cpu') for rank in (0, 1)]


def train(folder, port, *flags, start=None, wrapper=None, sometimes=False, bad=None, sync_bn=None):
    """Weights of both ranks at the start and after each iteration, as shape (2, iterations + 1, weights)."""
    model = dict(type='ToyClassifier') if sync_bn else dict(type='ToyLinear', sometimes=sometimes)
    text = CONFIG.format(model=model, sync_bn=sync_bn, sometimes=sometimes, bad=bad, rho=RHO, lr=LR,
                         wrapper=wrapper or {})
    return torch.stack(run_ranks(folder, port, text, *flags, start=start, devices=sync_bn is not None))


PRUNING = """
train_cfg = dict(by_epoch=True, max_epochs=4)
custom_hooks = [dict(type='KeepNetwork'), dict(type='EMAHook'), dict(
    type='mmadasap.ChannelPruningHook', input_size=8, budget=dict(cost='macs', keep=0.5), begin=1, end=3, interval=2,
    protect=(), importance=dict(type={importance!r}))]
"""


@pytest.mark.slow
@pytest.mark.parametrize('importance, port', [('TaylorImportance', 29618), ('MagnitudeImportance', 29619)])
def test_both_ranks_end_with_one_slim_network(tmp_path, importance, port):
    text = CONFIG.format(model=dict(type='ToyClassifier'), sync_bn=None, sometimes=False, bad=None, rho=RHO, lr=0.05,
                         wrapper={}) + PRUNING.format(importance=importance)
    for flags in ((), ('--resume', str(tmp_path / 'epoch_4.pth'), '--cfg-options', 'train_cfg.max_epochs=5')):
        first, second = run_ranks(tmp_path, port, text, *flags)
        assert first.keys() == second.keys() and len(first['net.conv1.weight']) < 6
        assert {k: v.shape for k, v in first.items()} == {k: v.shape for k, v in second.items()}
        # Statistics of norms that are not synchronised are each rank's own.
        learned = [name for name in first if 'running' not in name]
        assert all(torch.equal(first[name], second[name]) for name in learned)
        assert not torch.equal(first['net.norm1.running_mean'], second['net.norm1.running_mean'])
    slim = MODELS.build(Config.fromfile(tmp_path / 'slim.py').model)
    slim.load_state_dict(first)


def model_at(weights):
    model = ToyLinear().double()
    nn.utils.vector_to_parameters(weights.double(), model.parameters())
    return model


def gradient(weights, indices):
    model, data = model_at(weights), ToyData()
    loss = model(inputs=data.images[indices].double(), labels=data.labels[indices], mode='loss')['loss']
    return nn.utils.parameters_to_vector(torch.autograd.grad(loss, list(model.parameters())))


def reference_step(weights, iteration, ddp_sync):
    """What the method asks for, rank by rank in one process; rank r has every second image from r on."""
    weights = weights.double()
    own = [[4 * iteration + rank, 4 * iteration + 2 + rank] for rank in (0, 1)]
    first = [gradient(weights, indices) for indices in own]
    if ddp_sync == 'global':
        first = [(first[0] + first[1]) / 2] * 2
    second = [gradient(weights + RHO * g / g.norm(), indices) for g, indices in zip(first, own)]
    return weights - LR * (second[0] + second[1]) / 2


@pytest.mark.parametrize('ddp_sync, script', [('rank', 'dist_train.sh'), ('global', None)])
def test_ranks_agree_to_the_bit_and_with_the_reference(tmp_path, ddp_sync, script):
    start = ['bash', str(ROOT / 'tools' / script), str(tmp_path / 'config.py'), '2'] if script else None
    ranks = train(tmp_path, 29611 + bool(script), start=start, wrapper=dict(ddp_sync=ddp_sync))
    assert torch.equal(ranks[0], ranks[1]) and len(ranks[0]) == 4
    for iteration in range(3):
        expected = reference_step(ranks[0][iteration], iteration, ddp_sync)
        torch.testing.assert_close(ranks[0][iteration + 1].double(), expected, rtol=0, atol=1e-6)


def test_a_rank_with_nan_stops_nobody_and_all_skip_the_step(tmp_path):
    ranks = train(tmp_path, 29613, bad=5)
    assert torch.equal(ranks[0], ranks[1]) and torch.isfinite(ranks).all()
    moved = [not torch.equal(a, b) for a, b in zip(ranks[0], ranks[0][1:])]
    assert moved == [True, False, True]


def test_layers_that_only_one_rank_uses(tmp_path):
    ranks = train(tmp_path, 29614, sometimes=True)
    assert torch.equal(ranks[0], ranks[1])
    assert not torch.equal(ranks[0][0][-18:], ranks[0][-1][-18:])


@pytest.mark.slow
@pytest.mark.parametrize('wrapper', [dict(accumulative_counts=2), dict(interval=2), dict(ascent_fraction=0.5)])
def test_ranks_agree_under_accumulation_and_the_cheaper_steps(tmp_path, wrapper):
    ranks = train(tmp_path, 29615, wrapper=wrapper)
    assert torch.equal(ranks[0], ranks[1]) and not torch.equal(ranks[0][0], ranks[0][-1])


@pytest.mark.slow
@pytest.mark.parametrize('bad', [None, 5])
def test_ranks_agree_in_mixed_precision(tmp_path, bad):
    ranks = train(tmp_path, 29616, '--amp', bad=bad)
    assert torch.equal(ranks[0], ranks[1]) and torch.isfinite(ranks).all()
    assert not torch.equal(ranks[0][0], ranks[0][-1])


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason='synchronised norms need two devices')
def test_ranks_agree_with_synchronised_norms(tmp_path):
    ranks = train(tmp_path, 29617, sync_bn='torch')
    assert torch.equal(ranks[0], ranks[1]) and not torch.equal(ranks[0][0], ranks[0][-1])


def test_a_sharded_model_is_refused(tmp_path):
    from torch.distributed.fsdp import FullyShardedDataParallel
    torch.distributed.init_process_group('gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)
    try:
        model = FullyShardedDataParallel(ToyLinear(), device_id=torch.device('cpu'), use_orig_params=True)
        wrapper = AdaSAPOptimWrapper(
            torch.optim.SGD(model.parameters(), lr=LR), radius=dict(type='UniformRadius', rho=RHO))
        with pytest.raises(UserError, match='FullyShardedDataParallel'), wrapper.optim_context(model):
            pass
    finally:
        torch.distributed.destroy_process_group()
