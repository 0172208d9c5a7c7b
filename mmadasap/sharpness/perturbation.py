"""Climb to w + eps and come back to w (AdaSAP, Eq. 5-6 with Eq. 5's denominator)."""
from typing import Optional

import torch
from torch import Tensor, nn

from .neurons import Neurons
from .radius import Radius


class TensorBackup:
    """One reusable copy of a list of tensors; memory is taken once for the same shapes."""

    def __init__(self):
        self._tensors: list[Tensor] = []
        self._copies: list[Tensor] = []

    @torch.no_grad()
    def save(self, tensors: list[Tensor]) -> None:
        """Copies the values of ``tensors``."""
        self._tensors = tensors
        fits = len(tensors) == len(self._copies) and all(
            t.shape == c.shape and t.dtype == c.dtype and t.device == c.device
            for t, c in zip(tensors, self._copies))
        if not fits:
            self._copies = [t.detach().clone() for t in tensors]
        elif tensors:
            torch._foreach_copy_(self._copies, tensors)

    @torch.no_grad()
    def restore(self) -> None:
        """Copies the saved values back, bit for bit."""
        if self._tensors:
            torch._foreach_copy_(self._tensors, self._copies)


def scale_gradients(neurons: Neurons, eta: Optional[float]) -> tuple[list[Tensor], Optional[list[Tensor]]]:
    """``T g`` for every tensor of ``neurons``, and T.

    Args:
        neurons: Tensors that all have a gradient.
        eta: ASAM's eta, with ``T = |w| + eta`` on weights and 1 on biases; None is SAM, ``T = 1`` everywhere.

    Returns:
        ``T g`` in the order of ``neurons.tensors()`` (for SAM the gradients themselves), and T (None for SAM).
    """
    tensors = neurons.tensors()
    grads = [t.grad for t in tensors]
    if eta is None:
        return grads, None
    scales = [torch.ones_like(t) if bias else t.detach().abs().add_(eta)
              for t, bias in zip(tensors, neurons.bias_flags())]
    return list(torch._foreach_mul(grads, scales)), scales


def global_norm(tensors: list[Tensor]) -> Tensor:
    """L2 norm of all tensors together, a scalar; not finite if any entry is not."""
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))


def perturbation(neurons: Neurons, scaled: list[Tensor], scales: Optional[list[Tensor]], norm: Tensor,
                 radii: tuple[list[Radius], Radius], norm_scope: str) -> list[Tensor]:
    """``eps = rho T^2 g / ||T g||`` for every tensor; a zero gradient gives zero. Overwrites ``scaled``.

    Args:
        neurons: Tensors that all have a gradient.
        scaled: ``T g``, and ``scales``: T, from :func:`scale_gradients`.
        norm: ``||T g||`` over all of them.
        radii: Radii of each layer's neurons and of the other tensors, from a radius policy.
        norm_scope: 'global' divides by ``norm``, so that a constant radius is SAM or ASAM exactly; 'neuron' divides
            each neuron by its own norm (Eq. 6 to the letter).
    """
    factors = _factors(neurons, scaled, norm, radii, norm_scope)
    torch._foreach_mul_(scaled, factors)
    if scales is not None:
        torch._foreach_mul_(scaled, scales)
    return scaled


def _factors(neurons, scaled, norm, radii, norm_scope) -> list[Tensor]:
    layer_radii, other_radius = radii
    parts = iter(scaled)
    factors = []
    for layer, radius in zip(neurons.layers, layer_radii):
        own = [next(parts) for _ in range(1 + len(layer.vectors))]
        factor = _divide(radius, norm if norm_scope == 'global' else _neuron_norms(own))
        factors += [_along_rows(factor, t) for t in own]
    factors += [_divide(other_radius, norm if norm_scope == 'global' else torch.linalg.vector_norm(t)) for t in parts]
    return factors


def _neuron_norms(own: list[Tensor]) -> Tensor:
    squares = own[0].flatten(1).square().sum(1)
    for vector in own[1:]:
        squares = squares + vector.square()
    return squares.sqrt()


def _divide(radius: Radius, norm: Tensor) -> Tensor:
    return torch.where(norm > 0, radius / norm, 0)


def _along_rows(factor: Tensor, tensor: Tensor) -> Tensor:
    return factor if factor.dim() == 0 else factor.view(-1, *[1] * (tensor.dim() - 1))


@torch.no_grad()
def climb(tensors: list[nn.Parameter], eps: list[Tensor], backup: TensorBackup) -> None:
    """Moves ``tensors`` from w to w + eps; ``backup.restore()`` returns to w."""
    backup.save(tensors)
    torch._foreach_add_(tensors, eps)
