"""Tables and figures from results alone."""
import json
from pathlib import Path

import cv2
import pytest
import report
from figures import common_seeds, draw_figures, figure_titles, mean_result, relative_time
from runs import RESULTS, training_hash
from tables import FIFTH, MARGINS, RUNS, TABLES, Table

ROOT = Path(__file__).parents[3]
DENSE = f'{FIFTH.prefix}_dense'
SLIM = f'{FIFTH.prefix}_taylor-sgd-params50'


def result(run, seed, accuracy, parameters=100, **step_ms):
    corrupted = dict(fog={'3': accuracy / 2}, snow={'3': accuracy / 4})
    return dict(
        run=run, seed=seed, peak_memory_bytes=10**9, test=dict(
            accuracy=accuracy, clean=accuracy, corrupted=corrupted, mean_corrupted=accuracy * 0.375, relative=0.375,
            parameters=parameters),
        cost=dict(training_seconds=60., iterations=60, iterations_before=20, step_ms=step_ms)
        if step_ms else dict(training_seconds=60., iterations=60, iterations_before=60))


def results(*rows):
    found = {}
    for row in rows:
        found.setdefault(row['run'], {})[row['seed']] = row
    return found


def test_a_cell_is_the_mean_of_the_seeds_with_their_deviation():
    assert report.cell([], 3) == '–'
    assert report.cell([0.5], 3) == '0.500'
    assert report.cell([0.4, 0.6], 3) == '0.500 ± 0.141'


def test_rows_without_results_say_so():
    table = Table((('dense', DENSE), ('slim', SLIM)), ('clean', 'train'))
    lines = report.format_table(table, results(result(DENSE, 0, 0.5))).splitlines()
    assert lines[2:] == ['| dense | 1 | 0.5000 | – |', '| slim | not run | not run | not run |']


def test_sizes_are_shares_of_the_dense_run_of_the_same_seed():
    found = results(*(result(DENSE, seed, 0.8) for seed in (0, 1)), *(result(SLIM, seed, 0.7, 40) for seed in (1, 2)))
    assert report.numbers(found, SLIM, 'size') == {1: 0.4}
    assert report.numbers(found, SLIM, 'clean') == {1: 0.7, 2: 0.7}


def test_time_is_a_multiple_of_plain_steps_of_one_measurement():
    slim = result(SLIM, 0, 0.7, plain=10., before=20., after=5., masked=25.)
    found = results(result(DENSE, 0, 0.8), slim)
    # A third of the steps takes twice as long, the others half as long or, masked, two and a half times.
    assert relative_time(slim) == pytest.approx((2 / 3, 1 / 3))
    assert report.numbers(found, SLIM, 'cost')[0] == pytest.approx(1)
    assert report.numbers(found, SLIM, 'masked')[0] == pytest.approx(7 / 3)
    assert [report.numbers(found, SLIM, f'step_{when}') for when in ('before', 'after')] == [{0: 2}, {0: 0.5}]
    assert report.numbers(found, DENSE, 'cost') == {0: 1} and report.numbers(found, DENSE, 'step_before') == {}


def test_a_claim_says_how_long_its_runs_train():
    claim = next(c for c in report.CLAIMS if c.other == SLIM)
    found = results(*(result(run, seed, 0.5) for run in (DENSE, SLIM, claim.ours) for seed in (0, 1)))
    assert report.training_minutes(found, claim) == '3'
    found[SLIM][1] |= dict(amp=True, training=dict(native_bfloat16=False))
    assert report.training_minutes(found, claim) == '3 †'
    del found[DENSE]
    assert report.training_minutes(found, claim) == '–'


def test_the_text_is_filled_in():
    text = report.render(results(result(DENSE, 0, 0.5)), 'a\n{{claims}}\n{{table4}}\nz')
    assert text.startswith('a\n| claim |') and text.endswith('z') and '{{' not in text
    assert '| dense | 1 | 1.000 | 0.5000 |' in text


def test_where_runs_were_trained_is_told():
    rows = [result(DENSE, seed, 0.5) | dict(machine=dict(device='measured')) for seed in range(4)]
    rows[1]['training'] = dict(machine=dict(device='new'), native_bfloat16=True)
    rows[2]['training'] = rows[3]['training'] = dict(machine=dict(device='old'), native_bfloat16=False)
    rows[3]['amp'] = True
    assert report.format_machines(results(*rows)) == '1 on measured, 1 on new, 1 on old, 1 on old (bfloat16 by float32)'


