"""What a layer makes a device compute, apart from its widths: the unit latency is measured in."""
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmadasap.errors import UserError, build_from, check_types

from .graph import LAYER_TYPES, flatten_tensors, items_an_image, traceable, written_width

# Autograd's names of what runs between layers.
FOLLOWING = {
    'ReluBackward0': 'relu',
    'SiluBackward0': 'silu',
    'HardtanhBackward0': 'relu6',
    'LeakyReluBackward0': 'leaky_relu',
    'HardswishBackward0': 'hardswish',
    'HardsigmoidBackward0': 'hardsigmoid',
    'GeluBackward0': 'gelu',
    'MishBackward0': 'mish',
    'EluBackward0': 'elu',
    'SigmoidBackward0': 'sigmoid',
    'AddBackward0': 'add',
    'MulBackward0': 'mul',
    'CatBackward0': 'cat',
    'MaxPool2DWithIndicesBackward0': 'max_pool',
    'AvgPool2DBackward0': 'avg_pool',
    'MeanBackward1': 'mean',
    'UpsampleNearest2DBackward0': 'upsample',
    'UpsampleBilinear2DBackward0': 'bilinear',
}
POOLS = ('max_pool', 'avg_pool')
UPSAMPLINGS = ('upsample', 'bilinear')
# These have an input of another size than what they give.
RESIZING = (*POOLS, *UPSAMPLINGS, 'mean')


@dataclass(frozen=True, order=True)
class Operation:
    """One call of a layer, or of what follows it, without its widths.

    Attributes:
        kind: 'conv', 'linear', 'norm', or one of the values of :data:`FOLLOWING`.
        size: (H, W) of the input; (1, 1) for a Linear on vectors. Regions of one image stand below each other in it.
        kernel, stride, padding, dilation: Of a convolution or pooling.
        group_width, group_outs: Input and output channels of each group of a grouped convolution; 0 for any other.
        bias: Whether there is a learned bias.
    """
    kind: str
    size: tuple[int, int]
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    group_width: int = 0
    group_outs: int = 0
    bias: bool = False

    @property
    def reads_all(self) -> bool:
        """Whether the input width is a quantity of its own; else it goes with the output width."""
        return self.kind in ('conv', 'linear') and not self.group_width

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> 'Operation':
        """From ``dataclasses.asdict``, also after a way through JSON, which knows no tuples.

        Raises:
            UserError: Keys or values that are not those of an operation.
        """
        if not isinstance(data, dict):
            raise UserError(f'operation={data!r} must be a dict.')
        operation = build_from(
            cls, 'operation', {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()})
        check_types(operation)
        return operation

    def __str__(self) -> str:
        shape = 'x'.join(map(str, self.kernel))
        return f'{self.kind} {shape} stride {self.stride[0]} on {self.size[0]}x{self.size[1]}'


def trace_operations(model: nn.Module, example: Tensor, forward: Callable[[nn.Module, Tensor],
                                                                          Any]) -> dict[str, tuple[Operation, ...]]:
    """What one forward pass computes for each Conv2d, Linear and batch norm: the calls of the layer itself, and the
    activations, poolings, sums and concatenations between it and the next layer, which run at its output width.

    The model is left as it was. Anything else (reshaping, decoding of boxes) belongs to no layer.
    """
    layers = {m: name for name, m in model.named_modules() if isinstance(m, (*LAYER_TYPES, _BatchNorm))}
    found: dict[str, list[Operation]] = {}
    producer_of: dict[Any, str] = {}
    ends = []

    def note(module, inputs, output):
        x = inputs[0]
        operation = _own_operation(module, x, output, items_an_image(len(x), example))
        found.setdefault(layers[module], []).append(operation)
        producer_of[output.grad_fn] = layers[module]
        ends.append(x.grad_fn)

    handles = [m.register_forward_hook(note) for m in layers]
    try:
        with traceable(model):
            outputs = flatten_tensors(forward(model, example))
            ends += [t.grad_fn for t in outputs]
            for node in _between(ends, producer_of):
                _attach(node, producer_of, model, found, example)
    finally:
        for handle in handles:
            handle.remove()
    return {name: tuple(operations) for name, operations in found.items()}


