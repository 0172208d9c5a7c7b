"""What a network costs at given widths: parameters, MACs or channels, all behind one signature."""
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import fsum
from typing import Any, Optional

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .branches import Branch
from .graph import LAYER_TYPES, items_an_image, written_width
from .grouped import is_depthwise, is_grouped
from .groups import ChannelGroup
from .masks import Kept
from .operations import Operation, trace_operations


@dataclass(frozen=True)
class LayerShape:
    """What does not change when a layer's widths change.

    Attributes:
        name: Name of the module.
        in_width, out_width: Channels (features) of the traced model.
        kernel_area: Product of the kernel's sides; 1 for Linear, 0 for norms.
        positions: Output positions one weight is used at, over one image (H * W for a convolution, for each region of
            a second stage).
        vectors: Learned vectors of length ``out_width``: 1 for a bias, 2 for an affine norm.
        depthwise: Whether each output channel reads its own input channel alone.
        operations: What one forward pass computes for the layer, and after it at its output width.
        fan_in: Input channels an output channel of a grouped convolution reads, at all widths; None: all there are.
    """
    name: str
    in_width: int
    out_width: int
    kernel_area: int
    positions: int
    vectors: int
    depthwise: bool = False
    operations: tuple[Operation, ...] = ()
    fan_in: Optional[int] = None

    def weights(self, c_in: int, c_out: int) -> int:
        """Entries of the weight at these widths."""
        return (1 if self.depthwise else self.fan_in or c_in) * c_out * self.kernel_area


LayerCost = Callable[[LayerShape, int, int], float]
"""Cost of one layer at (in width, out width)."""


def parameters(layer: LayerShape, c_in: int, c_out: int) -> float:
    """Learned numbers."""
    return layer.weights(c_in, c_out) + layer.vectors * c_out


def macs(layer: LayerShape, c_in: int, c_out: int) -> float:
    """Multiply-accumulates of convolutions and linear layers for one image."""
    return layer.weights(c_in, c_out) * layer.positions


def channels(layer: LayerShape, c_in: int, c_out: int) -> float:
    """Neurons: output channels of convolutions and linear layers."""
    return c_out if layer.kernel_area else 0


COSTS: dict[str, LayerCost] = dict(channels=channels, parameters=parameters, macs=macs)


def count_parameters(model: nn.Module) -> int:
    """Learned numbers of ``model``."""
    return sum(p.numel() for p in model.parameters())


def trace_layers(model: nn.Module, example: Tensor, forward: Callable[[nn.Module, Tensor], Any]) -> list[LayerShape]:
    """Shapes of all Conv2d, Linear and batch norm modules that one forward pass uses; the model is left as it was.

    A layer used several times (a head shared between levels) counts its positions each time.
    """
    positions: dict[str, int] = {}
    names = {m: n for n, m in model.named_modules() if isinstance(m, (*LAYER_TYPES, _BatchNorm))}

    def note(module, inputs, output):
        count = items_an_image(len(output), example) * (output[0].numel() // written_width(module))
        positions[names[module]] = positions.get(names[module], 0) + count

    handles = [m.register_forward_hook(note) for m in names]
    training = {m: m.training for m in model.modules()}
    try:
        with torch.no_grad():
            forward(model.eval(), example)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in training.items():
            module.training = mode
    modules, operations = dict(model.named_modules()), trace_operations(model, example, forward)
    return [
        replace(_shape(name, modules[name], count), operations=operations[name]) for name, count in positions.items()
    ]


def _shape(name: str, module: nn.Module, positions: int) -> LayerShape:
    if isinstance(module, _BatchNorm):
        width = module.num_features
        return LayerShape(name, width, width, 0, positions, 2 if module.affine else 0)
    vectors = 0 if module.bias is None else 1
    if isinstance(module, nn.Linear):
        return LayerShape(name, module.in_features, module.out_features, 1, positions, vectors)
    area = module.kernel_size[0] * module.kernel_size[1]
    fan_in = module.in_channels // module.groups if is_grouped(module) else None
    return LayerShape(name, module.in_channels, module.out_channels, area, positions, vectors, is_depthwise(module),
                      fan_in=fan_in)


def without_branch(layer: LayerShape) -> LayerShape:
    """What the last layer of a removed residual branch leaves to compute: what follows the sum, at its output width."""
    following = [o for o in layer.operations if o.kind not in ('conv', 'linear', 'norm')]
    if any(o.kind == 'add' for o in following):
        following.remove(next(o for o in following if o.kind == 'add'))
    return replace(layer, kernel_area=0, vectors=0, operations=tuple(following))


class NetworkCost:
    """Cost of a whole network as a function of its live channels.

    Args:
        layers: Shapes of the layers.
        groups: Channel groups of the same model.
        cost: Cost of one layer.
        total: Cost of the dense network, where it has more than its layers (parameters elsewhere); None: their sum.
        branches: Residual branches that go when none of their channels is alive.

    Attributes:
        layers, groups, cost, branches: As given.
        fixed: Cost outside the layers.
        members: (group, member) of all prunable groups in these layers.
    """

    def __init__(self,
                 layers: list[LayerShape],
                 groups: list[ChannelGroup],
                 cost: LayerCost,
                 total: Optional[float] = None,
                 branches: Sequence[Branch] = ()):
        self.layers, self.groups, self.cost, self.branches = layers, groups, cost, branches
        in_layers = fsum(cost(layer, layer.in_width, layer.out_width) for layer in layers)
        self.fixed = 0 if total is None else total - in_layers
        names = {layer.name for layer in layers}
        self.members = [(g, m) for g in groups if g.protected is None for m in g.members if m.module in names]

    def by_layer(self, kept: Kept) -> dict[str, float]:
        """Cost of each layer."""
        width = {(layer.name, 'in'): layer.in_width for layer in self.layers}
        width |= {(layer.name, 'out'): layer.out_width for layer in self.layers}
        for group, member in self.members:
            width[member.module, member.side] -= int((~kept[group.name])[member.channel].sum())
        found = {}
        gone = {name: branch for branch in self.branches if branch.is_removed(kept) for name in branch.layers}
        for layer in self.layers:
            c_in, c_out = width[layer.name, 'in'], width[layer.name, 'out']
            if layer.name not in gone:
                found[layer.name] = self.cost(layer, c_in, c_out)
            elif layer.name == gone[layer.name].last:
                found[layer.name] = self.cost(without_branch(layer), c_out, c_out)
            else:
                found[layer.name] = 0.0
        return found

    def __call__(self, kept: Kept) -> float:
        """Cost of the network, free of the order of adding."""
        return fsum([self.fixed, *self.by_layer(kept).values()])
