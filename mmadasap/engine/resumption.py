"""What a checkpoint must hold for training to go on from it: mmengine and torch would find out half-way."""
import os.path as osp
from numbers import Real
from typing import Any, Optional

import torch
from mmengine.runner import find_latest_checkpoint
from torch import Tensor

from mmadasap.engine.checkpoint import shown
from mmadasap.engine.plain_checkpoint import is_plain_history
from mmadasap.errors import UserError

# Averaged copies of the model, by the key of their hook.
AVERAGES = ('ema_state_dict', 'mesa')
# State that torch's optimizers keep in the shape of the parameter.
MOMENTS = ('momentum_buffer', 'exp_avg', 'exp_avg_sq', 'max_exp_avg_sq')
# What mmengine's schedules hold for each parameter group.
SCHEDULED = ('base_values', '_last_value')


def is_finished(last: str) -> bool:
    """Whether a run has written its last checkpoint whole: only then does mmengine name it in ``last_checkpoint``."""
    folder, name = osp.split(last)
    if not osp.isfile(last) or not osp.isfile(osp.join(folder, 'last_checkpoint')):
        return False
    return osp.basename(find_latest_checkpoint(folder)) == name


def check_resumable(checkpoint: dict) -> None:
    """Refuses a loaded checkpoint whose record of training is missing or damaged.

    Raises:
        UserError: Naming the key and its value.
    """
    meta = entry(checkpoint, 'meta', dict)
    for key in ('epoch', 'iter'):
        if entry(meta, key, int, 'meta') < 0:
            raise UserError(f'meta[{key!r}]={meta[key]} is below 0; the file is damaged.')
    hub = entry(checkpoint, 'message_hub', dict)
    for key in ('log_scalars', 'runtime_info', 'resumed_keys'):
        entry(hub, key, dict, 'message_hub')
    for key, value in hub['log_scalars'].items():
        _check_history(key, value)
    if 'param_schedulers' in checkpoint:
        schedules = entry(checkpoint, 'param_schedulers', (list, dict))
        for number, schedule in enumerate(schedules if isinstance(schedules, list) else ()):
            entry({number: schedule}, number, dict, 'param_schedulers')
    for key in AVERAGES:
        if key in checkpoint:
            _check_average(key, entry(checkpoint, key, dict), entry(checkpoint, 'state_dict', dict))


def masks_of(state: dict) -> Optional[dict]:
    """The masks in a checkpoint's ``channel_pruning``; None where the pruning is over.

    Raises:
        UserError: Naming the key and its value.
    """
    masks = entry(state, 'masks', (dict, type(None)), 'channel_pruning')
    if masks is None and state['channels'] is None:
        raise UserError('channel_pruning has masks=None and channels=None, so neither masks nor widths of a pruned '
                        'network; the file is damaged, or cannot be resumed from.')
    if masks is not None:
        entry(masks, 'kept', dict, 'masks')
        entry(masks, 'importance', dict, 'masks')
    return masks


def due_of(state: dict) -> Optional[float]:
    """The budget of a pruning step that waited for the end of a cycle of gradient accumulation; None without one.

    Raises:
        UserError: Naming the key and its value.
    """
    return None if state.get('due') is None else entry(state, 'due', (float, int), 'channel_pruning')


def entry(holder: dict, key: str | int, kind: type | tuple[type, ...], where: str = '') -> Any:
    """The value of ``key``, which must be of a kind.

    Args:
        holder: Part of a checkpoint.
        key: Key in it.
        kind: Type or types of its value.
        where: Name of ``holder`` in the checkpoint.

    Raises:
        UserError: Naming the key, and its value if there is one.
    """
    name = f'{where}[{key!r}]' if where else key
    if key not in holder:
        raise UserError(f'{name} is missing; the file is damaged, or cannot be resumed from.')
    if not isinstance(holder[key], kind) or isinstance(holder[key], bool):
        wanted = ' or '.join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind, )))
        raise UserError(f'{name}={shown(holder[key])} is no {wanted}; the file is damaged.')
    return holder[key]


def _check_history(key: str, value: Any) -> None:
    if not is_plain_history(value):
        # One of mmengine's own; what is none it leaves out with a log line.
        return
    where = f"message_hub['log_scalars'][{key!r}]"
    history, counts = (entry(value, k, Tensor, where) for k in ('history', 'counts'))
    entry(value, 'max_length', int, where)
    if history.dim() != 1 or history.shape != counts.shape:
        raise UserError(f'{where} has a history of shape {tuple(history.shape)} and counts of shape '
                        f'{tuple(counts.shape)}; the file is damaged.')


def _check_average(key: str, average: dict, weights: dict) -> None:
    for name, weight in weights.items():
        found = entry(average, f'module.{name}', Tensor, key)
        if found.shape != weight.shape:
            raise UserError(f"{key}['module.{name}'] is {tuple(found.shape)} and the weight {tuple(weight.shape)}; the "
                            'file is damaged.')


def drop_empty_groups(optimizer: torch.optim.Optimizer, checkpoint: dict) -> None:
    """Leaves out of a checkpoint the groups whose parameters all went with residual branches, where the run's
    optimizer was built without those branches; and what learning-rate schedules hold for them.

    Raises:
        UserError: As :func:`check_optimizer`.
    """
    sizes = _group_sizes(entry(checkpoint, 'optimizer', dict))
    if len([size for size in sizes if size]) != len(optimizer.param_groups):
        return
    saved, schedules = checkpoint['optimizer'], checkpoint.get('param_schedulers', [])
    saved['param_groups'] = [group for group in saved['param_groups'] if group['params']]
    for schedule in schedules if isinstance(schedules, list) else ():
        for key in SCHEDULED:
            values = schedule.get(key, [])
            # Of several groups mmengine schedules one more, its own.
            if len(values) in (len(sizes), len(sizes) + 1):
                schedule[key] = [value for value, size in zip(values, [*sizes, 1]) if size]


def _group_sizes(saved: dict) -> list[int]:
    groups = entry(saved, 'param_groups', list, 'optimizer')
    return [len(entry(entry(dict(group=g), 'group', dict), 'params', list, 'param_groups')) for g in groups]


def check_optimizer(optimizer: torch.optim.Optimizer, saved: dict) -> None:
    """Refuses a saved state of an optimizer that does not fit the run's.

    Raises:
        UserError: Naming the key and its value.
    """
    sizes, own = _group_sizes(saved), [len(group['params']) for group in optimizer.param_groups]
    state, groups = entry(saved, 'state', dict, 'optimizer'), saved['param_groups']
    if sizes != own:
        raise UserError(f"optimizer['param_groups'] has {shown(sizes)} parameters where the run's optimizer has "
                        f'{shown(own)}; resume with the config of the run that wrote the checkpoint.')
    for group in groups:
        entry(group, 'lr', (Real, Tensor), 'param_groups')
    numbers = [number for group in groups for number in group['params']]
    parameters = [p for group in optimizer.param_groups for p in group['params']]
    for number, parameter in zip(numbers, parameters):
        _check_moments(number, entry(state, number, dict, 'state') if number in state else {}, parameter)


def _check_moments(number: int, state: dict, parameter: Tensor) -> None:
    for key in MOMENTS:
        value = state.get(key)
        if value is not None and entry(state, key, Tensor, f'state[{number}]').shape != parameter.shape:
            raise UserError(f"optimizer['state'][{number}][{key!r}] is {tuple(value.shape)} where the parameter is "
                            f'{tuple(parameter.shape)}; the file is damaged, or is of another run.')
