"""No half-loaded networks: mmengine leaves weights of other shapes out with a log line."""
from mmengine.hooks import Hook

from mmadasap.engine.host import bare_model
from mmadasap.engine.slim_config import checkpoint_channels
from mmadasap.errors import UserError
from mmadasap.pruning import width_mismatches
from mmadasap.registry import HOOKS

SHOWN = 3


@HOOKS.register_module()
class WidthGuardHook(Hook):
    """Refuses a checkpoint of a network that is pruned differently from the run's, before its weights are loaded.

    A different number of classes is no difference. ``tools/train.py`` and ``tools/test.py`` add this hook, and slim
    configs carry it.

    Raises:
        UserError: Naming the first few weights with both shapes, and what to do.
    """

    # After ChannelPruningHook, which adopts the widths of its own checkpoints.
    priority = 'LOWEST'

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Compares input widths."""
        model, loaded = bare_model(runner.model).state_dict(), checkpoint.get('state_dict', checkpoint)
        names = width_mismatches(model, loaded)
        if not names:
            return
        shown = ', '.join(f'{n} {tuple(loaded[n].shape)} in the checkpoint and {tuple(model[n].shape)} in the model'
                          for n in names[:SHOWN])
        kind = 'dense' if checkpoint_channels(checkpoint) is None else 'pruned'
        advice = ('use the slim.py beside it as the config' if kind == 'pruned' else
                  'use its own dense config, or a checkpoint written after the pruning')
        raise UserError(f'The checkpoint holds a {kind} network of other widths than the model '
                        f'({len(names)} weights differ: {shown}); {advice}.')
