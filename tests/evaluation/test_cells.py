import pytest
from mmengine.config import Config

from mmadasap.evaluation import cells
from mmadasap.evaluation.cells import Cells, cell_key


def config(**kwargs):
    loader = dict(dataset=dict(type='D', data_root='x'), batch_size=2, num_workers=1)
    return Config(dict(model=dict(type='M', width=3), test_dataloader=loader, test_evaluator=dict(type='E')) | kwargs)


def test_cells_are_kept_and_found_again(tmp_path):
    kept = Cells(str(tmp_path), 'key')
    assert kept.get('fog-3') is None
    kept.put('fog-3', dict(accuracy=0.25))
    assert Cells(str(tmp_path), 'key').get('fog-3') == dict(accuracy=0.25)
    assert Cells(str(tmp_path), 'other').get('fog-3') is None and kept.count() == 1
    assert [p.name for p in (tmp_path / 'key').iterdir()] == ['fog-3.json']


def test_nothing_is_kept_without_a_folder():
    nowhere = Cells(None, 'key')
    assert nowhere.count() == 0
    nowhere.put('fog-3', dict(accuracy=0.25))
    assert nowhere.get('fog-3') is None


def test_the_key_names_all_that_a_result_depends_on_and_nothing_else(tmp_path):
    weights = [tmp_path / name for name in 'ab']
    for i, path in enumerate(weights):
        path.write_bytes(bytes([i]))
    a = str(weights[0])
    key = cell_key(config(), a, 0)
    workers = config()
    workers.test_dataloader.num_workers = 3
    assert cell_key(workers, a, 0) == key
    others = [cell_key(config(), a, 1), cell_key(config(), str(weights[1]), 0), cell_key(config(model=dict()), a, 0),
              cell_key(config(test_evaluator=dict()), a, 0), cell_key(config(test_cfg=dict(fp16=True)), a, 0)]
    data = config()
    data.test_dataloader.dataset.data_root = 'y'
    assert len({key, cell_key(data, a, 0), *others}) == 7


def test_results_of_other_versions_are_not_taken_over(monkeypatch):
    before = cell_key(config(), 'a', 0)
    monkeypatch.setattr(cells, '__version__', '0.0.0')
    ours = cell_key(config(), 'a', 0)
    monkeypatch.setattr(cells, 'installed_version', lambda name: '0')
    assert len({before, ours, cell_key(config(), 'a', 0)}) == 3


@pytest.mark.parametrize('wrap', [lambda d: d, lambda d: dict(type='ConcatDataset', datasets=[d])], ids=['one', 'in'])
def test_results_of_other_annotations_are_not_taken_over(tmp_path, wrap):
    cfg = config(test_dataloader=dict(dataset=wrap(dict(type='D', data_root=str(tmp_path), ann_file='labels.json'))))
    keys = set()
    for text in ('[1]', '[2]'):
        (tmp_path / 'labels.json').write_text(text)
        keys |= {cell_key(cfg, 'a', 0), cell_key(cfg, 'a', 0)}
    assert len(keys) == 2
