"""AdaSAP's third step: another radius once the network is pruned."""
from typing import Optional

from mmengine.hooks import Hook

from mmadasap.errors import UserError
from mmadasap.registry import HOOKS
from mmadasap.sharpness import build_radius

from .channel_pruning_hook import ChannelPruningHook


@HOOKS.register_module()
class SharpnessPhaseHook(Hook):
    """Swaps the optim wrapper's radius policy when the run's ChannelPruningHook has ended its phase.

    Args:
        radius: Policy from then on, as for :class:`AdaSAPOptimWrapper`; None goes on with plain one-pass steps.

    Raises:
        UserError: At the start of training, if the run has no optim wrapper with a radius or no ChannelPruningHook.
    """

    priority = 'BELOW_NORMAL'

    def __init__(self, radius: Optional[dict]):
        self.radius = build_radius(radius)

    def before_train(self, runner) -> None:
        """Finds the pruning phase; a resumed run may be past it."""
        if not hasattr(runner.optim_wrapper, 'radius'):
            raise UserError(f'SharpnessPhaseHook needs an optim wrapper with a radius, but this run has '
                             f"{type(runner.optim_wrapper).__name__}; set optim_wrapper.type='mmadasap."
                             "AdaSAPOptimWrapper'.")
        found = [hook for hook in runner.hooks if isinstance(hook, ChannelPruningHook)]
        if not found:
            raise UserError('SharpnessPhaseHook waits for the end of the pruning phase, but this run has no '
                             'ChannelPruningHook; add one, or set optim_wrapper.radius alone.')
        self._pruning = found[0]
        self._switch(runner)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Swaps after the last iteration of the phase."""
        self._switch(runner)

    def after_train_epoch(self, runner) -> None:
        """Swaps where the phase ends with an epoch cut short."""
        self._switch(runner)

    def _switch(self, runner) -> None:
        if self._pruning.is_over and runner.optim_wrapper.radius is not self.radius:
            runner.optim_wrapper.radius = self.radius
            runner.logger.info(f'SharpnessPhaseHook: the radius policy is now {self.radius}.')
