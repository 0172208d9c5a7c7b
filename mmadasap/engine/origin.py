"""Where a pruned network comes from, in its config: the budget it was cut to and the checkpoints it descends from."""
from dataclasses import asdict
from typing import Any, Optional

from mmengine.config import Config

from mmadasap.engine.checkpoint import shown
from mmadasap.errors import UserError, build_from
from mmadasap.pruning import Budget

ORIGIN = 'slim_origin'


def record_origin(cfg: Config, budget: Budget, parent: Optional[str]) -> None:
    """Writes into a slim ``cfg`` what it was cut to, and the checkpoint the pruning started from, if any.

    Raises:
        UserError: As :func:`origin_of`.
    """
    _, parents = origin_of(cfg)
    given = {key: value for key, value in asdict(budget).items() if value is not None}
    cfg[ORIGIN] = dict(budget=given, parents=_descend(parents, parent))


def note_start(cfg: Config) -> None:
    """Adds to a slim ``cfg`` the checkpoint its run starts from; a later resume replaces ``load_from``.

    Raises:
        UserError: As :func:`origin_of`.
    """
    if cfg.get(ORIGIN) and not cfg.get('resume'):
        cfg[ORIGIN]['parents'] = _descend(origin_of(cfg)[1], cfg.get('load_from'))


def origin_of(cfg: Config) -> tuple[Optional[Budget], list[str]]:
    """The budget and the parents, the next one first, that a config records.

    Raises:
        UserError: They are no such things; naming the value.
    """
    origin = cfg.get(ORIGIN) or {}
    if not isinstance(origin, dict):
        raise UserError(f'{ORIGIN}={shown(origin)} is no dict of budget and parents; correct or remove it.')
    parents = origin.get('parents') or []
    if not isinstance(parents, list) or not all(isinstance(p, str) for p in parents):
        raise UserError(f"{ORIGIN}['parents']={shown(parents)} is no list of paths; correct or remove it.")
    return read_budget(origin.get('budget')), list(parents)


def read_budget(budget: Any) -> Optional[Budget]:
    """A budget from plain data; None where there is none.

    Raises:
        UserError: It is none; naming the value.
    """
    if budget is None:
        return None
    if not isinstance(budget, dict):
        raise UserError(f'budget={shown(budget)} is no dict; the file is damaged.')
    return build_from(Budget, 'budget', budget)


def _descend(parents: list[str], parent: Optional[str]) -> list[str]:
    return [parent, *parents] if parent and parent not in parents else parents
