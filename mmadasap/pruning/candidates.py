"""From a network's layers and groups to candidate widths, their values and what they cost together."""
from dataclasses import replace
from math import gcd, prod

import numpy as np
import torch
from torch import Tensor

from mmadasap.errors import UserError

from .cost import LayerShape, NetworkCost, without_branch
from .elimination import elimination_order
from .groups import ChannelGroup
from .importance import Scores
from .joint_problem import Choice, CostTerm
from .masks import Kept
from .ranking import live_scores

# Entries of the largest table an allocation may look at (32 MB); beyond it, blocks grow.
LARGEST = 4_000_000


class WidthCandidates:
    """The widths each prunable group may get, and the cost of every layer at all of them.

    Candidates are the multiples of ``block`` and the dense width, and none at all for the groups of a residual branch
    that can be removed, all of them together. A group narrower than a block keeps all its channels,
    and so does one whose channels do not all have the same number of positions in some layer: its cost would hang on
    which channels stay. Where so many groups meet in a layer that a table over all their candidates would not fit, the
    widest of them moves in multiples of ``block``.

    Args:
        network: The network's cost.
        block: Every pruned width is a multiple of this.
        min_width: No prunable group becomes narrower than this, or than its dense width if that is smaller.

    Raises:
        UserError: A layer that so many groups meet in that no table over two candidates each fits.
    """

    def __init__(self, network: NetworkCost, block: int, min_width: int = 1):
        self._network = network
        self._sides = _sides(network)
        uneven = {g for sides in self._sides.values() for side in sides for g, k in side.items() if k is None}
        self._groups = [g for g in network.groups if g.protected is None and g.name not in uneven]
        self._number = {g.name: i for i, g in enumerate(self._groups)}
        self._branches = [b for b in network.branches if all(name in self._number for name in b.groups)]
        self._branch_of = {layer: b for b in self._branches for layer in b.layers}
        removable = {name for b in self._branches for name in b.groups}
        grids = [_grid(g.width, *self._units(g, block, min_width)) for g in self._groups]
        self.widths = self._fitting(
            [np.append(0, w) if g.name in removable else w for g, w in zip(self._groups, grids)])
        self._terms = self._make_terms()

    def problem(self, kept: Kept, scores: Scores) -> tuple[list[np.ndarray], list[CostTerm], Choice]:
        """What an allocation needs: values, terms and the candidates in place, wherever ``kept`` still leaves a choice.

        The value of a width is the sum of as many best scores of live channels.

        Raises:
            UserError: Scores that are not finite.
        """
        allowed = [w <= int(kept[g.name].sum()) for g, w in zip(self._groups, self.widths)]
        values = [_best_sums(g, kept, scores)[w[a]] for g, w, a in zip(self._groups, self.widths, allowed)]
        terms = [replace(t, costs=t.costs[np.ix_(*[allowed[g] for g in t.groups])]) for t in self._terms]
        return values, terms, [len(v) - 1 for v in values]

    def choose(self, choice: Choice, kept: Kept, scores: Scores) -> Kept:
        """The live channels after a choice: of each group the best of those alive, earlier ones first among equals."""
        chosen = {name: live.clone() for name, live in kept.items()}
        for group, widths, place in zip(self._groups, self.widths, choice):
            best = _ranked(group, kept, scores)[:int(widths[place])]
            chosen[group.name] = torch.zeros(group.width, dtype=torch.bool)
            chosen[group.name][best] = True
        return chosen

    def _fitting(self, widths: list[np.ndarray]) -> list[np.ndarray]:
        """Every second candidate dropped where tables would be too large, the dense width never."""
        scopes = [self._scope(layer) for layer in self._network.layers]
        while True:
            sizes = {g: len(w) for g, w in enumerate(widths)}
            _, cliques = elimination_order(sizes, scopes)
            largest = max([*cliques, *scopes], key=lambda c: prod(sizes[g] for g in c))
            if prod(sizes[g] for g in largest) <= LARGEST:
                return widths
            widest = max(largest, key=lambda g: sizes[g])
            if sizes[widest] <= (3 if widths[widest][0] == 0 else 2):
                raise UserError(f'The widths of {len(largest)} groups hang on each other, too many to allocate '
                                'together; prune toward a budget of macs or parameters without an allocator.')
            kept = widths[widest][::-1][::2][::-1]
            widths[widest] = np.union1d(widths[widest][:1], kept) if widths[widest][0] == 0 else kept

    def _units(self, group: ChannelGroup, block: int, min_width: int) -> tuple[int, int]:
        """``block`` and ``min_width`` in units of the group, of which layers may write several channels each."""
        written = gcd(*(side[group.name] for _, side in self._sides.values() if group.name in side))
        return block // gcd(block, written), -(-min_width // written)

    def _scope(self, layer: LayerShape) -> tuple[int, ...]:
        """Groups the cost of a layer hangs on."""
        names = {name for side in self._sides[layer.name] for name in side if name in self._number}
        branch = self._branch_of.get(layer.name)
        if branch is not None and names.isdisjoint(branch.groups):
            names.add(branch.groups[-1])
        return tuple(sorted(self._number[name] for name in names))

    def _make_terms(self) -> list[CostTerm]:
        known: dict = {}
        terms = [self._term(layer, known) for layer in self._network.layers]
        ties = [self._tie(*pair) for b in self._branches for pair in zip(b.groups, b.groups[1:])]
        return [*terms, *ties, CostTerm((), np.array(float(self._network.fixed)))]

    def _tie(self, first: str, second: str) -> CostTerm:
        """A branch goes with all its groups or with none."""
        scope = tuple(sorted((self._number[first], self._number[second])))
        here, there = (self.widths[g] == 0 for g in scope)
        return CostTerm(scope, np.where(here[:, None] == there, 0.0, np.inf))

    def _term(self, layer: LayerShape, known: dict) -> CostTerm:
        reads, writes = self._sides[layer.name]
        scope, branch = self._scope(layer), self._branch_of.get(layer.name)
        c_in = self._widths_along(layer.in_width, reads, scope)
        c_out = self._widths_along(layer.out_width, writes, scope)
        inner = [] if branch is None else [self._number[name] for name in branch.groups]
        costs, gone = np.zeros(c_in.shape), self._any_zero(scope, [g for g in scope if g in inner])
        costs[~gone] = self._priced(layer, c_in[~gone], c_out[~gone], known)
        if branch is not None and layer.name == branch.last:
            costs[gone] = self._priced(without_branch(layer), c_out[gone], c_out[gone], known)
        return CostTerm(scope, costs, tuple(sorted(self._number[name] for name in writes if name in self._number)))

    def _priced(self, layer: LayerShape, c_in: np.ndarray, c_out: np.ndarray, known: dict) -> np.ndarray:
        """Cost of a layer at each pair of widths; layers of the same shape are asked once: tables are slow."""
        pairs, place = np.unique(np.stack([c_in, c_out]), axis=1, return_inverse=True)
        shape, found = replace(layer, name=''), []
        for pair in map(tuple, pairs.T.tolist()):
            if (shape, pair) not in known:
                known[shape, pair] = self._network.cost(layer, *pair)
            found.append(known[shape, pair])
        return np.array(found, dtype=float)[place.ravel()]

    def _any_zero(self, scope: tuple[int, ...], groups: list[int]) -> np.ndarray:
        """Where any of ``groups`` has width 0, one axis for the candidates of each group of ``scope``."""
        none = np.zeros([len(self.widths[g]) for g in scope], dtype=bool)
        for g in groups:
            none |= (self.widths[g] == 0).reshape([-1 if s == g else 1 for s in scope])
        return none

    def _widths_along(self, dense: int, side: dict[str, int], scope: tuple[int, ...]) -> np.ndarray:
        """Width of one side of a layer, one axis for the candidates of each group of ``scope``."""
        total = np.full([len(self.widths[g]) for g in scope], dense)
        for g in scope:
            gone = self._groups[g].width - self.widths[g]
            total = total - side.get(self._groups[g].name, 0) * gone.reshape([-1 if s == g else 1 for s in scope])
        return total


