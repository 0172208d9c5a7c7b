"""How far AdaSAP_P climbs: its mean radius and the length of eps at the start, before pruning and at the phase's end.

    python benchmarks/reproduce/climbs.py --seeds 0 1 2

Means over the first batches of training. The controls with one radius for all neurons have these sizes: with a global
norm eps of a uniform radius is as long as the radius, and eps of adaptive ones is shorter than their mean wherever the
large gradients are those of important neurons.
"""
import argparse
import os.path as osp
import statistics

import cifar
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from runs import ROOT, Run, checkpoint_path, pruning_epochs, resolve
from steps import first_batches
from tables import FIFTH, RUNS
from torch import nn
from training import start_checkpoint, train

from mmadasap.engine.launch import run_tool
from mmadasap.engine.networks import adopt_slim_model, load_network
from mmadasap.evaluation.loss import batch_loss
from mmadasap.fileio import write_json
from mmadasap.latency import describe_machine
from mmadasap.sharpness import Perturbation, collect_neurons, global_norm, radius_range, trace_norms

OUT = osp.join(ROOT, 'benchmarks', 'results', 'climbs.json')
BATCHES = 16


def climbs(cfg: Config, checkpoint: str) -> dict[str, float]:
    """Mean radius, and mean length of eps, of a checkpoint under its config's radii."""
    cfg = cfg.copy()
    adopt_slim_model(cfg, checkpoint)
    model = load_network(cfg, checkpoint).train()
    policy = build_optim_wrapper(model, cfg.optim_wrapper).radius
    pairs = [climb(model, policy, model.data_preprocessor(batch, training=True))
             for batch in first_batches(cfg, BATCHES)]
    mean, length = map(statistics.mean, zip(*pairs))
    return dict(mean_radius=mean, length=length)


def climb(model: nn.Module, policy, data: dict) -> tuple[float, float]:
    """Mean radius and length of eps on one preprocessed batch."""
    model.zero_grad()
    with trace_norms(model) as followers:
        batch_loss(model, data).backward()
    neurons = collect_neurons(model, followers).with_gradient()
    weights = [layer.weight for layer in neurons.layers]
    radii = policy(weights, [w.grad for w in weights])
    perturbation = Perturbation(None, 'global')
    before = [t.detach().clone() for t in neurons.tensors()]
    norm = perturbation.norm(neurons)
    perturbation.climb(neurons, radii, norm.item())
    with torch.no_grad():
        length = global_norm([t - b for t, b in zip(neurons.tensors(), before)])
    perturbation.come_back()
    return radius_range(radii, norm)[1].item(), length.item()


def moments(run: Run, seed: int) -> dict[str, str]:
    """Moment -> checkpoint: the dense network, the end of the warm-up, the end of the pruning phase."""
    cfg = resolve(run, seed)
    begin, end = pruning_epochs(cfg)
    return {'start': start_checkpoint(RUNS[run.start], seed, 'cpu', RUNS),
            'before pruning': checkpoint_path(cfg, begin), 'end of pruning': checkpoint_path(cfg, end)}


def main() -> None:
    """Parses, measures, writes and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2], help='of the trainings, made if not there')
    args = parser.parse_args()
    run, found = cifar.pruned(FIFTH, 'adasap-p', 20), {}
    for seed in args.seeds:
        train(run, seed, 'cpu', RUNS)
        found[seed] = {name: climbs(resolve(run, seed), path) for name, path in moments(run, seed).items()}
        print(seed, found[seed], flush=True)
    rows = [row for by_moment in found.values() for row in by_moment.values()]
    means = {key: statistics.mean(row[key] for row in rows) for key in rows[0]}
    write_json(OUT, dict(machine=describe_machine('cpu'), run=run.name, batches=BATCHES, seeds=found, mean=means))
    print(f'mean over all: {means}; written to {osp.relpath(OUT)}')


if __name__ == '__main__':
    run_tool(main)
