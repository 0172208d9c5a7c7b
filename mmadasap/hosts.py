"""The host libraries: mmdet and mmpretrain, either of which may be absent."""
from importlib.util import find_spec

from mmengine.registry import Registry

from mmadasap.errors import UserError

PURPOSE = dict(mmdet='detection', mmpretrain='classification')


def is_installed(host: str) -> bool:
    """Whether a host library is there."""
    return find_spec(host) is not None


def require(host: str, wanted_by: str) -> None:
    """Refuses to go on without a host library.

    Raises:
        UserError: Naming who wants it and what to install.
    """
    if not is_installed(host):
        raise UserError(f'{wanted_by} needs {host} (for {PURPOSE[host]}), which is not installed; pip install '
                        f"'mmadasap[onedl]', or {host} itself.")


def stand_in(registry: Registry, host: str, *names: str) -> None:
    """Registers parts that need an absent host library, so that using one says what to install."""
    for name in names:

        def refuse(*args, _name=name, **kwargs):
            require(host, f'mmadasap.{_name}')

        registry.register_module(name=name, module=refuse)
