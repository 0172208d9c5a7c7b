"""No half-loaded networks: mmengine leaves weights of other shapes out with a log line."""
from mmengine.hooks import Hook

from mmadasap.engine.host import bare_model, built_optimizer, is_training
from mmadasap.engine.resumption import check_optimizer, drop_empty_groups
from mmadasap.engine.slim_config import RESUME, START, TEST, check_widths
from mmadasap.engine.wholeness import check_whole
from mmadasap.registry import HOOKS


@HOOKS.register_module()
class WidthGuardHook(Hook):
    """Refuses a checkpoint of a network that is pruned differently from the run's, before its weights are loaded.

    A different number of classes is no difference for a start from other weights; a run that resumes, and with
    ``whole=True`` any, needs every weight. ``tools/train.py`` and ``tools/test.py`` add this hook, and slim configs
    carry it.

    Args:
        whole: Whether a checkpoint must have all of the model's weights even where nothing is resumed.

    Raises:
        UserError: As :func:`mmadasap.engine.slim_config.check_widths`,
            :func:`mmadasap.engine.wholeness.check_whole` and :func:`mmadasap.engine.resumption.check_optimizer`.
    """

    # After ChannelPruningHook, which adopts the widths of its own checkpoints.
    priority = 'LOWEST'

    def __init__(self, whole: bool = False):
        self.whole = whole

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Compares input widths, all shapes where all weights are needed, and what an optimizer resumes from."""
        model, optimizer = bare_model(runner.model), built_optimizer(runner)
        start = START if is_training(runner) else TEST
        check_widths(model, checkpoint, runner._load_from, RESUME if runner._resume else start)
        if self.whole or runner._resume:
            check_whole(model, checkpoint)
        if runner._resume and optimizer is not None and 'optimizer' in checkpoint:
            drop_empty_groups(optimizer, checkpoint)
            check_optimizer(optimizer, checkpoint['optimizer'])
