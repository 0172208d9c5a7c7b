"""Sharpness-aware steps below twice the cost, beside SGD and SAM: accuracy, robustness and time on blood cells.

    python benchmarks/cheaper_sam.py --epochs 15 --out benchmarks/results/cheaper_sam.json

Every variant trains the quarter-width SSD from scratch with the same seed and schedule. A killed benchmark goes on
where it stopped; finished variants are read from ``--out``, the project's own at first.
"""
import argparse
import json
import os.path as osp

from mmengine.config import Config

from mmadasap.corruption import SUBSETS
from mmadasap.engine.checkpoint import read_checkpoint
from mmadasap.engine.launch import run_tool
from mmadasap.engine.plain_checkpoint import make_resumable
from mmadasap.errors import UserError
from mmadasap.evaluation import evaluate_robustness
from mmadasap.fileio import write_json
from mmadasap.latency import describe_machine
from mmadasap.quickstart import train_stage

CONFIG = 'configs/quickstart/ssd256_r50-w16_dense-60e_bccd.py'
SEVERITY = 3


def sam(**kwargs) -> dict:
    """SAM's optim wrapper with further settings."""
    return dict(type='mmadasap.AdaSAPOptimWrapper', radius=dict(type='UniformRadius', rho=0.05), **kwargs)


MESA = dict(type='mmadasap.MESAHook', decay=0.98, begin=5)
VARIANTS = {
    'SGD': (dict(), []),
    'SAM': (sam(), []),
    'LookSAM, interval 5': (sam(interval=5), []),
    'SAM, ascent on half the batch': (sam(ascent_fraction=0.5), []),
    'MESA': (dict(), [MESA]),
}


def variant_config(name: str, epochs: int, work_dir: str) -> Config:
    """The config of one variant, with the schedule ending at ``epochs``."""
    wrapper, hooks = VARIANTS[name]
    cfg = Config.fromfile(CONFIG)
    cfg.optim_wrapper.update(wrapper)
    cfg.custom_hooks = [*cfg.custom_hooks, *hooks]
    cfg.train_cfg.max_epochs = cfg.train_cfg.val_interval = epochs
    cfg.param_scheduler[-1].update(end=epochs, T_max=epochs - cfg.param_scheduler[-1].begin)
    cfg.randomness = dict(seed=0)
    cfg.work_dir = osp.join(work_dir, name.replace(' ', '-').replace(',', ''))
    cfg.experiment_name = osp.basename(cfg.work_dir)
    cfg.log_level = 'WARNING'
    return cfg


def training_seconds(checkpoint: str) -> float:
    """Time of all iterations, as the run measured them."""
    loaded = read_checkpoint(checkpoint)
    make_resumable(loaded)
    return float(loaded['message_hub']['log_scalars']['train/time'].data[0].sum())


def run_variant(name: str, epochs: int, work_dir: str) -> dict:
    """Trains and tests one variant."""
    cfg = variant_config(name, epochs, work_dir)
    checkpoint = train_stage(cfg, None)
    result = evaluate_robustness(cfg, checkpoint, SUBSETS['paper18'], [SEVERITY])
    return result.to_dict() | dict(training_seconds=training_seconds(checkpoint))


def show(results: dict[str, dict]) -> None:
    """The table; times are shares of SGD's."""
    print(f'{"":32}{"mAP":>8}{"mAP_C":>8}{"R_C":>8}{"minutes":>9}{"time":>7}')
    for name, row in results.items():
        share = row['training_seconds'] / results['SGD']['training_seconds']
        print(f'{name:32}{row["clean"]:8.3f}{row["mean_corrupted"]:8.3f}{row["relative"]:8.3f}'
              f'{row["training_seconds"] / 60:9.1f}{share:7.2f}')


def main() -> None:
    """Parses, runs what is not done yet, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--epochs', type=int, default=15, help='epochs of every variant')
    parser.add_argument('--work-dir', default='work_dirs/cheaper_sam', help='checkpoints')
    parser.add_argument('--out', default='benchmarks/results/cheaper_sam.json', help='results as JSON')
    args = parser.parse_args()
    report = dict(machine=describe_machine(), config=CONFIG, epochs=args.epochs, severity=SEVERITY, variants={})
    if osp.exists(args.out):
        with open(args.out) as file:
            report = json.load(file)
        if report['epochs'] != args.epochs:
            raise UserError(f'{args.out} holds results of {report["epochs"]} epochs; give another --out for '
                            f'--epochs {args.epochs}.')
    for name in VARIANTS:
        if name not in report['variants']:
            print(f'{name} ...', flush=True)
            report['variants'][name] = run_variant(name, args.epochs, osp.join(args.work_dir, f'{args.epochs}e'))
            write_json(args.out, report)
    show(report['variants'])
    print(f'written to {args.out}')


if __name__ == '__main__':
    run_tool(main)