def test_rows_with_times_of_a_processor_without_bfloat16_are_marked():
    rows = [result(DENSE, seed, 0.5) | dict(amp=True) for seed in (0, 1)]
    rows[0]['training'] = dict(native_bfloat16=True)
    assert '| dense | 2 |' in report.format_table(report.TABLES['table4'], results(*rows))
    rows[1]['training'] = dict(native_bfloat16=False)
    assert '| dense † | 2 |' in report.format_table(report.TABLES['table4'], results(*rows))
    rows[1]['amp'] = False
    assert '†' not in report.format_table(report.TABLES['table4'], results(*rows))


def test_figures(tmp_path):
    steps = dict(plain=1., before=2., after=1., masked=2.)
    rows = [result(run, seed, 0.5 + 0.1 * seed, **steps) for run in RUNS for seed in (0, 1)]
    paths = draw_figures(results(*rows), str(tmp_path))
    assert len(paths) == len(set(paths)) >= 7
    assert all(Path(path).read_bytes().startswith(b'\x89PNG') for path in paths)
    assert {Path(path).name for path in paths} == figure_titles(results(*rows)).keys()
    assert draw_figures({}, str(tmp_path)) == []


def test_figures_compare_common_seeds_alone():
    (first, second), *_ = [list(pair.values()) for pair in MARGINS.values()]
    found = results(result(first, 0, 0.5), result(first, 1, 0.5), result(second, 1, 0.5), result(second, 2, 0.5))
    assert common_seeds(found, [first, second]) == [1]
    apart = results(result(first, 0, 0.5), result(second, 1, 0.5))
    assert common_seeds(apart, [first, second]) == [] and not any('margins' in name for name in figure_titles(apart))


def test_means_over_seeds():
    by_seed = {0: result(SLIM, 0, 0.4), 1: result(SLIM, 1, 0.8)}
    assert mean_result(by_seed).by_corruption() == pytest.approx(dict(fog=0.3, snow=0.15))


def test_the_published_report_is_of_the_published_results(monkeypatch):
    monkeypatch.chdir(ROOT)
    folder = ROOT / 'benchmarks/reproduce'
    found = report.read_results()
    text = report.render(found, (folder / 'results.template.md').read_text())
    assert (folder / 'RESULTS.md').read_text() == text, 'run python benchmarks/reproduce/report.py'
    assert all(f'{{{{{name}}}}}' in (folder / 'results.template.md').read_text() for name in TABLES)


def test_published_figures_are_of_the_published_results(monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    for path in map(Path, draw_figures(report.read_results(), str(tmp_path))):
        drawn, published = (cv2.imread(str(folder / path.name)).astype(float)
                            for folder in (tmp_path, ROOT / 'benchmarks/reproduce/figures'))
        # Fonts may be drawn a little differently elsewhere.
        assert drawn.shape == published.shape and abs(drawn - published).mean() < 0.5, path.name


def test_published_results_are_of_one_version_of_the_data():
    hashes = {}
    for path in Path(RESULTS).glob('*.json'):
        stated = json.loads(path.read_text())
        hashes.setdefault(stated['run'].partition('_')[0].partition('-')[0], set()).add(stated['data_hash'])
    assert hashes and all(len(found) == 1 for found in hashes.values()), hashes


def test_published_results_are_of_the_present_configs(monkeypatch):
    monkeypatch.chdir(ROOT)
    for path in Path(RESULTS).glob('*.json'):
        stated = json.loads(path.read_text())
        assert stated['config_hash'] == training_hash(RUNS[stated['run']], stated['seed'], RUNS), path.name
        assert stated['test'].get('every', 1) == RUNS[stated['run']].every
        assert path.name == f'{stated["run"]}-seed{stated["seed"]}.json'


def test_a_method_without_results_has_no_curve():
    dense = {seed: result(DENSE, seed, 0.5) for seed in (0, 1)}
    assert 'size-cifar10.png' not in figure_titles({DENSE: dense})
    assert 'size-cifar10.png' in figure_titles({DENSE: dense, SLIM: {0: result(SLIM, 0, 0.4, 40)}})
