"""Flatness at the price of a forward pass: stay near what an averaged copy of the network predicts (MESA)."""
from typing import Union

import torch
from torch import Tensor
from torch.nn import functional


def score_rows(scores: Union[Tensor, list[Tensor], tuple[Tensor, ...]], classes: int) -> Tensor:
    """Scores as one row a prediction, shape (rows, classes).

    Args:
        scores: A classifier's (N, classes), or a dense head's maps (N, anchors * classes, H, W), one or one a level.
        classes: Entries of a row.
    """
    if isinstance(scores, (list, tuple)):
        return torch.cat([score_rows(level, classes) for level in scores])
    if scores.dim() == 4:
        scores = scores.permute(0, 2, 3, 1)
    return scores.reshape(-1, classes)


def trajectory_loss(now: Tensor, averaged: Tensor, temperature: float, sigmoid: bool) -> Tensor:
    """``KL(averaged || now)`` of predictions at a temperature, mean over rows (Du et al., arXiv 2205.14083, MESA).

    Args:
        now: Scores of the network, shape (rows, classes).
        averaged: Those of its averaged copy; no gradient flows into them.
        temperature: Divides both.
        sigmoid: Each score is a probability of its own (as under focal loss) instead of a softmax over the row.
    """
    now, averaged = now.float() / temperature, averaged.detach().float() / temperature
    if sigmoid:
        target = averaged.sigmoid()
        entropy = functional.binary_cross_entropy_with_logits(averaged, target, reduction='none')
        return (functional.binary_cross_entropy_with_logits(now, target, reduction='none') - entropy).sum(1).mean()
    return functional.kl_div(
        now.log_softmax(1), averaged.log_softmax(1), reduction='batchmean', log_target=True)
