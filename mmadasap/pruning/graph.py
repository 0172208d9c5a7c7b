"""What autograd's graph of one forward pass shows of a model."""
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmadasap.errors import UserError

LAYER_TYPES = (nn.Conv2d, nn.Linear)


class TraceError(UserError):
    """A model whose channel groups cannot be found."""


@contextmanager
def traceable(model: nn.Module) -> Iterator[set[nn.Parameter]]:
    """Eval mode with gradients for every parameter, so that autograd's graph shows the whole forward pass.

    Yields the parameters that are frozen.
    """
    training = {m: m.training for m in model.modules()}
    trained = {p: p.requires_grad for p in model.parameters()}
    # Gradient checkpointing (mmdet's with_cp) would keep what it spans out of the graph.
    checkpointed = [m for m in model.modules() if getattr(m, 'with_cp', False)]
    # Backbones freeze their first stages whenever the mode changes, so the mode comes first.
    model.eval()
    frozen = {p for p in trained if not p.requires_grad}
    # A model nobody trains, such as an averaged copy, has no stages that are kept from training.
    frozen = frozen if len(frozen) < len(trained) else set()
    model.requires_grad_(True)
    for module in checkpointed:
        module.with_cp = False
    try:
        with torch.enable_grad():
            yield frozen
    finally:
        for p, flag in trained.items():
            p.requires_grad_(flag)
        for module, mode in training.items():
            module.training = mode
        for module in checkpointed:
            module.with_cp = True


def written_width(module: nn.Module) -> int:
    """Channels that a Conv2d, Linear or batch norm writes."""
    return module.num_features if isinstance(module, _BatchNorm) else module.weight.shape[0]


def image_channels(model: nn.Module) -> int:
    """How many channels the images of ``model`` have: as many as its data preprocessor has means; without them, what
    its first convolution reads, up to 4, else 3.

    One that reads more is behind something that rearranges pixels, as YOLOX's.
    """
    mean = getattr(getattr(model, 'data_preprocessor', None), 'mean', None)
    if mean is not None and len(mean) > 1:
        return len(mean)
    first = next((m.in_channels for m in model.modules() if isinstance(m, nn.Conv2d)), 3)
    return first if first <= 4 else 3


def items_an_image(rows: int, example: Tensor) -> int:
    """How many rows of a leading dimension belong to one image of the example: regions of a second stage, windows."""
    return max(1, rows // len(example))


def flatten_tensors(outputs: Any) -> list[Tensor]:
    """The tensors in nested lists, tuples and dicts, in order."""
    if isinstance(outputs, Tensor):
        return [outputs]
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    if isinstance(outputs, (list, tuple)):
        return [t for item in outputs for t in flatten_tensors(item)]
    return []


def output_layers(model: nn.Module, example: Tensor, forward: Callable[[nn.Module, Tensor],
                                                                       Any]) -> tuple[set[nn.Module], set[nn.Module]]:
    """Layers from which a model output is reached without passing another layer, and all layers that ran."""
    layer_of: dict[Any, nn.Module] = {}

    def note(module, inputs, output):
        # A layer that autograd does not follow counts as one that does not run.
        if output.grad_fn is not None:
            layer_of[output.grad_fn] = module

    handles = [m.register_forward_hook(note) for m in model.modules() if isinstance(m, LAYER_TYPES)]
    try:
        stack = [t.grad_fn for t in flatten_tensors(forward(model, example))]
    finally:
        for handle in handles:
            handle.remove()
    seen, found = set(), set()
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node in layer_of:
            found.add(layer_of[node])
        else:
            stack += [parent for parent, _ in node.next_functions]
    return found, set(layer_of.values())
