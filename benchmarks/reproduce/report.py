"""Makes RESULTS.md and its figures from the results of run.py alone.

    python benchmarks/reproduce/report.py
"""
import argparse
import json
import os
import os.path as osp
import re
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Optional

from claims import CLAIMS, Claim, describe, judge
from figures import draw_figures, figure_titles, relative_time
from provenance import is_rounded, marked
from runs import RESULTS
from tables import RUNS, TABLES, Table

from mmadasap.fileio import replacing

Results = dict[str, dict[int, dict]]
HERE = osp.dirname(osp.abspath(__file__))
OUT = osp.join(HERE, 'RESULTS.md')
EMPTY = 'not run'

# Column -> (its head, digits, the number in a result or None); the size, which needs the dense run, is apart.
METRICS: dict[str, tuple[str, int, Callable[[dict], Optional[float]]]] = {
    'clean': ('clean', 4, lambda r: r['test']['accuracy']),
    'corrupted': ('corrupted', 4, lambda r: r['test']['mean_corrupted']),
    'relative': ('R_C', 3, lambda r: r['test']['relative']),
    'train': ('training images', 3, lambda r: r.get('train')),
    'million': ('parameters, M', 3, lambda r: r['test']['parameters'] / 1e6),
    'loss_before': ('loss before', 3, lambda r: r.get('before', {}).get('loss')),
    'loss_after': ('loss after', 3, lambda r: r.get('after', {}).get('loss')),
    'accuracy_before': ('accuracy before', 3, lambda r: r.get('before', {}).get('accuracy')),
    'accuracy_after': ('accuracy after', 3, lambda r: r.get('after', {}).get('accuracy')),
    'sharpness_before': ('sharpness before', 4, lambda r: r.get('before', {}).get('sharpness', {}).get('one_step')),
    'sharpness_after': ('sharpness after', 4, lambda r: r.get('after', {}).get('sharpness', {}).get('one_step')),
    'minutes': ('training, min', 1, lambda r: r['cost']['training_seconds'] / 60),
    'step_before': ('step before surgery', 2, lambda r: _step(r, 'before')),
    'step_after': ('step after surgery', 2, lambda r: _step(r, 'after')),
    'cost': ('time / dense SGD', 2, lambda r: _whole(relative_time(r))),
    'masked': ('masked to the end', 2, lambda r: _whole(relative_time(r, 'masked'))),
    'memory': ('peak memory, MB', 0, lambda r: _per(1e6, r['peak_memory_bytes'])),
    'latency': ('latency by the table', 3, lambda r: r.get('latency')),
    'loss_rise': ('rise of the loss', 3, lambda r: r['after']['loss'] - r['before']['loss'] if 'after' in r else None),
    'v2': ('ImageNet-V2', 4, lambda r: _published(r, 'v2/matched-frequency/top1', 100)),
    'relative_v2': ('R_V2', 3, lambda r: _published(r, 'R_V2', 1)),
}


def _published(result: dict, key: str, unit: float) -> Optional[float]:
    return _per(unit, result['test'].get('published', {}).get(key))


def _step(result: dict, name: str) -> Optional[float]:
    times = result['cost'].get('step_ms')
    return None if times is None else times[name] / times['plain']


def _whole(parts: Optional[tuple[float, float]]) -> Optional[float]:
    return None if parts is None else sum(parts)


def _per(unit: float, value: Optional[float]) -> Optional[float]:
    return None if value is None else value / unit


def read_results(folder: str = RESULTS) -> Results:
    """Run -> seed -> result, of all files in a folder."""
    found: Results = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith('.json'):
            with open(osp.join(folder, name)) as file:
                result = json.load(file)
            found.setdefault(result['run'], {})[result['seed']] = result
    return found


def numbers(results: Results, run: str, column: str) -> dict[int, float]:
    """Seed -> number of a run in a column, of the seeds that have it."""
    if column == 'size':
        return _sizes(results, run)
    values = {seed: METRICS[column][2](result) for seed, result in results.get(run, {}).items()}
    return {seed: value for seed, value in values.items() if value is not None}


