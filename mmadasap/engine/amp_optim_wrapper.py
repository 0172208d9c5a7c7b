"""Sharpness-aware training in mixed precision."""
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Union

import torch
from mmengine.device import get_device
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import Tensor, nn

from mmadasap.bfloat16 import has_bfloat16, rounded_products
from mmadasap.errors import UserError
from mmadasap.registry import OPTIM_WRAPPERS

from .optim_wrapper import AdaSAPOptimWrapper


def _products() -> AbstractContextManager:
    return rounded_products() if get_device() == 'cpu' and not has_bfloat16() else nullcontext()


class AnyDeviceAmpOptimWrapper(AmpOptimWrapper):
    """mmengine's AmpOptimWrapper, which refuses processors, also for bfloat16 autocast on them.

    Raises:
        UserError: On a processor, a ``dtype`` other than bfloat16, or torch before 2.4.
    """

    def __init__(self,
                 loss_scale: Union[str, float, dict] = 'dynamic',
                 dtype: Union[str, torch.dtype, None] = None,
                 **kwargs):
        if get_device() != 'cpu':
            super().__init__(loss_scale=loss_scale, dtype=dtype, **kwargs)
            return
        if dtype not in (None, 'bfloat16', torch.bfloat16):
            raise UserError(f'{type(self).__name__}: dtype={dtype!r} does not work on a processor; set '
                            "dtype='bfloat16'.")
        if not hasattr(torch, 'get_autocast_dtype'):
            raise UserError(f'{type(self).__name__} on a processor needs torch 2.4 or later, and this is '
                            f'{torch.__version__}; train without mixed precision.')
        if loss_scale != 'dynamic' and not isinstance(loss_scale, (float, dict)):
            raise UserError(f"{type(self).__name__}: loss_scale={loss_scale!r} must be 'dynamic', a float or a dict.")
        OptimWrapper.__init__(self, **kwargs)
        settings = loss_scale if isinstance(loss_scale, dict) else {}
        self._scale_update_param = loss_scale if isinstance(loss_scale, float) else None
        if self._scale_update_param is not None:
            settings = dict(init_scale=loss_scale)
        self.loss_scaler = torch.amp.GradScaler('cpu', **settings)
        self.cast_dtype = torch.bfloat16

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Accumulation and autocast, as mmengine's; processors without bfloat16 multiply in float32."""
        with super().optim_context(model), _products():
            yield

    def backward(self, loss: Tensor, **kwargs) -> None:
        """As mmengine's; checkpointed parts are computed again here."""
        with _products():
            super().backward(loss, **kwargs)


@OPTIM_WRAPPERS.register_module()
class AmpAdaSAPOptimWrapper(AdaSAPOptimWrapper, AnyDeviceAmpOptimWrapper):
    """:class:`AdaSAPOptimWrapper` under autocast and with a loss scaler.

    Each pass has its own autocast context, for autocast keeps low-precision copies of the weights within one. The loss
    scale is divided out of the first gradient by hand (a scaler unscales once a step) and its finiteness remembered; an
    overflow in either pass skips the whole step and lets the scale fall once.

    Args:
        loss_scale: 'dynamic', a number, or a dict of :class:`torch.amp.GradScaler`'s arguments.
        dtype: Type of autocast; the device's default if None. On a processor it must be bfloat16.
        **kwargs: Of :class:`AdaSAPOptimWrapper`.
    """

    def _unscale(self, tensors: list[Tensor]) -> None:
        if tensors:
            # As torch's scaler does; dividing by a tensor is not in torch 2.1.
            torch._foreach_mul_(tensors, self._loss_scale(tensors[0]).reciprocal())

    def _loss_scale(self, like: Tensor) -> Tensor:
        # get_scale() would wait for the device.
        return self.loss_scaler.scale(like.new_ones((), dtype=torch.float32))

    def _step_if(self, is_finite: bool, step_kwargs: dict) -> None:
        if not is_finite and self.loss_scaler.is_enabled():
            # The scaler looks at these gradients alone, and the first ones may be what overflowed.
            self._grads()[0].fill_(torch.inf)
        if is_finite or self.loss_scaler.is_enabled():
            self.step(**step_kwargs)
