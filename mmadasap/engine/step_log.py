"""Numbers of sharpness-aware steps, where mmengine's log and visualisation backends find them."""
from mmengine.logging import HistoryBuffer, MessageHub

# The log needs the last values of a number, and checkpoints not its history through the whole run.
HISTORY = 1000
NAMES = ('rho_min', 'rho_mean', 'rho_max', 'grad_norm_at_w', 'grad_norm_at_w_eps', 'loss_at_w', 'loss_at_w_eps',
         'sharpness', 'skipped_steps')


class StepLog:
    """Writes to a message hub.

    Args:
        hub: The run's.
    """

    def __init__(self, hub: MessageHub):
        self._hub = hub

    def add(self, **numbers: float) -> None:
        """Takes a step's numbers."""
        for name, value in numbers.items():
            key = f'train/{name}'
            self._hub.log_scalars.setdefault(key, HistoryBuffer(max_length=HISTORY))
            self._hub.update_scalar(key, value)

    def forget(self) -> None:
        """Takes the numbers out again: the log would go on showing the last of them."""
        for name in NAMES:
            self._hub.log_scalars.pop(f'train/{name}', None)
