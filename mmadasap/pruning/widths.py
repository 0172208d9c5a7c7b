"""Telling networks of the same architecture but different pruning apart by their weights."""
from typing import Any

from torch import Tensor, nn

from mmadasap.errors import UserError

from .branches import IdentityPath
from .groups import LAYER_TYPES
from .specification import ChannelSpec

# How many weights an error names.
SHOWN = 3


def width_mismatches(model: nn.Module, checkpoint: dict[str, Tensor]) -> list[str]:
    """Names of Conv and Linear weights that read another number of channels in a checkpoint's state dict, or that it
    has for a residual branch that ``model`` has lost.

    Pruning a channel removes an input of the layers that read it, so pruned and dense weights always differ there;
    another number of classes changes outputs alone and is no mismatch.
    """
    weights = {f'{name}.weight': m.weight for name, m in model.named_modules() if isinstance(m, LAYER_TYPES)}
    differing = [
        name for name, weight in weights.items()
        if name in checkpoint and weight.shape[1:] != checkpoint[name].shape[1:]
    ]
    gone = [f'{block}.{layer}.weight' for block, m in model.named_modules() if isinstance(m, IdentityPath)
            for layer in m.gone]
    return differing + [name for name in gone if name in checkpoint]


def branch_mismatches(model: nn.Module, spec: ChannelSpec) -> list[str]:
    """Names of the blocks whose residual branch is gone by ``spec`` and that are whole in ``model``."""
    blocks = dict(model.named_modules())
    return [name for name, entry in spec.items() if 'gone' in entry and not isinstance(blocks.get(name), IdentityPath)]


def describe_mismatches(model: nn.Module, checkpoint: dict[str, Tensor]) -> str:
    """The first few of :func:`width_mismatches` with both shapes; empty where there are none."""
    names, own = width_mismatches(model, checkpoint), model.state_dict()
    if not names:
        return ''
    shown = ', '.join(f'{n} {tuple(checkpoint[n].shape)} in the checkpoint and '
                      f'{tuple(own[n].shape) if n in own else "gone"} in the model' for n in names[:SHOWN])
    return f'{len(names)} weights differ: {shown}'


def refuse_other_widths(model: nn.Module) -> nn.Module:
    """Lets ``model`` refuse a state dict of other widths, whoever loads it; returns ``model``.

    Raises:
        UserError: When such weights are loaded, naming the first few with both shapes.
    """
    model._register_load_state_dict_pre_hook(_refuse, with_module=True)
    return model


def _refuse(model: nn.Module, state: dict[str, Any], prefix: str, *_) -> None:
    differing = describe_mismatches(model, {k.removeprefix(prefix): v for k, v in state.items()})
    if differing:
        raise UserError(f'These are weights of a network of other widths than this pruned one ({differing}); use the '
                        'config that was written with them (slim.py beside a pruned one), or weights of this one.')
