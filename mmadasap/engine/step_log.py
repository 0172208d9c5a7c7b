"""Numbers of sharpness-aware steps, where mmengine's log and visualisation backends find them."""
from mmengine.logging import HistoryBuffer, MessageHub

# The log needs the last values of a number, and checkpoints not its history through the whole run.
HISTORY = 1000


class StepLog:
    """Writes to a message hub.

    Args:
        hub: The run's.
    """

    def __init__(self, hub: MessageHub):
        self._hub = hub
        self._names: set[str] = set()

    def add(self, **numbers: float) -> None:
        """Takes a step's numbers."""
        for name, value in numbers.items():
            key = f'train/{name}'
            self._hub.log_scalars.setdefault(key, HistoryBuffer(max_length=HISTORY))
            self._hub.update_scalar(key, value)
            self._names.add(key)

    def forget(self) -> None:
        """Takes the numbers out again: the log would go on showing the last of them."""
        for key in self._names:
            self._hub.log_scalars.pop(key, None)
        self._names.clear()
