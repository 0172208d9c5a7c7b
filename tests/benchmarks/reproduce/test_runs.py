"""The list of runs: every one is a config that the project can train, from a start that is in the list, too."""
import json
import statistics
from dataclasses import replace
from pathlib import Path
from unittest.mock import MagicMock, Mock

import bccd
import cifar
import pytest
from mmengine.runner import EpochBasedTrainLoop
from provenance import data_roots
from run import needed, select
from runs import (
    PHASE_HOOK,
    PRUNING_HOOK,
    Run,
    check_latency_table,
    checkpoint_path,
    chosen_checkpoint,
    pruning_epochs,
    resolve,
    training_hash,
)
from tables import BUDGETS, FIFTH, RUNS, SIZES, TABLES
from torch import nn

from mmadasap.engine.networks import build_network
from mmadasap.errors import UserError

ROOT = Path(__file__).parents[3]
BCCD = 'configs/quickstart/ssd256_r50-w16_adasap-p-macs50-40e_bccd.py'


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_every_run_resolves_and_its_phase_fits():
    assert len(RUNS) > 100
    for run in RUNS.values():
        cfg = resolve(run, 1)
        assert cfg.randomness.seed == 1 and cfg.work_dir.endswith(f'{run.name}-seed1')
        assert run.start is None or run.start in RUNS
        phase = pruning_epochs(cfg)
        assert phase is None or phase[0] < phase[1] < cfg.train_cfg.max_epochs
        if 'pruning' in run.measures:
            interval = cfg.default_hooks.checkpoint.interval
            assert all(epoch % interval == 0 for epoch in (*phase, cfg.train_cfg.max_epochs))


def test_runs_of_a_table_differ():
    for table in TABLES.values():
        names = [name for _, name in table.rows]
        hashes = {name: training_hash(RUNS[name], 0, RUNS) for name in names}
        assert len(set(names)) == len(names) == len(set(hashes.values()))


# What may differ between the methods of a table, at one size: sharpness, scores, allocation and what is in names.
METHOD_SETTINGS = ('optim_wrapper.type', 'optim_wrapper.radius', 'optim_wrapper.asam',
                   f'custom_hooks.{PRUNING_HOOK}.importance', f'custom_hooks.{PRUNING_HOOK}.allocator',
                   f'custom_hooks.{PHASE_HOOK}', 'work_dir', 'experiment_name',
                   # Variables of the configs, which no runner reads.
                   'pruning.', 'allocator.')


def flat(value, name=''):
    if isinstance(value, dict):
        return {k: v for key, part in value.items() for k, v in flat(part, f'{name}.{key}' if name else key).items()}
    if name == 'custom_hooks':
        return flat({hook['type']: hook for hook in value}, name)
    return {name: value}


@pytest.mark.parametrize('runs', [
    [cifar.pruned(FIFTH, method, size) for method in cifar.METHODS] for size in SIZES] + [
        [bccd.pruned(method, keep) for method in bccd.METHODS] for keep in BUDGETS])
def test_methods_of_a_table_differ_in_their_method_alone(runs):
    first, *others = [flat(resolve(run, 0)._cfg_dict.to_dict()) for run in runs]
    for run, other in zip(runs[1:], others):
        differing = {key for key in first.keys() | other.keys() if first.get(key) != other.get(key)}
        assert differing and all(key.startswith(METHOD_SETTINGS) for key in differing), (run.name, differing)


def test_a_latency_table_that_is_not_there_is_named_with_what_measures_it():
    found = bccd.pruned('adasap-l', 40)
    check_latency_table(found, RUNS)
    hooks = {PRUNING_HOOK: dict(found.hooks[PRUNING_HOOK], latency_table='nowhere.json')}
    with pytest.raises(UserError, match='latency table nowhere.json, which is not there; .*build_latency_table.py '
                                        'configs/quickstart/.*_dense-60e_bccd.py --out nowhere.json measures it'):
        check_latency_table(replace(found, hooks=hooks), RUNS)


def test_the_papers_allocation_stands_beside_the_joint_one():
    for table, pairs in (('table3-voc', 2), ('imagenet-resnet50', 3), ('imagenet-mobilenet-v1', 2)):
        names = {name for _, name in TABLES[table].rows}
        joint = [name for name in names if 'adasap-l' in name]
        assert len(joint) == pairs
        for name in joint:
            ours, theirs = (pruning_hook(resolve(RUNS[n], 0)) for n in (name, name.replace('adasap-l', 'adasap-halp')))
            assert [hook.pop('allocator').solver for hook in (ours, theirs)] == ['exact', 'halp'] and ours == theirs


def pruning_hook(cfg):
    return next(hook for hook in cfg.custom_hooks if hook.type == PRUNING_HOOK)


