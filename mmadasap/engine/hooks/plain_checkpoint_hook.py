"""Checkpoints without anything that needs unpickling."""
from mmengine.hooks import Hook

from mmadasap.engine.plain_checkpoint import make_plain, make_resumable
from mmadasap.engine.resumption import check_resumable
from mmadasap.registry import HOOKS


@HOOKS.register_module()
class PlainCheckpointHook(Hook):
    """Writes checkpoints that ``torch.load(weights_only=True)`` reads, and resumes from them.

    mmengine's own hold HistoryBuffer objects. ChannelPruningHook does the same; slim configs carry this hook.

    Raises:
        UserError: As :func:`mmadasap.engine.resumption.check_resumable`, when a run resumes.
    """

    priority = 'VERY_LOW'

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Makes it plain."""
        make_plain(checkpoint)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Gives mmengine its histories back, where training goes on from them."""
        if runner._resume:
            check_resumable(checkpoint)
            make_resumable(checkpoint)
