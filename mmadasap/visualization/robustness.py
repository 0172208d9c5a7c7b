"""Pictures of accuracy on corrupted images."""
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmadasap.fileio import replacing

from .panels import COLORS


def draw_margins(results: dict, path: str) -> None:
    """Draws how much better each further model is than the first, a bar a corruption (paper: Figure 5), as PNG.

    Args:
        results: Name -> :class:`mmadasap.evaluation.RobustnessResult`, two at least.
        path: Where the picture goes.
    """
    (first, reference), *others = [(name, r.by_corruption()) for name, r in results.items()]
    figure = Figure(figsize=(2 + 0.45 * len(reference), 4.2), layout='constrained')
    axes = figure.add_subplot()
    width = 0.8 / len(others)
    for i, (name, values) in enumerate(others):
        at = [x + (i - (len(others) - 1) / 2) * width for x in range(len(reference))]
        axes.bar(at, [100 * (values[c] - reference[c]) for c in reference], width, label=name, color=_color(i + 1))
    axes.axhline(0, color='black', linewidth=0.8)
    axes.set_xticks(range(len(reference)), list(reference), rotation=60, ha='right', fontsize=8)
    axes.set_ylabel(f'points above {first}')
    axes.legend(fontsize=8)
    _save(figure, path)


def draw_severities(results: dict, path: str) -> None:
    """Draws accuracy, mean over the corruptions, against severity, a line a model, as PNG; 0 is clean."""

    def draw(axes: Axes) -> None:
        for i, (name, r) in enumerate(results.items()):
            means = r.by_severity()
            axes.plot(list(means), [100 * v for v in means.values()], marker='o', label=name, color=_color(i))
        axes.set_xlabel('severity (0: clean)')
        axes.set_ylabel('accuracy, %')

    _draw(draw, path)


def draw_relative(results: dict, path: str) -> None:
    """Draws R_C against the share of the first model's parameters that was removed, a point a model, as PNG."""
    dense = next(iter(results.values())).parameters

    def draw(axes: Axes) -> None:
        for i, (name, r) in enumerate(results.items()):
            removed = 1 - r.parameters / dense if dense and r.parameters else 0
            axes.plot([100 * removed], [r.relative], marker='o', linestyle='none', label=name, color=_color(i))
        axes.set_xlabel('parameters removed, %')
        axes.set_ylabel('R_C: corrupted / clean accuracy')

    _draw(draw, path)


def _draw(draw, path: str) -> None:
    figure = Figure(figsize=(5.5, 4), layout='constrained')
    axes = figure.add_subplot()
    draw(axes)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    _save(figure, path)


def _color(index: int) -> str:
    return COLORS[index % len(COLORS)]


def _save(figure: Figure, path: str) -> None:
    with replacing(path, '.png') as partial:
        figure.savefig(partial, dpi=110, format='png', metadata=dict(Software=None))
