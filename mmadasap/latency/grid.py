"""Which widths of which operations are worth measuring for a network."""
from collections.abc import Iterable
from dataclasses import dataclass
from math import lcm

from mmadasap.pruning.cost import LayerShape
from mmadasap.pruning.groups import ChannelGroup
from mmadasap.pruning.operations import Operation


@dataclass(frozen=True)
class Range:
    """Widths one side of a layer may take: multiples of a block up to the dense width, or that one alone."""
    dense: int
    prunable: bool

    def points(self, block: int, most: int) -> tuple[int, ...]:
        """At most ``most`` (two or more) widths, evenly spread over the multiples of ``block`` and the dense width."""
        if not self.prunable:
            return (self.dense, )
        widths = [*range(block, self.dense, block), self.dense]
        last = len(widths) - 1
        if last < most:
            return tuple(widths)
        return tuple(widths[round(i * last / (most - 1))] for i in range(most))


@dataclass(frozen=True)
class Site:
    """An operation and the ranges of its widths; ``reads`` is None where the input goes with the output."""
    operation: Operation
    reads: Range | None
    writes: Range

    def axes(self, block: int, density: tuple[int, int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Input and output widths to measure, at most so many; ``(0, )`` for inputs that go with the output."""
        block = lcm(block, self.operation.group_outs or 1)
        ins = (0, ) if self.reads is None else self.reads.points(block, density[0])
        return ins, self.writes.points(block, density[1])


def sites_of(layers: Iterable[LayerShape], groups: Iterable[ChannelGroup]) -> list[Site]:
    """Every operation of the network with its ranges, once, however many layers share it."""
    prunable = {(m.module, m.side) for g in groups if g.protected is None for m in g.members}
    sites: dict[Site, None] = {}
    for layer in layers:
        reads = Range(layer.in_width, (layer.name, 'in') in prunable)
        writes = Range(layer.out_width, (layer.name, 'out') in prunable)
        for operation in layer.operations:
            sites[Site(operation, reads if operation.reads_all else None, writes)] = None
    return _without_covered(list(sites))


def _without_covered(sites: list[Site]) -> list[Site]:
    """Leaves out what a wider range of the same operation answers as well."""
    return [s for s in sites if not any(o != s and _covers(o, s) for o in sites)]


def _covers(wide: Site, narrow: Site) -> bool:
    if wide.operation != narrow.operation or wide.writes.dense < narrow.writes.dense:
        return False
    same_out = wide.writes == narrow.writes or (wide.writes.prunable and narrow.writes.prunable)
    if wide.reads is None:
        return same_out
    same_in = wide.reads == narrow.reads or (wide.reads.prunable and narrow.reads.prunable
                                             and wide.reads.dense >= narrow.reads.dense)
    return same_in and same_out
