"""Trains a detector or a classifier: mmdet's tools/train.py with its flags, with or without mmadasap's parts."""
import argparse

from mmadasap.engine.arguments import add_config_arguments
from mmadasap.engine.checkpoint import check_model
from mmadasap.engine.launch import (
    build_runner,
    check_load_from,
    read_config,
    run_tool,
    set_amp,
    set_auto_scale_lr,
    set_resume,
    start_processes,
)
from mmadasap.engine.origin import note_start
from mmadasap.engine.slim_config import add_guard, add_plain_checkpoints


def main() -> None:
    """Parses, builds the runner, trains."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_arguments(parser)
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate with the batch')
    parser.add_argument(
        '--resume', nargs='?', const='auto', help='resume from this checkpoint, or from the latest if none is named')
    args = parser.parse_args()
    cfg = read_config(args)
    check_model(cfg)
    if args.amp:
        set_amp(cfg)
    if args.auto_scale_lr:
        set_auto_scale_lr(cfg)
    note_start(cfg)
    set_resume(cfg, args.resume)
    check_load_from(cfg)
    add_guard(cfg)
    add_plain_checkpoints(cfg)
    start_processes(cfg)
    build_runner(cfg).train()


if __name__ == '__main__':
    run_tool(main)
