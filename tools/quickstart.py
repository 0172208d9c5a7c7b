"""Trains a small dense detector and its AdaSAP-pruned form, and compares them on clean and corrupted images."""
import argparse
import os.path as osp

from mmadasap.engine.launch import run_tool
from mmadasap.quickstart import run_quickstart


def main() -> None:
    """Parses and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', help='your data in Pascal VOC layout (default: draw a data set)')
    parser.add_argument('--work-dir', help='results (default: work_dirs/quickstart, or -<folder name> for --data)')
    args = parser.parse_args()
    data = args.data and osp.expanduser(args.data)
    name = f'-{osp.basename(osp.abspath(data))}' if data else ''
    configs = osp.join(osp.dirname(osp.dirname(osp.abspath(__file__))), 'configs')
    run_quickstart(data, args.work_dir or f'work_dirs/quickstart{name}', configs)


if __name__ == '__main__':
    run_tool(main)
