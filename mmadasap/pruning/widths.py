"""Telling networks of the same architecture but different pruning apart by their weights."""
from torch import Tensor


def width_mismatches(model: dict[str, Tensor], checkpoint: dict[str, Tensor]) -> list[str]:
    """Names of weights whose inputs differ in number between two state dicts.

    Pruning a channel removes an input of the layers that read it, so pruned and dense weights always differ there;
    another number of classes changes outputs alone and is no mismatch.
    """
    return [
        name for name, weight in model.items()
        if name in checkpoint and weight.dim() > 1 and weight.shape[1:] != checkpoint[name].shape[1:]
    ]
