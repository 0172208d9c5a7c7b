"""Latency in a training run's log: the table a budget is about, and what the slim network really takes."""
import copy
from logging import Logger

from mmengine.dist import is_main_process
from torch import nn

from mmadasap.engine.host import finish, raw_outputs
from mmadasap.latency import LatencyTable, compare_times, format_stages, format_times


def load_table(path: str, logger: Logger) -> LatencyTable:
    """Reads a latency table and warns where it was not measured on this machine.

    Raises:
        UserError: A file that is not there or not whole.
    """
    table = LatencyTable.load(path)
    if not table.conditions.is_here():
        logger.warning(f'{path} is of {table.conditions.device}, which this machine does not have. The budget is about '
                       'that device, and the slim network will not be measured here.')
    return table


def log_times(models: dict[str, nn.Module], table: LatencyTable, size: tuple[int, int], logger: Logger) -> None:
    """Measures networks side by side on the first rank and logs predicted and measured time, in total and by stage.

    Nothing is measured where the table is of another device or backend. The networks are left where they were.
    """
    have = table.conditions
    if not is_main_process() or have.backend != 'torch' or not have.is_here():
        return
    copies = {name: copy.deepcopy(model).eval() for name, model in models.items()}
    times = compare_times(copies, table, raw_outputs, finish(size), size)
    name, last = list(times.items())[-1]
    logger.info(f'Latency at batch {have.batch}, {have.dtype}:\n{format_times(times, per_layer=False)}\n{name}:\n'
                f'{format_stages(last)}')
