"""Operations of a network measured once more, as for a table: what has changed since it was built."""
from collections.abc import Sequence

from mmadasap.pruning.operations import Operation

from .conditions import Conditions
from .measure import median_and_spread
from .operators import input_width, torch_call

SECONDS = 0.1


def measured_alone(operations: Sequence[tuple[Operation, int, int]], conditions: Conditions) -> float:
    """Milliseconds of operations together, each measured alone in torch as for a table, equal ones once.

    Args:
        operations: (operation, input width, output width) of each.
        conditions: What to measure under.
    """
    times = {point: _time(*point, conditions) for point in set(operations)}
    return sum(times[point] for point in operations)


def _time(operation: Operation, c_in: int, c_out: int, conditions: Conditions) -> float:
    call, renew = torch_call(operation, input_width(operation, c_in, c_out), c_out, conditions)
    return median_and_spread(call, renew, SECONDS)[0]
