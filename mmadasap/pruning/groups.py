"""Which channels live or die together: traced from the model, never written down by hand."""
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

import torch
import torch_pruning as tp
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmadasap.errors import brief

from .bounded import bounded
from .graph import LAYER_TYPES, TraceError, flatten_tensors, output_layers, traceable
from .grouped import is_grouped, tie_grouped


@dataclass(frozen=True)
class Member:
    """One side of one module in a group.

    Attributes:
        module: Dotted name of a Conv2d, Linear or batch norm.
        side: 'out' (rows of a weight, entries of a norm) or 'in' (columns of a weight).
        index: Shape (K,); positions along that side that belong to the group.
        channel: Shape (K,); the group's channel each position belongs to.
    """
    module: str
    side: str
    index: Tensor
    channel: Tensor


@dataclass(frozen=True)
class ChannelGroup:
    """Channels tied by residual sums, norms, depthwise layers and concatenation.

    Attributes:
        name: Name of the layer the group was found from.
        width: Number of channels.
        members: All module sides the channels run through.
        protected: Why the group must keep all its channels; None where it may be pruned.
        leaves: Whether the channels are an output of the network.
    """
    name: str
    width: int
    members: tuple[Member, ...]
    protected: Optional[str] = None
    leaves: bool = False

    def modules(self, side: str) -> list[str]:
        """Names of the modules that have this side in the group."""
        return [m.module for m in self.members if m.side == side]


def trace_groups(model: nn.Module,
                 example: Tensor,
                 forward: Callable[[nn.Module, Tensor], Any],
                 protect: Sequence[str] = ()) -> list[ChannelGroup]:
    """Finds the channel groups of ``model`` by tracing one forward pass in eval mode; the model is left as it was.

    Layers whose output leaves the network, groups with a module that cannot be cut by channels, groups of frozen
    layers, groups that a layer the pass does not run may read, and groups with a layer named in ``protect`` are marked
    protected.

    Args:
        model: Any module.
        example: Input, shape (N, C, H, W).
        forward: Runs ``model`` on ``example`` and returns its raw outputs (tensors, nested in lists, tuples or dicts).
            Its attribute ``reads_outputs``, if it has one, is a tuple of prefixes of layers that it need not run, for
            they read nothing but these outputs.
        protect: Names of modules; all layers at or below such a name keep their outputs.

    Raises:
        TraceError: The model cannot be traced, or a protected name does not exist.
    """
    names = {module: name for name, module in model.named_modules()}
    for name in protect:
        if name not in names.values():
            raise TraceError(f'protect={name!r} is no module of {type(model).__name__}; '
                             'print(model) shows the names.')
    with traceable(model) as frozen, bounded(model):
        try:
            graph = tp.DependencyGraph()
            # torch-pruning switches to eval mode once more, and with it freezes what the backbone freezes.
            graph.build_dependency(
                model, example, lambda m, x: flatten_tensors(forward(m.requires_grad_(True), x)), verbose=False)
            leaving, ran = output_layers(model, example, forward)
            owners = _vector_owners(model)
            groups = [_to_group(graph, found, names, owners) for found in graph.get_all_groups(
                root_module_types=LAYER_TYPES)]
        except Exception as error:
            raise TraceError(f'{type(model).__name__} cannot be traced with an input of shape {tuple(example.shape)} '
                             f'({brief(error)}); check input_size, or leave out pruning for this model.') from error
    if not groups:
        raise TraceError(f'{type(model).__name__} has no Conv2d or Linear layer on the way to its outputs, so there is '
                         'nothing to prune.')
    groups = tie_grouped(groups, dict(model.named_modules()))
    outputs_of = {names[m] for m in leaving}
    layers = {name: m for m, name in names.items() if isinstance(m, LAYER_TYPES)}
    fixed = {name for name, m in layers.items() if m.weight in frozen}
    # What reads outputs alone finds all of their channels.
    apart = getattr(forward, 'reads_outputs', ())
    hidden = {name: m for name, m in layers.items() if m not in ran and not name.startswith(apart)}
    return [
        replace(
            group,
            protected=next(_reasons(group, outputs_of, protect, fixed, hidden, layers), None),
            leaves=not outputs_of.isdisjoint(group.modules('out'))) for group in groups
    ]


