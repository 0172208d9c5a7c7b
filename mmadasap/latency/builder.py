"""Measuring a latency table: which points within which time, one after the other, with resume."""
import json
import os
import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict

import numpy as np
from rich.progress import track

from mmadasap.errors import UserError
from mmadasap.fileio import replacing
from mmadasap.pruning.operations import Operation

from .conditions import Conditions
from .grid import Site, without_covered
from .measure import median_and_spread, on_device
from .memory import keep_freed_memory
from .onnx_operators import check_backend, onnx_call
from .operators import input_width, torch_call
from .table import FUSED, Grid, LatencyTable

Point = tuple[Operation, int, int]
"""Operation, input width (0 where it goes with the output), output width."""

# Input and output widths of a layer that are measured, finest first. Time grows evenly with the input width; with the
# output width it jumps, for kernels cut it into tiles.
DENSITIES = ((8, 64), (8, 32), (6, 32), (6, 16), (4, 16), (4, 8), (3, 4), (2, 2))
# Seconds each point is measured for, and how much renewing the input and building the layer add.
SECONDS, LEAST_ROUNDS, OVERHEAD = 0.05, 7, 1.6


def build_table(sites: Sequence[Site], conditions: Conditions, block: int, path: str,
                budget_minutes: float | None = None) -> LatencyTable:
    """Measures the times of all sites and writes them to ``path``.

    What has been measured is kept beside it until the table is whole: a second call after a kill goes on from there.

    Args:
        sites: What to measure; what a wider range of the same operation answers is not measured again.
        conditions: What to measure it under.
        block: Widths are multiples of this.
        path: Where the table goes.
        budget_minutes: Measures at fewer widths, so that about so much time is enough.

    Raises:
        UserError: A backend this machine does not have, a block below 1, no time to measure in, or what is kept beside
            it is of other conditions.
    """
    if block < 1:
        raise UserError(f'block={block} must be a whole number of at least 1.')
    if budget_minutes is not None and not budget_minutes > 0:
        raise UserError(f'--budget-minutes {budget_minutes:g} must be above 0; leave it out to measure at all widths.')
    check_backend(conditions)
    keep_freed_memory()
    sites = [s for s in without_covered(sites, block) if s.operation.kind not in FUSED[conditions.backend]]
    notes = Notes(f'{path}.part', conditions)
    _measure([_dense(site) for site in sites], notes, conditions, 'dense widths')
    density = DENSITIES[0]
    if budget_minutes is not None:
        density = density_within(sites, notes.times, block, 60 * budget_minutes)
        if density != DENSITIES[0]:
            print(f'{budget_minutes:g} minutes are enough for at most {density[0]} input and {density[1]} output '
                  f'widths of each layer instead of {DENSITIES[0][0]} and {DENSITIES[0][1]}; times between are '
                  'interpolated.')
    points = [p for site in sites for p in _points(site, block, density)]
    random.Random(0).shuffle(points)
    _measure(points, notes, conditions, 'all widths')
    table = LatencyTable(conditions, block, tuple(_grid(site, block, density, notes.times) for site in sites), path)
    table.save(path)
    notes.remove()
    return table


def density_within(sites: Iterable[Site], times: dict[Point, tuple[float, float]], block: int,
                   seconds: float) -> tuple[int, int]:
    """The most input and output widths of each layer that measuring within ``seconds`` has time for.

    Args:
        sites: What to measure.
        times: Of the dense point of every site at least, in ms.
        block: Widths are multiples of this.
        seconds: For all points together.
    """
    for density in DENSITIES:
        needed = {p: _seconds(_share(site, p) * times[_dense(site)][0])
                  for site in sites for p in _points(site, block, density)}
        if sum(needed.values()) <= seconds:
            return density
    return DENSITIES[-1]


class Notes:
    """Measured points in a file that grows line by line; the last line may be cut off by a kill.

    Args:
        path: The file.
        conditions: What the points are measured under.

    Raises:
        UserError: The file holds points of other conditions.
    """

    def __init__(self, path: str, conditions: Conditions):
        self._path = path
        header = json.dumps({k: v for k, v in conditions.to_dict().items() if k != 'date'}, sort_keys=True)
        before, *lines = self._whole_lines() or [header]
        if before != header:
            raise UserError(f'{path} holds {len(lines)} points of a table that is not whole, measured under other '
                            f'conditions ({_differences(before, header)}); go on under those, or delete it.')
        self.times: dict[Point, tuple[float, float]] = dict(map(_from_line, lines))
        if lines:
            print(f'goes on from {len(self.times)} points in {path}')
        with replacing(path) as partial, open(partial, 'w') as file:
            file.writelines(f'{line}\n' for line in [header, *map(_to_line, self.times.items())])

    def add(self, point: Point, times: tuple[float, float]) -> None:
        """Keeps a point's median and spread."""
        self.times[point] = times
        with open(self._path, 'a') as file:
            file.write(_to_line((point, times)) + '\n')

    def remove(self) -> None:
        """Deletes the file."""
        os.remove(self._path)

    def _whole_lines(self) -> list[str]:
        if not os.path.exists(self._path):
            return []
        with open(self._path) as file:
            return file.read().split('\n')[:-1]


def _differences(before: str, header: str) -> str:
    """What differs between two first lines: 'name: before, now'."""
    was, now = json.loads(before), json.loads(header)
    return '; '.join(f'{name}: {was.get(name)}, {value}' for name, value in now.items() if was.get(name) != value)


def _to_line(item: tuple[Point, tuple[float, float]]) -> str:
    (operation, c_in, c_out), times = item
    return json.dumps([asdict(operation), c_in, c_out, *times])


def _from_line(line: str) -> tuple[Point, tuple[float, float]]:
    operation, c_in, c_out, ms, spread = json.loads(line)
    return (Operation.from_dict(operation), c_in, c_out), (ms, spread)


def _measure(points: Iterable[Point], notes: Notes, conditions: Conditions, title: str) -> None:
    missing = [p for p in dict.fromkeys(points) if p not in notes.times]
    make = torch_call if conditions.backend == 'torch' else onnx_call
    with on_device(conditions.where):
        for operation, c_in, c_out in track(missing, description=title, disable=bool(os.getenv('CI'))):
            call, renew = make(operation, input_width(operation, c_in, c_out), c_out, conditions)
            notes.add((operation, c_in, c_out), median_and_spread(call, renew, SECONDS, LEAST_ROUNDS))


def _dense(site: Site) -> Point:
    return site.operation, site.reads.dense if site.reads else 0, site.writes.dense


def _points(site: Site, block: int, density: tuple[int, int]) -> list[Point]:
    ins, outs = site.axes(block, density)
    return [(site.operation, i, o) for i in ins for o in outs]


def _share(site: Site, point: Point) -> float:
    """How much of the dense work a point has."""
    _, c_in, c_out = point
    return c_out / site.writes.dense * (c_in / site.reads.dense if site.reads else 1)


def _seconds(ms: float) -> float:
    return OVERHEAD * max(SECONDS, LEAST_ROUNDS * ms / 1e3)


def _grid(site: Site, block: int, density: tuple[int, int], times: dict[Point, tuple[float, float]]) -> Grid:
    ins, outs = site.axes(block, density)
    found = np.array([[times[site.operation, i, o] for o in outs] for i in ins])
    return Grid(site.operation, np.array(ins), np.array(outs), found[..., 0], found[..., 1])
