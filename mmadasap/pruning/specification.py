"""The channel specification: how wide the modules of a pruned network are, and which branches it has lost."""
from collections.abc import Iterable, Mapping
from typing import Any, Optional

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmadasap.errors import UserError

from .branches import IdentityPath, parts_of
from .groups import is_channel_vector

# A Conv or Linear may leave these to the config.
OUTPUT_WIDTHS = ('out_channels', 'out_features')

ChannelSpec = dict[str, dict[str, Any]]
"""Module name -> its widths, e.g. ``{'backbone.conv1': {'in_channels': 3, 'out_channels': 48, 'groups': 1}}``; for a
residual block without its branch, the layers that are gone and the activations that stay:
``{'backbone.layer1.1': {'gone': ['conv1', 'bn1', 'conv2', 'bn2'], 'stays': ['relu']}}``."""


def widths_of(module: nn.Module) -> dict[str, int]:
    """The widths of one Conv2d, Linear or batch norm as plain numbers."""
    if isinstance(module, nn.Conv2d):
        return dict(in_channels=module.in_channels, out_channels=module.out_channels, groups=module.groups)
    if isinstance(module, nn.Linear):
        return dict(in_features=module.in_features, out_features=module.out_features)
    if isinstance(module, _BatchNorm):
        return dict(num_features=module.num_features)
    if is_channel_vector(module):
        return dict(num_features=len(module.weight))
    raise UserError(f'{type(module).__name__} has no prunable widths.')


def channel_spec(model: nn.Module, modules: Iterable[str], whole: Iterable[str] = ()) -> ChannelSpec:
    """The present widths of the named modules and all removed branches: plain data :func:`rebuild` needs to shrink a
    dense copy. Names within blocks without their branch are left out.

    Args:
        model: The slim network.
        modules: Names of the modules that became smaller.
        whole: Those of them whose outputs are all kept, such as a head's, and are left to the config: it may ask for
            another number of classes.
    """
    whole = set(whole)
    short = {name: m for name, m in model.named_modules() if isinstance(m, IdentityPath)}
    widths = {n: _read_widths(model.get_submodule(n)) if n in whole else widths_of(model.get_submodule(n))
              for n in modules if not any(n == block or n.startswith(f'{block}.') for block in short)}
    blocks = {name: dict(gone=list(m.gone), stays=list(m.stays)) for name, m in short.items()}
    return dict(sorted((widths | blocks).items()))


def _read_widths(module: nn.Module) -> dict[str, int]:
    return {key: value for key, value in widths_of(module).items() if key not in OUTPUT_WIDTHS}


def output_width(module: nn.Module) -> Optional[int]:
    """Output channels of a Conv or Linear; None for a norm."""
    widths = widths_of(module)
    return widths.get('out_channels') or widths.get('out_features')


def is_block(entry: Mapping) -> bool:
    """Whether an entry is about a residual branch that is gone, and not about widths."""
    return not {'gone', 'stays'}.isdisjoint(entry)


def check_spec(spec: Any) -> None:
    """Refuses what cannot be the widths of any network.

    Raises:
        UserError: Naming the key and its value.
    """
    if not isinstance(spec, Mapping):
        raise UserError(f'channels={spec!r} must be a dict that gives the widths of each module by its name.')
    for name, widths in spec.items():
        if not isinstance(widths, Mapping):
            raise UserError(f'channels[{name!r}]={widths!r} must be a dict that gives the widths by their names.')
        if is_block(widths):
            _check_names(name, widths)
            continue
        for key, value in widths.items():
            if type(value) is not int or value < 1:
                raise UserError(f'channels[{name!r}][{key!r}]={value!r} must be a whole number of at least 1.')


def _check_names(name: str, entry: Mapping) -> None:
    if set(entry) != {'gone', 'stays'}:
        raise UserError(f"channels[{name!r}]={dict(entry)!r} must give exactly ['gone', 'stays'].")
    for key, value in entry.items():
        if not isinstance(value, (list, tuple)) or not all(isinstance(v, str) for v in value):
            raise UserError(f'channels[{name!r}][{key!r}]={value!r} must be a list of names of modules.')


def check_fit(model: nn.Module, spec: Any) -> None:
    """Refuses a specification of another network than a pruned ``model``, dense or less pruned.

    Raises:
        UserError: Naming the module, the key and its value.
    """
    check_spec(spec)
    modules = dict(model.named_modules())
    blocks = [name for name, entry in spec.items() if is_block(entry)]
    for name, entry in sorted(spec.items(), key=lambda item: item[0] not in blocks):
        if name not in modules:
            raise UserError(f'channels names {name!r}, which is no module of {type(model).__name__}; the '
                            'specification belongs to another model.')
        if any(name.startswith(f'{block}.') for block in blocks):
            raise UserError(f'channels[{name!r}]={dict(entry)!r} is about a module within a block whose branch is '
                            'gone; leave it out.')
        if is_block(entry):
            _check_block(name, modules[name], entry)
        else:
            _check_widths(name, widths_of(modules[name]), entry)


def _check_block(name: str, block: nn.Module, entry: Mapping) -> None:
    have = (block.gone, block.stays) if isinstance(block, IdentityPath) else parts_of(block)
    if have is None:
        raise UserError(f'channels[{name!r}]={dict(entry)!r} takes the branch out of {type(block).__name__}, whose '
                        'input does not reach its output unchanged; the specification belongs to another model.')
    want = dict(gone=list(have[0]), stays=list(have[1]))
    if (sorted(entry['gone']), list(entry['stays'])) != (sorted(want['gone']), want['stays']):
        raise UserError(f'channels[{name!r}]={dict(entry)!r} must be {want!r}, the residual branch of this '
                        f'{type(block).__name__}; the specification belongs to another model.')


def _check_widths(name: str, have: dict[str, int], want: Mapping[str, int]) -> None:
    optional = OUTPUT_WIDTHS if have.get('groups', 1) == 1 else ()
    if not set(have).difference(optional) <= set(want) <= set(have):
        raise UserError(f'channels[{name!r}]={dict(want)!r} must give exactly {sorted(have)}.')
    want = have | dict(want)
    for key, value in want.items():
        if value > have[key]:
            raise UserError(f'channels[{name!r}][{key!r}]={value!r} must be a whole number from 1 to {have[key]}, '
                             'the width of the dense model.')
    if 'groups' in have and not _same_groups(have, want):
        raise UserError(f'channels[{name!r}]={dict(want)!r} does not leave whole groups of {have!r}, the dense '
                         "model's convolution.")


def _same_groups(have: Mapping[str, int], want: Mapping[str, int]) -> bool:
    """Whether a convolution of the widths ``want`` has groups of the size ``have`` has, or is as ungrouped as it."""
    if have['groups'] == 1:
        return want['groups'] == 1
    return all(want[k] * have['groups'] == have[k] * want['groups'] for k in ('in_channels', 'out_channels'))
