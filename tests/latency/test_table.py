import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mmadasap.errors import UserError
from mmadasap.latency import Conditions, LatencyTable
from mmadasap.latency.table import Grid
from mmadasap.pruning import LayerShape
from mmadasap.pruning.operations import Operation

CONV, NORM = Operation('conv', (8, 8), (3, 3)), Operation('norm', (8, 8))
LAYER = LayerShape('neck.conv', 16, 24, 9, 64, 0, operations=(CONV, NORM))


def grid(operation, ins, outs, ms):
    ms = np.array(ms, dtype=float)
    return Grid(operation, np.array(ins), np.array(outs), ms, np.zeros_like(ms))


def make(backend='torch'):
    conditions = Conditions('some processor', 'cpu', backend, 'float32', 1, False, 1, {'torch': torch.__version__}, '')
    return LatencyTable(conditions, 8, (grid(CONV, [8, 16], [8, 24], [[1, 3], [2, 6]]),
                                        grid(NORM, [0], [8, 24], [[0.1, 0.3]])), 'table.json')


def test_between_measured_widths_by_hand():
    table = make()
    assert (table.lookup(CONV, 16, 24).ms, table.lookup(CONV, 16, 24).bound) == (6, 0)
    # Halfway in both: the mean of 1, 3, 2 and 6, of which 6 is farthest away.
    middle = table.lookup(CONV, 12, 16)
    assert (middle.ms, middle.bound) == pytest.approx((3, 3))
    # A quarter of the way from 1 to 3.
    assert table.lookup(CONV, 8, 12).ms == pytest.approx(1.5)
    assert table.lookup(NORM, 99, 16).ms == pytest.approx(0.2)


def test_a_layer_is_the_sum_of_its_operations_that_the_backend_keeps_apart():
    assert make()(LAYER, 16, 24) == pytest.approx(6.3)
    assert make('onnxruntime')(LAYER, 16, 24) == 6


def test_of_several_grids_the_nearest_answers():
    table = make()
    table = LatencyTable(table.conditions, 8, (*table.grids, grid(CONV, [12], [16], [[5]])))
    assert table.lookup(CONV, 12, 16).ms == 5


def test_a_grouped_convolution_cut_to_one_group_has_the_time_of_one():
    grouped = replace(CONV, group_width=8, group_outs=16)
    table = LatencyTable(make().conditions, 16, (grid(grouped, [0], [16, 32], [[1, 3]]), ))
    assert table.lookup(grouped, 0, 16).ms == table.lookup(CONV, 8, 16).ms == 1
    with pytest.raises(UserError, match='has no times of conv 3x3'):
        table.lookup(CONV, 16, 16)


@pytest.mark.parametrize('widths', [(4, 24), (16, 32), (24, 8)])
def test_outside_of_what_was_measured_is_refused_by_the_layers_name(widths):
    with pytest.raises(UserError, match=r'neck\.conv: table\.json has conv 3x3 .* only for 8\.\.16 -> 8\.\.24, not'):
        make()(LAYER, *widths)


def test_what_was_not_measured_is_no_zero():
    other = LayerShape('neck.conv', 16, 24, 9, 64, 0, operations=(Operation('conv', (9, 9), (3, 3)), ))
    with pytest.raises(UserError, match=r'neck\.conv: table\.json has no times of conv 3x3 stride 1 on 9x9'):
        make()(other, 16, 24)


@pytest.mark.parametrize('batch, dtype', [(2, 'float32'), (1, 'float16')])
def test_another_batch_or_number_format_is_refused(batch, dtype):
    make().require(1, 'float32')
    with pytest.raises(UserError, match=f'for batch 1 in float32, not for batch {batch} in {dtype}'):
        make().require(batch, dtype)


def test_a_file_gives_the_same_table(tmp_path):
    make().save(str(tmp_path / 't.json'))
    loaded = LatencyTable.load(str(tmp_path / 't.json'))
    assert (loaded.conditions, loaded.block) == (make().conditions, 8)
    for c_in in (8, 11, 16):
        for c_out in (8, 17, 24):
            assert loaded(LAYER, c_in, c_out) == make()(LAYER, c_in, c_out)


def put(path, value):
    def change(data):
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value
    return change


