"""No half-loaded networks: mmengine leaves weights of other shapes out with a log line."""
from mmengine.hooks import Hook

from mmadasap.engine.host import bare_model
from mmadasap.engine.slim_config import check_widths
from mmadasap.registry import HOOKS


@HOOKS.register_module()
class WidthGuardHook(Hook):
    """Refuses a checkpoint of a network that is pruned differently from the run's, before its weights are loaded.

    A different number of classes is no difference. ``tools/train.py`` and ``tools/test.py`` add this hook, and slim
    configs carry it.

    Raises:
        UserError: As :func:`mmadasap.engine.slim_config.check_widths`.
    """

    # After ChannelPruningHook, which adopts the widths of its own checkpoints.
    priority = 'LOWEST'

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Compares input widths."""
        check_widths(bare_model(runner.model), checkpoint)
