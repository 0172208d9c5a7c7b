"""Trains and measures what stands in a table, run by run, each written to a JSON file of its own.

    python benchmarks/reproduce/run.py table4 --seeds 0 1 2 --only 'AdaSAP_P, 20' 'magnitude + SAM, 20'

A run whose result is there is left alone; a killed one goes on from its last checkpoint, finished cells of its
evaluation are kept. Pruned runs train the dense network they start from first, unless starts/ holds its weights.
report.py makes the tables and figures.
"""
import argparse
import json
import os
import os.path as osp
import time

import torch
from measure import measure
from provenance import data_hash, versions
from report import format_table, read_results
from runs import Run, check_latency_table, resolve, training_hash
from tables import RUNS, TABLES
from training import train

from mmadasap.engine.launch import run_tool
from mmadasap.errors import UserError
from mmadasap.fileio import write_json
from mmadasap.latency import describe_machine


def needed(names: list[str]) -> list[Run]:
    """The runs of these names, each after the one it starts from."""
    found: dict[str, Run] = {}

    def add(name: str) -> None:
        run = RUNS[name]
        if run.start is not None:
            add(run.start)
        found[name] = run

    for name in names:
        add(name)
    return list(found.values())


def run_once(run: Run, seed: int, device: str) -> None:
    """Trains, measures, and writes the result."""
    cfg = resolve(run, seed)
    about = dict(
        run=run.name, seed=seed, config=run.config, config_hash=training_hash(run, seed, RUNS),
        data_hash=data_hash(cfg), start=run.start, amp=run.amp, versions=versions(), machine=describe_machine(),
        command=f'python benchmarks/reproduce/run.py {run.name} --seeds {seed}')
    trained = train(run, seed, device, RUNS)
    about |= dict(peak_memory_bytes=trained['peak_memory_bytes'], training={
        key: trained[key] for key in ('devices', 'machine', 'versions', 'native_bfloat16', 'start') if key in trained})
    start = time.monotonic()
    about |= measure(run, cfg)
    write_json(run.result_path(seed), about | dict(measuring_seconds=time.monotonic() - start))
    print(f'[reproduce] written to {osp.relpath(run.result_path(seed))}; its config and checkpoints are in '
          f'{cfg.work_dir}', flush=True)


def warn_if_changed(run: Run, seed: int) -> None:
    """Says where a result is of another config than the present one, or of other data than lie here."""
    with open(run.result_path(seed)) as file:
        theirs = json.load(file)
    mine = dict(config_hash=training_hash(run, seed, RUNS), data_hash=data_hash(resolve(run, seed)))
    for key, name in (('config_hash', 'another config'), ('data_hash', 'other data')):
        if mine[key] not in (theirs[key], None):
            print(f'[reproduce] {osp.relpath(run.result_path(seed))} was made with {name} ({theirs[key]}, now '
                  f'{mine[key]}); delete it and {run.work_dir(seed)} to run it anew.')


def select(table: str, only: list[str]) -> list[str]:
    """Names of a table's runs whose label holds one of ``only``; ``table`` may be the name of one run.

    Raises:
        UserError: There is no such table or run.
    """
    if table in RUNS:
        return [table]
    if table not in TABLES:
        raise UserError(f'There is no table or run {table!r}; tables are {", ".join(TABLES)}.')
    rows = TABLES[table].rows
    chosen = [name for label, name in rows if not only or any(part in label for part in only)]
    if not chosen:
        raise UserError(f'--only {" ".join(only)} matches no row of {table}: {"; ".join(label for label, _ in rows)}.')
    return chosen


def main() -> None:
    """Parses and runs what is not done yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('table', help=f'one of {", ".join(TABLES)}, or the name of one run')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0], help='one training of every row for each')
    parser.add_argument('--only', nargs='+', default=[], help='only rows whose label holds one of these')
    parser.add_argument('--device', choices=['cpu', 'cuda'],
                        help='where to train and measure, cuda where there is one; with several, training is on all')
    args = parser.parse_args()
    if args.device == 'cpu':
        # Before anything asks for devices, so that measuring and the processes that train see none either.
        os.environ['CUDA_VISIBLE_DEVICES'] = '-1'
    device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    todo = [(run, seed) for seed in args.seeds for run in needed(select(args.table, args.only))]
    for run, seed in todo:
        if not osp.exists(run.result_path(seed)):
            check_latency_table(run, RUNS)
    for i, (run, seed) in enumerate(todo):
        print(f'[reproduce] {i + 1} of {len(todo)}: {run.name}, seed {seed}', flush=True)
        if osp.exists(run.result_path(seed)):
            warn_if_changed(run, seed)
        else:
            run_once(run, seed, device)
    if args.table in TABLES:
        print(format_table(TABLES[args.table], read_results()))
    print('[reproduce] done; python benchmarks/reproduce/report.py writes RESULTS.md with all tables and figures')


if __name__ == '__main__':
    run_tool(main)
