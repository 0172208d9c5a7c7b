"""Global ranking: of all channels of all groups, the least important go until the budget is met."""
from collections.abc import Callable

import torch
from torch import Tensor

from mmadasap.errors import UserError

from .groups import ChannelGroup
from .importance import Scores
from .masks import Kept


class BudgetError(UserError):
    """A budget that no allowed choice of channels can meet."""


def keep_best(groups: list[ChannelGroup], scores: Scores, kept: Kept, cost: Callable[[Kept], float],
              budget: float) -> Kept:
    """Prunes the lowest-ranked live channels of unprotected groups, as few as meet the budget.

    Pruned channels stay pruned, and the best channel of every group stays.

    Args:
        groups: Channel groups.
        scores: Group name -> importance (width,).
        kept: Live channels now.
        cost: Cost of the network with given live channels; must not grow when channels go.
        budget: Cost to stay within.

    Returns:
        Live channels afterwards.

    Raises:
        BudgetError: The budget is below what the least allowed network costs.
    """
    order = _ranking([g for g in groups if g.protected is None], scores, kept)
    _refuse_below(cost(_without(kept, order)), budget)
    low, high = 0, len(order)
    while low < high:
        middle = (low + high) // 2
        if cost(_without(kept, order[:middle])) <= budget:
            high = middle
        else:
            low = middle + 1
    return _without(kept, order[:low])


def check_reachable(groups: list[ChannelGroup], cost: Callable[[Kept], float], budget: float) -> None:
    """Refuses a budget below the cost of the least allowed network, before any training.

    Raises:
        BudgetError: Naming the least reachable cost.
    """
    least = {g.name: torch.ones(g.width, dtype=torch.bool) for g in groups}
    for group in groups:
        if group.protected is None:
            least[group.name][1:] = False
    _refuse_below(cost(least), budget)


def _refuse_below(least: float, budget: float) -> None:
    if least > budget:
        raise BudgetError(f'A budget of {budget:.6g} cannot be met: with one channel left in every prunable group the '
                          f'network still costs {least:.6g}; raise the budget or protect less (tools/print_groups.py '
                          'CONFIG shows what is protected, and why).')


def live_scores(group: ChannelGroup, scores: Scores, kept: Kept) -> tuple[Tensor, Tensor]:
    """The live channels of a group and their scores.

    Raises:
        UserError: Scores that are not finite.
    """
    live = kept[group.name].nonzero().flatten()
    values = scores[group.name].detach().cpu().double()[live]
    if not bool(torch.isfinite(values).all()):
        raise UserError(f'Scores of group {group.name!r} are not finite, so its channels cannot be ranked; has '
                        'training diverged?')
    return live, values


def _ranking(groups: list[ChannelGroup], scores: Scores, kept: Kept) -> list[tuple[str, int]]:
    """(group, channel) of all live channels but each group's best, least important first; ties go in group order."""
    found = []
    for position, group in enumerate(groups):
        live, values = live_scores(group, scores, kept)
        best = int(values.argmax()) if len(live) else -1
        found += [(v, position, int(c)) for i, (v, c) in enumerate(zip(values.tolist(), live)) if i != best]
    return [(groups[position].name, channel) for _, position, channel in sorted(found)]


def _without(kept: Kept, removed: list[tuple[str, int]]) -> Kept:
    left = {name: live.clone() for name, live in kept.items()}
    for name, channel in removed:
        left[name][channel] = False
    return left
