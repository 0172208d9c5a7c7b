"""Importance of channels: one score per channel of a group, higher is worth more."""
from collections.abc import Iterable
from typing import Protocol, Union

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmadasap.errors import UserError, build_from

from .graph import LAYER_TYPES
from .groups import ChannelGroup, Member
from .masks import Kept

Scores = dict[str, Tensor]


class Importance(Protocol):
    """What a criterion must offer; register one with :func:`register_importance`."""

    def observe(self, model: nn.Module, groups: Iterable[ChannelGroup]) -> None:
        """Called before every optimizer step, with the gradients it is about to use."""

    def scores(self, model: nn.Module, groups: Iterable[ChannelGroup], kept: Kept) -> Scores:
        """Called at a pruning step: a tensor of shape (width,) for each group."""

    def state_dict(self) -> dict:
        """What has been observed since the last pruning step, as plain tensors and numbers."""

    def load_state_dict(self, state: dict) -> None:
        """Goes on from :meth:`state_dict`."""


IMPORTANCES: dict[str, type] = {}


def register_importance(cls: type) -> type:
    """Makes a class available as ``importance=dict(type=<its name>)``."""
    IMPORTANCES[cls.__name__] = cls
    return cls


def build_importance(cfg: Union[dict, Importance]) -> Importance:
    """A criterion from ``dict(type=...)``.

    Raises:
        UserError: Unknown type or arguments.
    """
    if not isinstance(cfg, dict):
        return cfg
    args = dict(cfg)
    kind = args.pop('type', None)
    if kind not in IMPORTANCES:
        raise UserError(f'importance: type={kind!r} is unknown; choose one of {sorted(IMPORTANCES)}.')
    return build_from(IMPORTANCES[kind], 'importance', args)


def normalize_scores(scores: Scores, kept: Kept, normalize: str) -> Scores:
    """'mean' divides each group's scores by the mean over its live channels; 'none' leaves them."""
    if normalize == 'none':
        return scores
    return {name: s / s[kept[name].to(s.device)].mean().clamp(min=torch.finfo(s.dtype).tiny)
            for name, s in scores.items()}


def _check_normalize(normalize: str) -> None:
    if normalize not in ('mean', 'none'):
        raise UserError(f"importance: normalize={normalize!r} is unknown; choose 'mean' or 'none'.")


def _written(model: nn.Module, group: ChannelGroup, types: tuple) -> list[tuple[nn.Module, Member]]:
    """Modules of the given types that write the group's channels."""
    found = [(model.get_submodule(m.module), m) for m in group.members if m.side == 'out']
    return [(module, member) for module, member in found if isinstance(module, types)]


def _per_channel(group: ChannelGroup, member: Member, values: Tensor) -> Tensor:
    """Sums ``values`` (one per position of the member's module) into the group's channels."""
    total = values.new_zeros(group.width)
    return total.index_add_(0, member.channel.to(values.device), values[member.index.to(values.device)])


@register_importance
class MagnitudeImportance:
    """L2 norm of a channel's weights over all layers of its group that write it.

    Args:
        normalize: 'mean' or 'none': whether groups are made comparable by their mean score.
    """

    def __init__(self, normalize: str = 'mean'):
        _check_normalize(normalize)
        self.normalize = normalize

    def observe(self, model: nn.Module, groups: Iterable[ChannelGroup]) -> None:
        """Needs no gradients."""

    @torch.no_grad()
    def scores(self, model: nn.Module, groups: Iterable[ChannelGroup], kept: Kept) -> Scores:
        """Score (width,) of each group at the present weights."""
        found = {}
        for group in groups:
            squares = [
                _per_channel(group, member, module.weight.flatten(1).square().sum(1))
                for module, member in _written(model, group, LAYER_TYPES)
            ]
            found[group.name] = torch.stack(squares).sum(0).sqrt()
        return normalize_scores(found, kept, self.normalize)

    def state_dict(self) -> dict:
        """Nothing is accumulated."""
        return {}

    def load_state_dict(self, state: dict) -> None:
        """Nothing is accumulated."""


@register_importance
class TaylorImportance:
    """First-order change of the loss if a channel were zero (Molchanov 2019), averaged between pruning steps.

    ``|sum over the group of gamma g_gamma + beta g_beta|`` where every layer of the group has a norm, else
    ``|sum w g|``.

    Args:
        normalize: 'mean' or 'none': whether groups are made comparable by their mean score.
    """

    def __init__(self, normalize: str = 'mean'):
        _check_normalize(normalize)
        self.normalize = normalize
        self._sums: Scores = {}
        self._count = 0
        self._used = False

    @torch.no_grad()
    def observe(self, model: nn.Module, groups: Iterable[ChannelGroup]) -> None:
        """Adds the scores at the present gradients to the average; starts a new one after a pruning step."""
        if self._used:
            self._count, self._used = 0, False
        for group in groups:
            score = self._taylor(model, group)
            self._sums[group.name] = self._sum_of(group) + score if self._count else score
        self._count += 1

    def _sum_of(self, group: ChannelGroup) -> Tensor:
        total = self._sums.get(group.name)
        if not isinstance(total, Tensor) or total.shape != (group.width, ):
            raise UserError(f'importance: the sums that were resumed have no {group.width} numbers for {group.name!r}; '
                            'resume from a checkpoint of this run.')
        return total

    @torch.no_grad()
    def scores(self, model: nn.Module, groups: Iterable[ChannelGroup], kept: Kept) -> Scores:
        """Mean score (width,) of each group since the last pruning step, or before it if none was observed since.

        Raises:
            UserError: No step was ever observed.
        """
        if not self._count:
            raise UserError('TaylorImportance has seen no optimizer step, so it has no scores; begin pruning later, '
                            'or lower the learning rate if all steps were skipped for gradients that are not finite.')
        self._used = True
        means = {name: total / self._count for name, total in self._sums.items()}
        return normalize_scores(means, kept, self.normalize)

    @staticmethod
    def _taylor(model: nn.Module, group: ChannelGroup) -> Tensor:
        layers = _written(model, group, LAYER_TYPES)
        # A frozen norm sees no gradient, and a shared layer may have a norm for each of its uses.
        norms = [(n, m) for n, m in _written(model, group, (_BatchNorm, )) if n.affine and n.weight.requires_grad]
        terms = []
        for module, member in norms if len(norms) >= len(layers) else layers:
            tensors = [module.weight, module.bias] if isinstance(module, _BatchNorm) else [module.weight]
            for t in tensors:
                products = torch.zeros_like(t) if t.grad is None else t * t.grad
                terms.append(_per_channel(group, member, products.flatten(1).sum(1) if t.dim() > 1 else products))
        return torch.stack(terms).sum(0).abs()

    def state_dict(self) -> dict:
        """Sums, their count, and whether a pruning step has used them."""
        return dict(sums={k: v.cpu() for k, v in self._sums.items()}, count=self._count, used=self._used)

    def load_state_dict(self, state: dict) -> None:
        """Goes on with the saved sums.

        Raises:
            UserError: It is no state of this criterion.
        """
        sums, count, used = (state.get(key) for key in ('sums', 'count', 'used'))
        if not isinstance(sums, dict) or type(count) is not int or count < 0 or type(used) is not bool:
            raise UserError(f'importance: the resumed state has sums={type(sums).__name__}, count={count!r}, '
                            f'used={used!r}, which are not those of {type(self).__name__}; resume from a checkpoint of '
                            'this run.')
        self._sums, self._count, self._used = dict(sums), count, used
