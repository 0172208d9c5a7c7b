"""Sharpness-aware steps at one pass: reuse the direction that an earlier second pass found (LookSAM)."""
import torch
from torch import Tensor

from .perturbation import global_norm

# Which tensor of the network -> its gradient.
Gradients = dict[int, Tensor]


class ReusedDirection:
    """The part of an earlier second gradient orthogonal to its first (LookSAM, Liu et al., arXiv 2203.02714, Eq. 5-6).

    Between two sharpness-aware steps the gradient g at w becomes ``g + scale ||g|| / ||v|| v``, with v that part.
    Memory: one copy of the gradients, and a second one during the sharpness-aware steps.

    Args:
        scale: LookSAM's alpha.
    """

    def __init__(self, scale: float):
        self.scale = scale
        self.direction: Gradients = {}
        self._first: Gradients = {}

    def ready_for(self, grads: Gradients) -> bool:
        """Whether there is a direction of these very tensors and their shapes."""
        return bool(grads) and _shapes(grads) == _shapes(self.direction)

    @torch.no_grad()
    def note_first(self, grads: Gradients) -> None:
        """Copies the gradient at w."""
        self._first = {key: g.clone() for key, g in grads.items()}

    @torch.no_grad()
    def note_second(self, grads: Gradients) -> None:
        """From the gradient at w + eps, keeps what is orthogonal to the noted one; both are used up or copied."""
        first, self._first, self.direction = self._first, {}, {}
        if _shapes(first) != _shapes(grads):
            return
        parts, others = list(first.values()), list(grads.values())
        share = _dot(others, parts) / _dot(parts, parts)
        torch._foreach_mul_(parts, torch.where(torch.isfinite(share), -share, 0))
        torch._foreach_add_(parts, others)
        self.direction = first

    @torch.no_grad()
    def add_to(self, grads: Gradients) -> Tensor:
        """Adds the direction to the gradient at w, in place; entries without gradient (of pruned channels) stay so.

        Returns:
            Norm of the gradient at w, a scalar.
        """
        tensors = list(grads.values())
        live = [torch.where(g == 0, 0, self.direction[key]) for key, g in grads.items()]
        norm = global_norm(tensors)
        factor = self.scale * norm / global_norm(live)
        torch._foreach_mul_(live, torch.where(torch.isfinite(factor), factor, 0))
        torch._foreach_add_(tensors, live)
        return norm

    def state_dict(self) -> dict:
        """The direction, as plain tensors."""
        return dict(direction=self.direction)

    def load_state_dict(self, state: dict) -> None:
        """Goes on from :meth:`state_dict`, or from the list that earlier versions wrote."""
        direction = state['direction']
        self.direction = dict(direction if isinstance(direction, dict) else enumerate(direction))


def _shapes(grads: Gradients) -> dict[int, torch.Size]:
    return {key: g.shape for key, g in grads.items()}


def _dot(tensors: list[Tensor], others: list[Tensor]) -> Tensor:
    parts = [torch.linalg.vecdot(a.flatten(), b.flatten()) for a, b in zip(tensors, others)]
    return torch.stack(parts).sum()
