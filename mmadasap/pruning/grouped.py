"""Grouped convolutions: what one of their groups reads and writes lives or dies together."""
from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn


def is_depthwise(conv: nn.Module) -> bool:
    """Whether each output channel of a convolution reads its own input channel alone."""
    return isinstance(conv, nn.Conv2d) and conv.groups > 1 and conv.groups == conv.in_channels == conv.out_channels


def is_grouped(module: nn.Module) -> bool:
    """Whether a module is a convolution in groups, other than a depthwise one."""
    return isinstance(module, nn.Conv2d) and module.groups > 1 and not is_depthwise(module)


def tie_grouped(groups: list, modules: Mapping[str, nn.Module]) -> list:
    """Ties what grouped convolutions read to what they write.

    A channel less on one side leaves such a convolution with groups of unequal size; all channels of one of its groups
    less on both sides leave a convolution with a group less. So the channel groups on its two sides become one, whose
    "channel" is such a set of channels. Others are returned as they are.

    Args:
        groups: The :class:`~mmadasap.pruning.groups.ChannelGroup` of a trace, apart on the two sides.
        modules: Modules by name.
    """
    channels, parts = _Ties(), _Ties()
    for position, group in enumerate(groups):
        for member in group.members:
            conv = modules[member.module]
            if not is_grouped(conv):
                continue
            parts.tie(position, member.module)
            size = (conv.out_channels if member.side == 'out' else conv.in_channels) // conv.groups
            for index, channel in zip(member.index.tolist(), member.channel.tolist()):
                channels.tie((position, channel), (member.module, index // size))
    found: dict[Hashable, list[int]] = {}
    for position in range(len(groups)):
        found.setdefault(parts.root(position), []).append(position)
    return [_merge(groups, part, channels, modules) for part in found.values()]


class _Ties:
    """Sets of things that belong together (union-find)."""

    def __init__(self):
        self._up: dict[Hashable, Hashable] = {}

    def root(self, item: Hashable) -> Hashable:
        while (up := self._up.setdefault(item, item)) != item:
            item = up
        return item

    def tie(self, a: Hashable, b: Hashable) -> None:
        self._up[self.root(a)] = self.root(b)


def _merge(groups: list, part: list[int], channels: _Ties, modules: Mapping[str, nn.Module]) -> Any:
    """One channel group of those at the positions ``part``."""
    convs = {m.module: modules[m.module] for p in part for m in groups[p].members if is_grouped(modules[m.module])}
    if not convs:
        return groups[part[0]]
    unit: dict[Hashable, int] = {}
    for position in part:
        for channel in range(groups[position].width):
            unit.setdefault(channels.root((position, channel)), len(unit))
    members = [
        replace(m, channel=torch.tensor([unit[channels.root((p, c))] for c in m.channel.tolist()]))
        for p in part for m in groups[p].members
    ]
    reasons = [groups[p].protected for p in part if groups[p].protected]
    for name, conv in convs.items():
        read = sum(len(m.index) for m in members if m.module == name and m.side == 'in')
        if read != conv.in_channels:
            reasons.append(f'{name} is a grouped convolution and reads channels that no layer writes')
    return replace(groups[part[0]], width=len(unit), members=tuple(members), protected=next(iter(reasons), None))
