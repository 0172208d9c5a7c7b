import json

import pytest

from mmadasap.fileio import replacing, write_json


def test_json_round_trip(tmp_path):
    path = tmp_path / 'new' / 'a.json'
    write_json(str(path), dict(a=[1, 2.5]))
    assert json.loads(path.read_text()) == dict(a=[1, 2.5])


def test_files_have_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / 'plain').write_text('')
    write_json(str(tmp_path / 'a.json'), 1)
    assert (tmp_path / 'a.json').stat().st_mode == (tmp_path / 'plain').stat().st_mode


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')
    with pytest.raises(RuntimeError), replacing(str(path)) as partial:
        with open(partial, 'w') as file:
            file.write('half')
        raise RuntimeError
    assert path.read_text() == 'old' and [p.name for p in tmp_path.iterdir()] == ['a.txt']
