"""The host libraries, mmdet and mmpretrain: either may be absent, and where their tools differ."""
import os.path as osp
import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Optional

from mmengine.config import Config
from mmengine.registry import Registry

from mmadasap.errors import UserError, brief


@dataclass(frozen=True)
class Host:
    """What the tools need to know of a host.

    Attributes:
        purpose: What it is for.
        fork: Name of the maintained fork's package, which has the same import name.
        dump: Metric that writes predictions to a file.
        draw: Settings of its visualization hook that turn drawing on.
        folder: Setting of that hook that names the folder for pictures.
        tta: Model that merges what it finds in several versions of an image.
    """
    purpose: str
    fork: str
    dump: str
    draw: dict
    folder: str
    tta: dict


HOSTS = dict(
    mmdet=Host(
        'detection', 'onedl-mmdetection', 'DumpDetResults', dict(draw=True), 'test_out_dir',
        dict(type='DetTTAModel', tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100))),
    mmpretrain=Host(
        'classification', 'onedl-mmpretrain', 'DumpResults', dict(enable=True, interval=1), 'out_dir',
        dict(type='AverageClsScoreTTA')))


ABSENT = 'is not installed'
# Where torch is not there when mmcv is built, its set-up leaves the compiled part out, and says so in its log alone.
RECOMPILE = ('mmcv lacks its compiled part, or it is of another torch: with torch installed, run pip install '
             "'setuptools<81' wheel ninja, and pip install --force-reinstall --no-deps --no-cache-dir "
             '--no-build-isolation mmcv (onedl-mmcv beside the OneDL forks), or take a wheel of it for this very torch')


@cache
def missing(host: str) -> Optional[str]:
    """Why a host library cannot be used; None where it can."""
    if find_spec(host) is None:
        return ABSENT
    try:
        import_module(f'{host}.models')
    except Exception as error:
        return f'cannot be imported ({brief(error)})'
    return None


def is_installed(host: str) -> bool:
    """Whether a host library is there and works."""
    return missing(host) is None


def require(host: str, wanted_by: str) -> None:
    """Refuses to go on without a host library.

    Raises:
        UserError: Naming who wants it and what to install.
    """
    reason = missing(host)
    if reason is None:
        return
    raise UserError(f'{wanted_by} needs {host} (for {HOSTS[host].purpose}), which {reason}; {remedy(host, reason)}.')


def remedy(host: str, reason: str) -> str:
    """What to do about a host that :func:`missing` finds unusable for that reason."""
    if reason == ABSENT:
        return f"install {host}, or beside OneDL's mmengine and mmcv {HOSTS[host].fork}"
    if re.search(r'mmcv[./]_ext', reason):
        return RECOMPILE
    return 'install versions that go together' if 'incompatible' in reason else 'mend or reinstall it'


def stand_in(registry: Registry, host: str, *names: str) -> None:
    """Registers parts that need an absent host library, so that using one says what to install."""
    for name in names:

        def refuse(*args, _name=name, **kwargs):
            require(host, f'mmadasap.{_name}')

        registry.register_module(name=name, module=refuse)


def scope_of(cfg: Config) -> str:
    """The library a config is for; new-style configs leave it open."""
    return cfg.get('default_scope') or 'mmdet'


def check_scope(cfg: Config) -> None:
    """Refuses a config whose host library is absent.

    Raises:
        UserError: Naming the library.
    """
    scope = scope_of(cfg)
    if scope in HOSTS:
        require(scope, f'This config (default_scope={scope!r})')


def host_of(cfg: Config) -> Host:
    """The host a config is for, by its ``default_scope``.

    Raises:
        UserError: A scope of another library.
    """
    scope = scope_of(cfg)
    if scope not in HOSTS:
        raise UserError(f"default_scope={scope!r} is of a library this tool does not know; set one of "
                        f'{", ".join(HOSTS)}.')
    return HOSTS[scope]


def draw_predictions(cfg: Config, show: bool, folder: str | None, wait_time: float) -> None:
    """Lets the run's visualization hook draw predictions, on a screen or into a folder.

    Raises:
        UserError: The config has no such hook.
    """
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise UserError('--show and --show-dir need default_hooks.visualization in the config.')
    host = host_of(cfg)
    hook.update(host.draw)
    if show:
        hook.update(show=True, wait_time=wait_time)
    if folder:
        # mmdet puts the folder below the work directory, mmpretrain below where it is started.
        hook[host.folder] = folder if host is HOSTS['mmdet'] else osp.join(cfg.work_dir, folder)
