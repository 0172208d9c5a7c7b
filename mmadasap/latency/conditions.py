"""What a latency was measured under: numbers taken under other conditions are other numbers."""
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

import torch

from mmadasap.errors import UserError, check_types

from .machine import describe_machine

DTYPES = {'float32': torch.float32, 'float16': torch.float16, 'bfloat16': torch.bfloat16}
# What runs the layers, apart from torch; ONNX Runtime calls TensorRT.
LIBRARIES = {'torch': (), 'onnxruntime': ('onnxruntime', ), 'tensorrt': ('onnxruntime', 'tensorrt')}
BACKENDS = tuple(LIBRARIES)


@dataclass(frozen=True)
class Conditions:
    """Device, software and settings of a measurement.

    Attributes:
        device: Name of the processor or accelerator.
        where: 'cpu' or 'cuda:<number>', as torch names it.
        backend: 'torch', 'onnxruntime' or 'tensorrt'.
        dtype: 'float32', 'float16' or 'bfloat16'.
        batch: Images a call.
        channels_last: Memory format of feature maps.
        threads: Threads of the processor.
        versions: Name of a library -> its version, of those the backend runs on.
        date: Day of the measurement (UTC).

    Raises:
        UserError: A value that is none of these.
    """
    device: str
    where: str
    backend: str
    dtype: str
    batch: int
    channels_last: bool
    threads: int
    versions: dict[str, str]
    date: str

    def __post_init__(self):
        check_types(self)
        if not re.fullmatch(r'cpu|cuda:\d+', self.where):
            raise UserError(f"where={self.where!r} must be 'cpu' or 'cuda:<number>'.")
        if self.backend not in BACKENDS:
            raise UserError(f'backend={self.backend!r} is unknown; choose one of {", ".join(BACKENDS)}.')
        if self.dtype not in DTYPES:
            raise UserError(f'dtype={self.dtype!r} is unknown; choose one of {", ".join(DTYPES)}.')
        for name in ('batch', 'threads'):
            if getattr(self, name) < 1:
                raise UserError(f'{name}={getattr(self, name)} must be at least 1.')

    @classmethod
    def here(cls, where: str = 'cpu', backend: str = 'torch', dtype: str = 'float32', batch: int = 1,
             channels_last: bool = False) -> 'Conditions':
        """The conditions a measurement started now is made under.

        Raises:
            UserError: A device this machine does not have.
        """
        if where not in devices():
            raise UserError(f'--device {where} is not on this machine; choose one of {", ".join(devices())}.')
        machine = describe_machine(where)
        versions = {name: machine[name] for name in ('torch', 'python')} | _versions(LIBRARIES.get(backend, ()))
        return cls(machine['device'], where, backend, dtype, batch, channels_last, machine['threads'], versions,
                   machine['date'])

    def is_here(self) -> bool:
        """Whether this machine has the device, by its name."""
        return self.where in devices() and describe_machine(self.where)['device'] == self.device

    def now(self) -> 'Conditions':
        """The same settings on this machine as it is now.

        Raises:
            UserError: A device this machine does not have.
        """
        return Conditions.here(self.where, self.backend, self.dtype, self.batch, self.channels_last)

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    def differences(self, other: 'Conditions') -> list[str]:
        """What makes times taken under ``other`` comparable only in part: 'name: here, there', one for each."""
        names = ('device', 'backend', 'channels_last', 'threads', 'versions')
        pairs = [(n, getattr(self, n), getattr(other, n)) for n in names]
        return [f'{name}: {mine}, {theirs}' for name, mine, theirs in pairs if mine != theirs]


def devices() -> list[str]:
    """Names of this machine's devices, as torch has them."""
    return ['cpu', *(f'cuda:{number}' for number in range(torch.cuda.device_count()))]


def _versions(libraries: Iterable[str]) -> dict[str, str]:
    """Name -> version of those that can be imported."""
    found = {}
    for name in libraries:
        with suppress(ImportError):
            found[name] = import_module(name).__version__
    return found
