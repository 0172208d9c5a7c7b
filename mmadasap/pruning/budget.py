"""What a pruned network may cost."""
from dataclasses import dataclass

from mmadasap.errors import UserError

from .cost import COSTS


@dataclass(frozen=True)
class Budget:
    """A share of the dense network's cost.

    Args:
        cost: 'channels' (neurons: output channels of all layers), 'parameters' or 'macs'.
        keep: Share of the whole network's cost to keep, above 0 and at most 1.

    Raises:
        UserError: Unknown cost, or a share out of range.
    """
    cost: str
    keep: float

    def __post_init__(self):
        if self.cost not in COSTS:
            raise UserError(f'budget: cost={self.cost!r} is unknown; choose one of {sorted(COSTS)}.')
        if not 0 < self.keep <= 1:
            raise UserError(f'budget: keep={self.keep} is the share of {self.cost} to keep and must be above 0 and '
                             'at most 1.')

    def target(self, dense: float) -> float:
        """Cost to reach, given the dense network's, in the same unit."""
        return self.keep * dense
