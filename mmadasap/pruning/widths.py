"""Telling networks of the same architecture but different pruning apart by their weights."""
from collections.abc import Iterable
from functools import partial
from typing import Any

from torch import Tensor, nn

from mmadasap.errors import UserError

from .branches import IdentityPath
from .graph import LAYER_TYPES
from .specification import OUTPUT_WIDTHS, ChannelSpec

# How many weights an error names.
SHOWN = 3
# What a specification calls the rows of a weight.
WRITTEN_WIDTHS = {*OUTPUT_WIDTHS, 'num_features'}


def width_mismatches(model: nn.Module, checkpoint: dict[str, Tensor], rows: Iterable[str] = ()) -> list[str]:
    """Names of Conv and Linear weights that read another number of channels in a checkpoint's state dict, or that it
    has for a residual branch that ``model`` has lost; and those of ``rows`` that have another number of rows.

    Pruning a channel removes an input of the layers that read it, so pruned and dense weights always differ there;
    another number of classes changes outputs alone and is no mismatch.
    """
    weights = {f'{name}.weight': m.weight for name, m in model.named_modules() if isinstance(m, LAYER_TYPES)}
    differing = [
        name for name, weight in weights.items()
        if name in checkpoint and weight.shape[1:] != checkpoint[name].shape[1:]
    ]
    own = model.state_dict()
    differing += [n for n in rows if n in own and n in checkpoint and len(own[n]) != len(checkpoint[n])]
    gone = [f'{block}.{layer}.weight' for block, m in model.named_modules() if isinstance(m, IdentityPath)
            for layer in m.gone]
    return list(dict.fromkeys(differing + [name for name in gone if name in checkpoint]))


def branch_mismatches(model: nn.Module, spec: ChannelSpec) -> list[str]:
    """Names of the blocks whose residual branch is gone by ``spec`` and that are whole in ``model``."""
    blocks = dict(model.named_modules())
    return [name for name, entry in spec.items() if 'gone' in entry and not isinstance(blocks.get(name), IdentityPath)]


def describe_mismatches(model: nn.Module, checkpoint: dict[str, Tensor], rows: Iterable[str] = ()) -> str:
    """The first few of :func:`width_mismatches` with both shapes; empty where there are none."""
    names, own = width_mismatches(model, checkpoint, rows), model.state_dict()
    if not names:
        return ''
    shown = ', '.join(f'{n} {tuple(checkpoint[n].shape)} in the checkpoint and '
                      f'{tuple(own[n].shape) if n in own else "gone"} in the model' for n in names[:SHOWN])
    return f'{len(names)} weights differ: {shown}'


def refuse_other_widths(model: nn.Module, spec: ChannelSpec) -> nn.Module:
    """Lets ``model`` refuse a state dict of other widths, whoever loads it; returns ``model``.

    Args:
        model: The network.
        spec: Its widths; the layers and norms whose output width it gives do not depend on the number of classes.

    Raises:
        UserError: When such weights are loaded, naming the first few with both shapes.
    """
    rows = [f'{name}.weight' for name, entry in spec.items() if not WRITTEN_WIDTHS.isdisjoint(entry)]
    model._register_load_state_dict_pre_hook(partial(_refuse, rows), with_module=True)
    return model


def _refuse(rows: list[str], model: nn.Module, state: dict[str, Any], prefix: str, *_) -> None:
    differing = describe_mismatches(model, {k.removeprefix(prefix): v for k, v in state.items()}, rows)
    if differing:
        raise UserError(f'These are weights of a network of other widths than this pruned one ({differing}); use them '
                        'with the config that was written with them, for pruned ones the slim.py beside them: run '
                        '"python tools/test.py <folder>/slim.py <checkpoint>".')
