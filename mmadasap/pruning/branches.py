"""Residual branches that can be removed as a whole: found by tracing, silenced while masked, taken out in the end."""
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .graph import LAYER_TYPES, traceable
from .groups import ChannelGroup
from .masks import Cuts, Kept


@dataclass(frozen=True)
class Branch:
    """The branch of a residual block that computes ``act(branch(x) + x)``.

    Attributes:
        block: Name of the block's module.
        gone: Names within the block of all layers that go with the branch.
        stays: Names within the block of the activations between the sum and the block's output.
        last: Full name of the layer or norm whose output is added to ``x``.
        groups: Names of the channel groups that live in the branch alone; the one read last comes last.
    """
    block: str
    gone: tuple[str, ...]
    stays: tuple[str, ...]
    last: str
    groups: tuple[str, ...]

    @property
    def layers(self) -> list[str]:
        """Full names of the layers that go."""
        return [f'{self.block}.{name}' for name in self.gone]

    def is_removed(self, kept: Kept) -> bool:
        """Whether none of its channels is alive."""
        return not any(bool(kept[name].any()) for name in self.groups)


class IdentityPath(nn.Module):
    """What stays of a residual block without its branch: the input, through the activations after the sum.

    Args:
        block: The block.
        gone: Names of the layers that are gone.
        stays: Names of the activations.
    """

    def __init__(self, block: nn.Module, gone: Sequence[str], stays: Sequence[str]):
        super().__init__()
        self.gone, self.stays = tuple(gone), tuple(stays)
        self.activations = nn.ModuleList(block.get_submodule(name) for name in stays)
        for activation in self.activations:
            # In the block they worked on the sum; the input belongs to whoever made it.
            activation.inplace = False

    def forward(self, x: Tensor) -> Tensor:
        """Shape in, shape out."""
        for activation in self.activations:
            x = activation(x)
        return x


def find_branches(model: nn.Module, example: Tensor, forward: Callable[[nn.Module, Tensor], Any],
                  groups: Sequence[ChannelGroup]) -> list[Branch]:
    """All residual branches of ``model`` that can be removed; the model is left as it was.

    A block counts if it runs once, adds what its last layer or norm emits to its own input, does nothing but activation
    modules after that, learns nothing outside of Conv2d, Linear and batch norm, and if all channels within it may go.
    So blocks that change resolution or width stay: they have no identity path.
    """
    with traceable(model):
        trace = _Trace(model, example, forward)
    found = [b for name in trace.calls for b in [_branch(name, model, trace, groups)] if b is not None]
    # Of a block wrapped in modules that do nothing more, the innermost.
    return [b for b in found if not any(o.block.startswith(f'{b.block}.') and o.last == b.last for o in found)]


def parts_of(block: nn.Module) -> Optional[tuple[list[str], list[str]]]:
    """Names of the layers that go with a block's residual branch and of the activations that stay, from running the
    block alone; None where the input of ``block`` does not reach its output unchanged.
    """
    holder, layers = nn.Sequential(block), _layers(block)
    tensor = next(block.parameters(), torch.zeros(()))
    for width in sorted({_input_width(block.get_submodule(name)) for name in layers}):
        for shape in ((1, width, 8, 8), (1, width)):
            # Times one: the trace tells inputs apart by what made them.
            example = tensor.new_zeros(shape).requires_grad_() * 1
            try:
                with traceable(holder):
                    found = _Trace(holder, example, lambda model, x: model(x)).sum_of('0')
            except Exception:
                # What cannot run on one feature map is no residual block.
                continue
            if found is not None:
                return layers, found[1]
    return None


