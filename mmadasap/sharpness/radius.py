"""From scores to perturbation radii, one for each neuron (AdaSAP, Eq. 2-3 as the text intends them)."""
import math
from dataclasses import dataclass
from typing import Union

import torch
from torch import Tensor

from mmadasap.errors import UserError

from .neurons import SCORES

Radius = Union[float, Tensor]


@dataclass(frozen=True)
class UniformRadius:
    """The same radius for every neuron: SAM, or ASAM.

    Args:
        rho: Radius, at least 0. 0 still runs both passes.
    """
    rho: float

    def __post_init__(self):
        if not 0 <= self.rho < math.inf:
            raise UserError(f'UniformRadius: rho={self.rho} must be a number from 0.')

    def __call__(self, weights: list[Tensor], grads: list[Tensor]) -> tuple[list[Radius], Radius]:
        """Radii of each layer's neurons, and the radius of tensors no neuron owns."""
        return [float(self.rho)] * len(weights), float(self.rho)


@dataclass(frozen=True)
class AdaptiveRadius:
    """A large radius for unimportant neurons, a small one for important ones.

    ``rho_i = rho_max - (s_i - s_min) / (s_max - s_min) * (rho_max - rho_min)``, over live neurons at each step; equal
    scores give the middle. A neuron whose weights are all zero is pruned: it does not count, and gets the mean.

    Args:
        rho_min: Radius of the best neuron.
        rho_max: Radius of the worst neuron.
        score: 'l2' (norm of the row) or 'taylor' (``|w . g|`` with the gradient of the first pass).
        score_scope: 'model' takes the range of scores over the model, 'layer' over each layer.
        mapping: 'linear', or 'rank' (ranks instead of scores; ties share their mean rank).
    """
    rho_min: float
    rho_max: float
    score: str = 'l2'
    score_scope: str = 'model'
    mapping: str = 'linear'

    def __post_init__(self):
        if not 0 <= self.rho_min <= self.rho_max < math.inf:
            raise UserError(f'AdaptiveRadius: rho_min={self.rho_min} and rho_max={self.rho_max} must satisfy '
                             '0 <= rho_min <= rho_max < inf.')
        for name, value, allowed in (('score', self.score, SCORES), ('score_scope', self.score_scope,
                                                                     ('model', 'layer')),
                                     ('mapping', self.mapping, POSITIONS)):
            if value not in allowed:
                raise UserError(f'AdaptiveRadius: {name}={value!r} is unknown; choose one of {sorted(allowed)}.')

    def __call__(self, weights: list[Tensor], grads: list[Tensor]) -> tuple[list[Radius], Radius]:
        """Radii of each layer's neurons, and the radius (the mean) of tensors no neuron owns."""
        if not weights:
            return [], float(self.rho_min + self.rho_max) / 2
        sizes = [len(w) for w in weights]
        norms = torch.cat(SCORES['l2'](weights, grads))
        scores = norms if self.score == 'l2' else torch.cat(SCORES[self.score](weights, grads))
        live = norms > 0
        position = POSITIONS[self.mapping]
        if self.score_scope == 'layer':
            parts = zip(scores.split(sizes), live.split(sizes))
            where = torch.cat([position(s, alive) for s, alive in parts])
        else:
            where = position(scores, live)
        radii = self.rho_max - where * (self.rho_max - self.rho_min)
        mean = torch.where(live, radii, 0).sum() / live.sum().clamp(min=1)
        return list(torch.where(live, radii, mean).split(sizes)), mean


def linear_position(scores: Tensor, live: Tensor) -> Tensor:
    """Where each score lies between the least (0) and the greatest (1) live score; all equal lie at 1/2."""
    low = torch.where(live, scores, torch.inf).amin()
    span = torch.where(live, scores, -torch.inf).amax() - low
    return torch.where(span > 0, (scores - low) / span, 0.5)


def rank_position(scores: Tensor, live: Tensor) -> Tensor:
    """Mean rank of each score among the live ones, from 0 (least) to 1 (greatest); all equal lie at 1/2."""
    ordered = torch.where(live, scores, torch.inf).sort().values
    first = torch.searchsorted(ordered, scores)
    last = torch.searchsorted(ordered, scores, right=True) - 1
    count = live.sum()
    return torch.where(count > 1, (first + last).to(scores.dtype) / 2 / (count - 1).clamp(min=1), 0.5)


def radius_range(radii: tuple[list[Radius], Radius], like: Tensor) -> Tensor:
    """Least, mean and greatest radius of what a policy returned, shape (3,), on the device of ``like``."""
    layer_radii, other_radius = radii
    if isinstance(other_radius, float):
        return like.new_full((3, ), other_radius)
    every = torch.cat(layer_radii)
    return torch.stack([every.amin(), every.mean(), every.amax()])


POSITIONS = dict(linear=linear_position, rank=rank_position)
RADII = dict(UniformRadius=UniformRadius, AdaptiveRadius=AdaptiveRadius)


def build_radius(cfg: Union[dict, UniformRadius, AdaptiveRadius, None]):
    """A radius policy from ``dict(type='AdaptiveRadius' or 'UniformRadius', ...)``; None means one-pass steps.

    Raises:
        UserError: Neither of these nor a policy, unknown type, unknown or missing argument, or a value out of range.
    """
    if cfg is None or callable(cfg) and not isinstance(cfg, type):
        return cfg
    if not isinstance(cfg, dict):
        rho = cfg if isinstance(cfg, (int, float)) else '...'
        raise UserError(f"radius={cfg!r} is no policy; write radius=dict(type='UniformRadius', rho={rho}).")
    args = dict(cfg)
    kind = args.pop('type', None)
    if kind not in RADII:
        raise UserError(f'radius: type={kind!r} is unknown; choose one of {sorted(RADII)}, or radius=None for '
                         'plain steps.')
    try:
        return RADII[kind](**args)
    except TypeError as error:
        raise UserError(f'radius={dict(cfg)}: {error}.') from None
