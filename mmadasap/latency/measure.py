"""Timing functions, alone or against each other in one run."""
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
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
            elapsed = time_once(call, before)
            if turn >= warmup:
                times[name].append(elapsed)
    return {name: statistics.median(values) for name, values in times.items()}


def median_and_spread(call: Callable[[], object],
                      before: Optional[Callable[[], object]] = None,
                      seconds: float = 0.2,
                      least: int = 7,
                      most: int = 50,
                      warmup: int = 2) -> tuple[float, float]:
    """Median time of one call and the distance between its quartiles, both in milliseconds.

    Args:
        call: Function without arguments.
        before: Called before each measurement, outside of it.
        seconds: Measures for about so long, within ``least`` and ``most`` rounds.
        warmup: Unmeasured calls first; at least one.
    """
    first = min(time_once(call, before) for _ in range(warmup))
    rounds = min(most, max(least, int(1e3 * seconds / max(first, 1e-6))))
    times = [time_once(call, before) for _ in range(rounds)]
    low, median, high = statistics.quantiles(times, n=4)
    return median, high - low


def time_once(call: Callable[[], object], before: Optional[Callable[[], object]] = None) -> float:
    """Milliseconds one call takes, with the device's queue empty before and after it."""
    if before is not None:
        before()
    start = synchronize()
    call()
    return 1e3 * (synchronize() - start)


def on_device(where: str) -> AbstractContextManager:
    """Makes a device the current one: :func:`synchronize` waits for no other."""
    return torch.cuda.device(where) if where != 'cpu' else nullcontext()


def synchronize() -> float:
    """Waits until the current device has done its work; seconds on a clock that only runs forward."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()
