"""Does a latency table tell the truth? Networks pruned to shares of the latency, and to random widths, predicted and
measured side by side.

    python tools/build_latency_table.py configs/dense/ssd512_r50_dense-8xb16-800e_voc0712.py --block 16
    python benchmarks/latency_prediction.py configs/dense/ssd512_r50_dense-8xb16-800e_voc0712.py \
        work_dirs/latency/ssd512_r50_dense-8xb16-800e_voc0712.json --out benchmarks/results/latency_prediction.json

Weights are random: the layers' time hangs on shapes. That of suppression hangs on the boxes, of which untrained weights
find the most. Run it with the threads the table was measured with (OMP_NUM_THREADS).
"""
import argparse
import copy

import torch
from mmengine.config import Config

from mmadasap.engine.checkpoint import load_config
from mmadasap.engine.host import finish, raw_outputs
from mmadasap.engine.launch import run_tool
from mmadasap.engine.networks import build_network, input_size
from mmadasap.fileio import write_json
from mmadasap.latency import Conditions, LatencyTable, compare_times, format_times
from mmadasap.pruning import Allocator, Budget, ChannelPruner, MagnitudeImportance, full_channels


def prunable(model: torch.nn.Module, table: LatencyTable, size: tuple[int, int], keep: float) -> ChannelPruner:
    """A pruner of ``model`` toward a share of its latency by the table."""
    return ChannelPruner(model, torch.zeros(1, 3, *size), raw_outputs, Budget('latency', keep), MagnitudeImportance(),
                         (), Allocator('exact', table.block), table)


def prune_at_random(pruner: ChannelPruner, block: int, seed: int) -> None:
    """Gives every prunable group a random width of whole blocks."""
    numbers = torch.Generator().manual_seed(seed)
    kept = full_channels(pruner.groups)
    for group in pruner.groups:
        blocks = group.width // block
        if group.protected is None and blocks:
            kept[group.name][block * int(torch.randint(1, blocks + 1, (), generator=numbers)):] = False
    pruner.adopt(kept)


def slim_networks(cfg: Config, table: LatencyTable, keeps: list[float], seed: int) -> dict[str, torch.nn.Module]:
    """The dense network, one for each share to keep, and one of random widths."""
    torch.manual_seed(seed)
    dense = build_network(cfg).eval()
    models = {'dense': dense}
    for name in [*(f'keep {keep:.0%}' for keep in keeps), 'random widths']:
        model = copy.deepcopy(dense)
        keep = float(name[5:-1]) / 100 if name.startswith('keep') else 1.0
        pruner = prunable(model, table, input_size(cfg), keep)
        if name == 'random widths':
            prune_at_random(pruner, table.block, seed)
        else:
            pruner.prune(pruner.target)
            print(f'{name}: budget {pruner.target:.2f} ms, table {pruner.cost(pruner.kept):.2f} ms '
                  f'({pruner.cost(pruner.kept) / pruner.target:.2%} of it), at most {pruner.allocation.gap:.2%} from '
                  'the best value')
        pruner.remove(torch.optim.SGD(model.parameters(), lr=0.1), [])
        models[name] = model
    return models


def main() -> None:
    """Parses, prunes, measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of the dense network')
    parser.add_argument('table', help='its latency table')
    parser.add_argument('--keep', type=float, nargs='+', default=[0.7, 0.5, 0.3], help='shares of the latency to keep')
    parser.add_argument('--rounds', type=int, default=15, help='measured passes of each network, taking turns')
    parser.add_argument('--seed', type=int, default=0, help='of the weights and of the random widths')
    parser.add_argument('--out', default='latency_prediction.json', help='results as JSON')
    args = parser.parse_args()
    cfg, table = load_config(args.config), LatencyTable.load(args.table)
    models = slim_networks(cfg, table, args.keep, args.seed)
    size = input_size(cfg)
    times = compare_times(models, table, raw_outputs, finish(size), size, args.rounds)
    have = table.conditions
    here = Conditions.here(have.where, have.backend, have.dtype, have.batch, have.channels_last)
    write_json(args.out, dict(config=args.config, table=have.to_dict(), here=here.to_dict(), rounds=args.rounds,
                              seed=args.seed, networks={name: t.to_dict() for name, t in times.items()}))
    print(format_times(times, per_layer=False))
    print(f'written to {args.out}')


if __name__ == '__main__':
    run_tool(main)
