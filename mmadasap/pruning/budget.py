"""What a pruned network may cost."""
from dataclasses import dataclass
from typing import Optional

from mmadasap.errors import UserError

from .cost import COSTS


@dataclass(frozen=True)
class Budget:
    """What the pruned network may cost: a share of the dense network's cost, or so much.

    Args:
        cost: 'channels' (neurons: output channels of all layers), 'parameters', 'macs' or 'latency'.
        keep: Share of the whole network's cost to keep, above 0 and at most 1.
        at_most: Cost in its own unit (ms for latency), in place of ``keep``.

    Raises:
        UserError: Unknown cost, a number out of range, or not exactly one of ``keep`` and ``at_most``.
    """
    cost: str
    keep: Optional[float] = None
    at_most: Optional[float] = None

    def __post_init__(self):
        if self.cost not in (*COSTS, 'latency'):
            raise UserError(f"budget: cost={self.cost!r} is unknown; choose one of {sorted([*COSTS, 'latency'])}.")
        if (self.keep is None) == (self.at_most is None):
            raise UserError(f'budget: keep={self.keep} and at_most={self.at_most}; give exactly one of them.')
        if self.keep is not None and not 0 < self.keep <= 1:
            raise UserError(f'budget: keep={self.keep} is the share of {self.cost} to keep and must be above 0 and '
                             'at most 1.')
        if self.at_most is not None and not 0 < self.at_most < float('inf'):
            raise UserError(f'budget: at_most={self.at_most} must be above 0 and finite.')

    def target(self, dense: float) -> float:
        """Cost to reach, given the dense network's, in the same unit."""
        return self.keep * dense if self.at_most is None else min(self.at_most, dense)
