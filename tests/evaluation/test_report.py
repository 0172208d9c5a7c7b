import csv
import json

import cv2
import pytest

from mmadasap.evaluation import RobustnessResult, format_results, write_report

A = RobustnessResult(0.8, dict(fog={3: 0.4}, snow={3: 0.6}), 'pascal_voc/mAP', dict(cat=0.9, dog=0.7),
                     dict(cat=dict(fog={3: 0.5}, snow={3: 0.7}), dog=dict(fog={3: 0.3}, snow={3: 0.5})), 2000000)
B = RobustnessResult(0.5, dict(fog={3: 0.1}, snow={3: 0.7}), 'pascal_voc/mAP', dict(cat=0.5, dog=0.5),
                     dict(cat=dict(fog={3: 0.1}, snow={3: 0.7}), dog=dict(fog={3: 0.1}, snow={3: 0.7})), 500000)
ABOUT = dict(corruptions=['fog', 'snow'], severities=[3])


def rows(text):
    cells = [[c.strip() for c in line.strip('|').split('|')] for line in text.splitlines() if line.startswith('|')]
    return {row[0]: row[1:] for row in cells}


def test_the_tables_by_hand():
    found = rows(format_results(dict(a=A, b=B)))
    assert found['a'] == ['2.000 M', '1.00', '0.800', '0.500', '0.625', '+0.000', '+0.000']
    assert found['b'] == ['0.500 M', '0.25', '0.500', '0.400', '0.800', '-0.300', '-0.100']
    assert found['corruption'] == ['a', 'b', 'b - a']
    assert found['fog'] == ['0.400', '0.100', '-0.300'] and found['snow'] == ['0.600', '0.700', '+0.100']
    assert found['cat'] == ['0.900', '0.600', '0.500', '0.400']
    assert 'severity' not in found


def test_severities_have_a_table_where_there_are_several():
    found = rows(format_results(dict(a=RobustnessResult(0.8, dict(fog={1: 0.6, 3: 0.4}, snow={1: 0.4, 3: 0.2})))))
    assert found['0'] == ['0.800'] and found['1'] == ['0.500'] and found['3'] == ['0.300']
    assert found['fog'] == ['0.500'] and 'class' not in found


def test_files_hold_every_number_unrounded(tmp_path):
    third = RobustnessResult(1 / 3, dict(fog={3: 1 / 7}, snow={3: 0.5}), 'pascal_voc/mAP')
    paths = write_report(str(tmp_path), dict(a=A, c=third), ABOUT)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(path.rpartition('/')[2] for path in paths)
    content = json.loads((tmp_path / 'robustness.json').read_text())
    assert content['severities'] == [3] and content['models']['c']['clean'] == 1 / 3
    assert content['models']['a']['mPC'] == pytest.approx(0.5) == content['models']['a']['mean_corrupted']
    assert content['models']['a']['rPC'] == pytest.approx(0.625)
    table = list(csv.reader((tmp_path / 'robustness.csv').open()))
    assert ['c', 'fog', '3', '', repr(1 / 7)] in table and ['a', 'clean', '0', 'dog', '0.7'] in table
    assert ['a', 'snow', '3', 'cat', '0.7'] in table and len(table) == 1 + 9 + 3
    text = (tmp_path / 'robustness.md').read_text()
    assert 'exactly 2 corruptions (fog, snow) at severity 3' in text and '| fog' in text
    for name in ('margins', 'severities', 'relative'):
        assert cv2.imread(str(tmp_path / f'{name}.png')).std() > 5


def test_a_note_on_stored_images_is_said(tmp_path):
    (tmp_path / 'margins.png').write_bytes(b'of an earlier run')
    write_report(str(tmp_path), dict(a=A), ABOUT | dict(note='Stored as jpg.'))
    assert 'Stored as jpg.' in (tmp_path / 'robustness.md').read_text()
    assert not (tmp_path / 'margins.png').exists()
