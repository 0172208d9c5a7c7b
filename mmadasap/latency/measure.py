"""Timing several functions against each other in one run."""
import statistics
import time
from collections.abc import Callable

import torch


def interleaved_medians(calls: dict[str, Callable[[], object]], rounds: int = 30, warmup: int = 3) -> dict[str, float]:
    """Median time of each call in milliseconds; the calls take turns, so that drift of the machine hits all alike.

    Args:
        calls: Name -> function without arguments.
        rounds: Measurements of each call.
        warmup: Unmeasured calls of each before them.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(warmup + rounds):
        for name, call in calls.items():
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
