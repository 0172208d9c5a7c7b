"""What a hook does around each step of the optimizer, which mmengine has no place for."""
from collections.abc import Callable

from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch.utils.hooks import RemovableHandle

from mmadasap.errors import UserError


def around_steps(wrapper: OptimWrapper, before: Callable[[], None],
                 after: Callable[[], None]) -> list[RemovableHandle]:
    """Calls ``before`` just before each optimizer step, where gradients are final, and ``after`` just after it.

    Returns:
        What ends that when removed.

    Raises:
        UserError: An optimizer that unscales gradients within its step.
    """
    optimizer = wrapper.optimizer
    fused = any(group.get('fused') for group in optimizer.param_groups)
    if fused and isinstance(wrapper, AmpOptimWrapper):
        raise UserError('ChannelPruningHook cannot read unscaled gradients with a fused optimizer under mixed '
                        'precision; set fused=False in optim_wrapper.optimizer.')
    return [optimizer.register_step_pre_hook(lambda *_: before()),
            optimizer.register_step_post_hook(lambda *_: after())]
