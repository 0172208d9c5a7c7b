"""Measures how long each layer of a config's network takes at its possible widths, on this machine's device."""
import argparse
import os.path as osp

import torch

from mmadasap.engine.arguments import file_path, natural
from mmadasap.engine.checkpoint import load_config
from mmadasap.engine.host import raw_outputs
from mmadasap.engine.launch import run_tool
from mmadasap.engine.networks import build_network, input_size
from mmadasap.latency import BACKENDS, DTYPES, Conditions, build_table, sites_of
from mmadasap.pruning import find_groups, image_channels, trace_layers


def main() -> None:
    """Parses, traces, measures, prints where the table is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file of the dense network')
    parser.add_argument('--device', default='cpu', help='cpu or cuda:<number>')
    parser.add_argument('--batch-size', type=natural, default=1, help='images a call')
    parser.add_argument('--dtype', choices=list(DTYPES), default='float32', help='number format')
    parser.add_argument('--channels-last', action='store_true', help='memory format of feature maps')
    parser.add_argument('--block', type=natural, default=8, help='pruned widths will be multiples of this')
    parser.add_argument('--backend', choices=BACKENDS, default='torch', help='what runs the layers')
    parser.add_argument('--input-size', type=int, nargs=2, metavar=('H', 'W'), help="image (default: the config's)")
    parser.add_argument('--budget-minutes', type=float, help='measure at fewer widths to be done in about so long')
    parser.add_argument('--out', type=file_path, help='the table (work_dirs/latency/<name of the config>.json)')
    args = parser.parse_args()
    cfg = load_config(args.config)
    conditions = Conditions.here(args.device, args.backend, args.dtype, args.batch_size, args.channels_last)
    model = build_network(cfg)
    example = torch.zeros(1, image_channels(model), *input_size(cfg, args.input_size))
    groups, layers = find_groups(model, example, raw_outputs), trace_layers(model, example, raw_outputs)
    path = args.out or osp.join('work_dirs', 'latency', osp.splitext(osp.basename(args.config))[0] + '.json')
    table = build_table(sites_of(layers, groups), conditions, args.block, path, args.budget_minutes)
    dense = sum(table(layer, layer.in_width, layer.out_width) for layer in layers)
    print(f'{sum(g.ms.size for g in table.grids)} times of {len(table.grids)} operations on {conditions.device}, '
          f'{conditions.threads} threads; all layers of the dense network together take {dense:.2f} ms.')
    print(f'written to {path}')


if __name__ == '__main__':
    run_tool(main)
