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

    def answers(self, other: 'Range', block: int) -> bool:
        """Whether all widths of another range lie within this one, whose least is ``block`` or else the dense width."""
        both = self.prunable and other.prunable
        return self == other or (both and self.dense >= other.dense >= min(block, self.dense))

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

    def whole_block(self, block: int) -> int:
        """The least multiple of ``block`` that is whole groups of a grouped convolution."""
        return lcm(block, self.operation.group_outs or 1)

    def axes(self, block: int, density: tuple[int, int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Input and output widths to measure, at most so many; ``(0, )`` for inputs that go with the output."""
        block = self.whole_block(block)
        ins = (0, ) if self.reads is None else self.reads.points(block, density[0])
        return ins, self.writes.points(block, density[1])


def sites_of(layers: Iterable[LayerShape], groups: Iterable[ChannelGroup]) -> list[Site]:
    """Every operation of the network with its ranges, each pair once, however many layers share it."""
    prunable = {(m.module, m.side) for g in groups if g.protected is None for m in g.members}
    sites: dict[Site, None] = {}
    for layer in layers:
        reads = Range(layer.in_width, (layer.name, 'in') in prunable)
        writes = Range(layer.out_width, (layer.name, 'out') in prunable)
        for operation in layer.operations:
            sites[Site(operation, reads if operation.reads_all else None, writes)] = None
    return list(sites)


def without_covered(sites: Iterable[Site], block: int) -> list[Site]:
    """Leaves out what a wider range of the same operation, measured at multiples of ``block``, answers as well."""
    sites = list(sites)
    return [s for s in sites if not any(o != s and _covers(o, s, block) for o in sites)]


def _covers(wide: Site, narrow: Site, block: int) -> bool:
    if wide.operation != narrow.operation:
        return False
    block = wide.whole_block(block)
    same_in = wide.reads is None or wide.reads.answers(narrow.reads, block)
    return same_in and wide.writes.answers(narrow.writes, block)
