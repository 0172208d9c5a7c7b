"""Prints which channels of a config's network live or die together, what stays whole, and why."""
import argparse

from mmadasap.engine.checkpoint import load_config
from mmadasap.engine.config_groups import config_groups
from mmadasap.engine.launch import run_tool
from mmadasap.pruning import format_groups


def main() -> None:
    """Parses, traces, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, dense or slim')
    parser.add_argument('--input-size', type=int, nargs=2, metavar=('H', 'W'), help="input (default: the config's)")
    parser.add_argument('--protect', nargs='*', help='modules whose output channels are all kept (default: what the '
                        "config's pruning hook protects)")
    args = parser.parse_args()
    print(format_groups(config_groups(load_config(args.config), args.input_size, args.protect)))


if __name__ == '__main__':
    run_tool(main)
