"""One class for what a user can mend, and building and checking things from a user's arguments and files."""
import os.path as osp
import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar, get_args, get_origin

Built = TypeVar('Built')


class UserError(ValueError):
    """Bad input, configuration or data; the message is one sentence naming the value and the remedy."""


def brief(error: Exception) -> str:
    """An error of somebody else's code in a few words: its type, and its first line or else where it was raised."""
    text = re.sub(r'\x1b\[[0-9;]*m', '', str(error)).strip()
    if text:
        return f'{type(error).__name__}: {text.splitlines()[0][:200]}'
    frames = traceback.extract_tb(error.__traceback__)
    return f'{type(error).__name__} in {osp.basename(frames[-1].filename)}, line {frames[-1].lineno}' if frames else \
        type(error).__name__


def build_from(maker: Callable[..., Built], name: str, arguments: Mapping[str, Any]) -> Built:
    """``maker(**arguments)``; arguments it does not take are the user's mistake.

    Raises:
        UserError: Naming the setting ``name`` and its value.
    """
    try:
        return maker(**arguments)
    except TypeError as error:
        raise UserError(f'{name}={dict(arguments)}: {error}.') from None


def check_types(record: Any) -> None:
    """Refuses a dataclass instance that holds something else than its fields declare.

    Fields may be of simple types, or tuples or dicts of them.

    Raises:
        UserError: Naming the first such field, its value and its type.
    """
    for field in fields(record):
        value = getattr(record, field.name)
        if not _is(value, field.type):
            kind = field.type if get_origin(field.type) else field.type.__name__
            raise UserError(f'{field.name}={value!r} must be of type {kind}.')


def _is(value: Any, kind: Any) -> bool:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple:
        return isinstance(value, tuple) and len(value) == len(inner) and all(map(_is, value, inner))
    if origin is dict:
        return isinstance(value, dict) and all(_is(k, inner[0]) and _is(v, inner[1]) for k, v in value.items())
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