def _sizes(results: Results, run: str) -> dict[int, float]:
    """Parameters over those of the dense run of that seed."""
    dense = results.get(RUNS[run].reference, {})
    return {seed: result['test']['parameters'] / dense[seed]['test']['parameters']
            for seed, result in results.get(run, {}).items() if seed in dense}


HEADS = {'size': ('size', 3)} | {name: (head, digits) for name, (head, digits, _) in METRICS.items()}


def cell(values: Sequence[float], digits: int) -> str:
    """Mean and standard deviation of the seeds, or a dash where none has the number."""
    if not values:
        return '–'
    mean = f'{statistics.mean(values):.{digits}f}'
    return mean if len(values) == 1 else f'{mean} ± {statistics.stdev(values):.{digits}f}'


def format_table(table: Table, results: Results) -> str:
    """A table in Markdown; every row says how many seeds it has."""
    heads = [HEADS[column][0] for column in table.columns]
    lines = [f'| | seeds | {" | ".join(heads)} |', '|---' * (len(heads) + 2) + '|']
    for label, run in table.rows:
        if run not in results:
            lines.append(f'| {label} |{f" {EMPTY} |" * (len(heads) + 1)}')
            continue
        cells = [cell(list(numbers(results, run, c).values()), HEADS[c][1]) for c in table.columns]
        lines.append(f'| {marked(label, results[run].values())} | {len(results[run])} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def format_claims(results: Results) -> str:
    """Each claim of the paper beside what came out here, how to get it and what it takes."""
    lines = ['| claim | paper | here | seeds | verdict | command | min a seed |', '|---' * 7 + '|']
    for claim in CLAIMS:
        verdict, mean, spread, count = judge(claim, lambda run, c=claim: numbers(results, run, c.metric))
        here = EMPTY if mean is None else describe(claim, mean, spread)
        lines.append(f'| {claim.text} | {claim.paper} | {here} | {count} | {verdict} | `run.py {claim.table}` | '
                     f'{training_minutes(results, claim)} |')
    return '\n'.join(lines)


def training_minutes(results: Results, claim: Claim) -> str:
    """Minutes that training both runs of a claim and what they start from takes, mean of the seeds of each."""
    pair = {claim.ours, claim.other}
    names = sorted(pair | {RUNS[name].start for name in pair} - {None})
    if not all(name in results for name in names):
        return '–'
    total = sum(statistics.mean(numbers(results, name, 'minutes').values()) for name in names)
    return marked(f'{total:.0f}', (result for name in names for result in results[name].values()))


def format_machines(results: Results) -> str:
    """How many runs were trained on which processor or device; it may only be known where they were measured."""
    counts = Counter(_machine(result) for seeds in results.values() for result in seeds.values())
    return ', '.join(f'{count} on {name}' for name, count in counts.most_common())


def _machine(result: dict) -> str:
    training = result.get('training', {})
    name = training.get('machine', result['machine'])['device']
    return f'{name} (bfloat16 by float32)' if is_rounded(result) else name


def render(results: Results, text: str) -> str:
    """The text with ``{{claims}}``, ``{{figures}}``, ``{{machines}}`` and every ``{{table}}`` in it filled in."""

    def fill(match: re.Match) -> str:
        name = match[1]
        if name == 'claims':
            return format_claims(results)
        if name == 'machines':
            return format_machines(results)
        if name == 'figures':
            return '\n\n'.join(f'![{title}](figures/{file})' for file, title in figure_titles(results).items())
        return format_table(TABLES[name], results)

    return re.sub(r'\{\{([\w-]+)\}\}', fill, text)


def main() -> None:
    """Reads, renders, draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    results = read_results()
    with open(osp.join(HERE, 'results.template.md')) as file:
        text = render(results, file.read())
    with replacing(OUT) as partial, open(partial, 'w') as file:
        file.write(text)
    figures = draw_figures(results, osp.join(HERE, 'figures'))
    print(f'{osp.relpath(OUT)} and {len(figures)} figures, from {sum(map(len, results.values()))} results')


if __name__ == '__main__':
    main()
