"""Which tensors form a neuron: row i of a Conv or Linear weight, its bias i, and the gamma and beta i that follow."""
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmadasap.errors import UserError

LAYER_TYPES = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


@dataclass(frozen=True)
class NeuronLayer:
    """The neurons of one layer.

    Attributes:
        weight: Shape (neurons, ...); row i is neuron i.
        vectors: Tensors of shape (neurons,) whose entry i belongs to neuron i: bias, and gamma and beta of its norms.
        is_bias: For each vector, whether it is a bias (or a norm's beta).
    """
    weight: nn.Parameter
    vectors: tuple[nn.Parameter, ...]
    is_bias: tuple[bool, ...]


@dataclass(frozen=True)
class Neurons:
    """All trainable tensors of a model, those of neurons by layer, and the rest.

    Attributes:
        layers: One entry for each Conv or Linear layer.
        others: Trainable tensors no neuron owns (L2Norm, Scale, norms without a layer before them).
        others_bias: For each of ``others``, whether it is a bias.
    """
    layers: tuple[NeuronLayer, ...]
    others: tuple[nn.Parameter, ...]
    others_bias: tuple[bool, ...]

    def with_gradient(self) -> 'Neurons':
        """The part that takes part in a step: a tensor without gradient is frozen or unused."""
        return self.only(lambda tensor: tensor.grad is not None)

    def only(self, wanted: Callable[[nn.Parameter], bool]) -> 'Neurons':
        """The part whose tensors are wanted; what belongs to a weight that is not joins the others."""
        layers, others, flags = [], [], []
        loose = list(zip(self.others, self.others_bias))
        for layer in self.layers:
            owned = [(v, b) for v, b in zip(layer.vectors, layer.is_bias) if wanted(v)]
            if not wanted(layer.weight):
                loose += owned
                continue
            layers.append(NeuronLayer(layer.weight, tuple(v for v, _ in owned), tuple(b for _, b in owned)))
        for tensor, bias in loose:
            if wanted(tensor):
                others.append(tensor)
                flags.append(bias)
        return Neurons(tuple(layers), tuple(others), tuple(flags))

    def tensors(self) -> list[nn.Parameter]:
        """All tensors: layer by layer the weight and its vectors, then the others."""
        owned = [t for layer in self.layers for t in (layer.weight, *layer.vectors)]
        return owned + list(self.others)

    def bias_flags(self) -> list[bool]:
        """For each of :meth:`tensors`, whether it is a bias."""
        owned = [flag for layer in self.layers for flag in (False, *layer.is_bias)]
        return owned + list(self.others_bias)


@contextmanager
def trace_norms(model: nn.Module) -> Iterator[dict[nn.Module, list[nn.Module]]]:
    """Notes, during the forward calls made inside, which modules take a layer's very output as their input.

    Yields:
        A dict from Conv or Linear module to the per-channel affine modules (norms of any class) that follow it.
    """
    followers: dict[nn.Module, list[nn.Module]] = {}

    def tag(module, inputs, output):
        if not output.is_inference():
            output._mmadasap_layer = module, output._version

    def follow(module, inputs):
        layer, version = getattr(inputs[0], '_mmadasap_layer', (None, None)) if inputs else (None, None)
        # An operation in place, as of an activation, leaves the tag and makes another output of it.
        if layer is not None and inputs[0]._version == version and module not in followers.setdefault(layer, []):
            followers[layer].append(module)

    handles = []
    for module in model.modules():
        if isinstance(module, LAYER_TYPES):
            handles.append(module.register_forward_hook(tag))
        elif any(True for _ in module.parameters(recurse=False)):
            handles.append(module.register_forward_pre_hook(follow))
    try:
        yield followers
    finally:
        for handle in handles:
            handle.remove()


def collect_neurons(model: nn.Module, followers: dict[nn.Module, list[nn.Module]]) -> Neurons:
    """Sorts the parameters of ``model`` into neurons and the rest; each parameter appears once.

    Args:
        model: Any module.
        followers: What :func:`trace_norms` noted during a forward pass of ``model``.

    Raises:
        UserError: The model holds no Conv and no Linear layer.
    """
    seen: set[int] = set()
    layers = []
    for module in model.modules():
        if isinstance(module, LAYER_TYPES) and id(module.weight) not in seen:
            layers.append(_layer(module, followers.get(module, []), seen))
    if not layers:
        raise UserError(f'{type(model).__name__} has no Conv and no Linear layer, so it has no neurons to perturb; '
                         'set radius=None for plain steps.')
    others = [(name, p) for name, p in model.named_parameters() if id(p) not in seen]
    return Neurons(
        tuple(layers), tuple(p for _, p in others), tuple(name.endswith('bias') for name, _ in others))


def _layer(module: nn.Module, norms: list[nn.Module], seen: set[int]) -> NeuronLayer:
    rows = module.weight.shape[0]
    # Norms may share their parameters, as heads with a norm for each level do.
    owned = {p: name for owner in (module, *norms) for name, p in owner.named_parameters(recurse=False)}
    vectors = [(name, p) for p, name in owned.items()
               if p.shape == (rows, ) and id(p) not in seen and p is not module.weight]
    seen.add(id(module.weight))
    seen.update(id(p) for _, p in vectors)
    return NeuronLayer(module.weight, tuple(p for _, p in vectors), tuple(name.endswith('bias') for name, _ in vectors))


def row_norms(weight: Tensor) -> Tensor:
    """L2 norm of each row, shape (neurons,)."""
    # flatten(1) would copy a weight in channels-last format.
    return torch.linalg.vector_norm(weight, dim=tuple(range(1, weight.dim())))


def l2_scores(weights: list[Tensor], grads: list[Tensor]) -> list[Tensor]:
    """L2 norm of each row: a list of shape (neurons,)."""
    return [row_norms(w) for w in weights]


def taylor_scores(weights: list[Tensor], grads: list[Tensor]) -> list[Tensor]:
    """First-order change of the loss if a row were zero, ``|w . g|``: a list of shape (neurons,)."""
    return [(w * g).sum(tuple(range(1, w.dim()))).abs() for w, g in zip(weights, grads)]


SCORES = dict(l2=l2_scores, taylor=taylor_scores)
