"""Telling networks of the same architecture but different pruning apart by their weights."""
from torch import Tensor, nn

from .groups import LAYER_TYPES


def width_mismatches(model: nn.Module, checkpoint: dict[str, Tensor]) -> list[str]:
    """Names of Conv and Linear weights that read another number of channels in a checkpoint's state dict.

    Pruning a channel removes an input of the layers that read it, so pruned and dense weights always differ there;
    another number of classes changes outputs alone and is no mismatch.
    """
    weights = {f'{name}.weight': m.weight for name, m in model.named_modules() if isinstance(m, LAYER_TYPES)}
    return [
        name for name, weight in weights.items()
        if name in checkpoint and weight.shape[1:] != checkpoint[name].shape[1:]
    ]
