import builtins
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmadasap import doctor, hosts, version
from mmadasap.doctor import Finding, examine, format_findings

REAL_IMPORT = builtins.__import__
TOOL = Path(__file__).parents[1] / 'tools/doctor.py'


@pytest.fixture
def broken(monkeypatch):
    """Makes libraries absent (None) or broken (an error), by their import names."""

    def make(**errors):
        find, load = doctor.find_spec, doctor.import_module

        def import_module(name):
            if isinstance(errors.get(name), Exception):
                raise errors[name]
            return load(name)

        monkeypatch.setattr(doctor, 'find_spec', lambda name: None if errors.get(name, ...) is None else find(name))
        monkeypatch.setattr(doctor, 'import_module', import_module)

    return make


def remedies(findings):
    return {finding.name: finding.remedy for finding in findings if finding.remedy}


def test_where_the_tests_run_all_is_well(monkeypatch, capsys):
    monkeypatch.setattr('sys.argv', ['doctor.py'])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(TOOL), run_name='__main__')
    assert not caught.value.code
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ['ok'] * len(lines)
    assert {'python', 'torch', 'mmcv', 'mmdet', 'mmpretrain', 'onnxruntime', 'processor'} <= {
        line.split()[1] for line in lines}


def test_an_absent_library_ends_it_with_what_to_install(broken):
    broken(torch_pruning=None)
    found = examine()
    assert remedies(found) == dict(torch_pruning='pip install torch-pruning')
    assert 'mmdet' not in {finding.name for finding in found}


def test_a_broken_library_is_named_with_its_version_and_error(broken):
    broken(cv2=ImportError('libGL.so.1 is missing'))
    [found] = [finding for finding in examine() if finding.remedy]
    assert found.name == 'cv2' and found.found.startswith('opencv') and 'libGL.so.1 is missing' in found.found


def test_a_version_this_package_does_not_take_is_named(monkeypatch):
    line = 'mmadasap 0.1.0 has requirement torch-pruning<1.7,>=1.6.1, but you have torch-pruning 1.5.0.'
    monkeypatch.setattr(doctor.subprocess, 'run', lambda *args, **kwargs: SimpleNamespace(
        stdout=f'another 1.0 requires numpy, which is not installed.\n{line}\n'))
    [found] = [finding for finding in examine() if finding.remedy]
    assert found.found == line and 'pip install .' in found.remedy


def test_a_host_of_another_version_ends_it_with_one_sentence(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, 'mmadasap.doctor')
    monkeypatch.setitem(version.SUPPORTED, 'mmdet', ('9.0', '9.1'))

    def load(name, *args):
        version.check_version('mmdet', '3.3.0')

    monkeypatch.setattr('builtins.__import__', lambda name, *args: load(name) if name == 'mmadasap.doctor' else
                        REAL_IMPORT(name, *args))
    with pytest.raises(SystemExit, match='Error: mmadasap .* supports mmdet >= 9.0, < 9.1, but 3.3.0 is installed'):
        runpy.run_path(str(TOOL), run_name='__main__')


def test_what_is_optional_may_be_absent_but_not_broken(broken):
    broken(onnx=None, onnxruntime=ImportError('wrong numpy'))
    assert list(remedies(examine())) == ['onnxruntime']


@pytest.mark.parametrize('reasons, named', [
    (dict(mmdet=hosts.ABSENT), []),
    (dict(mmdet=hosts.ABSENT, mmpretrain=hosts.ABSENT), ['mmdet', 'mmpretrain']),
    (dict(mmdet="cannot be imported (No module named 'mmcv._ext')"), ['mmdet']),
])
def test_one_host_is_enough_and_a_broken_one_never_is(monkeypatch, reasons, named):
    monkeypatch.setattr(hosts, 'missing', reasons.get)
    found = remedies(examine())
    assert list(found) == named
    assert all(('--no-build-isolation' in text) == ('mmcv._ext' in reasons[name]) for name, text in found.items())


def test_a_remedy_stands_below_its_finding():
    text = format_findings([Finding('a', '1.0'), Finding('b', 'is broken', 'mend b')])
    assert [line.split() for line in text.splitlines()] == [['ok', 'a', '1.0'], ['MEND', 'b', 'is', 'broken'],
                                                            ['->', 'mend', 'b']]
