"""From masks to physically smaller modules, and from a channel specification back to them."""
from collections.abc import Mapping
from typing import Optional

import torch
from torch import Tensor, nn

from .branches import IdentityPath, replace_block
from .masks import Cuts, model_tensors, state_tensors
from .specification import ChannelSpec, check_fit, is_block


@torch.no_grad()
def slim(model: nn.Module, cuts: Cuts, optimizer: Optional[torch.optim.Optimizer] = None) -> None:
    """Removes pruned channels from ``model`` in place, and from the optimizer's state.

    Parameters stay the same objects, so whoever holds them (an optimizer's groups, a scheduler) goes on.

    Args:
        model: The traced model, or a copy of it.
        cuts: Live entries of each tensor, from :func:`~mmadasap.pruning.masks.tensor_cuts`.
        optimizer: Its momentum or moments are cut along; where it holds other tensors of a parameter (Adafactor's rows
            and columns), it begins anew with that parameter.
    """
    tensors = model_tensors(model)
    for name, dims in cuts.items():
        tensor = tensors[name]
        if optimizer is not None:
            _cut_state(optimizer, tensor, dims)
        _replace(tensor, _select(tensor.data, dims))
    for module_name in {name.rpartition('.')[0] for name in cuts}:
        _update_widths(model.get_submodule(module_name))


def _cut_state(optimizer: torch.optim.Optimizer, parameter: Tensor, dims: Mapping[int, Tensor]) -> None:
    alike = dict(state_tensors(optimizer, parameter))
    state = optimizer.state.get(parameter, {})
    if any(isinstance(value, Tensor) and value.dim() for key, value in state.items() if key not in alike):
        del optimizer.state[parameter]
        return
    state.update({key: _select(value, dims) for key, value in alike.items()})


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
    rows = len(next(t for t in (module.weight, getattr(module, 'running_mean', None)) if t is not None))
    if isinstance(module, nn.Conv2d):
        if module.groups > 1:
            module.groups = rows // (module.out_channels // module.groups)
        module.out_channels = rows
        module.in_channels = module.groups * module.weight.shape[1]
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    else:
        module.num_features = rows


def rebuild(model: nn.Module, spec: ChannelSpec, optimizer: Optional[torch.optim.Optimizer] = None) -> nn.Module:
    """Gives the modules of a dense (or less pruned) ``model`` the widths of ``spec``, in place, without tracing it.

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
    check_fit(model, spec)
    for name, entry in spec.items():
        module = model.get_submodule(name)
        if not is_block(entry):
            _resize(module, entry)
        elif not isinstance(module, IdentityPath):
            replace_block(model, name, entry['gone'], entry['stays'], optimizer)
    return model


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
