"""The paper's figures from the results of run.py: what survives against what is removed, and margins by corruption."""
import os.path as osp
import statistics
from typing import Optional

from matplotlib.figure import Figure
from provenance import marked
from tables import COST_BARS, CURVES, MARGINS, RUNS

from mmadasap.evaluation import RobustnessResult
from mmadasap.fileio import replacing
from mmadasap.visualization.panels import COLORS
from mmadasap.visualization.robustness import draw_margins

PANELS = {'accuracy': 'clean accuracy', 'mean_corrupted': 'corrupted accuracy', 'relative': 'R_C'}


def figure_titles(results: dict) -> dict[str, str]:
    """File -> title of every figure there are results for."""
    seeds = {name: len(common_seeds(results, list(pair.values()))) for name, pair in MARGINS.items()}
    found = {f'margins-{name}.png': f'{list(pair)[1]} - {list(pair)[0]} by corruption, {name}, seeds: {seeds[name]}'
             for name, pair in MARGINS.items() if seeds[name]}
    found |= {f'size-{name}.png': f'What survives against what is removed, {name}; hollow points are of one seed'
              for name in CURVES if _curves(results, name)}
    return found | ({'cost.png': 'Training time; † where torch has no fast bfloat16'} if _bars(results) else {})


def draw_figures(results: dict, folder: str) -> list[str]:
    """Draws every figure there are results for.

    Returns:
        Their paths.
    """
    paths = {osp.splitext(file)[0]: osp.join(folder, file) for file in figure_titles(results)}
    for name, path in paths.items():
        kind, _, data = name.partition('-')
        if kind == 'margins':
            seeds = common_seeds(results, list(MARGINS[data].values()))
            draw_margins({f'{label} (seeds: {len(seeds)})': mean_result({seed: results[run][seed] for seed in seeds})
                          for label, run in MARGINS[data].items()}, path)
        elif kind == 'size':
            draw_against_size(results, _curves(results, data), path)
        else:
            draw_cost(results, _bars(results), path)
    return list(paths.values())


def common_seeds(results: dict, runs: list[str]) -> list[int]:
    """Seeds that all of the runs have."""
    return sorted(set.intersection(*(set(results.get(run, {})) for run in runs)))


def _curves(results: dict, name: str) -> dict[str, list[str]]:
    """Runs there are results for, of every method that has any beside the dense network."""
    found = {label: [run for run in runs if run in results] for label, runs in CURVES[name].items()}
    return {label: runs for label, runs in found.items() if runs and runs[-1] != CURVES[name][label][0]}


def _bars(results: dict) -> dict[str, str]:
    return {marked(label, results[run].values()): run for label, run in COST_BARS.items() if _times(results, run)}


def _times(results: dict, run: str) -> list[tuple[float, float]]:
    return list(filter(None, map(relative_time, results.get(run, {}).values())))


def mean_result(by_seed: dict[int, dict]) -> RobustnessResult:
    """Accuracies of all seeds averaged, cell by cell."""
    tests = [result['test'] for result in by_seed.values()]
    corrupted = {
        name: {int(s): statistics.mean(test['corrupted'][name][s] for test in tests) for s in row}
        for name, row in tests[0]['corrupted'].items()
    }
    return RobustnessResult(statistics.mean(test['clean'] for test in tests), corrupted)


def draw_against_size(results: dict, curves: dict[str, list[str]], path: str) -> None:
    """Accuracy clean, corrupted and their ratio against the share of parameters removed (paper: Figures 1 and 6).

    Points of one seed are hollow: no spread is known of them.

    Args:
        results: Run -> seed -> result.
        curves: Method -> runs, of one start each.
        path: Where the picture goes.
    """
    figure = Figure(figsize=(4 * len(PANELS), 3.8), layout='constrained')
    for axes, (key, title) in zip(figure.subplots(1, len(PANELS)), PANELS.items()):
        for color, (label, runs) in zip(COLORS, curves.items()):
            x, mean, spread, seeds = zip(*sorted(_point(results, run, key) for run in runs))
            axes.errorbar(x, mean, spread, capsize=3, label=label, color=color)
            axes.scatter(x, mean, facecolors=['white' if n == 1 else color for n in seeds], edgecolors=color, zorder=3)
        axes.set_xlabel('parameters removed, %')
        axes.set_title(title)
        axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    _save(figure, path)


def draw_cost(results: dict, bars: dict[str, str], path: str) -> None:
    """Training time of each run at the epochs of the dense one, as a share of its time: up to surgery and after it."""
    figure = Figure(figsize=(7, 1 + 0.4 * len(bars)), layout='constrained')
    axes = figure.add_subplot()
    for i, run in enumerate(bars.values()):
        before, after = map(statistics.mean, zip(*_times(results, run)))
        axes.barh(i, before, color=COLORS[0], label=None if i else 'before surgery')
        axes.barh(i, after, left=before, color=COLORS[1], label=None if i else 'after surgery')
    axes.axvline(1, color='black', linewidth=0.8)
    axes.set_yticks(range(len(bars)), list(bars))
    axes.set_xlabel('training time / dense SGD')
    axes.legend(fontsize=8)
    _save(figure, path)


def relative_time(result: dict, after: str = 'after') -> Optional[tuple[float, float]]:
    """Time of a training up to surgery and from there, over plain SGD on the dense network for the usual epochs.

    Args:
        result: Of one run and seed.
        after: Which steps come after surgery: 'after', or 'masked' if channels were masked to the end instead.

    Returns:
        (1, 0) for a run that does not prune; None where its steps were not measured.
    """
    cost = result['cost']
    steps, share = cost.get('step_ms'), cost['iterations_before'] / cost['iterations']
    if steps is None:
        return (1.0, 0.0) if share == 1 else None
    times = RUNS[result['run']].times
    return times * share * steps['before'] / steps['plain'], times * (1 - share) * steps[after] / steps['plain']


def _point(results: dict, run: str, key: str) -> tuple[float, float, float, int]:
    start = RUNS[run].reference
    dense = results[start] if start in results else results[run]
    sizes = [r['test']['parameters'] for r in results[run].values()]
    removed = 1 - statistics.mean(sizes) / next(iter(dense.values()))['test']['parameters']
    values = [r['test'][key] for r in results[run].values()]
    spread = statistics.stdev(values) if len(values) > 1 else 0
    return 100 * removed, statistics.mean(values), spread, len(values)


def _save(figure: Figure, path: str) -> None:
    with replacing(path, '.png') as partial:
        figure.savefig(partial, dpi=110, format='png', metadata=dict(Software=None))
