"""Timing several functions against each other in one run."""
import statistics
import time
from collections.abc import Callable
from typing import Optional

import torch


def interleaved_medians(calls: dict[str, Callable[[], object]],
                        rounds: int = 30,
                        warmup: int = 3,
                        before: Optional[Callable[[], object]] = None) -> dict[str, float]:
    """Median time of each call in milliseconds; the calls take turns, so that drift of the machine hits all alike.

    Args:
        calls: Name -> function without arguments.
        rounds: Measurements of each call.
        warmup: Unmeasured calls of each before them.
        before: Called before each measurement, outside of it.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(warmup + rounds):
        for name, call in calls.items():
            if before is not None:
                before()
            _synchronize()
            start = time.perf_counter()
            call()
            _synchronize()
            if turn >= warmup:
                times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def _synchronize() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
