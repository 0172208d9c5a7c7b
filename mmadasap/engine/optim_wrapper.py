"""Sharpness-aware training as an OptimWrapper: the runner, the loop and the detector stay as they are."""
import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Optional, Union

import torch
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmadasap.errors import UserError
from mmadasap.registry import OPTIM_WRAPPERS
from mmadasap.sharpness import (
    NotedForward,
    TensorBackup,
    build_radius,
    climb,
    collect_neurons,
    global_norm,
    note_forward,
    perturbation,
    scale_gradients,
    trace_norms,
)


@dataclass(frozen=True)
class MicroBatch:
    """One forward call of an accumulation cycle, and the wrapper's iteration count when it was made."""
    forward: NotedForward
    inner_count: int


@OPTIM_WRAPPERS.register_module()
class AdaSAPOptimWrapper(OptimWrapper):
    """Steps along the gradient at w + eps instead of w: SAM, ASAM and AdaSAP's radii per neuron (Algorithm 1).

    Each update makes two passes over the same preprocessed batch with the same random draws. Norm statistics move once
    (in the first pass), clipping acts on the second gradient, weights return to w bit for bit before the step, and a
    step with a gradient that is not finite in either pass is skipped whole. Under gradient accumulation every
    micro-batch is replayed at w + eps.

    Args:
        radius: ``dict(type='AdaptiveRadius', rho_min=, rho_max=, score='l2', score_scope='model', mapping='linear')``,
            ``dict(type='UniformRadius', rho=)``, or None for the plain one-pass step. May be assigned during training;
            it takes effect at the next accumulation cycle.
        asam: Scale eps with the weights (ASAM). Usual radii: 2.0 with, 0.05 without.
        eta: ASAM's eta, at least 0.
        norm_scope: 'global' (a constant radius is exactly SAM or ASAM) or 'neuron' (Eq. 6 to the letter).
        **kwargs: Of :class:`mmengine.optim.OptimWrapper`: optimizer, accumulative_counts, clip_grad.

    Raises:
        UserError: An argument out of range or unknown.
    """

    def __init__(self,
                 *args,
                 radius: Optional[Union[dict, object]],
                 asam: bool = False,
                 eta: float = 0.01,
                 norm_scope: str = 'global',
                 **kwargs):
        super().__init__(*args, **kwargs)
        if norm_scope not in ('global', 'neuron'):
            raise UserError(f"AdaSAPOptimWrapper: norm_scope={norm_scope!r} is unknown; choose 'global' or 'neuron'.")
        if not eta >= 0:
            raise UserError(f'AdaSAPOptimWrapper: eta={eta} must be at least 0.')
        self.radius = build_radius(radius)
        self.eta = eta if asam else None
        self.norm_scope = norm_scope
        self.skipped_steps = 0
        self._active_radius = None
        self._cycle_open = False
        self._neurons = None
        self._micro_batches: list[MicroBatch] = []
        self._pending: Optional[NotedForward] = None
        self._weights = TensorBackup()
        self._buffers_at_start = TensorBackup()
        self._buffers_after_first = TensorBackup()

    @contextmanager
    def optim_context(self, model: nn.Module):
        """Notes the forward call made inside, and in the first one which norms follow which layers."""
        with super().optim_context(model):
            if not self._cycle_open:
                self._active_radius = self.radius
            if self._active_radius is None:
                yield
                return
            if self._neurons is not None:
                with note_forward(model, self._note):
                    yield
                return
            with note_forward(model, self._note), trace_norms(model) as followers:
                yield
            self._neurons = collect_neurons(model, followers)

    def update_params(self,
                      loss: Tensor,
                      step_kwargs: Optional[dict] = None,
                      zero_kwargs: Optional[dict] = None) -> None:
        """As :meth:`OptimWrapper.update_params`, with the second pass between backward and step.

        Raises:
            RuntimeError: The loss does not come from a forward call inside :meth:`optim_context`.
        """
        if self._active_radius is None:
            super().update_params(loss, step_kwargs, zero_kwargs)
            self._cycle_open = not self.should_update()
            return
        if self._pending is None:
            raise RuntimeError('AdaSAPOptimWrapper saw no forward call to replay; run the model as '
                               'model.train_step(data, optim_wrapper) does, inside optim_wrapper.optim_context(model) '
                               "with mode='loss'.")
        self._micro_batches.append(MicroBatch(self._pending, self._inner_count))
        self._pending = None
        self.backward(self.scale_loss(loss))
        self._cycle_open = not self.should_update()
        if not self._cycle_open:
            self._sharpness_aware_step(step_kwargs or {}, zero_kwargs or {})

    def _note(self, forward: NotedForward) -> None:
        if not self._micro_batches:
            self._buffers_at_start.save(list(forward.model.buffers()))
        self._pending = forward

    def _sharpness_aware_step(self, step_kwargs: dict, zero_kwargs: dict) -> None:
        """From the gradient at w to the step with the gradient at w + eps."""
        climbed = self._climb()
        self.zero_grad(**zero_kwargs)
        self._second_pass()
        self._weights.restore()
        if climbed and self._is_finite([t.grad for t in self._neurons.with_gradient().tensors()]):
            self.step(**step_kwargs)
        else:
            self._skip()
        self.zero_grad(**zero_kwargs)
        self._micro_batches.clear()

    @torch.no_grad()
    def _climb(self) -> bool:
        """Moves the weights to w + eps; at a gradient that is not finite they stay, and the answer is False."""
        neurons = self._neurons.with_gradient()
        weights = [layer.weight for layer in neurons.layers]
        radii = self._active_radius(weights, [w.grad for w in weights])
        scaled, scales = scale_gradients(neurons, self.eta)
        norm = global_norm(scaled)
        tensors = neurons.tensors()
        if not torch.isfinite(norm):
            self._weights.save(tensors)
            return False
        eps = perturbation(neurons, scaled, scales, norm, radii, self.norm_scope)
        climb(tensors, eps, self._weights)
        return True

    def _second_pass(self) -> None:
        """Accumulates the gradient of every micro-batch at the present weights; norm statistics stay as they are."""
        buffers = list(self._micro_batches[0].forward.model.buffers())
        self._buffers_after_first.save(buffers)
        for micro in self._micro_batches:
            self._inner_count = micro.inner_count
            model = micro.forward.model
            with super().optim_context(model):
                losses = micro.forward.replay()
            parser = model.module if is_model_wrapper(model) else model
            loss, _ = parser.parse_losses(losses)
            self.backward(self.scale_loss(loss))
        self._buffers_after_first.restore()

    @staticmethod
    @torch.no_grad()
    def _is_finite(grads: list[Tensor]) -> bool:
        return bool(torch.isfinite(global_norm(grads)))

    def _skip(self) -> None:
        self._buffers_at_start.restore()
        self.skipped_steps += 1
        print_log(
            f'A gradient is not finite: this step is skipped ({self.skipped_steps} skipped so far).',
            logger='current',
            level=logging.WARNING)
