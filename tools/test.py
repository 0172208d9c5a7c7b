"""Evaluates a checkpoint, dense or slim: mmdet's tools/test.py with its flags."""
import argparse

from mmdet.engine.hooks.utils import trigger_visualization_hook
from mmdet.evaluation import DumpDetResults
from mmdet.utils import setup_cache_size_limit_of_dynamo
from mmengine.runner import Runner

from mmadasap.engine.checkpoint import check_model
from mmadasap.engine.launch import (
    add_config_arguments,
    adopt_slim_model,
    check_load_from,
    read_config,
    run_tool,
    set_tta,
    start_processes,
)
from mmadasap.engine.slim_config import add_guard


def main() -> None:
    """Parses, builds the runner, tests."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_arguments(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', help='dump the predictions to this .pkl file')
    parser.add_argument('--show', action='store_true', help='show predictions on a screen')
    parser.add_argument('--show-dir', help='save painted images here, below the work directory')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds an image is shown')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation (default: with a flipped image)')
    args = parser.parse_args()
    setup_cache_size_limit_of_dynamo()
    cfg = read_config(args)
    check_model(cfg)
    cfg.load_from = args.checkpoint
    check_load_from(cfg)
    add_guard(cfg, whole=True)
    start_processes(cfg)
    adopted = adopt_slim_model(cfg, args.checkpoint)
    if adopted:
        print(adopted)
    if args.tta:
        set_tta(cfg)
    if args.show or args.show_dir:
        trigger_visualization_hook(cfg, args)
    runner = Runner.from_cfg(cfg)
    if args.out:
        runner.test_evaluator.metrics.append(DumpDetResults(out_file_path=args.out))
    runner.test()


if __name__ == '__main__':
    run_tool(main)
