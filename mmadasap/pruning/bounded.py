"""An end to traces that torch-pruning would follow without one."""
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch_pruning.dependency.group import Group

# Of networks that are traced to their end the greatest group has fewer sides than there are modules, and no list of
# positions is longer than the widest layer.
SIDES_A_MODULE, WIDTHS_A_LIST = 20, 4


@contextmanager
def bounded(model: nn.Module) -> Iterator[None]:
    """Ends a trace whose groups only grow, as where channels are shuffled or weighed by what was split from them.

    Raises:
        RuntimeError: In the block, from within torch-pruning.
    """
    most = SIDES_A_MODULE * sum(1 for _ in model.modules())
    longest = WIDTHS_A_LIST * max((max(p.shape) for p in model.parameters() if p.dim()), default=1)
    add = Group.add_dep

    def add_within_bounds(group: Group, dep, idxs: list) -> None:
        if len(group.items) >= most or len(idxs) > longest:
            raise RuntimeError('channels are split, shuffled or mixed in more ways than torch-pruning can follow')
        add(group, dep, idxs)

    Group.add_dep = add_within_bounds
    try:
        yield
    finally:
        Group.add_dep = add
