import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmadasap.errors import UserError
from mmadasap.latency import Conditions
from mmadasap.latency.onnx_operators import check_backend, onnx_call
from mmadasap.latency.operators import input_width, torch_call
from mmadasap.pruning.operations import FOLLOWING, Operation

# Operation, input width, output width, shape of the output at batch 2.
CASES = [
    (Operation('conv', (8, 8), (3, 3), (2, 2), (1, 1), bias=True), 4, 6, (2, 6, 4, 4)),
    (Operation('conv', (8, 8), (3, 3), (1, 1), (2, 2), (2, 2)), 4, 6, (2, 6, 8, 8)),
    (Operation('conv', (8, 8), (3, 3), (1, 1), (1, 1), group_width=1, group_outs=1), 0, 6, (2, 6, 8, 8)),
    (Operation('conv', (8, 8), (1, 1), group_width=2, group_outs=3), 0, 6, (2, 6, 8, 8)),
    (Operation('linear', (1, 1), bias=True), 4, 6, (2, 6)),
    (Operation('linear', (5, 1)), 4, 6, (2, 5, 6)),
    (Operation('max_pool', (8, 8), (3, 3), (2, 2), (1, 1)), 0, 6, (2, 6, 4, 4)),
    (Operation('avg_pool', (8, 8), (2, 2), (2, 2)), 0, 6, (2, 6, 4, 4)),
    (Operation('mean', (8, 8)), 0, 6, (2, 6, 1, 1)),
    (Operation('upsample', (8, 8), stride=(2, 2)), 0, 6, (2, 6, 16, 16)),
    *((Operation(kind, (8, 8)), 0, 6, (2, 6, 8, 8)) for kind in ('silu', 'hardswish', 'cat', 'add', 'mul')),
]
TORCH_ONLY = [(Operation(kind, (8, 8)), 0, 6, (2, 6, 8, 8))
              for kind in ('norm', 'relu', 'relu6', 'leaky_relu', 'sigmoid')]


def test_every_kind_is_tried():
    assert {case[0].kind for case in CASES + TORCH_ONLY} == {'conv', 'linear', 'norm', *FOLLOWING.values()}


@pytest.mark.parametrize('operation, c_in, c_out, shape', CASES + TORCH_ONLY, ids=str)
@pytest.mark.parametrize('settings', [{}, dict(dtype='bfloat16', channels_last=True)], ids=str)
def test_on_torch_each_operation_computes_its_shape(operation, c_in, c_out, shape, settings):
    run, renew = torch_call(operation, input_width(operation, c_in, c_out), c_out, Conditions.here(batch=2, **settings))
    renew()
    out = run()
    assert tuple(out.shape) == shape and not out.requires_grad
    assert out.dtype == getattr(torch, settings.get('dtype', 'float32'))


@pytest.mark.parametrize('operation, c_in, c_out, shape', CASES, ids=str)
def test_on_onnx_runtime_each_operation_computes_its_shape(operation, c_in, c_out, shape):
    pytest.importorskip('onnxruntime')
    conditions = Conditions.here(backend='onnxruntime', batch=2)
    run, renew = onnx_call(operation, input_width(operation, c_in, c_out), c_out, conditions)
    renew()
    (out, ) = run()
    assert out.shape == shape and out.dtype == np.float32


def test_backends_this_machine_lacks_are_refused_in_one_sentence():
    pytest.importorskip('onnxruntime')
    check_backend(Conditions.here(backend='onnxruntime'))
    with pytest.raises(UserError, match='--backend tensorrt on cpu needs ONNX Runtime with a CUDA device'):
        check_backend(Conditions.here(backend='tensorrt'))
    with pytest.raises(UserError, match='takes float32 or float16'):
        check_backend(Conditions.here(backend='onnxruntime', dtype='bfloat16'))


def test_without_onnx_runtime_the_extra_that_brings_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(UserError, match=r"--backend onnxruntime needs onnxruntime; pip install 'mmadasap\[export\]'"):
        check_backend(Conditions.here(backend='onnxruntime'))


@pytest.mark.parametrize('backend, where, provider', [
    ('onnxruntime', 'cpu', ('CPUExecutionProvider', {})),
    ('onnxruntime', 'cuda:1', ('CUDAExecutionProvider', dict(device_id=1))),
    ('tensorrt', 'cuda:0', ('TensorrtExecutionProvider', dict(device_id=0)))])
def test_onnx_runtime_is_told_which_device(monkeypatch, backend, where, provider):
    pytest.importorskip('onnx')
    asked = []
    runtime = SimpleNamespace(
        SessionOptions=SimpleNamespace, get_available_providers=lambda: [provider[0]],
        InferenceSession=lambda graph, options, providers: asked.append(providers) or SimpleNamespace(get_inputs=list))
    monkeypatch.setitem(sys.modules, 'onnxruntime', runtime)
    onnx_call(CASES[0][0], 4, 6, replace(Conditions.here(), backend=backend, where=where))
    assert asked == [[provider]]


def test_an_operation_nobody_knows():
    with pytest.raises(UserError, match="kind='fft' is unknown"):
        torch_call(Operation('fft', (8, 8)), 4, 4, Conditions.here())
