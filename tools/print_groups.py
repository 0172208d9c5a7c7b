"""Prints which channels of a config's network live or die together, what stays whole, and why."""
import argparse

import torch

from mmadasap.engine.host import raw_outputs
from mmadasap.engine.launch import build_network, load_config, run_tool
from mmadasap.pruning import format_groups, trace_groups


def main() -> None:
    """Parses, traces, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, dense or slim')
    parser.add_argument('--input-size', type=int, nargs=2, default=[512, 512], metavar=('H', 'W'), help='traced input')
    parser.add_argument('--protect', nargs='*', default=[], help='modules whose output channels are all kept')
    args = parser.parse_args()
    model = build_network(load_config(args.config))
    print(format_groups(trace_groups(model, torch.zeros(1, 3, *args.input_size), raw_outputs, args.protect)))


if __name__ == '__main__':
    run_tool(main)
