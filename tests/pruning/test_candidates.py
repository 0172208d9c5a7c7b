import numpy as np
import pytest
import torch
from torch import nn

from mmadasap.errors import UserError
from mmadasap.pruning import COSTS, NetworkCost, allocate, find_branches, full_channels, trace_groups, trace_layers
from mmadasap.pruning.candidates import WidthCandidates
from mmadasap.pruning.joint_problem import JointProblem
from tests.pruning.test_branches import Net
from tests.toys import ResidualNet


class Joined(nn.Module):
    """A depthwise convolution, concatenation with the same channels twice, and a linear layer over flattened maps."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(3, 10, 3, padding=1)
        self.depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.norm = nn.BatchNorm2d(16)
        self.twice = nn.Conv2d(22, 5, 1)
        self.last = nn.Linear(5 * 16, 2)

    def forward(self, x):
        left = self.depthwise(self.left(x).relu())
        joined = self.norm(torch.cat([left, self.right(x)], 1))
        return self.last(self.twice(torch.cat([joined, left], 1)).flatten(1))


class Tied(Joined):
    """A depthwise convolution over what two layers wrote: one group, whose channels are not all in every layer."""

    def __init__(self):
        super().__init__()
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)

    def forward(self, x):
        left = self.left(x)
        joined = self.depthwise(torch.cat([left, self.right(x)], 1))
        return self.last(self.twice(torch.cat([joined, left], 1)).flatten(1))


def odd(layer, c_in, c_out):
    """A cost that is neither linear nor free of jumps, in inexact numbers."""
    return 0.1 * -(-c_in // 4) * -(-c_out // 3) + 0.01 * c_in * layer.positions


def prepared(model, cost, block, size=4, total=None, min_width=1, seed=0):
    x = torch.zeros(1, 3, size, size)
    groups = trace_groups(model, x, lambda m, x: m(x))
    network = NetworkCost(trace_layers(model, x, lambda m, x: m(x)), groups, cost, total)
    generator = torch.Generator().manual_seed(seed)
    scores = {g.name: torch.rand(g.width, generator=generator) for g in groups}
    return groups, network, scores, WidthCandidates(network, block, min_width)


@pytest.mark.parametrize('cost', [*COSTS.values(), odd])
@pytest.mark.parametrize('block', [1, 2, 4])
@pytest.mark.parametrize('model', [ResidualNet, Joined])
def test_the_terms_add_up_to_the_networks_cost_at_any_widths(model, cost, block):
    groups, network, scores, candidates = prepared(model(), cost, block, total=12345.6)
    generator = np.random.default_rng(0)
    kept = full_channels(groups)
    for _ in range(10):
        values, terms, current = candidates.problem(kept, scores)
        assert JointProblem(values, terms).cost(current) == network(kept)
        choice = [int(generator.integers(len(v))) for v in values]
        chosen = candidates.choose(choice, kept, scores)
        assert JointProblem(values, terms).cost(choice) == network(chosen)
        worth = sum(float(scores[g.name][chosen[g.name]].sum()) for g in groups if g.protected is None)
        assert JointProblem(values, terms).value(choice) == pytest.approx(worth)
        if generator.random() < 0.3:
            kept = chosen


@pytest.mark.parametrize('cost', [*COSTS.values(), odd])
def test_branches_go_as_a_whole_or_not_at_all(cost):
    model, x = Net(), torch.zeros(1, 3, 8, 8)
    groups = trace_groups(model, x, lambda m, x: m(x))
    branches = find_branches(model, x, lambda m, x: m(x), groups)
    network = NetworkCost(trace_layers(model, x, lambda m, x: m(x)), groups, cost, 1e6, branches)
    candidates, scores = WidthCandidates(network, 2), {g.name: torch.ones(g.width) for g in groups}
    generator, kept, seen = np.random.default_rng(0), full_channels(groups), set()
    values, terms, _ = candidates.problem(kept, scores)
    problem = JointProblem(values, terms)
    for _ in range(300):
        # The narrowest, where all is gone, at least half of the time.
        choice = [int(generator.integers(2) * generator.integers(len(v))) for v in values]
        chosen = candidates.choose(choice, kept, scores)
        gone = [sum(not chosen[name].any() for name in b.groups) for b in branches]
        whole = all(n in (0, len(b.groups)) for n, b in zip(gone, branches))
        assert problem.cost(choice) == (network(chosen) if whole else float('inf'))
        seen.add(tuple(gone) if whole else None)
    assert seen == {(0, 0), (2, 0), (0, 2), (2, 2), None}
    # What is gone stays gone.
    kept = candidates.choose([0] * len(values), full_channels(groups), scores)
    values, _, _ = candidates.problem(kept, scores)
    assert [len(v) for v in values] == [1] * len(values)


def test_candidates_are_blocks_and_the_dense_width():
    model = Joined()
    groups, _, _, candidates = prepared(model, COSTS['macs'], 4)
    widths = {g.width: w.tolist() for g, w in zip([g for g in groups if not g.protected], candidates.widths)}
    assert widths == {6: [4, 6], 10: [4, 8, 10], 5: [4, 5]}
    _, _, _, candidates = prepared(model, COSTS['macs'], 4, min_width=5)
    assert {w[-1]: w.tolist() for w in candidates.widths} == {6: [6], 10: [8, 10], 5: [5]}
    _, _, _, candidates = prepared(model, COSTS['macs'], 8)
    assert {w[-1]: w.tolist() for w in candidates.widths} == {6: [6], 10: [8, 10], 5: [5]}


def test_the_best_channels_stay_and_none_comes_back():
    groups, _, _, candidates = prepared(ResidualNet(), COSTS['macs'], 2)
    inner = next(g.name for g in groups if g.width == 6)
    scores = {g.name: torch.arange(g.width).float() % 4 for g in groups}
    kept = full_channels(groups)
    kept[inner][3] = False
    values, _, current = candidates.problem(kept, scores)
    place = [i for i, w in enumerate(candidates.widths) if w[-1] == 6][0]
    # Five of six live, so at most four; scores 0 1 2 . 0 1.
    assert values[place].tolist() == [3, 4] and candidates.widths[place].tolist() == [2, 4, 6]
    chosen = candidates.choose(current, kept, scores)
    assert chosen[inner].nonzero().flatten().tolist() == [0, 1, 2, 5]


def test_a_group_whose_cost_hangs_on_which_channels_stay_is_left_whole():
    groups, network, scores, candidates = prepared(Tied(), COSTS['macs'], 1)
    whole = full_channels(groups)
    values, terms, _ = candidates.problem(whole, scores)
    assert [len(v) for v in values] == [5]
    found = allocate(values, terms, 0.9 * network(whole))
    chosen = candidates.choose(found.choice, whole, scores)
    assert network(chosen) == found.cost and not chosen['twice'].all()
    assert all(live.all() for name, live in chosen.items() if name != 'twice')


def test_layers_of_the_same_shape_are_priced_once():
    asked = []

    def cost(layer, c_in, c_out):
        asked.append((layer.name, c_in, c_out))
        return 1.0

    net = nn.Sequential(*[nn.Conv2d(4, 4, 1) for _ in range(5)])
    x = torch.zeros(1, 4, 2, 2)
    groups, layers = trace_groups(net, x, lambda m, x: m(x)), trace_layers(net, x, lambda m, x: m(x))
    network = NetworkCost(layers, groups, cost)
    asked.clear()
    WidthCandidates(network, 2)
    # The first and the last layer keep one side.
    assert sorted(asked) == sorted([('0', 4, 2), ('0', 4, 4), ('1', 2, 2), ('1', 2, 4), ('1', 4, 2), ('1', 4, 4)][:2]
                                   + [('1', 2, 2), ('1', 2, 4)])


def test_where_many_groups_meet_blocks_grow_until_tables_fit(monkeypatch):
    monkeypatch.setattr('mmadasap.pruning.candidates.LARGEST', 200)
    _, network, scores, candidates = prepared(Joined(), COSTS['macs'], 1)
    sizes = [len(w) for w in candidates.widths]
    assert np.prod(sizes) <= 200 and all(w[-1] in (5, 6, 10) for w in candidates.widths)
    monkeypatch.setattr('mmadasap.pruning.candidates.LARGEST', 7)
    with pytest.raises(UserError, match='widths of 3 groups hang on each other'):
        WidthCandidates(network, 1)


def test_scores_that_are_not_finite_are_refused():
    groups, _, scores, candidates = prepared(ResidualNet(), COSTS['macs'], 1)
    name = next(g.name for g in groups if not g.protected)
    scores[name][0] = float('nan')
    with pytest.raises(UserError, match=f"Scores of group '{name}' are not finite"):
        candidates.problem(full_channels(groups), scores)
