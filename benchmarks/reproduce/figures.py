"""The paper's figures from the results of run.py: what survives against what is removed, and margins by corruption."""
import os.path as osp
import statistics

from matplotlib.figure import Figure
from tables import COST_BARS, CURVES, MARGINS, RUNS

from mmadasap.evaluation import RobustnessResult
from mmadasap.fileio import replacing
from mmadasap.visualization.panels import COLORS
from mmadasap.visualization.robustness import draw_margins

PANELS = {'accuracy': 'clean accuracy', 'mean_corrupted': 'corrupted accuracy', 'relative': 'R_C'}


def draw_figures(results: dict, folder: str) -> list[str]:
    """Draws every figure there are results for.

    Returns:
        Their paths.
    """
    paths = []
    for name, pair in MARGINS.items():
        if all(results.get(run) for run in pair.values()):
            paths.append(osp.join(folder, f'margins-{name}.png'))
            draw_margins({label: mean_result(results[run]) for label, run in pair.items()}, paths[-1])
    for name, curves in CURVES.items():
        points = {label: [run for run in runs if results.get(run)] for label, runs in curves.items()}
        if any(points.values()):
            paths.append(osp.join(folder, f'size-{name}.png'))
            draw_against_size(results, points, paths[-1])
    times = {label: runs for label, runs in COST_BARS.items() if all(results.get(run) for run in runs)}
    if times:
        paths.append(osp.join(folder, 'cost.png'))
        draw_cost(results, times, paths[-1])
    return paths


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

    Args:
        results: Run -> seed -> result.
        curves: Method -> runs, of one start each.
        path: Where the picture goes.
    """
    figure = Figure(figsize=(4 * len(PANELS), 3.8), layout='constrained')
    for axes, (key, title) in zip(figure.subplots(1, len(PANELS)), PANELS.items()):
        for color, (label, runs) in zip(COLORS, curves.items()):
            points = sorted(_point(results, run, key) for run in runs)
            if points:
                x, mean, spread = zip(*points)
                axes.errorbar(x, mean, spread, marker='o', capsize=3, label=label, color=color)
        axes.set_xlabel('parameters removed, %')
        axes.set_title(title)
        axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    _save(figure, path)


def draw_cost(results: dict, bars: dict[str, tuple[str, str]], path: str) -> None:
    """Training time of each run at the epochs of the dense one, as a share of its time: up to surgery and after it."""
    figure = Figure(figsize=(7, 1 + 0.4 * len(bars)), layout='constrained')
    axes = figure.add_subplot()
    for i, (run, dense) in enumerate(bars.values()):
        before, after = (share / _mean_step(results[dense]) for share in _mean_phases(results[run]))
        axes.barh(i, before, color=COLORS[0], label=None if i else 'before surgery')
        axes.barh(i, after, left=before, color=COLORS[1], label=None if i else 'after surgery')
    axes.axvline(1, color='black', linewidth=0.8)
    axes.set_yticks(range(len(bars)), list(bars))
    axes.set_xlabel('training time / dense SGD of as many epochs')
    axes.legend(fontsize=8)
    _save(figure, path)


def seconds_by_phase(result: dict) -> tuple[float, float]:
    """Training time before and after surgery, by the median step of each: a pause of the machine does not count."""
    cost = result['cost']
    rest = cost['iterations'] - cost['iterations_before']
    return cost['iterations_before'] * cost['step_seconds_before'], rest * (cost['step_seconds_after'] or 0)


def _mean_phases(by_seed: dict[int, dict]) -> tuple[float, float]:
    """Seconds a step of the whole training that go into each phase, mean over seeds."""
    rows = [[part / r['cost']['iterations'] for part in seconds_by_phase(r)] for r in by_seed.values()]
    before, after = (statistics.mean(column) for column in zip(*rows))
    return before, after


def _mean_step(by_seed: dict[int, dict]) -> float:
    return sum(_mean_phases(by_seed))


def _point(results: dict, run: str, key: str) -> tuple[float, float, float]:
    start = RUNS[run].start or run
    dense = results[start] if start in results else results[run]
    sizes = [r['test']['parameters'] for r in results[run].values()]
    removed = 1 - statistics.mean(sizes) / next(iter(dense.values()))['test']['parameters']
    values = [r['test'][key] for r in results[run].values()]
    return 100 * removed, statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0


def _save(figure: Figure, path: str) -> None:
    with replacing(path, '.png') as partial:
        figure.savefig(partial, dpi=110, format='png', metadata=dict(Software=None))
