"""Operations as something that can be called: one layer of given widths with random weights and input."""
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmadasap.errors import UserError
from mmadasap.pruning.operations import Operation

from .conditions import DTYPES, Conditions

Call = tuple[Callable[[], object], Callable[[], object]]
"""What is timed, and what is done before each time: the input is written anew, as the layer before would have done."""

# In place where detectors usually compute in place.
FUNCTIONS = {
    'relu': F.relu_,
    'silu': partial(F.silu, inplace=True),
    'relu6': partial(F.hardtanh_, min_val=0.0, max_val=6.0),
    'leaky_relu': partial(F.leaky_relu_, negative_slope=0.1),
    'hardswish': partial(F.hardswish, inplace=True),
    'hardsigmoid': F.hardsigmoid,
    'gelu': F.gelu,
    'mish': F.mish,
    'elu': F.elu_,
    'sigmoid': torch.sigmoid,
    'mean': partial(F.adaptive_avg_pool2d, output_size=1),
    'cat': torch.clone,
    'add': Tensor.add_,
    'mul': Tensor.mul_,
}


def input_width(operation: Operation, c_in: int, c_out: int) -> int:
    """Channels the operation reads: its own input width, or the one that goes with its output width."""
    if operation.reads_all:
        return c_in
    return c_out // operation.group_outs * operation.group_width if operation.group_width else c_out


def group_count(operation: Operation, c_in: int) -> int:
    """Groups of a convolution of ``c_in`` inputs."""
    return c_in // operation.group_width if operation.group_width else 1


def input_shape(operation: Operation, c_in: int, batch: int) -> tuple[int, ...]:
    """Shape of the input tensor of ``c_in`` channels."""
    if operation.kind == 'linear':
        return (batch, operation.size[0], c_in) if operation.size[0] > 1 else (batch, c_in)
    return batch, c_in, *operation.size


def torch_layer(operation: Operation, c_in: int, c_out: int) -> nn.Module:
    """The operation as a module in eval mode; one of 'add' and 'mul' takes two tensors.

    Raises:
        UserError: A kind of operation nobody knows.
    """
    op = operation
    if op.kind == 'conv':
        return nn.Conv2d(c_in, c_out, op.kernel, op.stride, op.padding, op.dilation, group_count(op, c_in),
                         op.bias)
    if op.kind == 'linear':
        return nn.Linear(c_in, c_out, op.bias)
    if op.kind == 'norm':
        return nn.BatchNorm2d(c_out).eval()
    makers = dict(
        max_pool=lambda: nn.MaxPool2d(op.kernel, op.stride, op.padding),
        avg_pool=lambda: nn.AvgPool2d(op.kernel, op.stride, op.padding),
        upsample=lambda: nn.Upsample(scale_factor=op.stride),
        bilinear=lambda: nn.Upsample(scale_factor=op.stride, mode='bilinear'))
    makers |= {kind: partial(_Plain, function) for kind, function in FUNCTIONS.items()}
    if op.kind not in makers:
        raise UserError(f'operation kind={op.kind!r} is unknown and cannot be measured; choose one of '
                        f'{sorted(["conv", "linear", "norm", *makers])}.')
    return makers[op.kind]()


class _Plain(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Tensor]):
        super().__init__()
        self.function = function

    def forward(self, *tensors: Tensor) -> Tensor:
        """What the function gives."""
        return self.function(*tensors)


def torch_call(operation: Operation, c_in: int, c_out: int, conditions: Conditions) -> Call:
    """The operation on torch, under ``conditions``."""
    dtype, where = DTYPES[conditions.dtype], conditions.where
    form = torch.channels_last if conditions.channels_last else torch.contiguous_format

    def placed(tensor: Tensor) -> Tensor:
        return tensor.to(where, dtype, memory_format=form if tensor.dim() == 4 else torch.contiguous_format)

    layer = torch_layer(operation, c_in, c_out).to(where, dtype, memory_format=form).requires_grad_(False)
    shape = input_shape(operation, c_in, conditions.batch)
    sources = [placed(torch.randn(shape)) for _ in range(2 if operation.kind in ('add', 'mul') else 1)]
    inputs = [torch.empty_like(s) for s in sources]

    @torch.inference_mode()
    def renew() -> None:
        for x, source in zip(inputs, sources):
            x.copy_(source)

    return torch.inference_mode()(lambda: layer(*inputs)), renew
