"""What forward calls move in a model beside its trained weights."""
from typing import Optional

from torch import Tensor, nn

from .perturbation import TensorBackup


class StateBackup:
    """A copy of all buffers and frozen parameters of a model: norm statistics, queues, momentum encoders.

    Memory: one copy of them, frozen stages included.
    """

    def __init__(self):
        self._buffers: list[tuple[dict, str, Optional[Tensor]]] = []
        self._values = TensorBackup()

    def save(self, model: nn.Module) -> None:
        """Copies the state of ``model``."""
        self._buffers = [(m._buffers, name, tensor) for m in model.modules() for name, tensor in m._buffers.items()]
        buffers = [tensor for *_, tensor in self._buffers if tensor is not None]
        self._values.save(buffers + [p for p in model.parameters() if not p.requires_grad])

    def restore(self) -> None:
        """Brings the state back bit for bit, into the tensors it was in: a forward call may put new ones in place."""
        for owner, name, tensor in self._buffers:
            owner[name] = tensor
        self._values.restore()
