import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mmadasap.errors import UserError
from mmadasap.latency import Conditions, LatencyTable, compare_times, format_stages, format_times, sites_of
from mmadasap.latency.table import Grid
from mmadasap.pruning import trace_groups, trace_layers
from mmadasap.visualization.latency import draw_times
from tests.toys import ResidualNet


def call(model, x):
    return model(x)


def one_ms_each(model, size=8):
    """A table by which every operation takes a millisecond at any width."""
    x = torch.zeros(1, 3, size, size)
    grids = []
    for site in sites_of(trace_layers(model, x, call), trace_groups(model, x, call)):
        ins, outs = (np.array(axis) for axis in site.axes(1, (2, 2)))
        grids.append(Grid(site.operation, ins, outs, np.ones((len(ins), len(outs))), np.zeros((len(ins), len(outs)))))
    return LatencyTable(Conditions.here(), 1, tuple(grids))


@pytest.fixture
def times():
    model = ResidualNet().eval()
    models = dict(dense=model, again=copy.deepcopy(model))
    return compare_times(models, one_ms_each(model), call, lambda m, out: out.softmax(1), (8, 8), rounds=3)


def test_predictions_add_up_by_hand(times):
    dense = times['dense']
    # Stem, two layers in the block, a depthwise one, four norms' worth of 3 more, and the linear output.
    assert [x.predicted for x in dense.layers] == [1] * 9
    assert dense.following_predicted == 4 and dense.joining_predicted == 2
    assert (dense.layers_predicted, dense.table) == (13, 15) and dense.predicted == 15 + dense.rest
    assert dense.stages()['conv1'][0] == 1 and sum(p for p, _ in dense.stages().values()) == 9


def test_measured_times_are_those_of_the_same_pass(times):
    for t in times.values():
        assert all(x.measured > 0 and x.bound == 0 for x in t.layers)
        assert 0 < t.rest < t.measured and t.rest == times['dense'].rest
    assert times['dense'].to_dict()['table'] == 15 and all(t.layers_alone > 0 for t in times.values())


def test_what_the_last_network_finds_in_the_image_is_decoded_for_all():
    models = dict(untrained=ResidualNet().eval(), trained=ResidualNet().eval())
    image, decoded = torch.rand(1, 3, 8, 8), []
    compare_times(models, one_ms_each(models['trained']), call, lambda m, out: decoded.append(out), (8, 8), rounds=1,
                  image=image)
    with torch.no_grad():
        expected = models['trained'](image)
    assert len(decoded) > 2 and all(torch.equal(out, expected) for out in decoded)


def test_tables_and_picture(times, tmp_path):
    text = format_times(times)
    assert 'conv1' in text and f'{1.0:17.3f}' in text and 'fc' in format_stages(times['again'])
    draw_times(times, str(tmp_path / 't.png'))
    assert (tmp_path / 't.png').read_bytes()[:4] == b'\x89PNG'


def test_a_network_the_table_does_not_know_is_named():
    other = nn.Sequential(nn.Conv2d(3, 4, 5))
    with pytest.raises(UserError, match='^0: .* has no times of conv 5x5'):
        compare_times(dict(a=other), one_ms_each(ResidualNet()), call, lambda m, out: out, (8, 8))


def test_networks_are_not_held_against_a_table_of_another_backend():
    table = one_ms_each(ResidualNet())
    table = replace(table, conditions=replace(table.conditions, backend='onnxruntime'), path='t.json')
    with pytest.raises(UserError, match=r't\.json is of onnxruntime, and networks are measured in torch; build'):
        compare_times(dict(a=ResidualNet()), table, call, lambda m, out: out, (8, 8))
