"""Measured times of layers at many widths: an open file, and answers between and only between what was measured."""
import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from mmadasap.errors import UserError
from mmadasap.fileio import write_json
from mmadasap.pruning.cost import LayerShape
from mmadasap.pruning.operations import Operation

from .conditions import Conditions

FORMAT, VERSION = 'mmadasap.latency-table', 1
# Kinds that these backends merge into the convolution before them.
WITH_CONVOLUTION = ('norm', 'relu', 'relu6', 'leaky_relu', 'sigmoid')
FUSED = {'torch': (), 'onnxruntime': WITH_CONVOLUTION, 'tensorrt': (*WITH_CONVOLUTION, 'add')}


@dataclass(frozen=True)
class Estimate:
    """A time in milliseconds, and how far from it the truth may be if time grows with width; 0 where measured."""
    ms: float
    bound: float


@dataclass(frozen=True)
class Grid:
    """Times of one operation at every pair of some input and output widths.

    Attributes:
        operation: What was measured.
        ins: Input widths, rising; ``[0]`` for an operation whose input width goes with its output width.
        outs: Output widths, rising.
        ms: Median milliseconds, shape (len(ins), len(outs)).
        spread: Distance between the quartiles in milliseconds, same shape.

    Raises:
        UserError: Times that are missing, negative or zero, negative spreads, or widths that do not rise.
    """
    operation: Operation
    ins: np.ndarray
    outs: np.ndarray
    ms: np.ndarray
    spread: np.ndarray

    def __post_init__(self):
        shape = (len(self.ins), len(self.outs))
        for name in ('ms', 'spread'):
            values = getattr(self, name)
            if values.shape != shape or not np.isfinite(values).all():
                raise UserError(f'{self.operation}: {name} must hold {shape[0]} x {shape[1]} finite numbers.')
        if (self.ms <= 0).any():
            raise UserError(f'{self.operation}: {float(self.ms.min())} ms is no measured time; times must be above 0.')
        if (self.spread < 0).any():
            raise UserError(f'{self.operation}: spread={float(self.spread.min())} ms is below 0, which no distance is.')
        if not all(w.size and (np.diff(w) > 0).all() for w in (self.ins, self.outs)):
            raise UserError(f'{self.operation}: widths must rise, got {self.ins.tolist()} and {self.outs.tolist()}.')

    def covers(self, c_in: int, c_out: int) -> bool:
        """Whether both widths lie within what was measured."""
        return self.ins[0] <= c_in <= self.ins[-1] and self.outs[0] <= c_out <= self.outs[-1]

    def at(self, c_in: int, c_out: int) -> Estimate:
        """Time at widths within the grid, linear in both between measured ones."""
        rows, row_weights = _neighbours(self.ins, c_in)
        columns, column_weights = _neighbours(self.outs, c_out)
        corners = self.ms[np.ix_(rows, columns)]
        ms = float(row_weights @ corners @ column_weights)
        return Estimate(ms, float(np.abs(corners - ms).max()))


