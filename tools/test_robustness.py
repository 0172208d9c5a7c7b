"""Tests checkpoints on clean and corrupted images: test_robustness.py CONFIG CHECKPOINT [CONFIG CHECKPOINT ...]."""
import argparse
import os.path as osp

from mmadasap.corruption import check_corruption, resolve_corruptions
from mmadasap.engine.checkpoint import load_config
from mmadasap.engine.launch import adopt_slim_model, check_load_from, pairs, run_tool
from mmadasap.evaluation import evaluate_robustness, format_results
from mmadasap.fileio import write_json


def main() -> None:
    """Parses, evaluates every pair, writes JSON and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('pairs', nargs='+', help='config and checkpoint, one after the other')
    parser.add_argument('--corruptions', nargs='+', default=['paper18'], help='names or subsets')
    parser.add_argument('--severities', nargs='+', type=int, default=[3], help='1 to 5')
    parser.add_argument('--out', default='robustness.json', help='results as JSON')
    args = parser.parse_args()
    models = pairs(args.pairs)
    corruptions = resolve_corruptions(args.corruptions)
    for severity in args.severities:
        check_corruption(corruptions[0], severity)
    results = {}
    for config, checkpoint in models:
        cfg = load_config(config)
        cfg.load_from = checkpoint
        cfg.work_dir = osp.dirname(osp.abspath(args.out))
        check_load_from(cfg)
        adopt_slim_model(cfg, checkpoint)
        results[checkpoint] = evaluate_robustness(cfg, checkpoint, corruptions, args.severities)
    write_json(args.out, dict(
        corruptions=corruptions, severities=args.severities, models={n: r.to_dict() for n, r in results.items()}))
    letters = {chr(ord('A') + i): r for i, r in enumerate(results.values())}
    for letter, name in zip(letters, results):
        print(f'{letter}: {name}')
    print(f'{format_results(letters)}\nseverities {args.severities}; written to {args.out}')


if __name__ == '__main__':
    run_tool(main)