def test_options_epochs_and_hooks_arrive():
    run = Run('r', BCCD, {'optim_wrapper.asam': True}, 80, {PRUNING_HOOK: dict(begin=4)})
    for _ in range(2):
        cfg = resolve(run, 3, 'start.pth')
        assert cfg.optim_wrapper.asam and cfg.load_from == 'start.pth'
        assert (cfg.train_cfg.max_epochs, cfg.param_scheduler[-1].end, cfg.param_scheduler[-1].T_max) == (80, 80, 79)
        assert pruning_epochs(cfg) == (4, 10)


def test_the_hash_names_what_is_trained_and_not_where():
    runs = dict(a=Run('a', BCCD, start='dense'), dense=Run('dense', BCCD, epochs=9))
    mine = training_hash(runs['a'], 0, runs)
    same = {'visualizer.name': 'mine', 'log_level': 'WARNING', 'default_hooks.checkpoint.max_keep_ckpts': 9}
    assert mine == training_hash(Run('other', BCCD, same, start='dense', every=3), 0, runs)
    others = [training_hash(runs['a'], 1, runs), training_hash(Run('a', BCCD, epochs=39, start='dense'), 0, runs),
              training_hash(Run('a', BCCD, start='dense', amp=True), 0, runs),
              training_hash(runs['a'], 0, dict(dense=Run('dense', BCCD, epochs=8)))]
    assert len({mine, *others}) == 5


def test_the_hash_names_what_is_in_the_latency_table(tmp_path):
    hashes = []
    for text in ('1', '2'):
        (tmp_path / 'table.json').write_text(text)
        run = Run('r', BCCD, hooks={PRUNING_HOOK: dict(latency_table=str(tmp_path / 'table.json'))})
        hashes.append(training_hash(run, 0, {}))
    assert hashes[0] != hashes[1]


def test_every_run_has_data_and_its_latency_table_is_there():
    for run in RUNS.values():
        cfg = resolve(run, 0)
        assert all(data_roots(loader.dataset) for loader in (cfg.train_dataloader, cfg.test_dataloader))
        for hook in cfg.get('custom_hooks') or []:
            if run.name.startswith('bccd') and hook.get('latency_table'):
                assert (ROOT / hook.latency_table).exists()


def test_the_best_checkpoint_counts_where_the_config_keeps_it(tmp_path):
    for name in ('voc_dense', 'bccd_dense'):
        cfg = resolve(RUNS[name], 0)
        cfg.work_dir = str(tmp_path)
        assert chosen_checkpoint(cfg) == checkpoint_path(cfg)
        (tmp_path / 'best_pascal_voc_mAP_epoch_790.pth').touch()
        assert chosen_checkpoint(cfg).endswith('best_pascal_voc_mAP_epoch_790.pth') == (name == 'voc_dense')
        (tmp_path / 'best_pascal_voc_mAP_epoch_790.pth').unlink()


def test_of_voc_the_last_30_epochs_are_validated():
    validated, runner = [], Mock()
    loop = EpochBasedTrainLoop(runner, dataloader=MagicMock(), **{
        key: value for key, value in resolve(RUNS['voc_dense'], 0).train_cfg.items() if key != 'type'})
    runner.val_loop.run = lambda: validated.append(loop.epoch)
    loop.run()
    assert validated == [*range(771, 801)]


def test_controls_are_of_the_sizes_that_were_measured():
    found = json.loads((ROOT / 'benchmarks/results/climbs.json').read_text())
    assert found['run'] == cifar.pruned(FIFTH, 'adasap-p', 20).name and len(found['seeds']) == 3
    assert statistics.mean(row['start']['mean_radius'] for row in found['seeds'].values()) == pytest.approx(
        cifar.MEAN_RADIUS, abs=5e-4)
    assert found['mean']['length'] == pytest.approx(cifar.CLIMB, abs=5e-4)


def test_neurons_are_counted_right():
    model = build_network(resolve(RUNS[f'{FIFTH.prefix}_dense'], 0))
    assert sum(m.weight.shape[0] for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))) == cifar.NEURONS


def test_a_run_comes_after_the_one_it_starts_from():
    names = [run.name for run in needed(select('table4', ['AdaSAP_P, 50', 'Taylor + SGD, 50']))]
    dense = f'{FIFTH.prefix}_dense'
    assert names == [dense, f'{FIFTH.prefix}_taylor-sgd-params50', f'{FIFTH.prefix}_adasap-p-params50']
    assert [run.name for run in needed(select(names[1], []))] == names[:2]


def test_unknown_tables_and_rows():
    with pytest.raises(UserError, match="no table or run 'table99'; tables are regime, "):
        select('table99', [])
    with pytest.raises(UserError, match='--only nothing matches no row of table3'):
        select('table3', ['nothing'])