def _own_operation(module: nn.Module, x: Tensor, output: Tensor, items: int) -> Operation:
    size = _size(x.shape, items)
    if isinstance(module, nn.Conv2d):
        groups = (module.in_channels // module.groups, module.out_channels // module.groups)
        return Operation('conv', size, module.kernel_size, module.stride, _padding(module, x, output), module.dilation,
                         *(groups if module.groups > 1 else (0, 0)), module.bias is not None)
    if isinstance(module, nn.Linear):
        return Operation('linear', (items * x[0].numel() // x.shape[-1], 1), bias=module.bias is not None)
    return Operation('norm', size)


def _padding(conv: nn.Conv2d, x: Tensor, output: Tensor) -> tuple[int, int]:
    """The padding on either side with which the output has its size: some convolutions pad within their forward call,
    as mmcv's Conv2dAdaptivePadding.
    """
    padding = conv.padding
    if isinstance(padding, str):
        padding = tuple(d * (k - 1) // 2 if padding == 'same' else 0 for d, k in zip(conv.dilation, conv.kernel_size))
    reach = [d * (k - 1) + 1 for d, k in zip(conv.dilation, conv.kernel_size)]
    sides = tuple(zip(x.shape[2:], output.shape[2:], reach, conv.stride))
    if all((in_ + 2 * p - r) // s + 1 == out for p, (in_, out, r, s) in zip(padding, sides)):
        return tuple(padding)
    return tuple(-(-max((out - 1) * s + r - in_, 0) // 2) for in_, out, r, s in sides)


def _size(shape: Sequence[int], items: int, last: bool = False) -> tuple[int, int]:
    """(H, W) of maps or vectors of this shape, with the items of one image below each other.

    Args:
        shape: Channels are second,
        items: An image.
        last: or last, as a Linear has them: all positions are below each other then.
    """
    if last:
        return items * math.prod(shape[1:-1]), 1
    height, width = shape[2:4] if len(shape) == 4 else (1, 1)
    return items * height, width


def _between(ends: list, producer_of: dict) -> Iterator[Any]:
    """Every node of the autograd graph above the layers that lead to ``ends``, once."""
    stack, seen = list(ends), set()
    while stack:
        node = stack.pop()
        if node is None or node in seen or node in producer_of:
            continue
        seen.add(node)
        yield node
        stack += [parent for parent, _ in node.next_functions]


def _attach(node: Any, producer_of: dict, model: nn.Module, found: dict[str, list[Operation]],
            example: Tensor) -> None:
    """Gives what ``node`` computes to the layer whose channels it runs over, or to all whose channels it joins."""
    kind = FOLLOWING.get(node.name())
    shape = tuple(node._input_metadata[0].shape)
    is_between_tensors = kind not in ('add', 'mul') or all(parent is not None for parent, _ in node.next_functions)
    if kind is None or len(shape) < 2 or not is_between_tensors:
        return
    names = _sources(node, producer_of, list(found), {})
    layers = [model.get_submodule(name) for name in names]
    last = len(shape) > 2 and any(isinstance(layer, nn.Linear) for layer in layers)
    if sum(map(written_width, layers)) == shape[-1 if last else 1] and not (last and kind in RESIZING):
        for name in dict.fromkeys(names):
            found[name].append(_following_operation(node, kind, shape, items_an_image(shape[0], example), last))


def _sources(node: Any, producer_of: dict, order: list[str], known: dict) -> list[str]:
    """Names of the layers whose channels stand side by side in what ``node`` gives; of those summed, the last to run.

    Args:
        node: Of the autograd graph; None for what has no gradient.
        producer_of: Nodes of the layers.
        order: The layers as they run.
        known: Filled with what is found.
    """
    if node is None or node in producer_of:
        return [] if node is None else [producer_of[node]]
    if node not in known:
        parents = [_sources(parent, producer_of, order, known) for parent, _ in node.next_functions]
        if node.name() == 'CatBackward0':
            known[node] = [name for names in parents for name in names]
        else:
            known[node] = max(parents, key=lambda names: max(map(order.index, names), default=-1), default=[])
    return known[node]


def _following_operation(node: Any, kind: str, shape: tuple[int, ...], items: int, last: bool) -> Operation:
    source = node.next_functions[0][0]._input_metadata[0].shape if kind in RESIZING else shape
    size = _size(source, items, last)
    if kind in POOLS:
        kernel = tuple(node._saved_kernel_size)
        return Operation(kind, size, kernel, tuple(node._saved_stride) or kernel, tuple(node._saved_padding))
    if kind in UPSAMPLINGS:
        # Of 10 positions to 19: rather twice as many than none more.
        return Operation(kind, size, stride=(-(-shape[2] // source[2]), -(-shape[3] // source[3])))
    return Operation(kind, size)
