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
    (Operation('bilinear', (8, 8), stride=(2, 3)), 0, 6, (2, 6, 16, 24)),
    *((Operation(kind, (8, 8)), 0, 6, (2, 6, 8, 8)) for kind in (
        'silu', 'hardswish', 'hardsigmoid', 'gelu', 'mish', 'elu', 'cat', 'add', 'mul')),
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
    (out, ) = run().copy_outputs_to_cpu()
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


class FakeRuntime:
    """ONNX Runtime with one provider, which may fail to load; notes what it is asked for."""

    SessionOptions = SimpleNamespace

    def __init__(self, provider, loaded):
        self.provider, self.loaded, self.asked, self.placed = provider, loaded, [], []
        self.OrtValue = SimpleNamespace(ortvalue_from_numpy=lambda x, *device: self.placed.append(device))

    def get_available_providers(self):
        return [self.provider]

    def InferenceSession(self, graph, options, providers):
        self.asked.append(providers)
        binding = SimpleNamespace(bind_ortvalue_input=lambda name, x: None,
                                  bind_output=lambda name, *device: self.placed.append(device))
        return SimpleNamespace(get_providers=lambda: [self.loaded], io_binding=lambda: binding,
                               get_inputs=lambda: [SimpleNamespace(name='x', shape=(1, 2))])


@pytest.mark.parametrize('backend, where, provider, device', [
    ('onnxruntime', 'cpu', ('CPUExecutionProvider', {}), ('cpu', 0)),
    ('onnxruntime', 'cuda:1', ('CUDAExecutionProvider', dict(device_id=1)), ('cuda', 1)),
    ('tensorrt', 'cuda:0', ('TensorrtExecutionProvider', dict(device_id=0)), ('cuda', 0))])
def test_onnx_runtime_is_told_which_device_and_holds_its_numbers_there(monkeypatch, backend, where, provider, device):
    pytest.importorskip('onnx')
    runtime = FakeRuntime(provider[0], provider[0])
    monkeypatch.setitem(sys.modules, 'onnxruntime', runtime)
    onnx_call(CASES[0][0], 4, 6, replace(Conditions.here(), backend=backend, where=where))
    assert runtime.asked == [[provider]] and runtime.placed == [device, device]


def test_a_provider_that_falls_back_to_the_processor_is_refused(monkeypatch):
    pytest.importorskip('onnx')
    monkeypatch.setitem(sys.modules, 'onnxruntime', FakeRuntime('CUDAExecutionProvider', 'CPUExecutionProvider'))
    with pytest.raises(UserError, match='cannot load CUDAExecutionProvider and would run on CPUExecutionProvider'):
        onnx_call(CASES[0][0], 4, 6, replace(Conditions.here(), backend='onnxruntime', where='cuda:0'))


def test_onnx_runtime_reads_the_input_anew():
    pytest.importorskip('onnxruntime')
    run, renew = onnx_call(Operation('cat', (2, 2)), 3, 3, Conditions.here(backend='onnxruntime'))
    renew()
    assert run().copy_outputs_to_cpu()[0].std() > 0.5


def test_an_operation_nobody_knows():
    with pytest.raises(UserError, match="kind='fft' is unknown"):
        torch_call(Operation('fft', (8, 8)), 4, 4, Conditions.here())
