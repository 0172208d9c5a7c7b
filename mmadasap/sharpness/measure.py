"""How sharp a minimum is: how much the loss rises within a ball around the weights (AdaSAP, Eq. 9)."""
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from mmadasap.errors import UserError

from .perturbation import TensorBackup, global_norm
from .replay import RandomState


@dataclass(frozen=True)
class Sharpness:
    """What was measured.

    Attributes:
        rho: Radius of the ball.
        loss: Mean loss at w over the batches.
        one_step: ``L(w + eps) - L(w)`` with ``eps = rho g / ||g||``, g the gradient over all batches.
        projected: The greatest rise found by projected ascent within the ball (no less than ``one_step``).
    """
    rho: float
    loss: float
    one_step: float
    projected: float

    def to_dict(self) -> dict:
        """For JSON."""
        return asdict(self)


def measure_sharpness(model: nn.Module, losses: list[Callable[[], Tensor]], rho: float, steps: int = 5) -> Sharpness:
    """``max over ||eps|| <= rho of L(w + eps) - L(w)``, from below, with norms' statistics fixed (eval mode).

    Args:
        model: The network; afterwards its weights, gradients' absence, mode and the random state are as before.
        losses: One function for each batch that returns the model's mean loss on it. Every evaluation of a batch draws
            the same random numbers.
        rho: Radius of the ball, above 0, over all trainable weights.
        steps: Steps of projected ascent of length ``rho / 2``, from the point that one full step reaches.

    Raises:
        UserError: ``rho``, ``steps`` or ``losses`` make no measurement, or a loss or its gradient is not finite.
    """
    if not rho > 0 or steps < 0 or not losses:
        raise UserError(f'measure_sharpness: rho={rho} must be above 0, steps={steps} at least 0, and there must be a '
                        f'batch ({len(losses)} were given).')
    weights = [p for p in model.parameters() if p.requires_grad]
    with _frozen_statistics(model), _kept(weights):
        start = [w.detach().clone() for w in weights]
        loss, grads = _loss_and_gradient(weights, losses)
        eps = _to_length(grads, rho)
        rises = []
        for _ in range(steps + 1):
            _move(weights, start, eps)
            there, grads = _loss_and_gradient(weights, losses)
            rises.append(there - loss)
            ascent = _to_length(grads, rho / 2)
            eps = _into_ball([e + a for e, a in zip(eps, ascent)], rho)
    return Sharpness(rho, loss, rises[0], max(rises))


def _loss_and_gradient(weights: list[nn.Parameter], losses: list[Callable[[], Tensor]]) -> tuple[float, list[Tensor]]:
    total, grads = 0.0, [torch.zeros_like(w) for w in weights]
    state = RandomState.capture()
    for loss_of in losses:
        loss = loss_of() / len(losses)
        parts = torch.autograd.grad(loss, weights, allow_unused=True)
        total += loss.item()
        for grad, part in zip(grads, parts):
            if part is not None:
                grad += part
    state.restore()
    if not torch.isfinite(global_norm(grads)) or total != total:
        raise UserError(f'measure_sharpness: the loss ({total}) or its gradient is not finite; measure with a smaller '
                        'rho, or check the checkpoint.')
    return total, grads


def _to_length(tensors: list[Tensor], length: float) -> list[Tensor]:
    norm = global_norm(tensors)
    return [torch.where(norm > 0, t * (length / norm), 0) for t in tensors]


def _into_ball(tensors: list[Tensor], radius: float) -> list[Tensor]:
    return _to_length(tensors, radius) if global_norm(tensors) > radius else tensors


@torch.no_grad()
def _move(weights: list[nn.Parameter], start: list[Tensor], eps: list[Tensor]) -> None:
    for w, s, e in zip(weights, start, eps):
        torch.add(s, e, out=w)


@contextmanager
def _kept(weights: list[nn.Parameter]) -> Iterator[None]:
    backup = TensorBackup()
    backup.save(weights)
    try:
        yield
    finally:
        backup.restore()


@contextmanager
def _frozen_statistics(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
