"""bfloat16 at the speed of float32, on processors where torch has no fast products of it."""
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

PRODUCTS = ('conv1d', 'conv2d', 'conv3d', 'conv_transpose1d', 'conv_transpose2d', 'conv_transpose3d', 'linear')
# Autocast leaves others as they are.
CAST = (torch.float32, torch.float16, torch.bfloat16)


def has_bfloat16() -> bool:
    """Whether torch has fast products of bfloat16 on this processor; its others take ten times as long as float32."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


@contextmanager
def rounded_products() -> Iterator[None]:
    """Within it ``F.linear`` and convolutions under autocast multiply in float32 what was rounded to autocast's type.

    Results and gradients are rounded as well, so that numbers are those of instructions for bfloat16, which add up in
    float32, but for the order of the sums (gradients of a shared weight are added before they are rounded). It holds
    for the whole process, and for what is computed again in the backward pass if that is within it, too.
    """
    plain = {name: getattr(F, name) for name in PRODUCTS}
    for name, function in plain.items():
        setattr(F, name, _rounding(function))
    try:
        yield
    finally:
        for name, function in plain.items():
            setattr(F, name, function)


def _rounding(function: Callable[..., Tensor]) -> Callable[..., Tensor]:

    def call(input: Tensor, weight: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        is_cast = torch.is_autocast_enabled('cpu') and input.dtype in CAST and weight.dtype in CAST
        if not is_cast or _is_unsafe(weight):
            return function(input, weight, *args, **kwargs)
        dtype = torch.get_autocast_dtype('cpu')
        with torch.autocast('cpu', enabled=False):
            values = [_rounded(value, dtype) for value in (input, weight, *args)]
            return function(*values, **{name: _rounded(value, dtype) for name, value in kwargs.items()}).to(dtype)

    return call


def _rounded(value: Any, dtype: torch.dtype) -> Any:
    return value.to(dtype).float() if isinstance(value, Tensor) else value


def _is_unsafe(weight: Tensor) -> bool:
    """Whether it is of a convolution of 1x1 over fewer than 8 channels, which is left to torch's own loop.

    With a stride, and channels last, oneDNN's kernel for AVX2 writes past its memory there (torch 2.12.1).
    """
    return weight.dim() > 2 and min(weight.shape[:2]) < 8 and weight[0, 0].numel() == 1
