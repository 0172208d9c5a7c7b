"""Shows what a pruned checkpoint holds: widths before and after, budget, origin, and a picture."""
import argparse
import os.path as osp

from mmadasap.engine.arguments import file_path
from mmadasap.engine.inspection import format_report, inspect_slim
from mmadasap.engine.launch import run_tool
from mmadasap.visualization import draw_channels


def main() -> None:
    """Parses, reads, prints and draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', help='checkpoint of a pruned network')
    parser.add_argument('--out', type=file_path, help='picture (default: <checkpoint>-channels.png)')
    args = parser.parse_args()
    report = inspect_slim(args.checkpoint)
    out = args.out or f'{osp.splitext(args.checkpoint)[0]}-channels.png'
    draw_channels(report.before, report.after, out)
    print(f'{format_report(report)}\nwritten to {out}')


if __name__ == '__main__':
    run_tool(main)
