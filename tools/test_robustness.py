"""Tests checkpoints on clean and corrupted images: test_robustness.py CONFIG CHECKPOINT [CONFIG CHECKPOINT ...]."""
import argparse
import os.path as osp

from mmengine.dist import is_main_process

from mmadasap.corruption import check_corrupting, resolve_corruptions
from mmadasap.engine.arguments import count, folder_path
from mmadasap.engine.launch import pairs, run_tool
from mmadasap.errors import UserError
from mmadasap.evaluation import format_results, write_report
from mmadasap.evaluation.models import evaluate_models


def main() -> None:
    """Parses, evaluates every pair, writes tables and pictures and prints the former."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('pairs', nargs='+', help='config and checkpoint, one after the other; the first is compared to')
    parser.add_argument('--corruptions', nargs='+', default=['paper18'], help='names or subsets')
    parser.add_argument('--severities', nargs='+', type=int, default=[3], help='1 to 5')
    parser.add_argument('--out', type=folder_path, default='work_dirs/robustness',
                        help='folder for tables, pictures and finished cells')
    parser.add_argument('--stored', help='folder of tools/build_corrupted_dataset.py to read corrupted images from')
    parser.add_argument('--metric', help="key of the evaluator's results to compare (default: mAP or top-1)")
    parser.add_argument('--seed', type=int, help='of corruptions made on the fly (0)')
    parser.add_argument('--workers', type=count, help='processes that load images (default: as in the configs)')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by the launcher')
    args = parser.parse_args()
    models = pairs(args.pairs)
    corruptions = resolve_corruptions(args.corruptions)
    for severity in args.severities:
        check_corrupting(corruptions[0], severity)
    if args.stored and args.seed is not None:
        raise UserError(f'--seed {args.seed} is for corruptions made on the fly, and a stored copy has the seed it was '
                        'built with; leave --seed out.')
    results, about = evaluate_models(
        models, corruptions, sorted(set(args.severities)), args.out, metric=args.metric, seed=args.seed or 0,
        stored=args.stored, workers=args.workers, launcher=args.launcher, local_rank=args.local_rank)
    if is_main_process():
        paths = write_report(args.out, results, about)
        print(f'{format_results(results)}\nseverities {about["severities"]}; written to {args.out}: '
              f'{", ".join(osp.basename(p) for p in paths)}')


if __name__ == '__main__':
    run_tool(main)
