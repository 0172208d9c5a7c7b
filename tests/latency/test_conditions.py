from dataclasses import replace

import pytest
import torch

from mmadasap.errors import UserError
from mmadasap.latency import Conditions


@pytest.mark.parametrize('wrong, message', [
    (dict(backend='tvm'), "backend='tvm' is unknown"), (dict(dtype='int8'), "dtype='int8' is unknown"),
    (dict(batch=0), 'batch=0 must be'), (dict(where='tpu'), '--device tpu is not on this machine')])
def test_wrong_values_are_refused_by_name(wrong, message):
    with pytest.raises(UserError, match=message):
        Conditions.here(**wrong)


def test_what_differs_is_named():
    here = Conditions.here()
    assert here.differences(replace(here, date='another day')) == []
    other = replace(here, threads=here.threads + 1, channels_last=True)
    assert here.differences(other) == ['channels_last: False, True', f'threads: {here.threads}, {here.threads + 1}']


def test_the_same_settings_now():
    old = replace(Conditions.here(dtype='bfloat16', batch=2, channels_last=True), date='another day', threads=99)
    assert old.now() == replace(Conditions.here(), dtype='bfloat16', batch=2, channels_last=True)


def test_a_device_is_here_by_its_name(monkeypatch):
    here = Conditions.here()
    assert here.is_here() and not replace(here, device='another processor').is_here()
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    assert not replace(here, where='cuda:7', device='some accelerator').is_here()


def test_the_versions_are_those_of_the_libraries_that_run_the_layers():
    runtime = pytest.importorskip('onnxruntime')
    assert Conditions.here(backend='onnxruntime').versions['onnxruntime'] == runtime.__version__
    assert set(Conditions.here().versions) == {'torch', 'python'}


def test_times_of_another_version_of_the_backend_differ(monkeypatch):
    runtime = pytest.importorskip('onnxruntime')
    here = Conditions.here(backend='onnxruntime')
    monkeypatch.setattr(runtime, '__version__', 'another')
    (line, ) = here.differences(Conditions.here(backend='onnxruntime'))
    assert line.startswith('versions: ') and "'onnxruntime': 'another'" in line


@pytest.mark.parametrize('where', ['cuda:2', 'cuda:9', 'cuda', 'cuda:x', 'cudas'])
def test_a_device_beside_those_of_the_machine_is_refused(monkeypatch, where):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    with pytest.raises(UserError, match=f'--device {where} is not on this machine; choose one of cpu, cuda:0, cuda:1'):
        Conditions.here(where)
