"""What mmengine writes into checkpoints beside weights, for ``torch.load(weights_only=True)``.

From torch 2.6 on that is the default, and upstream mmengine then refuses its own files. The OneDL fork reads them.
"""
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from mmadasap.version import release

# numpy 2 has moved these; files name the place they had when they were written.
_ARRAYS = np.ones(1).__reduce__()[0], np.float64(1).__reduce__()[0]
_NUMBERS = ('float16', 'float32', 'float64', 'int32', 'int64', 'uint8', 'uint32', 'bool')


def method_of(owner: Any, name: str) -> Any:
    """In place of ``getattr``, which could reach anything: the statistics a history names.

    Raises:
        UnpicklingError: Anything else.
    """
    if owner is not HistoryBuffer or name.startswith('_'):
        raise UnpicklingError(f'{owner}.{name} is nothing that mmengine writes into a checkpoint')
    return getattr(owner, name)


def allow_histories() -> None:
    """Lets ``weights_only`` loading read mmengine's histories and numpy's numbers and arrays."""
    if release(torch.__version__) < (2, 6):
        return
    places = [(made, f'numpy.{core}.multiarray.{made.__name__}') for made in _ARRAYS for core in ('core', '_core')]
    torch.serialization.add_safe_globals([
        HistoryBuffer, np.ndarray, np.dtype, (method_of, 'builtins.getattr'), *places,
        *(type(np.dtype(number)) for number in _NUMBERS)])
