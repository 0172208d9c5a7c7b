"""Whether what a run needs is installed and works, with the remedy where it does not."""
import platform
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from typing import Optional

from mmadasap.errors import brief

# Import name -> what to install, beside the hosts.
REQUIRED = dict(
    torch='torch', numpy='numpy', cv2='opencv-python-headless', scipy='scipy', matplotlib='matplotlib', rich='rich',
    torch_pruning='torch-pruning', imagecorruptions='imagecorruptions-imaug',
    mmengine="mmengine  # onedl-mmengine beside OneDL's forks",
    mmcv="--no-build-isolation mmcv  # onedl-mmcv beside OneDL's forks")
OPTIONAL = dict(onnx='writes ONNX files', onnxruntime='runs them')


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What it is.
        found: Its version, or what is wrong with it.
        remedy: What to do; None where it works or is not needed.
    """
    name: str
    found: str
    remedy: Optional[str] = None


def examine() -> list[Finding]:
    """Looks at libraries, hosts and the device, by importing them; mmcv's compiled part is what a host imports."""
    libraries = [_library(name, install) for name, install in REQUIRED.items()]
    found = [Finding('python', platform.python_version()), *libraries, *_requirements()]
    if any(finding.remedy for finding in libraries):
        # What is below would fail for the same reason.
        return found
    return [*found, *_hosts(), *(_optional(name, purpose) for name, purpose in OPTIONAL.items()), *_device()]


def format_findings(findings: Iterable[Finding]) -> str:
    """One line each, and the remedy below what needs one."""
    lines = []
    for finding in findings:
        lines.append(f'{"MEND" if finding.remedy else "ok":5}{finding.name:18}{finding.found}')
        lines += [f'{"":23}-> {finding.remedy}'] if finding.remedy else []
    return '\n'.join(lines)


def _library(name: str, install: str) -> Finding:
    if find_spec(name) is None:
        return Finding(name, 'is not installed', f'pip install {install}')
    try:
        import_module(name)
    except Exception as error:
        return Finding(name, f'{_version(name)} cannot be imported ({brief(error)})',
                       f'pip install --force-reinstall --no-deps {install}')
    return Finding(name, _version(name))


def _requirements() -> list[Finding]:
    """What pip finds wrong with the versions this package asks for, where it is installed itself."""
    checked = subprocess.run([sys.executable, '-m', 'pip', 'check'], text=True, capture_output=True)
    return [Finding('mmadasap', line, 'install what it asks for: pip install . in its checkout')
            for line in checked.stdout.splitlines() if line.startswith('mmadasap ')]


def _version(name: str) -> str:
    distributions = packages_distributions().get(name)
    return f'{distributions[0]} {version(distributions[0])}' if distributions else 'of unknown version'


def _hosts() -> list[Finding]:
    from mmadasap.hosts import ABSENT, HOSTS, missing, remedy
    found = []
    for host in HOSTS:
        reason = missing(host)
        is_needed = reason != ABSENT or not any(missing(other) is None for other in HOSTS)
        found.append(Finding(host, _version(host)) if reason is None else
                     Finding(host, reason, remedy(host, reason) if is_needed else None))
    return found


def _optional(name: str, purpose: str) -> Finding:
    return Finding(name, f'is not installed ({purpose})') if find_spec(name) is None else _library(name, name)


def _device() -> list[Finding]:
    from mmadasap.bfloat16 import has_bfloat16
    from mmadasap.latency import describe_machine
    about, on_cpu = describe_machine(), describe_machine('cpu')
    fast = 'fast' if has_bfloat16() else 'rounded, at the speed of float32'
    found = [Finding('processor', f'{on_cpu["device"]}, {on_cpu["threads"]} threads, bfloat16 {fast}')]
    return found if about['device'] == on_cpu['device'] else [*found, Finding('device', about['device'])]
