"""Writes what others need of a checkpoint: weights and config, plain data, with a hash in the file's name."""
import argparse

from mmadasap.engine.launch import run_tool
from mmadasap.engine.publish import publish


def main() -> None:
    """Parses, writes, prints where."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', help='checkpoint of a training run, dense or slim')
    parser.add_argument('out', help='path to write, e.g. ssd.pth: becomes ssd-<first 8 digits of its SHA-256>.pth')
    args = parser.parse_args()
    print(f'written to {publish(args.checkpoint, args.out)}')


if __name__ == '__main__':
    run_tool(main)
