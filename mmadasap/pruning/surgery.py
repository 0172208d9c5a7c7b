"""From masks to physically smaller modules, and from a channel specification back to them."""
from collections.abc import Iterable, Mapping
from typing import Any, Optional

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmadasap.errors import UserError

from .branches import IdentityPath, replace_block
from .groups import is_channel_vector
from .masks import Cuts, model_tensors, state_tensors

# A Conv or Linear may leave these to the config.
OUTPUT_WIDTHS = ('out_channels', 'out_features')

ChannelSpec = dict[str, dict[str, Any]]
"""Module name -> its widths, e.g. ``{'backbone.conv1': {'in_channels': 3, 'out_channels': 48, 'groups': 1}}``; for a
residual block without its branch, the layers that are gone and the activations that stay:
``{'backbone.layer1.1': {'gone': ['conv1', 'bn1', 'conv2', 'bn2'], 'stays': ['relu']}}``."""


@torch.no_grad()
def slim(model: nn.Module, cuts: Cuts, optimizer: Optional[torch.optim.Optimizer] = None) -> None:
    """Removes pruned channels from ``model`` in place, and from the optimizer's state.

    Parameters stay the same objects, so whoever holds them (an optimizer's groups, a scheduler) goes on.

    Args:
        model: The traced model, or a copy of it.
        cuts: Live entries of each tensor, from :func:`~mmadasap.pruning.masks.tensor_cuts`.
        optimizer: Its momentum or moments are cut along.
    """
    tensors = model_tensors(model)
    for name, dims in cuts.items():
        tensor = tensors[name]
        if optimizer is not None:
            for key, value in state_tensors(optimizer, tensor):
                optimizer.state[tensor][key] = _select(value, dims)
        _replace(tensor, _select(tensor.data, dims))
    for module_name in {name.rpartition('.')[0] for name in cuts}:
        _update_widths(model.get_submodule(module_name))


def _replace(tensor: Tensor, smaller: Tensor) -> None:
    """Gives a tensor other data; autograd drops what it remembers of the old shape only when the dtype changes."""
    tensor.grad = None
    other = torch.float64 if tensor.dtype == torch.float32 else torch.float32
    tensor.data = torch.empty(0, dtype=other, device=tensor.device)
    tensor.data = smaller


def _select(tensor: Tensor, dims: Mapping[int, Tensor]) -> Tensor:
    channels_last = tensor.dim() == 4 and not tensor.is_contiguous() and tensor.is_contiguous(
        memory_format=torch.channels_last)
    for dim, live in dims.items():
        tensor = tensor.index_select(dim, live.nonzero().flatten().to(tensor.device))
    return tensor.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def _update_widths(module: nn.Module) -> None:
    rows = module.weight.shape[0]
    if isinstance(module, nn.Conv2d):
        if module.groups > 1:
            module.groups = rows // (module.out_channels // module.groups)
        module.out_channels = rows
        module.in_channels = module.groups * module.weight.shape[1]
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    else:
        module.num_features = rows


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


@torch.no_grad()
def output_width(module: nn.Module) -> Optional[int]:
    """Output channels of a Conv or Linear; None for a norm."""
    widths = widths_of(module)
    return widths.get('out_channels') or widths.get('out_features')


def rebuild(model: nn.Module, spec: ChannelSpec, optimizer: Optional[torch.optim.Optimizer] = None) -> nn.Module:
    """Gives the modules of a dense (or less pruned) ``model`` the widths of ``spec``, in place, without tracing.

    Values are those of the first channels: load a checkpoint afterwards.

    Args:
        model: The network.
        spec: Its widths, and the residual branches that are gone.
        optimizer: One without state yet; it forgets the parameters of those branches.

    Returns:
        ``model``.

    Raises:
        UserError: A module or a width that does not fit ``model``.
    """
    check_spec(spec)
    modules = dict(model.named_modules())
    blocks = {name: entry for name, entry in spec.items() if isinstance(entry, Mapping) and 'gone' in entry}
    widths = {name: entry for name, entry in spec.items() if name not in blocks}
    for name in spec:
        if name not in modules:
            raise UserError(f'channels names {name!r}, which is no module of {type(model).__name__}; the '
                             'specification belongs to another model.')
    for name, entry in blocks.items():
        _check_block(name, modules[name], entry)
    for name, entry in widths.items():
        _check_widths(name, widths_of(modules[name]), entry)
    for name, entry in blocks.items():
        if not isinstance(modules[name], IdentityPath):
            replace_block(model, name, entry['gone'], entry['stays'], optimizer)
    for name, entry in widths.items():
        _resize(modules[name], entry)
    return model


def _check_block(name: str, block: nn.Module, entry: Mapping) -> None:
    have = {n for n, _ in block.named_modules()}
    if isinstance(block, IdentityPath):
        have = {*block.gone, *block.stays}
    if set(entry) != {'gone', 'stays'} or not have.issuperset([*entry['gone'], *entry['stays']]):
        raise UserError(f'channels[{name!r}]={dict(entry)!r} must give the modules that are gone and those that stay '
                        f'of {type(block).__name__}; the specification belongs to another model.')


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
        for key, value in () if 'gone' in widths else widths.items():
            if type(value) is not int or value < 1:
                raise UserError(f'channels[{name!r}][{key!r}]={value!r} must be a whole number of at least 1.')


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


def _resize(module: nn.Module, widths: dict[str, int]) -> None:
    out = widths.get('out_channels') or widths.get('out_features') or widths.get('num_features') or len(module.weight)
    for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        if tensor.dim():
            _replace(tensor, tensor.data[:out].clone())
    if 'num_features' not in widths:
        columns = widths.get('in_features') or widths['in_channels'] // widths['groups']
        _replace(module.weight, module.weight.data[:, :columns].clone())
    for key, value in widths.items():
        setattr(module, key, value)
