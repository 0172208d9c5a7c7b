"""How long the layers of a network take where they are: inside its forward pass."""
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn

from .measure import synchronize, time_once


def profile_layers(models: dict[str, nn.Module], call: Callable[[nn.Module], object], rounds: int,
                   warmup: int = 2) -> dict[str, dict[str, float]]:
    """Median milliseconds that each module without children spends in a forward pass, all its calls together.

    Args:
        models: Networks by name; they take turns, so that drift of the machine hits all alike.
        call: Runs one of them.
        rounds: Measured passes of each.
        warmup: Unmeasured ones before them.

    Returns:
        Network -> module -> milliseconds; the whole pass, with the measuring, under ''.
    """
    found = {name: defaultdict(list) for name in models}
    for turn in range(warmup + rounds):
        for name, model in models.items():
            with _watched(model) as times:
                times[''] = time_once(partial(call, model))
            for module, ms in times.items():
                if turn >= warmup:
                    found[name][module].append(ms)
    return {name: {m: statistics.median(ms) for m, ms in times.items()} for name, times in found.items()}


@contextmanager
def _watched(model: nn.Module) -> Iterator[dict[str, float]]:
    """Adds up the milliseconds of every module without children that is called inside the block."""
    times: dict[str, float] = defaultdict(float)
    started: dict[nn.Module, float] = {}
    names = {m: name for name, m in model.named_modules() if not any(m.children())}

    def start(module, *_):
        started[module] = synchronize()

    def stop(module, *_):
        times[names[module]] += 1e3 * (synchronize() - started[module])

    handles = [m.register_forward_pre_hook(start) for m in names] + [m.register_forward_hook(stop) for m in names]
    try:
        with torch.inference_mode():
            yield times
    finally:
        for handle in handles:
            handle.remove()
