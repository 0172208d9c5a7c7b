"""Latency in a training run's log: the table a budget is about, and what the slim network really takes."""
import copy
from logging import Logger
from typing import Optional

from mmengine.dist import is_main_process
from torch import nn

from mmadasap.engine.host import finish, raw_outputs
from mmadasap.errors import brief
from mmadasap.latency import LatencyTable, compare_times, format_stages, format_times


def load_table(path: str, logger: Logger) -> LatencyTable:
    """Reads a latency table and warns where the slim network will not be measured against it, or under other conditions
    than the table (threads, versions).

    Raises:
        UserError: A file that is not there or not whole.
    """
    table = LatencyTable.load(path)
    obstacle = _obstacle(table)
    if obstacle:
        logger.warning(f'{obstacle} The budget is of its times, and the slim network will not be measured.')
        return table
    for difference in table.conditions.differences(table.conditions.now()):
        logger.warning(f'{path} is of other conditions than this machine. {difference}')
    return table


def log_times(models: dict[str, nn.Module], table: LatencyTable, size: tuple[int, int], logger: Logger) -> None:
    """Measures networks side by side on the first rank and logs predicted and measured time, in total and by stage.

    Where the table is of another device or backend, or measuring fails, that is logged instead: training has not been
    for nothing then. The networks are left where they were.
    """
    if not is_main_process():
        return
    obstacle = _obstacle(table)
    if obstacle:
        logger.warning(f'The slim network is not measured: {obstacle}')
        return
    try:
        logger.info(_measured(models, table, size))
    except Exception as error:
        logger.warning(f'The slim network is not measured: {brief(error)}')


def _measured(models: dict[str, nn.Module], table: LatencyTable, size: tuple[int, int]) -> str:
    copies = {name: copy.deepcopy(model).eval() for name, model in models.items()}
    times = compare_times(copies, table, raw_outputs, finish(size), size)
    name, last = list(times.items())[-1]
    have = table.conditions
    return (f'Latency at batch {have.batch}, {have.dtype}:\n{format_times(times, per_layer=False)}\n{name}:\n'
            f'{format_stages(last)}')


def _obstacle(table: LatencyTable) -> Optional[str]:
    """Why a network cannot be measured beside the table here, as a sentence; None where it can."""
    have = table.conditions
    if have.backend != 'torch':
        return f'{table.path} is of {have.backend}, and only tables of torch are compared with networks.'
    if not have.is_here():
        return f'{table.path} is of {have.device}, which this machine does not have.'
    return None
