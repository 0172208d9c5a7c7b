"""Channel widths before and after pruning."""
from matplotlib.figure import Figure

from mmadasap.fileio import replacing


def draw_channels(before: dict[str, int], after: dict[str, int], path: str) -> None:
    """Draws one bar a layer, the kept channels over the dense ones, into a PNG file.

    Args:
        before: Layer name -> output channels of the dense network, in network order.
        after: The same for the pruned one.
        path: Where the picture goes.
    """
    names = list(before)
    figure = Figure(figsize=(8, 1.5 + 0.17 * len(names)), layout='constrained')
    axes = figure.add_subplot()
    axes.barh(names, [before[n] for n in names], color='#d5d9e0', label='dense')
    axes.barh(names, [after[n] for n in names], color='#2f6db5', label='pruned')
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.set_xlabel('output channels')
    axes.set_title(f'{sum(after.values())} of {sum(before.values())} channels kept')
    axes.tick_params(axis='y', labelsize=6)
    axes.legend()
    with replacing(path, '.png') as partial:
        figure.savefig(partial, dpi=110, format='png')
