"""Checkpoints that ``torch.load(weights_only=True)`` reads: tensors, numbers, text and containers of them alone."""
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

# What was a HistoryBuffer has these.
HISTORY_KEYS = {'history', 'counts', 'max_length'}


def is_plain_history(value: Any) -> bool:
    """Whether it is what :func:`to_plain` makes of a history."""
    return isinstance(value, dict) and set(value) == HISTORY_KEYS


def to_plain(value: Any) -> Any:
    """``value`` with mmengine's histories and NumPy's numbers and arrays as plain data, at any depth.

    Functions in dicts, as OneCycleLR holds one, are left out: whatever is resumed was built with its own.
    """
    if isinstance(value, HistoryBuffer):
        history, counts = value.data
        return dict(history=torch.as_tensor(history), counts=torch.as_tensor(counts), max_length=value.max_length)
    if isinstance(value, dict):
        return {key: to_plain(v) for key, v in value.items() if not callable(v)}
    if isinstance(value, (list, tuple)):
        # Named tuples would be classes to unpickle.
        return (list if isinstance(value, list) else tuple)(to_plain(v) for v in value)
    if isinstance(value, np.ndarray):
        return torch.as_tensor(value) if value.dtype.kind in 'biufc' else to_plain(value.tolist())
    return value.item() if isinstance(value, np.generic) else value


def make_plain(checkpoint: dict) -> None:
    """Turns what mmengine adds to weights and optimizer state into plain data, in place."""
    for key in ('meta', 'message_hub', 'param_schedulers'):
        if key in checkpoint:
            checkpoint[key] = to_plain(checkpoint[key])


def make_resumable(checkpoint: dict) -> None:
    """Turns the histories that :func:`make_plain` wrote into what mmengine's message hub loads, in place."""
    scalars = checkpoint.get('message_hub', {}).get('log_scalars', {})
    for key, value in scalars.items():
        if is_plain_history(value):
            # Resuming maps tensors to the run's device.
            history, counts = value['history'].cpu().numpy(), value['counts'].cpu().numpy()
            scalars[key] = HistoryBuffer(history, counts, value['max_length'])
