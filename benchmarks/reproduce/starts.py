"""Weights of dense networks that come with the repository, so that a pruned run need not train its start first.

    python benchmarks/reproduce/starts.py cifar10-10k_dense --seeds 0 1 2

writes those of trainings that are finished here, rounded to float16 for half of the size.
"""
import argparse
import os.path as osp
from typing import Optional

import torch
from runs import HERE, Run, checkpoint_path, resolve, training_hash
from tables import RUNS
from torch import Tensor

from mmadasap.engine.checkpoint import read_checkpoint
from mmadasap.engine.launch import run_tool
from mmadasap.engine.resumption import is_finished
from mmadasap.errors import UserError
from mmadasap.fileio import replacing

STARTS = osp.join(HERE, 'starts')


def start_path(run: Run, seed: int) -> str:
    """File of a run's published weights."""
    return osp.join(STARTS, f'{run.name}-seed{seed}.pth')


def published_start(run: Run, seed: int) -> Optional[str]:
    """File of a run's published weights; None where there is none, where they are of another config, or where the run
    was trained to its end here.
    """
    path = start_path(run, seed)
    if not osp.exists(path) or is_finished(checkpoint_path(resolve(run, seed))):
        return None
    return path if torch.load(path, weights_only=True)['config_hash'] == training_hash(run, seed, RUNS) else None


def publish_start(run: Run, seed: int) -> str:
    """Writes the weights of a finished training.

    Returns:
        The path.

    Raises:
        UserError: It is not finished here.
    """
    last, path = checkpoint_path(resolve(run, seed)), start_path(run, seed)
    if not is_finished(last):
        raise UserError(f'{last} is not there, or not whole; python benchmarks/reproduce/run.py {run.name} --seeds '
                        f'{seed} trains it.')
    weights = {name: _half(value) for name, value in read_checkpoint(last)['state_dict'].items()}
    with replacing(path, '.pth') as partial:
        torch.save(dict(state_dict=weights, config_hash=training_hash(run, seed, RUNS)), partial)
    return path


def _half(value: Tensor) -> Tensor:
    return value.half() if value.is_floating_point() else value


def main() -> None:
    """Parses and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('run', choices=sorted({run.start for run in RUNS.values()} - {None}), help='a dense run')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0], help='of its trainings')
    args = parser.parse_args()
    for seed in args.seeds:
        print(f'written to {osp.relpath(publish_start(RUNS[args.run], seed))}')


if __name__ == '__main__':
    run_tool(main)
