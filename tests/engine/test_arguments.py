import argparse

import pytest

from mmadasap.engine.arguments import add_config_arguments, count, file_path, folder_path, natural, pickle_path


def parser_of(kind):
    parser = argparse.ArgumentParser()
    parser.add_argument('--value', type=kind)
    return parser


@pytest.mark.parametrize('kind, good, value', [
    (natural, '3', 3), (count, '0', 0), (pickle_path, 'a/b.pkl', 'a/b.pkl'), (file_path, 'new.json', 'new.json'),
    (folder_path, 'new', 'new')])
def test_what_fits_is_taken(tmp_path, monkeypatch, kind, good, value):
    monkeypatch.chdir(tmp_path)
    assert parser_of(kind).parse_args(['--value', good]).value == value


@pytest.mark.parametrize('kind, bad, message', [
    (natural, '0', "'0' must be a whole number from 1"),
    (natural, '1.5', "'1.5' must be a whole number from 1"),
    (count, '-1', "'-1' must be a whole number from 0"),
    (pickle_path, 'a.json', "'a.json' must end in .pkl"),
    (file_path, 'folder', "'folder' is a folder; name a file in it"),
    (folder_path, 'file', "'file' is a file; name a folder"),
])
def test_what_does_not_is_one_sentence(tmp_path, monkeypatch, capsys, kind, bad, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'file').touch()
    with pytest.raises(SystemExit):
        parser_of(kind).parse_args([f'--value={bad}'])
    assert message in capsys.readouterr().err


def test_an_override_that_is_no_pair_is_one_sentence(capsys):
    parser = argparse.ArgumentParser()
    add_config_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(['config.py', '--cfg-options', 'a=1', 'foo'])
    assert '--cfg-options foo: write it as key=value' in capsys.readouterr().err
    assert parser.parse_args(['config.py', '--cfg-options', 'a=1', 'b=x=y']).cfg_options == dict(a=1, b='x=y')
