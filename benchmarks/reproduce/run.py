"""Trains and measures what stands in a table, run by run, each written to a JSON file of its own.

    python benchmarks/reproduce/run.py table4 --seeds 0 1 2 --only adasap-p magnitude-sam

A run whose result is there is left alone; a killed one goes on from its last checkpoint, finished cells of its
evaluation are kept. report.py makes the tables and figures.
"""
import argparse
import json
import os
import os.path as osp
import shlex
import subprocess
import sys
import time

import torch
from measure import data_hash, measure, versions
from report import format_table, read_results
from runs import Run, checkpoint_path, config_hash, resolve
from tables import RUNS, TABLES

from mmadasap.engine.launch import run_tool
from mmadasap.engine.slim_config import write_config
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


def train(run: Run, seed: int, device: str) -> int:
    """Trains through tools/train.py, or goes on; a finished training is left as it is.

    Returns:
        Its peak memory in bytes, of the part after the last kill.

    Raises:
        UserError: Training failed.
    """
    start = None if run.start is None else checkpoint_path(resolve(RUNS[run.start], seed))
    cfg = resolve(run, seed, start)
    path = write_config(cfg, osp.join(cfg.work_dir, 'config.py'))
    noted = osp.join(cfg.work_dir, 'peak_memory.json')
    if not (osp.exists(checkpoint_path(cfg)) and osp.exists(noted)):
        write_json(noted, train_in_process(run, path, device))
    with open(noted) as file:
        return json.load(file)


def train_in_process(run: Run, path: str, device: str) -> int:
    """Runs tools/train.py on a config, and returns its peak memory in bytes.

    Raises:
        UserError: Training failed.
    """
    command = [sys.executable, 'tools/train.py', path, '--resume', *(['--amp'] if run.amp else [])]
    count = torch.cuda.device_count() if device == 'cuda' else 0
    if count > 1:
        command = ['bash', 'tools/dist_train.sh', path, str(count), *command[3:]]
    hidden = {} if count else dict(CUDA_VISIBLE_DEVICES='-1')
    with subprocess.Popen(command, env=os.environ | hidden) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise UserError(f'Training stopped with exit code {process.returncode}; mend what it says above, and go on '
                        f'with the same command ({shlex.join(command)} is the part that failed).')
    return usage.ru_maxrss * 1024


def run_once(run: Run, seed: int, device: str) -> None:
    """Trains, measures, and writes the result."""
    begin = time.time()
    memory = train(run, seed, device)
    cfg = resolve(run, seed)
    result = dict(
        run=run.name, seed=seed, config=run.config, config_hash=config_hash(cfg), data_hash=data_hash(cfg),
        start=run.start, amp=run.amp, versions=versions(), machine=describe_machine(), peak_memory_bytes=memory,
        command=f'python benchmarks/reproduce/run.py {run.name} --seeds {seed}')
    result |= measure(run, cfg) | dict(wall_seconds=time.time() - begin)
    write_json(run.result_path(seed), result)
    print(f'[reproduce] written to {osp.relpath(run.result_path(seed))}; its config and checkpoints are in '
          f'{cfg.work_dir}', flush=True)


def warn_if_changed(run: Run, seed: int) -> None:
    """Says where a result is of another config than the present one."""
    with open(run.result_path(seed)) as file:
        theirs = json.load(file)['config_hash']
    if theirs != config_hash(resolve(run, seed)):
        print(f'[reproduce] {osp.relpath(run.result_path(seed))} was made with another config ({theirs}); delete it '
              f'and {run.work_dir(seed)} to run it anew.')


def select(table: str, only: list[str]) -> list[str]:
    """Names of a table's runs whose label or name holds one of ``only``; ``table`` may be the name of one run.

    Raises:
        UserError: There is no such table or run.
    """
    if table in RUNS:
        return [table]
    if table not in TABLES:
        raise UserError(f'There is no table or run {table!r}; tables are {", ".join(TABLES)}.')
    rows = TABLES[table].rows
    chosen = [name for label, name in rows if not only or any(part in label or part in name for part in only)]
    if not chosen:
        raise UserError(f'--only {" ".join(only)} matches no row of {table}: {", ".join(name for _, name in rows)}.')
    return chosen


def main() -> None:
    """Parses and runs what is not done yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('table', help=f'one of {", ".join(TABLES)}, or the name of one run')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0], help='one training of every row for each')
    parser.add_argument('--only', nargs='+', default=[], help='only rows whose label or name holds one of these')
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cuda' if torch.cuda.is_available() else 'cpu',
                        help='where to train; with several CUDA devices on all of them')
    args = parser.parse_args()
    todo = [(run, seed) for seed in args.seeds for run in needed(select(args.table, args.only))]
    for i, (run, seed) in enumerate(todo):
        print(f'[reproduce] {i + 1} of {len(todo)}: {run.name}, seed {seed}', flush=True)
        if osp.exists(run.result_path(seed)):
            warn_if_changed(run, seed)
        else:
            run_once(run, seed, args.device)
    if args.table in TABLES:
        print(format_table(TABLES[args.table], read_results()))
    print('[reproduce] done; python benchmarks/reproduce/report.py writes RESULTS.md with all tables and figures')


if __name__ == '__main__':
    run_tool(main)
