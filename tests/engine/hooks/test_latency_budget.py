"""Budgets of latency through a real Runner, with a table nobody measured."""
import re
from dataclasses import replace

import pytest
import torch

from mmadasap.engine import ChannelPruningHook, latency_log
from mmadasap.engine.host import raw_outputs
from mmadasap.errors import UserError
from mmadasap.latency import LatencyTable
from mmadasap.pruning import trace_layers
from mmadasap.registry import MODELS
from tests.latency_tables import write_made_up_table
from tests.toys import make_runner

MODEL = dict(width=64, inner=48)
SGD = dict(type='OptimWrapper')


@pytest.fixture
def table(tmp_path):
    path = str(tmp_path / 'table.json')
    write_made_up_table(MODELS.build(dict(type='ToyClassifier', **MODEL)), 8, path, block=1)
    return path


def pruning(table, budget, **kwargs):
    return dict(type='mmadasap.ChannelPruningHook', input_size=8, budget=dict(cost='latency', **budget), begin=1, end=3,
                interval=2, protect=(), latency_table=table, **kwargs)


def total(model, table):
    return sum(table(s, s.in_width, s.out_width) for s in trace_layers(model, torch.zeros(1, 3, 8, 8), raw_outputs))


@pytest.mark.parametrize('solver', ['exact', 'halp'])
@pytest.mark.parametrize('importance', ['TaylorImportance', 'MagnitudeImportance'])
def test_the_slim_network_takes_what_the_budget_allows(tmp_path, table, solver, importance):
    hook = pruning(table, dict(keep=0.6), allocator=dict(solver=solver), importance=dict(type=importance))
    runner = make_runner(tmp_path / 'run', SGD, [hook], model=MODEL, epochs=4, log_level='INFO')
    times = LatencyTable.load(table)
    dense = total(runner.model, times)
    share = total(runner.train(), times) / dense
    assert 0.97 * 0.6 <= share <= 0.6
    (log, ) = (tmp_path / 'run').glob('*/*.log')
    text = log.read_text()
    assert re.search(r'Pruned to latency \d\.\d+ of .* from the best value', text)
    assert 'Latency at batch 1, float32' in text and re.search(r'net\.conv1 +\d', text)


@pytest.mark.parametrize('budget', [dict(at_most=0.6), dict(speedup=1 / 0.6)])
def test_the_same_budget_in_milliseconds_and_as_speed_up(tmp_path, table, budget):
    dense = total(MODELS.build(dict(type='ToyClassifier', **MODEL)), LatencyTable.load(table))
    if 'at_most' in budget:
        budget = dict(at_most=0.6 * dense)
    widths = []
    for name, wanted in (('a', budget), ('b', dict(keep=0.6))):
        runner = make_runner(tmp_path / name, SGD, [pruning(table, wanted)], model=MODEL, epochs=4)
        runner.train()
        widths.append(next(h for h in runner.hooks if isinstance(h, ChannelPruningHook)).channels)
    assert widths[0] == widths[1]


def test_pruned_widths_are_whole_blocks(tmp_path, table):
    hook = pruning(table, dict(keep=0.6), allocator=dict(solver='exact', block=8))
    model = make_runner(tmp_path / 'run', SGD, [hook], model=MODEL, epochs=4).train()
    assert model.net.conv1.out_channels % 8 == model.net.stem.out_channels % 8 == 0
    assert (model.net.conv1.out_channels, model.net.stem.out_channels) != (48, 64)


def test_a_table_of_another_device_is_warned_of_and_nothing_is_measured(tmp_path, table):
    times = LatencyTable.load(table)
    replace(times, conditions=replace(times.conditions, device='another device')).save(table)
    runner = make_runner(tmp_path / 'run', SGD, [pruning(table, dict(keep=0.6))], model=MODEL, epochs=4,
                         log_level='INFO')
    runner.train()
    (log, ) = (tmp_path / 'run').glob('*/*.log')
    assert 'is of another device, which this machine does not have' in log.read_text()
    assert 'The slim network is not measured: ' in log.read_text() and 'Latency at batch' not in log.read_text()


def test_a_table_of_another_backend_says_that_nothing_is_measured(tmp_path, table):
    times = LatencyTable.load(table)
    replace(times, conditions=replace(times.conditions, backend='onnxruntime')).save(table)
    hook = pruning(table, dict(keep=0.6))
    make_runner(tmp_path / 'run', SGD, [hook], model=MODEL, epochs=4, log_level='INFO').train()
    (log, ) = (tmp_path / 'run').glob('*/*.log')
    assert log.read_text().count('is of onnxruntime, and only tables of torch are compared with networks') == 2
    assert 'Latency at batch' not in log.read_text()


def test_a_table_of_other_threads_is_warned_of_and_measured_against(tmp_path, table):
    times = LatencyTable.load(table)
    threads = torch.get_num_threads()
    replace(times, conditions=replace(times.conditions, threads=threads + 3)).save(table)
    make_runner(tmp_path / 'run', SGD, [pruning(table, dict(keep=0.6))], model=MODEL, epochs=4,
                log_level='INFO').train()
    (log, ) = (tmp_path / 'run').glob('*/*.log')
    text = log.read_text()
    assert f'table.json is of other conditions than this machine. threads: {threads + 3}, {threads}' in text
    assert 'Latency at batch 1' in text


def test_a_failure_to_measure_does_not_end_the_run(tmp_path, table, monkeypatch):
    def fail(*args):
        assert (tmp_path / 'run/slim.py').exists()
        raise NotImplementedError('no kernel')

    monkeypatch.setattr(latency_log, 'compare_times', fail)
    runner = make_runner(tmp_path / 'run', SGD, [pruning(table, dict(keep=0.6))], model=MODEL, epochs=4,
                         log_level='INFO')
    runner.train()
    (log, ) = (tmp_path / 'run').glob('*/*.log')
    assert 'The slim network is not measured: NotImplementedError: no kernel' in log.read_text()
    assert runner.iter == runner.max_iters


@pytest.mark.parametrize('budget, kwargs, message', [
    (dict(keep=0.5), dict(latency_table=None), "cost='latency' with latency_table=None; a budget of latency needs"),
    (dict(keep=0.5, speedup=2), {}, 'give exactly one of them'),
    (dict(speedup=0.5), {}, 'speedup=0.5 must be at least 1'),
    (dict(at_most=-1), {}, 'at_most=-1 must be above 0'),
    (dict(kept=0.5), {}, r"budget=.*'kept'.*unexpected keyword"),
    (dict(keep=0.5), dict(allocator=dict(solver='greedy')), "solver='greedy' is unknown"),
    (dict(keep=0.5), dict(allocator=dict(blocks=8)), r"allocator=.*'blocks'.*unexpected keyword")])
def test_wrong_settings_are_refused_at_construction(budget, kwargs, message):
    with pytest.raises(UserError, match=message):
        arguments = pruning('table.json', budget) | kwargs
        arguments.pop('type')
        ChannelPruningHook(**arguments)


def test_no_table_and_a_budget_out_of_reach_stop_before_training(tmp_path, table):
    runner = make_runner(tmp_path / 'a', SGD, [pruning(str(tmp_path / 'none.json'), dict(keep=0.5))], model=MODEL,
                         epochs=4)
    with pytest.raises(UserError, match='There is no latency table'):
        runner.train()
    runner = make_runner(tmp_path / 'b', SGD, [pruning(table, dict(keep=0.01))], model=MODEL, epochs=4)
    with pytest.raises(UserError, match='the least network that can be reached costs'):
        runner.train()
    assert runner.iter == 0