class _Trace:
    """What autograd knows of one forward pass: its nodes before and after each call of a module.

    Attributes:
        calls: Module name -> (node of its input, None unless that is one tensor, node of its output) of each call.
        layers: Node -> name of the layer or norm that made it.
        activations: Node -> name of the module without parameters that made it from one other node.
    """

    def __init__(self, model: nn.Module, example: Tensor, forward: Callable[[nn.Module, Tensor], Any]):
        self.calls: dict[str, list[tuple[Any, Any]]] = {}
        self.layers: dict[Any, str] = {}
        self.activations: dict[Any, str] = {}
        self._names = {m: name for name, m in model.named_modules() if name}
        self._entered: list = []
        handles = [h for m in self._names for h in (m.register_forward_pre_hook(self._enter, with_kwargs=True),
                                                    m.register_forward_hook(self._leave))]
        try:
            self._outputs = forward(model, example)
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, module: nn.Module, args: tuple, kwargs: dict) -> None:
        given = [*args, *kwargs.values()]
        self._entered.append(given[0].grad_fn if len(given) == 1 and isinstance(given[0], Tensor) else None)

    def _leave(self, module: nn.Module, args: tuple, output: Any) -> None:
        before, after = self._entered.pop(), getattr(output, 'grad_fn', None)
        name = self._names[module]
        self.calls.setdefault(name, []).append((before, after))
        if isinstance(module, (*LAYER_TYPES, _BatchNorm)):
            self.layers[after] = name
        elif before is not after and not any(True for _ in module.parameters()) and not any(module.children()):
            self.activations[after] = name

    def sum_of(self, name: str) -> Optional[tuple[str, list[str]]]:
        """For a block that adds a layer's output to its input: the layer, and the activations after the sum."""
        (before, node), = self.calls[name] if len(self.calls[name]) == 1 else [(None, None)]
        stays: list[str] = []
        while node in self.activations and self.activations[node].startswith(f'{name}.'):
            stays.insert(0, self.activations[node][len(name) + 1:])
            node = node.next_functions[0][0]
        if before is None or node is None or node.name() != 'AddBackward0':
            return None
        parents = [parent for parent, _ in node.next_functions]
        added = [p for p in parents if p is not before]
        last = self.layers.get(added[0]) if len(parents) == 2 and len(added) == 1 else None
        return None if last is None or not last.startswith(f'{name}.') else (last, stays)


def _branch(name: str, model: nn.Module, trace: _Trace, groups: Sequence[ChannelGroup]) -> Optional[Branch]:
    found, block = trace.sum_of(name), model.get_submodule(name)
    if found is None:
        return None
    layers = [f'{name}.{layer}' for layer in _layers(block)]
    learned = {p for layer in layers for p in model.get_submodule(layer).parameters(recurse=False)}
    written = [g for g in groups if set(g.modules('out')) & set(layers)]
    inner = [g for g in written if found[0] not in g.modules('out')]
    alone = all(g.protected is None and {m.module for m in g.members} <= set(layers) for g in inner)
    if not inner or not alone or not learned.issuperset(block.parameters()):
        return None
    inner.sort(key=lambda g: max(layers.index(m.module) for m in g.members))
    gone = tuple(layer[len(name) + 1:] for layer in layers)
    return Branch(name, gone, tuple(found[1]), found[0], tuple(g.name for g in inner))


def _layers(block: nn.Module) -> list[str]:
    return [name for name, m in block.named_modules() if isinstance(m, (*LAYER_TYPES, _BatchNorm))]


def _input_width(layer: nn.Module) -> int:
    return next(getattr(layer, key) for key in ('in_channels', 'in_features', 'num_features') if hasattr(layer, key))


def silence(model: nn.Module, branches: Iterable[Branch], cuts: Cuts) -> Cuts:
    """Makes the branches of ``model`` emit zero and receive no gradient until they are removed.

    Returns:
        ``cuts``, and all tensors of the branches.
    """
    found = dict(cuts)
    for branch in branches:
        last = model.get_submodule(branch.last)
        if _times_zero not in last._forward_hooks.values():
            last.register_forward_hook(_times_zero)
        for layer in branch.layers:
            module = model.get_submodule(layer)
            tensors = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
            found |= {f'{layer}.{n}': {0: torch.zeros(len(t), dtype=torch.bool)} for n, t in tensors if t.dim()}
    return found


def _times_zero(module: nn.Module, args: tuple, output: Tensor) -> Tensor:
    """Keeps the parameters in the graph, with a gradient of zero: distributed training waits for every one of them."""
    return output * 0


def remove(model: nn.Module, branches: Iterable[Branch], optimizer: Optional[torch.optim.Optimizer] = None) -> None:
    """Takes the branches out of ``model``, a copy of it or a dense one, in place, and out of the optimizer."""
    for branch in branches:
        for p in model.get_submodule(branch.block).parameters():
            p.grad = None
        replace_block(model, branch.block, branch.gone, branch.stays, optimizer)


def replace_block(model: nn.Module, name: str, gone: Sequence[str], stays: Sequence[str],
                  optimizer: Optional[torch.optim.Optimizer] = None) -> None:
    """Puts an :class:`IdentityPath` in the place of a block, and lets the optimizer forget the block's parameters."""
    parent, _, child = name.rpartition('.')
    owner = model.get_submodule(parent)
    block = getattr(owner, child)
    if optimizer is not None:
        _forget(optimizer, list(block.parameters()))
    setattr(owner, child, IdentityPath(block, gone, stays).train(owner.training))


def _forget(optimizer: torch.optim.Optimizer, parameters: Sequence[nn.Parameter]) -> None:
    """Takes parameters out of the optimizer; its groups stay, even empty: schedulers count them."""
    gone = {id(p) for p in parameters}
    for p in parameters:
        optimizer.state.pop(p, None)
    for group in optimizer.param_groups:
        group['params'] = [p for p in group['params'] if id(p) not in gone]
