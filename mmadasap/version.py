"""Version of this package, and the versions of its host libraries it supports."""
import runpy
from importlib.util import find_spec
from pathlib import Path
from typing import Optional

__version__ = '0.1.0'

# Import name -> (oldest supported, first unsupported). Upstream releases and the maintained OneDL forks share names.
SUPPORTED = dict(
    mmengine=('0.10.3', '0.11.0'),
    mmcv=('2.0.1', '2.4.0'),
    mmdet=('3.2.0', '3.6.0'),
    mmpretrain=('1.1.0', '1.4.0'),
)


def release(version: str) -> tuple[int, ...]:
    """The numbers a version starts with: '0.10.7rc1' -> (0, 10, 7)."""
    numbers = []
    for part in version.split('+')[0].split('.')[:3]:
        digits = part[:len(part) - len(part.lstrip('0123456789'))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)


def installed_version(name: str) -> Optional[str]:
    """Version of a host library without importing it (an optional one may be broken); None where it is absent."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        return None
    return runpy.run_path(str(Path(spec.origin).with_name('version.py')))['__version__']


def check_version(name: str, version: str) -> None:
    """Refuses a host library outside the supported range.

    Raises:
        ImportError: Naming the library, the version found and the range.
    """
    low, high = SUPPORTED[name]
    if not release(low) <= release(version) < release(high):
        raise ImportError(f'mmadasap {__version__} supports {name} >= {low}, < {high}, but {version} is installed; '
                          f'install a version in this range.')
