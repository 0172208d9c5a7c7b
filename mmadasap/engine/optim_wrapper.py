"""Sharpness-aware training as an OptimWrapper: the runner, the loop and the detector stay as they are."""
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional, Union

import torch
from mmengine.dist import all_reduce
from mmengine.logging import print_log
from torch import Tensor, nn

from mmadasap.engine.host import check_not_sharded
from mmadasap.errors import UserError
from mmadasap.registry import OPTIM_WRAPPERS
from mmadasap.sharpness import (
    Perturbation,
    ReusedDirection,
    build_radius,
    collect_neurons,
    global_norm,
    radius_range,
    read_numbers,
    trace_norms,
)

from .step_log import StepLog
from .two_pass_wrapper import TwoPassOptimWrapper


@OPTIM_WRAPPERS.register_module()
class AdaSAPOptimWrapper(TwoPassOptimWrapper):
    """Steps along the gradient at w + eps instead of w: SAM, ASAM and AdaSAP's radii per neuron (Algorithm 1).

    Each update makes two passes over the same preprocessed batch with the same random draws, the loss being what the
    model's ``parse_losses`` makes of its one forward call. Norm statistics, and whatever else the call moves in buffers
    and frozen parameters (of which two copies are held), move once (in the first pass), clipping acts on the second
    gradient, weights return to w bit for bit before the step, and a step with a gradient that is not finite in either
    pass, on any rank, is skipped whole. Under gradient accumulation every micro-batch is replayed at w + eps. Radii,
    both losses and gradient norms and the sharpness between them go to the message hub, and so to every visualisation
    backend, without further synchronisation with the device.

    What a model counts outside its tensors, as mmdet's DynamicRoIHead does, it counts in both passes.

    Args:
        radius: ``dict(type='AdaptiveRadius', rho_min=, rho_max=, score='l2', score_scope='model', mapping='linear')``,
            ``dict(type='UniformRadius', rho=)``, or None for the plain one-pass step. May be assigned during training;
            it takes effect at the next accumulation cycle.
        asam: Scale eps with the weights (ASAM). Usual radii: 2.0 with, 0.05 without.
        eta: ASAM's eta, at least 0.
        norm_scope: 'global' (a constant radius is exactly SAM or ASAM) or 'neuron' (Eq. 6 to the letter).
        ddp_sync: 'rank': each rank climbs along its own gradient (m-sharpness); 'global': all climb along the mean.
        interval: Steps from one sharpness-aware step to the next; those between make one pass and reuse its direction
            (LookSAM). Above 1 all ranks climb along the mean gradient, so that they share the direction.
        reuse_scale: LookSAM's alpha, the weight of the reused direction, at least 0.
        ascent_fraction: Share of the batch, above 0 and at most 1, that the first pass sees. Below 1 norm statistics
            come from the second pass, over the whole batch at w + eps, and the logged losses from the part.
        **kwargs: Of :class:`mmengine.optim.OptimWrapper`: optimizer, accumulative_counts, clip_grad.

    Raises:
        UserError: An argument out of range or unknown; at the first step, a model sharded over ranks (FSDP).
    """

    def __init__(self,
                 *args,
                 radius: Optional[Union[dict, object]],
                 asam: bool = False,
                 eta: float = 0.01,
                 norm_scope: str = 'global',
                 ddp_sync: str = 'rank',
                 interval: int = 1,
                 reuse_scale: float = 0.7,
                 ascent_fraction: float = 1.0,
                 **kwargs):
        super().__init__(*args, **kwargs)
        self._check('norm_scope', norm_scope, norm_scope in ('global', 'neuron'), "'global' or 'neuron'")
        self._check('ddp_sync', ddp_sync, ddp_sync in ('rank', 'global'), "'rank' or 'global'")
        self._check('eta', eta, eta >= 0, 'at least 0')
        self._check('interval', interval, isinstance(interval, int) and interval >= 1, 'a whole number from 1')
        self._check('reuse_scale', reuse_scale, reuse_scale >= 0, 'at least 0')
        self._check('ascent_fraction', ascent_fraction, 0 < ascent_fraction <= 1, 'above 0 and at most 1')
        self.radius = radius
        if self.radius is not None and all(p.dim() < 2 for g in self.optimizer.param_groups for p in g['params']):
            raise UserError(f'{type(self).__name__}: radius={radius} needs neurons, but no parameter of the optimizer '
                            'is the weight of a Conv or Linear layer; set radius=None for plain steps, and in place of '
                            'FSDP, which holds flat shards, MMDistributedDataParallel.')
        self.ddp_sync = ddp_sync if interval == 1 else 'global'
        self.interval = interval
        self.ascent_fraction = ascent_fraction
        self.skipped_steps = 0
        self._active_radius = None
        self._neurons = None
        self._log = StepLog(self.message_hub)
        self._perturbation = Perturbation(eta if asam else None, norm_scope)
        self._reused = ReusedDirection(reuse_scale)

    @property
    def radius(self) -> Optional[object]:
        """The radius policy; None for plain steps. A dict is built when it is assigned."""
        return self._radius

    @radius.setter
    def radius(self, radius: Optional[Union[dict, object]]) -> None:
        self._radius = build_radius(radius)

    def _check(self, name: str, value: object, is_right: bool, wanted: str) -> None:
        if not is_right:
            raise UserError(f'{type(self).__name__}: {name}={value!r} must be {wanted}.')

    def state_dict(self) -> dict:
        """The host's state, the number of skipped steps, and the direction that is being reused."""
        return super().state_dict() | dict(skipped_steps=self.skipped_steps, reused=self._reused.state_dict())

    def load_state_dict(self, state_dict: dict) -> None:
        """Goes on from :meth:`state_dict`."""
        state = dict(state_dict)
        self.skipped_steps = state.pop('skipped_steps', 0)
        if 'reused' in state:
            self._reused.load_state_dict(state.pop('reused'))
        super().load_state_dict(state)

    def _plan_cycle(self) -> None:
        """What the accumulation cycle that begins now does; a change of settings within it waits for the next."""
        self._active_radius = self.radius
        self._two_passes = self.radius is not None
        if self.radius is None:
            self._reused.direction = {}
            self._log.forget()
        between = self._inner_count // self._accumulative_counts % self.interval != 0
        self._reuses = between and bool(self._reused.direction)

    @contextmanager
    def _look_at(self, model: nn.Module) -> Iterator[None]:
        """In the first call, which norms follow which layers."""
        if self._neurons is not None:
            yield
            return
        check_not_sharded(model)
        with trace_norms(model) as followers:
            yield
        trained = {id(p) for group in self.optimizer.param_groups for p in group['params']}
        self._neurons = collect_neurons(model, followers).only(lambda p: id(p) in trained)

    def _grads(self) -> list[Tensor]:
        return [t.grad for t in self._neurons.with_gradient().tensors()]

    def _gradients(self) -> dict[int, Tensor]:
        """Number of a tensor in the optimizer -> its gradient: not every pass need reach every tensor."""
        held = {p: i for i, p in enumerate(p for group in self.optimizer.param_groups for p in group['params'])}
        return {held[t]: t.grad for t in self._neurons.with_gradient().tensors() if t in held}

    def _end_cycle(self, step_kwargs: dict, zero_kwargs: dict) -> None:
        """From the gradient at w to the step."""
        if self._reuses and self._reused.ready_for(self._gradients()):
            norm = self._reused.add_to(self._gradients())
            norm, loss = self._descend(True, norm, step_kwargs)
            self._log.add(grad_norm_at_w=norm, loss_at_w=loss)
        else:
            self._sharpness_aware_step(step_kwargs, zero_kwargs)
        self.zero_grad(**zero_kwargs)
        self._cycle.close()

    def _sharpness_aware_step(self, step_kwargs: dict, zero_kwargs: dict) -> None:
        climbed, loss = self._climb()
        self.zero_grad(**zero_kwargs)
        self._second_pass()
        self._perturbation.come_back()
        if self.interval > 1:
            self._reused.note_second(self._gradients())
        norm, loss_there = self._descend(climbed, global_norm(self._grads()), step_kwargs)
        self._log.add(grad_norm_at_w_eps=norm, loss_at_w_eps=loss_there)
        if self.ascent_fraction == 1:
            self._log.add(sharpness=loss_there - loss)

    @torch.no_grad()
    def _climb(self) -> tuple[bool, float]:
        """Moves the weights to w + eps; at a gradient that is not finite they stay.

        Returns:
            Whether they moved, and the loss at w.
        """
        neurons = self._neurons.with_gradient()
        weights = [layer.weight for layer in neurons.layers]
        self._unscale(self._grads())
        if self.interval > 1:
            self._reused.note_first(self._gradients())
        radii = self._active_radius(weights, [w.grad for w in weights])
        plain = None if self._perturbation.eta is None else global_norm(self._grads())
        norm = self._perturbation.norm(neurons)
        norm, plain, low, mean, high, loss = read_numbers(
            norm, norm if plain is None else plain, radius_range(radii, norm), self._cycle.take_loss())
        self._log.add(rho_min=low, rho_mean=mean, rho_max=high, grad_norm_at_w=plain, loss_at_w=loss)
        if math.isfinite(norm):
            self._perturbation.climb(neurons, radii, norm)
        return math.isfinite(norm), loss

    @torch.no_grad()
    def _descend(self, climbed: bool, norm: Tensor, step_kwargs: dict) -> tuple[float, float]:
        """Steps along the gradient that lies ready, if it and the first one are finite on all ranks.

        Args:
            climbed: Whether the first gradient was finite on this rank.
            norm: Norm of the gradient that was computed last.
            step_kwargs: Of the optimizer's step.

        Returns:
            The norm without the loss scale, and the loss.
        """
        agreed = (torch.isfinite(norm) & climbed).to(norm.dtype)
        all_reduce(agreed, 'min')
        self._unscale([norm])
        agreed, norm, loss = read_numbers(agreed, norm, self._cycle.take_loss())
        self._step_if(bool(agreed), step_kwargs)
        if not agreed:
            self._skip()
        self._log.add(skipped_steps=self.skipped_steps)
        return norm, loss

    def _step_if(self, is_finite: bool, step_kwargs: dict) -> None:
        if is_finite:
            self.step(**step_kwargs)

    def _unscale(self, tensors: list[Tensor]) -> None:
        """Takes the loss scale of mixed precision out of ``tensors``; there is none here."""

    def _skip(self) -> None:
        self._cycle.undo()
        self._reused.direction = {}
        self.skipped_steps += 1
        print_log(
            f'A gradient is not finite: this step is skipped ({self.skipped_steps} skipped so far).',
            logger='current',
            level=logging.WARNING)
