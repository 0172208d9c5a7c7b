"""Predicted against measured times of layers."""
from matplotlib.figure import Figure

from mmadasap.fileio import replacing
from mmadasap.latency.compare import NetworkTime


def draw_times(times: dict[str, NetworkTime], path: str) -> None:
    """Draws the layers of each network as points, and the networks' totals as bars, into a PNG file.

    Args:
        times: Network -> its times.
        path: Where the picture goes.
    """
    figure = Figure(figsize=(9, 4.2), layout='constrained')
    points, bars = figure.subplots(1, 2)
    low, high = _range(times)
    points.plot([low, high], [low, high], color='#999999', linewidth=0.8)
    for name, t in times.items():
        points.errorbar([x.measured for x in t.layers], [x.predicted for x in t.layers],
                        yerr=[x.bound for x in t.layers], fmt='o', markersize=3, elinewidth=0.6, label=name)
    points.set(xscale='log', yscale='log', xlabel='measured in the network, ms', ylabel='by the table, ms',
               title='each layer')
    points.legend()
    places = range(len(times))
    bars.barh([p - 0.2 for p in places], [t.predicted for t in times.values()], 0.38, color='#2f6db5',
              label='table + rest')
    bars.barh([p + 0.2 for p in places], [t.measured for t in times.values()], 0.38, color='#d5d9e0', label='measured')
    bars.set_yticks(list(places), list(times))
    bars.invert_yaxis()
    bars.set(xlabel='ms from image to detections', title='the whole')
    bars.legend()
    with replacing(path, '.png') as partial:
        figure.savefig(partial, dpi=110, format='png')


def _range(times: dict[str, NetworkTime]) -> tuple[float, float]:
    values = [ms for t in times.values() for x in t.layers for ms in (x.measured, x.predicted)]
    return min(values), max(values)
