import errno
import os
import shutil

import pytest

from mmadasap.corruption.writing import PARTIAL, Folder
from mmadasap.errors import UserError
from tests.corruption.trees import tree


def test_a_file_is_there_whole(tmp_path):
    folder = Folder(str(tmp_path / 'c'))
    folder.write('a/b.txt', b'x')
    assert (tmp_path / 'c/a/b.txt').read_bytes() == b'x' and not list((tmp_path / 'c' / PARTIAL).iterdir())


def test_another_run_may_clear_what_is_being_written(tmp_path):
    folder = Folder(str(tmp_path / 'c'))
    shutil.rmtree(tmp_path / 'c' / PARTIAL)
    folder.write('a/b.txt', b'x')
    assert (tmp_path / 'c/a/b.txt').read_bytes() == b'x'


def test_another_run_may_clear_it_while_it_is_made(tmp_path, monkeypatch):
    (tmp_path / 'c').mkdir()
    make, failed = os.makedirs, []

    def cleared(path, **kwargs):
        if path not in failed:
            failed.append(path)
            raise FileExistsError(errno.EEXIST, 'File exists')
        make(path, **kwargs)

    monkeypatch.setattr(os, 'makedirs', cleared)
    Folder(str(tmp_path / 'c')).write('a/b.txt', b'x')
    assert (tmp_path / 'c/a/b.txt').read_bytes() == b'x'
    assert failed == [str(tmp_path / 'c' / name) for name in (PARTIAL, 'a')]


@pytest.mark.parametrize('link, path', [('a', 'a/b/c.txt'), ('a/b', 'a/b/c.txt'), (PARTIAL, 'c.txt')])
def test_nothing_is_made_outside_through_a_link(tmp_path, link, path):
    (tmp_path / 'other').mkdir()
    (tmp_path / 'c' / link).parent.mkdir(parents=True)
    (tmp_path / 'c' / link).symlink_to(tmp_path / 'other')
    with pytest.raises(UserError, match='leads out of .* through a link; remove the link, nothing is written there'):
        Folder(str(tmp_path / 'c')).write(path, b'x')
    assert tree(tmp_path / 'other') == {}


@pytest.mark.parametrize('root, path', [('file', 'a'), ('file/c', 'a'), ('c', 'f/a')])
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path, root, path):
    (tmp_path / 'file').write_text('')
    (tmp_path / 'c').mkdir()
    (tmp_path / 'c/f').write_text('')
    with pytest.raises(UserError, match='The folder .* cannot be made .*; remove what stands in its place'):
        Folder(str(tmp_path / root)).write(path, b'x')
