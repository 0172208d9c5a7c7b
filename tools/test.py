"""Evaluates a checkpoint, dense or slim, of a detector or a classifier: mmdet's tools/test.py with its flags."""
import argparse

from mmengine.registry import METRICS

from mmadasap.engine.arguments import add_config_arguments, pickle_path
from mmadasap.engine.checkpoint import check_model
from mmadasap.engine.launch import (
    build_runner,
    check_load_from,
    read_config,
    run_tool,
    set_tta,
    start_processes,
)
from mmadasap.engine.networks import adopt_slim_model
from mmadasap.engine.slim_config import add_guard
from mmadasap.hosts import draw_predictions, host_of


def main() -> None:
    """Parses, builds the runner, tests."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_arguments(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', type=pickle_path, help='dump the predictions to this .pkl file')
    parser.add_argument('--show', action='store_true', help='show predictions on a screen')
    parser.add_argument('--show-dir', help='save painted images here, below the work directory')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds an image is shown')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation (default: with a flipped image)')
    args = parser.parse_args()
    cfg = read_config(args)
    check_model(cfg)
    cfg.load_from, cfg.resume = args.checkpoint, False
    check_load_from(cfg)
    add_guard(cfg, whole=True)
    start_processes(cfg)
    adopted = adopt_slim_model(cfg, args.checkpoint)
    if adopted:
        print(adopted)
    if args.tta:
        set_tta(cfg)
    if args.show or args.show_dir:
        draw_predictions(cfg, args.show, args.show_dir, args.wait_time)
    runner = build_runner(cfg)
    if args.out:
        runner.test_evaluator.metrics.append(METRICS.build(dict(type=host_of(cfg).dump, out_file_path=args.out)))
    runner.test()


if __name__ == '__main__':
    run_tool(main)
