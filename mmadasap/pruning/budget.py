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
        speedup: Dense network's cost over the pruned one's, at least 1, in place of ``keep``.

    Raises:
        UserError: Unknown cost, a number out of range, or not exactly one of ``keep``, ``at_most`` and ``speedup``.
    """
    cost: str
    keep: Optional[float] = None
    at_most: Optional[float] = None
    speedup: Optional[float] = None

    def __post_init__(self):
        if self.cost not in (*COSTS, 'latency'):
            raise UserError(f"budget: cost={self.cost!r} is unknown; choose one of {sorted([*COSTS, 'latency'])}.")
        if [self.keep, self.at_most, self.speedup].count(None) != 2:
            raise UserError(f'budget: keep={self.keep}, at_most={self.at_most} and speedup={self.speedup}; give '
                            'exactly one of them.')
        if self.keep is not None and not 0 < self.keep <= 1:
            raise UserError(f'budget: keep={self.keep} is the share of {self.cost} to keep and must be above 0 and '
                             'at most 1.')
        if self.at_most is not None and not 0 < self.at_most < float('inf'):
            raise UserError(f'budget: at_most={self.at_most} must be above 0 and finite.')
        if self.speedup is not None and not 1 <= self.speedup < float('inf'):
            raise UserError(f'budget: speedup={self.speedup} must be at least 1 and finite.')

    def target(self, dense: float) -> float:
        """Cost to reach, given the dense network's, in the same unit."""
        if self.at_most is not None:
            return min(self.at_most, dense)
        return dense / self.speedup if self.keep is None else self.keep * dense

    def __str__(self) -> str:
        if self.at_most is not None:
            return f'{self.cost} of at most {self.at_most:g}'
        return f'{self.cost} / {self.speedup:g}' if self.keep is None else f'{self.keep:.0%} of the {self.cost}'
