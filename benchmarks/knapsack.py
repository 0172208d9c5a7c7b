"""Allocation of widths: ours beside brute force on tiny problems, other solvers, and HALP's linearised choice.

    python benchmarks/knapsack.py --seed 0 --solver mine=package.module:solve --out benchmarks/results/knapsack.json
    python benchmarks/knapsack.py --table work_dirs/latency/ssd512_r50_dense-8xb16-800e_voc0712.json

Tiny problems (knapsack_instances.py): 1 to 5 groups of 1 to 6 candidates, half of them whole numbers 0 to 9 and
half uniform in [0, 1); values alike to costs, opposed or unrelated, a third each; capacity uniform between the cheapest
and the dearest choice. Another solver is ``solve(values, costs, capacity) -> one place per group``, imported by path.

The network is SSD512-R50 with the magnitudes of random weights, by MACs or by a latency table: the joint allocation
beside HALP's choice for the same budget (its prices freeze the inputs: what it really costs stands beside), and HALP's
choice with its budget searched, and what is left of ours then spent, so that it really costs up to ours.
"""
import argparse
import importlib
import time
from collections.abc import Callable

import numpy as np
import torch
from knapsack_instances import brute_force, random_instance

from mmadasap.engine.checkpoint import load_config
from mmadasap.engine.host import raw_outputs
from mmadasap.engine.launch import run_tool
from mmadasap.engine.networks import build_network, input_size
from mmadasap.errors import UserError
from mmadasap.fileio import write_json
from mmadasap.latency import LatencyTable, describe_machine
from mmadasap.pruning import (
    COSTS,
    MagnitudeImportance,
    NetworkCost,
    allocate,
    allocate_halp,
    allocate_repriced,
    find_groups,
    full_channels,
    solve_multiple_choice,
    trace_layers,
)
from mmadasap.pruning.candidates import WidthCandidates

CONFIG = 'configs/dense/ssd512_r50_dense-8xb16-800e_voc0712.py'


def import_solver(text: str) -> tuple[str, Callable]:
    """(name, function) of ``name=module:function``.

    Raises:
        UserError: It is not of this form, or not there.
    """
    name, _, path = text.partition('=')
    module, _, function = path.partition(':')
    try:
        return name, getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f'--solver {text}: {error}; give name=module:function.') from None


def on_tiny_problems(solvers: dict[str, Callable], count: int, seed: int) -> dict[str, dict]:
    """How often each solver finds the greatest value within the capacity, and milliseconds a problem."""
    numbers = np.random.default_rng(seed)
    problems = [random_instance(numbers) for _ in range(count)]
    best = [brute_force(*problem) for problem in problems]
    rows = {}
    for name, solve in solvers.items():
        optimal, within, started = 0, 0, time.perf_counter()
        for (values, costs, capacity), greatest in zip(problems, best):
            choice = solve(values, costs, capacity)
            within += sum(c[i] for c, i in zip(costs, choice)) <= capacity
            optimal += bool(np.isclose(sum(v[i] for v, i in zip(values, choice)), greatest, rtol=1e-9, atol=1e-9))
        rows[name] = dict(optimal=optimal, within=int(within), problems=count,
                          ms=1e3 * (time.perf_counter() - started) / count)
    return rows


def on_a_network(table: LatencyTable | None, block: int, keeps: list[float]) -> list[dict]:
    """Value, cost and time of each allocator at shares of the dense cost of SSD512-R50."""
    cfg = load_config(CONFIG)
    torch.manual_seed(0)
    model = build_network(cfg).eval()
    example = torch.zeros(1, 3, *input_size(cfg))
    groups = find_groups(model, example, raw_outputs)
    network = NetworkCost(trace_layers(model, example, raw_outputs), groups, table or COSTS['macs'])
    kept = full_channels(groups)
    values, terms, current = WidthCandidates(network, block).problem(
        kept, MagnitudeImportance().scores(model, groups, kept))
    rows = []
    for keep in keeps:
        capacity = keep * network(kept)
        calls = dict(joint=lambda c: allocate(values, terms, c, current),
                     halp=lambda c: allocate_halp(values, terms, current, c),
                     halp_repriced=lambda c: allocate_repriced(values, terms, current, c))
        for name, call in calls.items():
            started = time.perf_counter()
            found = call(capacity)
            rows.append(dict(keep=keep, allocator=name, value=found.value, used=found.cost / capacity,
                             gap=found.gap if name == 'joint' else None, seconds=time.perf_counter() - started))
    return rows


def main() -> None:
    """Parses, solves, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seed', type=int, default=0, help='of the tiny problems')
    parser.add_argument('--problems', type=int, default=500, help='how many tiny problems')
    parser.add_argument('--solver', action='append', default=[], help='another solver: name=module:function')
    parser.add_argument('--table', help='latency table of SSD512-R50 (default: MACs)')
    parser.add_argument('--block', type=int, default=8, help="candidates are multiples of this (a table's own block)")
    parser.add_argument('--keep', type=float, nargs='+', default=[0.7, 0.5, 0.3], help='shares of the dense cost')
    parser.add_argument('--out', default='benchmarks/results/knapsack.json', help='results as JSON')
    args = parser.parse_args()
    table = LatencyTable.load(args.table) if args.table else None
    tiny = on_tiny_problems(dict([('ours', solve_multiple_choice), *map(import_solver, args.solver)]), args.problems,
                            args.seed)
    print(f'{"tiny problems":16}{"optimal":>10}{"within":>10}{"ms each":>10}')
    for name, row in tiny.items():
        print(f'{name:16}{row["optimal"]:6}/{row["problems"]}{row["within"]:6}/{row["problems"]}{row["ms"]:10.3f}')
    rows = on_a_network(table, table.block if table else args.block, args.keep)
    print(f'{"SSD512-R50":16}{"keep":>6}{"value":>12}{"budget used":>13}{"gap":>9}{"s":>7}')
    for row in rows:
        gap = '' if row['gap'] is None else f'{row["gap"]:.3%}'
        print(f'{row["allocator"]:16}{row["keep"]:6.0%}{row["value"]:12.2f}{row["used"]:13.2%}{gap:>9}'
              f'{row["seconds"]:7.2f}')
    write_json(args.out, dict(machine=describe_machine('cpu'), seed=args.seed, cost='latency' if table else 'macs',
                              block=table.block if table else args.block, tiny=tiny, network=rows))
    print(f'written to {args.out}')


if __name__ == '__main__':
    run_tool(main)