def format_groups(groups: Iterable[ChannelGroup]) -> str:
    """A table for people: name, width, layers that write and read the channels, and why a group is protected."""
    rows = [('group', 'channels', 'written by', 'read by', 'protected')]
    for g in groups:
        rows.append((g.name, str(g.width), str(len(g.modules('out'))), str(len(g.modules('in'))), g.protected or ''))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return '\n'.join('  '.join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows)


def _vector_owners(model: nn.Module) -> dict[nn.Parameter, str]:
    """The one weight of modules that hold a number for each channel and nothing else (L2Norm) -> the module's name."""
    return {
        m.weight: name
        for name, m in model.named_modules() if is_channel_vector(m)
    }


def is_channel_vector(module: nn.Module) -> bool:
    """Whether a module's only tensor is a weight of one number a channel, as in mmdet's L2Norm."""
    tensors = [*module.parameters(), *module.buffers()]
    return (len(tensors) == 1 and tensors[0].dim() == 1 and tensors[0] is getattr(module, 'weight', None)
            and not isinstance(module, (*LAYER_TYPES, _BatchNorm, nn.PReLU)) and not any(module.children()))


def _to_group(graph: tp.DependencyGraph, found, names: dict[nn.Module, str],
              owners: dict[nn.Parameter, str]) -> ChannelGroup:
    root = found[0].dep.target.module
    members, reason = [], None
    for item in found:
        module = item.dep.target.module
        if module in owners:
            members.append(Member(owners[module], 'out', torch.tensor(item.idxs), torch.tensor(item.root_idxs)))
            continue
        if not isinstance(module, nn.Module) or isinstance(module, tp.ops._ElementWiseOp):
            if isinstance(module, nn.Parameter):
                reason = 'a parameter outside Conv2d, Linear and batch norm runs along these channels'
            continue
        if module not in names:
            continue
        reason = reason or _unsupported(module, names[module])
        side = 'out' if graph.is_out_channel_pruning_fn(item.dep.handler) else 'in'
        members.append(Member(names[module], side, torch.tensor(item.idxs), torch.tensor(item.root_idxs)))
    return ChannelGroup(names[root], graph.get_out_channels(root), tuple(members), reason)


def _may_read(layer: nn.Module, group: ChannelGroup, layers: dict[str, nn.Module]) -> bool:
    """Whether a layer could read what this group writes, flattened or not, alone or as others read it: concatenated."""
    widths = {group.width} | {_read_width(layers[name]) for name in group.modules('in') if name in layers}
    if isinstance(layer, nn.Linear):
        return any(layer.in_features % width == 0 for width in widths)
    return layer.in_channels in widths


def _read_width(layer: nn.Module) -> int:
    return layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels


def _unsupported(module: nn.Module, name: str) -> Optional[str]:
    if is_grouped(module) and module.groups == module.out_channels:
        return f'{name} is a grouped convolution that writes one channel a group and reads several'
    if not isinstance(module, (*LAYER_TYPES, _BatchNorm)):
        return f'{name} ({type(module).__name__}) cannot be cut by channels'
    return None


def _reasons(group: ChannelGroup, outputs: set[str], protect: Sequence[str], frozen: set[str],
             hidden: dict[str, nn.Module], layers: dict[str, nn.Module]) -> Iterator[str]:
    """Why a group must keep its channels, the plainest reason first."""
    written = group.modules('out')
    yield from (f'{layer} is an output of the network' for layer in written if layer in outputs)
    yield from (f'{layer} is protected by configuration' for layer in written
                if any(layer == name or layer.startswith(name + '.') for name in protect))
    if group.protected:
        yield group.protected
    yield from (f'{layer} is frozen' for layer in written if layer in frozen)
    yield from (f'{name}, which the traced pass does not run, may read these channels'
                for name, layer in hidden.items() if _may_read(layer, group, layers))