def _grid(width: int, block: int, min_width: int) -> np.ndarray:
    """Candidate widths, rising."""
    least = min(max(block, min_width), width)
    return np.array([w for w in range(block, width, block) if w >= least] + [width])


def _sides(network: NetworkCost) -> dict[str, tuple[dict, dict]]:
    """For each layer: positions per channel of each prunable group it reads, and of each it writes; None if uneven."""
    counts: dict[str, tuple[dict, dict]] = {layer.name: ({}, {}) for layer in network.layers}
    for group, member in network.members:
        side = counts[member.module][member.side == 'out']
        found = torch.bincount(member.channel, minlength=group.width)
        side[group.name] = side.get(group.name, 0) + found
    return {name: (_even(reads), _even(writes)) for name, (reads, writes) in counts.items()}


def _even(side: dict[str, Tensor]) -> dict:
    return {name: int(found[0]) if bool((found == found[0]).all()) else None for name, found in side.items()}


def _ranked(group: ChannelGroup, kept: Kept, scores: Scores) -> Tensor:
    """Live channels, best first; earlier ones first among equals."""
    live, values = live_scores(group, scores, kept)
    return live[torch.sort(values, descending=True, stable=True).indices]


def _best_sums(group: ChannelGroup, kept: Kept, scores: Scores) -> np.ndarray:
    """Sum of the 0, 1, 2, ... best scores."""
    ranked = scores[group.name].detach().cpu().double()[_ranked(group, kept, scores)]
    return np.concatenate([[0.0], ranked.cumsum(0).numpy()])
