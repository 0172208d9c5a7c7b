"""Predicted beside measured time of a config's dense network and a checkpoint's slim one, by layer and end to end."""
import argparse
import os.path as osp

from mmadasap.engine.arguments import file_path, natural
from mmadasap.engine.checkpoint import load_config
from mmadasap.engine.host import finish, raw_outputs
from mmadasap.engine.launch import run_tool
from mmadasap.engine.networks import build_network, first_test_image, input_size, load_network
from mmadasap.fileio import write_json
from mmadasap.latency import LatencyTable, compare_times, format_times
from mmadasap.visualization.latency import draw_times


def main() -> None:
    """Parses, compares, writes JSON and a picture, prints tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of the dense network')
    parser.add_argument('checkpoint', help='checkpoint of the slim network')
    parser.add_argument('table', help='latency table of the dense network')
    parser.add_argument('--batch-size', type=natural, default=1, help='images a call; must be the table\'s')
    parser.add_argument('--dtype', default='float32', help="number format; must be the table's")
    parser.add_argument('--input-size', type=int, nargs=2, metavar=('H', 'W'), help="image (default: the config's)")
    parser.add_argument('--rounds', type=natural, default=50, help='measured passes of each network')
    parser.add_argument('--out', type=file_path,
                        help='results as JSON, with a picture beside it (default: beside the checkpoint)')
    args = parser.parse_args()
    table = LatencyTable.load(args.table)
    table.require(args.batch_size, args.dtype)
    here = table.conditions.now()
    for difference in table.conditions.differences(here):
        print(f'Warning: the table is of other conditions than this machine. {difference}')
    cfg = load_config(args.config)
    size = input_size(cfg, args.input_size)
    models = dict(dense=build_network(cfg).eval(), slim=load_network(cfg, args.checkpoint))
    image = first_test_image(cfg, models['slim'], size)
    decoded = 'noise' if image is None else 'the first image of the test set'
    times = compare_times(models, table, raw_outputs, finish(size), size, args.rounds, image)
    out = args.out or osp.splitext(args.checkpoint)[0] + '-latency.json'
    write_json(out, dict(conditions=here.to_dict(), table=args.table, rounds=args.rounds, decoded=decoded,
                         networks={name: t.to_dict() for name, t in times.items()}))
    draw_times(times, osp.splitext(out)[0] + '.png')
    print(f'{format_times(times)}\nThe rest is that of what the slim network finds in {decoded}.')
    print(f'written to {out}, with a picture beside it')


if __name__ == '__main__':
    run_tool(main)
