"""Sharpness-aware steps at one pass: reuse the direction that an earlier second pass found (LookSAM)."""
import torch
from torch import Tensor

from .perturbation import global_norm


class ReusedDirection:
    """The part of an earlier second gradient orthogonal to its first (LookSAM, Liu et al., arXiv 2203.02714, Eq. 5-6).

    Between two sharpness-aware steps the gradient g at w becomes ``g + scale ||g|| / ||v|| v``, with v that part.
    Memory: one copy of the gradients, and a second one during the sharpness-aware steps.

    Args:
        scale: LookSAM's alpha.
    """

    def __init__(self, scale: float):
        self.scale = scale
        self.direction: list[Tensor] = []
        self._first: list[Tensor] = []

    def ready_for(self, tensors: list[Tensor]) -> bool:
        """Whether there is a direction of the shapes of ``tensors``."""
        return bool(tensors) and _shapes(tensors) == _shapes(self.direction)

    @torch.no_grad()
    def note_first(self, grads: list[Tensor]) -> None:
        """Copies the gradient at w."""
        self._first = [g.clone() for g in grads]

    @torch.no_grad()
    def note_second(self, grads: list[Tensor]) -> None:
        """From the gradient at w + eps, keeps what is orthogonal to the noted one; both are used up or copied."""
        first, self._first = self._first, []
        if _shapes(first) != _shapes(grads):
            self.direction = []
            return
        share = _dot(grads, first) / _dot(first, first)
        torch._foreach_mul_(first, torch.where(torch.isfinite(share), -share, 0))
        torch._foreach_add_(first, grads)
        self.direction = first

    @torch.no_grad()
    def add_to(self, grads: list[Tensor]) -> Tensor:
        """Adds the direction to the gradient at w, in place; entries without gradient (of pruned channels) stay so.

        Returns:
            Norm of the gradient at w, a scalar.
        """
        live = [torch.where(g == 0, 0, d) for g, d in zip(grads, self.direction)]
        norm = global_norm(grads)
        factor = self.scale * norm / global_norm(live)
        torch._foreach_mul_(live, torch.where(torch.isfinite(factor), factor, 0))
        torch._foreach_add_(grads, live)
        return norm

    def state_dict(self) -> dict:
        """The direction, as plain tensors."""
        return dict(direction=self.direction)

    def load_state_dict(self, state: dict) -> None:
        """Goes on from :meth:`state_dict`."""
        self.direction = list(state['direction'])


def _shapes(tensors: list[Tensor]) -> list[torch.Size]:
    return [t.shape for t in tensors]


def _dot(tensors: list[Tensor], others: list[Tensor]) -> Tensor:
    parts = [torch.linalg.vecdot(a.flatten(), b.flatten()) for a, b in zip(tensors, others)]
    return torch.stack(parts).sum()
