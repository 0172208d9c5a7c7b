"""What a training step takes: of plain SGD, and of a run up to surgery and after it, taking turns in one process."""
import copy
from collections.abc import Callable
from itertools import islice
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from runs import PHASE_HOOK
from torch import nn

from mmadasap.engine.launch import set_amp
from mmadasap.engine.networks import adopt_slim_model, build_network, load_network
from mmadasap.latency import interleaved_medians

FORMAT_HOOK = 'mmadasap.ChannelsLastHook'
ROUNDS = 10
# What a wrapper of ours has beside these is its sharpness.
PLAIN = ('optimizer', 'constructor', 'paramwise_cfg', 'clip_grad', 'accumulative_counts')


def step_times(cfg: Config, checkpoint: str, amp: bool) -> dict[str, float]:
    """Median milliseconds of a step of a pruned run, on one batch and without loading it.

    Args:
        cfg: Config of the run.
        checkpoint: One of it after surgery.
        amp: Whether it trains in mixed precision.

    Returns:
        'plain' (the dense network under its optimizer alone), 'before' (dense, up to surgery), 'after' (slim) and
        'masked' (dense, as after surgery).
    """
    plain, before, after = phases(cfg)
    slim = copy.deepcopy(cfg)
    adopt_slim_model(slim, checkpoint)
    torch.manual_seed(0)
    dense, small = (model.to(get_device(), memory_format=memory_format(cfg)).train()
                    for model in (build_network(cfg), load_network(slim, checkpoint)))
    batch, = first_batches(cfg, 1)
    calls = {
        name: _step(model, batch, wrapper, amp)
        for name, (model, wrapper) in dict(
            plain=(dense, plain), before=(dense, before), after=(small, after), masked=(dense, after)).items()}
    return interleaved_medians(calls, ROUNDS)


def phases(cfg: Config) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Configs of the optim wrapper: without sharpness, up to surgery, and after it; all stay where they are."""
    still = dict(cfg.optim_wrapper, optimizer=dict(cfg.optim_wrapper.optimizer, lr=0.0))
    after = dict(still)
    for hook in cfg.custom_hooks:
        if hook.type == PHASE_HOOK:
            after['radius'] = hook.radius
    return {key: value for key, value in still.items() if key in PLAIN}, still, after


def memory_format(cfg: Config) -> torch.memory_format:
    """Of the weights the run trains."""
    types = {hook.type for hook in cfg.custom_hooks}
    return torch.channels_last if FORMAT_HOOK in types else torch.contiguous_format


def first_batches(cfg: Config, count: int) -> list[Any]:
    """The first batches the run trains on."""
    loader = copy.deepcopy(cfg.train_dataloader)
    loader.update(num_workers=0, persistent_workers=False)
    return list(islice(Runner.build_dataloader(loader, seed=0), count))


def _step(model: nn.Module, batch: Any, wrapper: dict[str, Any], amp: bool) -> Callable[[], object]:
    cfg = Config(dict(optim_wrapper=wrapper))
    if amp:
        set_amp(cfg)
        cfg.optim_wrapper.dtype = 'bfloat16'
    built = build_optim_wrapper(model, cfg.optim_wrapper)
    return lambda: model.train_step(batch, built)