@pytest.mark.parametrize('change, message', [
    (put(['format'], 'pickle'), "lacks format='mmadasap.latency-table'"),
    (put(['version'], 2), 'of version 2, and this program reads version 1'),
    (put(['block'], 0), 'block=0 must be a whole number'),
    (put(['conditions', 'dtype'], 'int3'), "dtype='int3' is unknown"),
    (put(['conditions', 'color'], 'red'), 'is no whole latency table .*color'),
    (put(['grids'], None), 'is no whole latency table'),
    (put(['grids', 0, 'ms'], [[1, -3], [2, 6]]), 'conv 3x3 .* -3.0 ms is no measured time'),
    (put(['grids', 0, 'ms', 0, 0], 0), '0.0 ms is no measured time'),
    (put(['grids', 0, 'ms', 0, 0], float('nan')), 'ms must hold 2 x 2 finite numbers'),
    (put(['grids', 0, 'ms'], [[1, 3]]), 'ms must hold 2 x 2 finite numbers'),
    (put(['grids', 0, 'ms'], [[1, 3], [2]]), 'is no whole latency table'),
    (put(['grids', 0, 'outs'], [24, 8]), r'widths must rise, got \[8, 16\] and \[24, 8\]'),
    (put(['grids', 0, 'spread', 0, 0], -0.5), r'conv 3x3 .*spread=-0\.5 ms is below 0'),
    (put(['grids', 0, 'outs'], [8, 24.5]), r'outs=\[8, 24\.5\] must be a list of whole numbers'),
    (put(['grids', 0, 'outs'], [[8, 24]]), r'outs=\[\[8, 24\]\] must be a list of whole numbers'),
    (put(['grids', 0, 'ins'], 8), 'ins=8 must be a list of whole numbers'),
    (put(['grids', 0, 'ins'], [-8, 16]), r'ins=\[-8, 16\] must be a list of whole numbers of at least 0'),
    (put(['grids', 0, 'ins', 1], 10**30), 'is no whole latency table .OverflowError'),
    (lambda data: data['grids'][0].pop('operation'), "KeyError: 'operation'"),
    (put(['grids', 0, 'operation'], 5), 'operation=5 must be a dict'),
    (put(['grids', 0, 'operation', 'color'], 'red'), "operation=.*'color'"),
    (put(['grids', 0, 'operation', 'kind'], {}), r'kind=\{\} must be of type str'),
    (put(['grids', 0, 'operation', 'size'], [[8], [8]]), r'size=\(\[8\], \[8\]\) must be of type tuple\[int, int\]'),
    (put(['grids', 0, 'operation', 'size'], [8]), r'size=\(8,\) must be of type tuple\[int, int\]'),
    (put(['grids', 0, 'operation', 'bias'], 1), 'bias=1 must be of type bool'),
    (put(['grids', 0, 'operation', 'group_outs'], True), 'group_outs=True must be of type int'),
    (put(['conditions', 'where'], 5), 'where=5 must be of type str'),
    (put(['conditions', 'where'], 'tpu'), "where='tpu' must be 'cpu' or 'cuda:<number>'"),
    (put(['conditions', 'backend'], ['torch']), r"backend=\['torch'\] must be of type str"),
    (put(['conditions', 'batch'], 1.5), r'batch=1\.5 must be of type int'),
    (put(['conditions', 'threads'], 0), 'threads=0 must be at least 1'),
    (put(['conditions', 'versions'], ['2']), r"versions=\['2'\] must be of type dict\[str, str\]"),
])
def test_bad_files_give_one_sentence(tmp_path, change, message):
    path = tmp_path / 't.json'
    make().save(str(path))
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(UserError, match=message) as error:
        LatencyTable.load(str(path))
    assert str(path) in str(error.value) and '\n' not in str(error.value) and 'UserError' not in str(error.value)


def test_a_truncated_or_missing_file(tmp_path):
    path = tmp_path / 't.json'
    make().save(str(path))
    path.write_text(path.read_text()[:100])
    with pytest.raises(UserError, match='is no JSON, or only a part of it'):
        LatencyTable.load(str(path))
    with pytest.raises(UserError, match='There is no latency table .* build it with'):
        LatencyTable.load(str(tmp_path / 'other.json'))
