import json
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from torch import nn

from mmadasap.errors import UserError
from mmadasap.latency import Conditions, LatencyTable, build_table, builder, sites_of
from mmadasap.latency.builder import DENSITIES, density_within
from mmadasap.latency.grid import Range, Site
from mmadasap.pruning import trace_groups, trace_layers
from mmadasap.pruning.operations import Operation
from tests.toys import ResidualNet


def call(model, x):
    return model(x)


@pytest.fixture
def net():
    model, x = ResidualNet(), torch.randn(1, 3, 8, 8)
    return trace_layers(model, x, call), sites_of(trace_layers(model, x, call), trace_groups(model, x, call))


@pytest.fixture
def counted(monkeypatch):
    """Times that nobody measured, and how many were asked for; the n-th kills the run."""
    class Clock:
        asked, kill_at = 0, None

        def __call__(self, *args):
            self.asked += 1
            if self.asked == self.kill_at:
                raise KeyboardInterrupt
            return 0.5 + self.asked, 0.125

    clock = Clock()
    monkeypatch.setattr(builder, 'median_and_spread', clock)
    return clock


def test_every_layer_at_every_width_is_measured(net, tmp_path):
    layers, sites = net
    table = build_table(sites, Conditions.here(), 2, str(tmp_path / 't.json'))
    for layer in layers:
        assert table(layer, layer.in_width, layer.out_width) > 0
    conv = next(layer for layer in layers if layer.name == 'conv1')
    assert all(time.bound == 0 for _, time in table.estimates(conv, 4, 4))
    assert json.loads((tmp_path / 't.json').read_text())['conditions']['threads'] == torch.get_num_threads()
    assert [p.name for p in tmp_path.iterdir()] == ['t.json']


def test_the_device_of_the_table_is_the_one_that_is_waited_for(net, tmp_path, counted, monkeypatch):
    asked = []
    monkeypatch.setattr(builder, 'on_device', lambda where: asked.append(where) or nullcontext())
    monkeypatch.setattr(builder, 'torch_call', lambda *args: (None, None))
    build_table(net[1], replace(Conditions.here(), where='cuda:1'), 2, str(tmp_path / 't.json'))
    assert set(asked) == {'cuda:1'}


@pytest.mark.parametrize('block', [16, 32, 128])
def test_groups_narrower_than_a_block_are_in_the_table(tmp_path, counted, block):
    net = nn.Sequential(nn.Conv2d(3, 64, 1), nn.ReLU(), nn.Conv2d(64, 16, 1), nn.ReLU(), nn.Conv2d(16, 4, 1))
    x = torch.randn(1, 3, 4, 4)
    layers = trace_layers(net, x, call)
    sites = sites_of(layers, trace_groups(net, x, call))
    table = build_table(sites, Conditions.here(), block, str(tmp_path / 't.json'))
    assert all(table(layer, layer.in_width, layer.out_width) > 0 for layer in layers)


@pytest.mark.parametrize('cut', [0, 7])
def test_goes_on_after_a_kill_also_in_the_middle_of_a_line(net, tmp_path, counted, cut):
    _, sites = net
    whole = build_table(sites, Conditions.here(), 2, str(tmp_path / 'whole.json'))
    total, counted.asked, counted.kill_at = counted.asked, 0, 20
    with pytest.raises(KeyboardInterrupt):
        build_table(sites, Conditions.here(), 2, str(tmp_path / 't.json'))
    part = tmp_path / 't.json.part'
    assert not (tmp_path / 't.json').exists() and part.exists()
    if cut:
        part.write_text(part.read_text()[:-cut])
    counted.asked, counted.kill_at = 19, None
    build_table(sites, Conditions.here(), 2, str(tmp_path / 't.json'))
    assert counted.asked == total + bool(cut) and not part.exists()
    if not cut:
        resumed = LatencyTable.load(str(tmp_path / 't.json'))
        assert [g.ms.tolist() for g in resumed.grids] == [g.ms.tolist() for g in whole.grids]


def test_points_of_other_conditions_are_not_taken_over(net, tmp_path, counted):
    _, sites = net
    counted.kill_at = 20
    with pytest.raises(KeyboardInterrupt):
        build_table(sites, Conditions.here(), 2, str(tmp_path / 't.json'))
    counted.kill_at, part = None, tmp_path / 't.json.part'
    kept = part.read_text()
    with pytest.raises(UserError, match=r't\.json\.part holds 19 points .* \(batch: 1, 2\); go on under those'):
        build_table(sites, Conditions.here(batch=2), 2, str(tmp_path / 't.json'))
    assert part.read_text() == kept and counted.asked == 20


def test_less_time_measures_fewer_widths():
    site = Site(Operation('conv', (8, 8)), Range(64, True), Range(64, True))
    times = {(site.operation, 64, 64): (0.01, 0.0)}
    # A point takes SECONDS * OVERHEAD = .08 s here; the finest grid has 8 x 8 points of blocks of 8.
    assert density_within([site], times, 8, 6) == DENSITIES[0]
    assert density_within([site], times, 8, 4.0) == (6, 32)
    assert density_within([site], times, 8, 0.4) == (2, 2)
    assert density_within([site], times, 8, 0.0) == (2, 2)


def test_a_budget_of_minutes_says_what_it_leaves_out(net, tmp_path, counted, capsys):
    _, sites = net
    build_table(sites, Conditions.here(), 1, str(tmp_path / 't.json'), budget_minutes=1e-3)
    assert 'are enough for at most 2 input and 2 output widths' in capsys.readouterr().out


def test_a_block_below_one_is_refused(net, tmp_path):
    with pytest.raises(UserError, match='block=0 must be a whole number of at least 1'):
        build_table(net[1], Conditions.here(), 0, str(tmp_path / 't.json'))


@pytest.mark.parametrize('minutes', [0, -1, float('nan')])
def test_no_time_to_measure_in_is_refused(net, tmp_path, minutes):
    with pytest.raises(UserError, match=f'--budget-minutes {minutes:g} must be above 0'):
        build_table(net[1], Conditions.here(), 8, str(tmp_path / 't.json'), budget_minutes=minutes)
    assert not list(tmp_path.iterdir())
