"""Climb to w + eps and come back to w (AdaSAP, Eq. 5-6 with Eq. 5's denominator)."""
from typing import Optional, Union

import torch
from torch import Tensor, nn

from . import kernels
from .neurons import NeuronLayer, Neurons, row_norms
from .radius import Radius


def fits(tensors: list[Tensor], others: list[Tensor]) -> bool:
    """Whether two lists of tensors agree in length, shapes, dtypes, devices and memory layout."""
    return len(tensors) == len(others) and all(
        t.shape == o.shape and t.dtype == o.dtype and t.device == o.device and t.stride() == o.stride()
        for t, o in zip(tensors, others))


class TensorBackup:
    """One reusable copy of a list of tensors; memory is taken once for the same shapes."""

    def __init__(self):
        self._tensors: list[Tensor] = []
        self._copies: list[Tensor] = []

    @torch.no_grad()
    def save(self, tensors: list[Tensor]) -> None:
        """Copies the values of ``tensors``."""
        self._tensors = tensors
        if not fits(tensors, self._copies):
            self._copies = [t.detach().clone() for t in tensors]
        elif tensors:
            torch._foreach_copy_(self._copies, tensors)

    @torch.no_grad()
    def restore(self) -> None:
        """Copies the saved values back, bit for bit."""
        if self._tensors:
            torch._foreach_copy_(self._tensors, self._copies)


def global_norm(tensors: list[Tensor]) -> Tensor:
    """L2 norm of all tensors together, a scalar; not finite if any entry is not, or if there are none."""
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors))) if tensors else torch.tensor(torch.nan)


def read_numbers(*tensors: Tensor) -> list[float]:
    """The entries of all tensors, brought to the host together: one synchronisation with the device."""
    return torch.cat([t.reshape(-1) for t in tensors]).tolist()


class Perturbation:
    """Takes weights from w to ``w + eps``, ``eps = rho T^2 g / ||T g||``, and back, with memory for one copy of them.

    w + eps is written beside w and the parameters are pointed at it; coming back points them at w again, untouched.

    Args:
        eta: ASAM's eta, with ``T = |w| + eta`` on weights and 1 on biases; None is SAM, ``T = 1`` everywhere.
        norm_scope: 'global' divides by the norm over all tensors, so that a constant radius is SAM or ASAM exactly;
            'neuron' divides each neuron by its own norm (Eq. 6 to the letter).
    """

    def __init__(self, eta: Optional[float], norm_scope: str):
        self.eta, self.norm_scope = eta, norm_scope
        self._beside: list[Tensor] = []
        self._climbed: list[nn.Parameter] = []

    @torch.no_grad()
    def norm(self, neurons: Neurons) -> Tensor:
        """``||T g||`` over tensors that all have a gradient, a scalar; overwrites the gradients with ``T g``."""
        tensors = neurons.tensors()
        if not fits(tensors, self._beside):
            self._beside = [torch.empty_like(t) for t in tensors]
        kernels.scale(*self._rows(neurons, scaled=True), self.eta)
        return global_norm([t.grad for t in tensors])

    @torch.no_grad()
    def climb(self, neurons: Neurons, radii: tuple[list[Radius], Radius], norm: float) -> None:
        """Moves the weights to w + eps; a zero gradient moves nothing.

        Args:
            neurons: What :meth:`norm` was just called with; its gradients are used up.
            radii: Radii of each layer's neurons and of the other tensors, from a radius policy.
            norm: The finite number :meth:`norm` returned.
        """
        factors = self._factors(neurons, radii, norm)
        if isinstance(factors, float):
            kernels.add_in_scales(*self._rows(neurons, scaled=True), factors)
            kernels.add(*self._rows(neurons, scaled=False), factors)
        else:
            kernels.multiply(*self._rows(neurons, scaled=True))
            tensors = neurons.tensors()
            kernels.add_scaled(self._beside, tensors, [t.grad for t in tensors], factors)
        self._climbed = neurons.tensors()
        self._swap()

    def come_back(self) -> None:
        """Returns the weights to w, bit for bit; does nothing where they are already."""
        self._swap()
        self._climbed = []

    def _swap(self) -> None:
        for i, tensor in enumerate(self._climbed):
            tensor.data, self._beside[i] = self._beside[i], tensor.data

    def _rows(self, neurons: Neurons, scaled: bool) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """The memory beside them, tensors and gradients, of what T scales (ASAM: all but biases) or of the rest."""
        rows = [(beside, t, t.grad) for beside, t, bias in zip(self._beside, neurons.tensors(), neurons.bias_flags())
                if (self.eta is not None and not bias) == scaled]
        return tuple(map(list, zip(*rows))) or ([], [], [])

    def _factors(self, neurons: Neurons, radii: tuple[list[Radius], Radius],
                 norm: float) -> Union[float, list[Tensor]]:
        """``rho / ||T g||`` for each tensor, shaped to multiply it; one number where it is the same for all."""
        layer_radii, other_radius = radii
        if self.norm_scope == 'neuron':
            layer_norms = [_neuron_norms(layer) for layer in neurons.layers]
            other_norms = [torch.linalg.vector_norm(t.grad) for t in neurons.others]
        elif isinstance(other_radius, float):
            return other_radius / norm if norm > 0 else 0.0
        else:
            layer_norms, other_norms = [norm] * len(layer_radii), [norm] * len(neurons.others)
        factors = []
        for layer, radius, own_norm in zip(neurons.layers, layer_radii, layer_norms):
            factor = _divide(radius, own_norm)
            factors += [_along_rows(factor, t) for t in (layer.weight, *layer.vectors)]
        return factors + [_divide(other_radius, own_norm) for own_norm in other_norms]


def _neuron_norms(layer: NeuronLayer) -> Tensor:
    squares = row_norms(layer.weight.grad).square()
    for vector in layer.vectors:
        squares = squares + vector.grad.square()
    return squares.sqrt()


def _divide(radius: Radius, norm: Union[float, Tensor]) -> Tensor:
    if isinstance(norm, float):
        return radius / norm if norm > 0 else torch.zeros_like(radius)
    return torch.where(norm > 0, radius / norm, 0)


def _along_rows(factor: Tensor, tensor: Tensor) -> Tensor:
    return factor if factor.dim() == 0 else factor.view(-1, *[1] * (tensor.dim() - 1))
