"""Arithmetic over lists of tensors into memory that is there: one foreach kernel for all of them on a device, and on a
processor, where kernels cost nothing to start and memory traffic is what counts, one fused pass over each tensor."""
from typing import Optional

import torch
from torch import Tensor


def on_device(tensors: list[Tensor]) -> bool:
    """Whether the tensors lie on an accelerator."""
    return bool(tensors) and tensors[0].device.type != 'cpu'


def scale(scales: list[Tensor], weights: list[Tensor], grads: list[Tensor], eta: Optional[float]) -> None:
    """``scales = |weights| + eta`` and ``grads *= scales``."""
    if on_device(weights):
        torch._foreach_copy_(scales, weights)
        torch._foreach_abs_(scales)
        torch._foreach_add_(scales, eta)
        torch._foreach_mul_(grads, scales)
        return
    for s, w, g in zip(scales, weights, grads):
        torch.abs(w, out=s)
        s.add_(eta)
        g.mul_(s)


def multiply(scales: list[Tensor], weights: list[Tensor], grads: list[Tensor]) -> None:
    """``grads *= scales``."""
    if grads:
        torch._foreach_mul_(grads, scales)


def add(out: list[Tensor], weights: list[Tensor], grads: list[Tensor], factor: float) -> None:
    """``out = weights + factor * grads``."""
    if on_device(weights):
        torch._foreach_copy_(out, weights)
        torch._foreach_add_(out, grads, alpha=factor)
        return
    for o, w, g in zip(out, weights, grads):
        torch.add(w, g, alpha=factor, out=o)


def add_scaled(out: list[Tensor], weights: list[Tensor], grads: list[Tensor], factors: list[Tensor]) -> None:
    """``out = weights + factors * grads``, each factor broadcast along its tensor."""
    if on_device(weights):
        torch._foreach_copy_(out, weights)
        torch._foreach_addcmul_(out, grads, factors)
        return
    for o, w, g, f in zip(out, weights, grads, factors):
        torch.addcmul(w, g, f, out=o)


def add_in_scales(scales: list[Tensor], weights: list[Tensor], grads: list[Tensor], factor: float) -> None:
    """``scales = weights + factor * scales * grads``; ``grads`` are used up."""
    if on_device(weights):
        torch._foreach_mul_(grads, scales)
        add(scales, weights, grads, factor)
        return
    for s, w, g in zip(scales, weights, grads):
        torch.addcmul(w, s, g, value=factor, out=s)
