import json
import shutil

import pytest

from mmadasap.corruption.build import build
from mmadasap.corruption.manifest import read_copy, read_header, read_records
from mmadasap.corruption.settings import Settings
from mmadasap.corruption.verify import verify
from mmadasap.datasets.shapes import write_shapes
from mmadasap.errors import UserError
from mmadasap.fileio import file_digest

SETTINGS = Settings(('fog', ), (1, ))


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """20 images: two chunks of records."""
    folder = tmp_path_factory.mktemp('built')
    write_shapes(str(folder / 'voc'), train=1, test=20)
    build(str(folder / 'voc'), str(folder / 'c'), SETTINGS, show_progress=False)
    return folder


@pytest.fixture
def pair(built, tmp_path):
    """A copy of it that a test may change."""
    for name in ('voc', 'c'):
        shutil.copytree(built / name, tmp_path / name, symlinks=True)
    return tmp_path / 'voc', tmp_path / 'c'


def test_a_whole_copy(pair):
    cell = str(pair[1] / 'fog/1')
    found = read_copy(cell)
    assert found.header == read_header(cell)
    assert found.files['00001'] == 'JPEGImages/00001.png' and found.files.keys() == found.sources.keys()
    assert found.sources == {f'{i:05d}': file_digest(str(pair[0] / f'JPEGImages/{i:05d}.jpg')) for i in range(1, 21)}
    assert read_copy(cell).digest == found.digest


@pytest.mark.parametrize('path, start', [('manifest/fog/1/00001.jsonl', 17), ('fog/1/JPEGImages/00003.png', 1)])
def test_a_copy_that_lacks_something_is_not_whole(pair, path, start):
    (pair[1] / path).unlink()
    with pytest.raises(UserError, match=f'is not whole: of 20 images some from number {start} on are missing or dam'):
        read_copy(str(pair[1] / 'fog/1'))


def test_an_image_that_was_left_out_is_named(tmp_path):
    write_shapes(str(tmp_path / 'voc'), train=1, test=2)
    (tmp_path / 'voc/JPEGImages/00002.jpg').write_bytes(b'')
    build(str(tmp_path / 'voc'), str(tmp_path / 'c'), SETTINGS, show_progress=False)
    with pytest.raises(UserError, match="lacks 'JPEGImages/00002.jpg', which is empty; repair that image"):
        read_copy(str(tmp_path / 'c/fog/1'))


@pytest.mark.parametrize('change', [
    lambda header: '{', lambda header: '[]', lambda header: '{}', lambda header: '5',
    lambda header: json.dumps({k: v for k, v in header.items() if k != 'severity'}),
    lambda header: json.dumps(header | dict(source=5)), lambda header: json.dumps(header | dict(source={})),
    lambda header: json.dumps(header | dict(dataset=None)), lambda header: json.dumps(header | dict(dataset={})),
    lambda header: json.dumps({k: v for k, v in header.items() if k != 'quality'}),
    lambda header: json.dumps(header | dict(source={k: v for k, v in header['source'].items() if k != 'layout'})),
    lambda header: json.dumps(header | dict(source=header['source'] | dict(split=5)))])
def test_a_damaged_header_is_named(pair, change):
    path = pair[1] / 'manifest/fog/1/header.json'
    path.write_text(change(json.loads(path.read_text())))
    for use in (lambda: read_copy(str(pair[1] / 'fog/1')),
                lambda: verify(str(pair[0]), str(pair[1]), show_progress=False)):
        with pytest.raises(UserError, match='header.json. is damaged; remove it and run'):
            use()


@pytest.mark.parametrize('line', ['{}', '5', '[]', '{"image_id": "x"}', '{"image_id": "x", "source": "y"}', '{'])
def test_damaged_records_count_as_none_and_are_written_again(pair, line):
    root, out = pair
    path = out / 'manifest/fog/1/00000.jsonl'
    before = path.read_bytes()
    path.write_text(line + '\n')
    assert read_records(str(out / 'fog/1'), 0) == []
    assert verify(str(root), str(out), show_progress=False).problems
    build(str(root), str(out), SETTINGS, show_progress=False)
    assert path.read_bytes() == before and not verify(str(root), str(out), show_progress=False).problems
