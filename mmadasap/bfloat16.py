"""bfloat16 at the speed of float32, on processors without instructions for it."""
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

PRODUCTS = {
    torch.conv1d, torch.conv2d, torch.conv3d, torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d,
    F.linear
}


def has_bfloat16() -> bool:
    """Whether torch has fast products of bfloat16 on this processor; its others take ten times as long as float32."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


class RoundedProducts(TorchFunctionMode):
    """Within it convolutions and linear layers under autocast multiply in float32 what was rounded to autocast's type.

    Results and gradients are rounded as well, so that numbers are those of instructions for bfloat16, which add up in
    float32, but for the order of the sums.
    """

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        """Calls a function of torch, products of autocast on processors in its own way."""
        kwargs = kwargs or {}
        if func not in PRODUCTS or not torch.is_autocast_enabled('cpu') or _is_unsafe(*args, **kwargs):
            return func(*args, **kwargs)
        dtype = torch.get_autocast_dtype('cpu')
        with torch.autocast('cpu', enabled=False):
            args = [_rounded(value, dtype) for value in args]
            kwargs = {name: _rounded(value, dtype) for name, value in kwargs.items()}
            return func(*args, **kwargs).to(dtype)


def _is_unsafe(input: Tensor, weight: Tensor, *args: Any, **kwargs: Any) -> bool:
    """Whether it is a convolution of 1x1 over fewer than 8 channels.

    With a stride, and channels last, oneDNN's kernel for AVX2 writes past its memory there (torch 2.12.1).
    """
    return weight.dim() > 2 and weight.shape[1] < 8 and weight[0, 0].numel() == 1


def _rounded(value: Any, dtype: torch.dtype) -> Any:
    return value.to(dtype).float() if isinstance(value, Tensor) else value
