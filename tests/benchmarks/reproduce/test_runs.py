"""The list of runs: every one is a config that the project can train, from a start that is in the list, too."""
from pathlib import Path

import pytest
from run import needed, select
from runs import PRUNING_HOOK, Run, config_hash, pruning_epochs, resolve
from tables import FIFTH, RUNS, TABLES

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
        hashes = {name: config_hash(resolve(RUNS[name], 0)) for name in names}
        assert len(set(names)) == len(names) == len(set(hashes.values()))


def test_options_epochs_and_hooks_arrive():
    run = Run('r', BCCD, {'optim_wrapper.asam': True}, 80, {PRUNING_HOOK: dict(begin=4)})
    for _ in range(2):
        cfg = resolve(run, 3, 'start.pth')
        assert cfg.optim_wrapper.asam and cfg.load_from == 'start.pth'
        assert (cfg.train_cfg.max_epochs, cfg.param_scheduler[-1].end, cfg.param_scheduler[-1].T_max) == (80, 80, 79)
        assert pruning_epochs(cfg) == (4, 10)


def test_the_hash_names_what_is_trained_and_not_where():
    run = Run('r', BCCD)
    assert config_hash(resolve(run, 0)) == config_hash(resolve(Run('other', BCCD), 0, 'start.pth'))
    assert config_hash(resolve(run, 0)) != config_hash(resolve(run, 1))
    assert config_hash(resolve(run, 0)) != config_hash(resolve(Run('r', BCCD, epochs=39), 0))


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
