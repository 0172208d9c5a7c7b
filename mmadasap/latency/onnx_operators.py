"""Operations on ONNX Runtime: graphs of one node."""
from collections.abc import Callable

import numpy as np

from mmadasap.errors import UserError
from mmadasap.pruning.operations import Operation

from .conditions import Conditions
from .operators import Call, group_count, input_shape

OPSET = 17
# Activations that are the input times a function of it.
GATES = dict(silu=('Sigmoid', ), gelu=('Erf', ), mish=('Softplus', 'Tanh'))
RESIZES = dict(upsample='nearest', bilinear='linear')
PROVIDERS = {
    'onnxruntime': {'cpu': 'CPUExecutionProvider', 'cuda': 'CUDAExecutionProvider'},
    'tensorrt': {'cuda': 'TensorrtExecutionProvider'},
}


def onnx_call(operation: Operation, c_in: int, c_out: int, conditions: Conditions) -> Call:
    """The operation on ONNX Runtime, under ``conditions``; TensorRT is one of its providers.

    Raises:
        UserError: ONNX Runtime, its provider for the device, or the number format is not there, or the provider cannot
            be loaded.
    """
    runtime, provider = _runtime(conditions)
    dtype = np.dtype(conditions.dtype)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = conditions.threads
    graph = _graph(operation, c_in, c_out, conditions.batch, dtype)
    device, _, number = conditions.where.partition(':')
    session = runtime.InferenceSession(
        graph, options, providers=[(provider, {'device_id': int(number)} if number else {})])
    if session.get_providers()[0] != provider:
        raise UserError(f'ONNX Runtime cannot load {provider} and would run on {session.get_providers()[0]} instead; '
                        'install the libraries that its warning above names.')
    numbers = np.random.default_rng(0)
    sources = {i.name: numbers.standard_normal(i.shape).astype(dtype) for i in session.get_inputs()}
    # On the device, as between the layers of a network: no way from or to the host is timed.
    inputs = {name: runtime.OrtValue.ortvalue_from_numpy(x.copy(), device, int(number or 0))
              for name, x in sources.items()}
    return _bound(session, inputs, device, int(number or 0)), lambda: _renew(inputs, sources)


def _bound(session, inputs: dict, device: str, number: int) -> Callable[[], object]:
    """Runs the session from ``inputs`` into memory of the device; returns the binding that holds the output."""
    binding = session.io_binding()
    for name, x in inputs.items():
        binding.bind_ortvalue_input(name, x)
    binding.bind_output('out', device, number)

    def call():
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return binding

    return call


def _renew(inputs: dict, sources: dict[str, np.ndarray]) -> None:
    for name, x in inputs.items():
        x.update_inplace(sources[name])


def check_backend(conditions: Conditions) -> None:
    """Refuses what this machine cannot measure, before anything is.

    Raises:
        UserError: Naming what is missing.
    """
    if conditions.backend != 'torch':
        _runtime(conditions)


def _runtime(conditions: Conditions):
    backend, where = conditions.backend, conditions.where.partition(':')[0]
    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError as error:
        raise UserError(f"--backend {backend} needs {error.name}; pip install 'mmadasap[export]'.") from None
    provider = PROVIDERS[backend].get(where)
    if provider not in onnxruntime.get_available_providers():
        raise UserError(f'--backend {backend} on {where} needs ONNX Runtime with {provider or "a CUDA device"}; this '
                        f'one offers {", ".join(onnxruntime.get_available_providers())}.')
    if conditions.dtype == 'bfloat16' or conditions.channels_last:
        raise UserError(f'--backend {backend} takes float32 or float16 in its own memory format, not '
                        f'dtype={conditions.dtype} with channels_last={conditions.channels_last}.')
    return onnxruntime, provider


def _graph(operation: Operation, c_in: int, c_out: int, batch: int, dtype: np.dtype) -> bytes:
    from onnx import helper, numpy_helper
    kind, weights = helper.np_dtype_to_tensor_dtype(dtype), _weights(operation, c_in, c_out)
    shape = input_shape(operation, c_in, batch)
    inputs = ['x', 'y'] if operation.kind in ('add', 'mul') else ['x']
    nodes = _nodes(operation, [*inputs, *weights], group_count(operation, c_in), helper.make_node)
    graph = helper.make_graph(
        nodes, operation.kind, [helper.make_tensor_value_info(name, kind, shape) for name in inputs],
        [helper.make_tensor_value_info('out', kind, None)],
        [numpy_helper.from_array(w.astype(dtype), name) for name, w in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', OPSET)], ir_version=8)
    return model.SerializeToString()


def _weights(operation: Operation, c_in: int, c_out: int) -> dict[str, np.ndarray]:
    numbers = np.random.default_rng(0)
    if operation.kind == 'conv':
        found = dict(weight=numbers.standard_normal((c_out, operation.group_width or c_in, *operation.kernel)))
    elif operation.kind == 'linear':
        found = dict(weight=numbers.standard_normal((c_in, c_out)))
    else:
        return {}
    return found | (dict(bias=np.zeros(c_out)) if operation.bias else {})


def _nodes(operation: Operation, names: list[str], groups: int, node: Callable) -> list:
    op = operation
    pads = [*op.padding, *op.padding]
    pool = dict(kernel_shape=op.kernel, strides=op.stride, pads=pads)
    if op.kind == 'linear':
        product = node('MatMul', names[:2], ['out' if not op.bias else 'product'])
        return [product, node('Add', ['product', names[2]], ['out'])] if op.bias else [product]
    if op.kind in GATES:
        steps = GATES[op.kind]
        ends = [*names, *steps]
        return [*(node(step, [end], [step]) for step, end in zip(steps, ends)),
                node('Mul', [*names, ends[-1]], ['out'])]
    if op.kind in RESIZES:
        scales = node('Constant', [], ['scales'], value_floats=[1.0, 1.0, *map(float, op.stride)])
        return [scales, node('Resize', [*names, '', 'scales'], ['out'], mode=RESIZES[op.kind])]
    single = dict(
        conv=('Conv', dict(strides=op.stride, pads=pads, dilations=op.dilation, group=groups)),
        max_pool=('MaxPool', pool), avg_pool=('AveragePool', pool), mean=('GlobalAveragePool', {}),
        hardswish=('HardSwish', {}), hardsigmoid=('HardSigmoid', {}), elu=('Elu', {}), cat=('Concat', dict(axis=1)),
        add=('Add', {}), mul=('Mul', {}))
    if op.kind not in single:
        raise UserError(f'operation kind={op.kind!r} cannot be measured on ONNX Runtime.')
    name, attributes = single[op.kind]
    return [node(name, names, ['out'], **attributes)]