def _neighbours(widths: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of the measured widths around ``width`` and their weights; one place where it was measured itself."""
    right = int(np.searchsorted(widths, width))
    if widths[right] == width:
        return np.array([right]), np.array([1.0])
    low, high = widths[right - 1], widths[right]
    share = (width - low) / (high - low)
    return np.array([right - 1, right]), np.array([1 - share, share])


@dataclass(frozen=True)
class LatencyTable:
    """Times of a network's layers at their possible widths, on one device.

    Attributes:
        conditions: What it was measured under.
        block: Widths were measured at multiples of this.
        grids: One or more for each operation.
        path: File it was read from.
    """
    conditions: Conditions
    block: int
    grids: tuple[Grid, ...]
    path: str = 'the latency table'

    @cached_property
    def _grids_of(self) -> dict[Operation, list[Grid]]:
        found: dict[Operation, list[Grid]] = {}
        for grid in self.grids:
            found.setdefault(grid.operation, []).append(grid)
        return found

    def lookup(self, operation: Operation, c_in: int, c_out: int) -> Estimate:
        """Time of one operation: as measured, or between measured widths.

        Raises:
            UserError: An operation that was not measured, or widths outside of what was.
        """
        grids = self._grids_of.get(operation, [])
        reads = c_in if operation.reads_all else 0
        estimates = [grid.at(reads, c_out) for grid in grids if grid.covers(reads, c_out)]
        if not estimates and operation.kind == 'conv' and operation.reads_all:
            # A grouped convolution cut to one group is written as an ordinary one.
            one_group = replace(operation, group_width=c_in, group_outs=c_out)
            estimates = [grid.at(0, c_out) for grid in self._grids_of.get(one_group, []) if grid.covers(0, c_out)]
        if not estimates and not grids:
            raise UserError(f'{self.path} has no times of {operation}; build a table of this network at this input '
                            'size with tools/build_latency_table.py.')
        if not estimates:
            raise UserError(f'{self.path} has {operation} only for {_ranges(grids)}, not for {c_in} -> {c_out}; '
                            'build it anew with a smaller --block.')
        return min(estimates, key=lambda e: e.bound)

    def estimates(self, layer: LayerShape, c_in: int, c_out: int) -> list[tuple[Operation, Estimate]]:
        """Time of each operation of a layer, and of what follows it, at these widths.

        Raises:
            UserError: Naming the layer, where any part of it is missing.
        """
        separate = [op for op in layer.operations if op.kind not in FUSED[self.conditions.backend]]
        try:
            return [(operation, self.lookup(operation, c_in, c_out)) for operation in separate]
        except UserError as error:
            raise UserError(f'{layer.name}: {error}') from None

    def __call__(self, layer: LayerShape, c_in: int, c_out: int) -> float:
        """Milliseconds of all of it: the signature that all costs of a layer share."""
        return sum(time.ms for _, time in self.estimates(layer, c_in, c_out))

    def require(self, batch: int, dtype: str) -> None:
        """Refuses to speak for another batch or number format.

        Raises:
            UserError: Naming both.
        """
        have = self.conditions
        if (batch, dtype) != (have.batch, have.dtype):
            raise UserError(f'{self.path} was measured for batch {have.batch} in {have.dtype}, not for batch {batch} '
                            f'in {dtype}; build one with --batch-size {batch} --dtype {dtype}.')

    def save(self, path: str) -> None:
        """Writes the table as JSON."""
        grids = [
            dict(operation=asdict(g.operation), ins=g.ins.tolist(), outs=g.outs.tolist(), ms=g.ms.round(6).tolist(),
                 spread=g.spread.round(6).tolist()) for g in self.grids
        ]
        write_json(path, dict(format=FORMAT, version=VERSION, conditions=self.conditions.to_dict(), block=self.block,
                              grids=grids))

    @classmethod
    def load(cls, path: str) -> 'LatencyTable':
        """Reads a table.

        Raises:
            UserError: Naming the file and what is wrong with it.
        """
        data = _read(path)
        try:
            grids = tuple(_grid(g) for g in data['grids'])
            conditions, block = Conditions(**data['conditions']), data['block']
        except UserError as error:
            raise UserError(f'{path}: {error}') from None
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f'{path} is no whole latency table ({type(error).__name__}: {error}); build it anew with '
                            'tools/build_latency_table.py.') from None
        if type(block) is not int or block < 1:
            raise UserError(f'{path}: block={block!r} must be a whole number of at least 1.')
        return cls(conditions, block, grids, path)


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path) as file:
            data = json.load(file)
    except OSError:
        raise UserError(f'There is no latency table {path!r}; build it with tools/build_latency_table.py CONFIG --out '
                        f'{path}.') from None
    except ValueError as error:
        raise UserError(f'{path} is no JSON, or only a part of it ({error}); build it anew with '
                        'tools/build_latency_table.py.') from None
    if not isinstance(data, dict) or data.get('format') != FORMAT:
        raise UserError(f'{path} is no latency table: it lacks format={FORMAT!r}.')
    if data.get('version') != VERSION:
        raise UserError(f'{path} is a latency table of version {data.get("version")!r}, and this program reads version '
                        f'{VERSION}; build it anew with tools/build_latency_table.py.')
    return data


def _grid(data: dict[str, Any]) -> Grid:
    numbers = {k: np.array(data[k], dtype=float) for k in ('ms', 'spread')}
    return Grid(Operation.from_dict(data['operation']), _widths(data, 'ins'), _widths(data, 'outs'), **numbers)


def _widths(data: dict[str, Any], name: str) -> np.ndarray:
    widths = data[name]
    if not isinstance(widths, list) or not all(type(w) is int and w >= 0 for w in widths):
        raise UserError(f'{name}={widths!r} must be a list of whole numbers of at least 0.')
    return np.array(widths, dtype=int)


def _ranges(grids: list[Grid]) -> str:
    return ' or '.join(f'{g.ins[0]}..{g.ins[-1]} -> {g.outs[0]}..{g.outs[-1]}'
                       if g.operation.reads_all else f'{g.outs[0]}..{g.outs[-1]}' for g in grids)
