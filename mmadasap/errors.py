"""One class for what a user can mend, and building things from a user's arguments."""
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Built = TypeVar('Built')


class UserError(ValueError):
    """Bad input, configuration or data; the message is one sentence naming the value and the remedy."""


def build_from(maker: Callable[..., Built], name: str, arguments: Mapping[str, Any]) -> Built:
    """``maker(**arguments)``; arguments it does not take are the user's mistake.

    Raises:
        UserError: Naming the setting ``name`` and its value.
    """
    try:
        return maker(**arguments)
    except TypeError as error:
        raise UserError(f'{name}={dict(arguments)}: {error}.') from None
