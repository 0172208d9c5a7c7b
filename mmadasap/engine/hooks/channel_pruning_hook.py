"""AdaSAP's second step inside mmengine's runner: mask channels on a schedule, then remove them."""
import os.path as osp
from collections.abc import Sequence
from typing import Optional

import torch
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper

from mmadasap.engine.host import bare_model, ema_models, forget_best, raw_outputs, rewrap
from mmadasap.engine.slim_config import slim_config, write_config
from mmadasap.errors import UserError
from mmadasap.pruning import (
    COSTS,
    Budget,
    ChannelMask,
    NetworkCost,
    PruningSchedule,
    build_importance,
    channel_spec,
    check_reachable,
    count_parameters,
    format_groups,
    full_channels,
    keep_best,
    mask_optimizer,
    model_tensors,
    rebuild,
    slim,
    tensor_cuts,
    trace_groups,
    trace_layers,
)
from mmadasap.registry import HOOKS


@HOOKS.register_module()
class ChannelPruningHook(Hook):
    """Prunes channels every ``interval`` iterations on an exponential schedule, and at its end makes the network slim.

    During the phase pruned channels are masked: their weights, norm entries, statistics, the columns that read them and
    the optimizer's state stay zero. Afterwards training goes on with the physically smaller network; checkpoints then
    carry its config, and ``slim.py`` lies in the work directory. Works with any OptimWrapper.

    Args:
        input_size: (H, W) or one number: input the model is traced with and its MACs are counted at.
        budget: ``dict(cost='channels' | 'parameters' | 'macs', keep=<share of the dense network's cost>)``.
        begin: Start of the pruning phase; before it is warm-up.
        end: End of the phase.
        interval: Iterations between two pruning steps.
        by_epoch: Whether ``begin`` and ``end`` count epochs (else iterations).
        importance: ``dict(type='MagnitudeImportance' | 'TaylorImportance', normalize='mean' | 'none')``.
        protect: Modules whose output channels are all kept; the stem by default. Output layers always are.

    Raises:
        UserError: At construction for values out of range; at the start of training for a phase that does not fit, a
            budget that cannot be met, or a model that cannot be traced.
    """

    priority = 'ABOVE_NORMAL'

    def __init__(self,
                 input_size: int | Sequence[int],
                 budget: dict,
                 begin: int,
                 end: int,
                 interval: int,
                 by_epoch: bool = True,
                 importance: dict = dict(type='MagnitudeImportance'),
                 protect: Sequence[str] = ('backbone.conv1', )):
        self.input_size = (input_size, input_size) if isinstance(input_size, int) else tuple(input_size)
        self.budget = Budget(**budget)
        PruningSchedule.check_phase(begin, end)
        self._phase = (begin, end, interval)
        self.by_epoch = by_epoch
        self.importance = build_importance(importance)
        self.protect = tuple(protect)
        self.schedule: Optional[PruningSchedule] = None
        self.channels: Optional[dict] = None
        self._resumed: Optional[dict] = None
        self._kept: Optional[dict] = None
        self._cuts: dict = {}
        self._handles: list = []

    def before_train(self, runner) -> None:
        """Fixes the schedule, traces the model and checks that the budget can be met."""
        self.schedule = self._make_schedule(runner)
        if self.schedule.is_over(runner.iter):
            if self.channels is None:
                raise UserError(f'Training resumes at iteration {runner.iter}, after the pruning phase '
                                 f'(end={self.schedule.end}), from a checkpoint without a pruned network; resume from '
                                 'a checkpoint of this run, or use load_from to start anew.')
            return
        model = bare_model(runner.model)
        self._trace(model)
        runner.logger.info(f'Channel groups:\n{format_groups(self.groups)}')
        check_reachable(self.groups, self.cost, self._target)
        self._go_on_from(self._resumed or dict(kept=full_channels(self.groups), importance={}))
        self._mask_all(runner)
        self._handles = self._watch(runner, model)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Prunes where the schedule says so; at the end of the phase removes what is pruned."""
        iteration = runner.iter + 1
        if self._kept is None:
            return
        budget = self.schedule.budget_at(iteration, self._dense, self._target)
        if budget is not None:
            self._prune(runner, budget, self.schedule.step_at(iteration))
        if self.schedule.is_over(iteration):
            self._make_slim(runner)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Adds the masks, or after surgery the widths and the slim config in both places readers look."""
        checkpoint['channel_pruning'] = dict(
            kept=self._kept, importance=self.importance.state_dict(), channels=self.channels)
        if self.channels is not None:
            text = slim_config(runner.cfg, self.channels).pretty_text
            checkpoint['meta']['cfg'] = text
            checkpoint['message_hub']['runtime_info']['cfg'] = text

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Adopts a checkpoint's widths before its weights are loaded, and its masks when resuming."""
        state = checkpoint.get('channel_pruning')
        if state is None:
            return
        if state['channels'] is not None:
            for model in (bare_model(runner.model), *ema_models(runner)):
                rebuild(model, state['channels'])
            rewrap(runner)
            self.channels = state['channels']
            runner.logger.info(f'ChannelPruningHook: took over the widths of {len(self.channels)} modules from the '
                               'checkpoint.')
        elif runner._resume:
            self._resumed = state

    def _make_schedule(self, runner) -> PruningSchedule:
        begin, end, interval = self._phase
        if self.by_epoch:
            return PruningSchedule.of_epochs(begin, end, interval, len(runner.train_dataloader), runner.max_epochs)
        return PruningSchedule.of_iterations(begin, end, interval, runner.max_iters)

    def _trace(self, model) -> None:
        tensor = next(model.parameters())
        example = torch.zeros(1, 3, *self.input_size, device=tensor.device, dtype=tensor.dtype)
        self.groups = trace_groups(model, example, raw_outputs, self.protect)
        layers = trace_layers(model, example, raw_outputs)
        self.costs = {name: NetworkCost(layers, self.groups, cost) for name, cost in COSTS.items()}
        self.costs['parameters'] = NetworkCost(
            layers, self.groups, COSTS['parameters'], total=count_parameters(model))
        self.cost = self.costs[self.budget.cost]
        self._dense = self.cost(full_channels(self.groups))
        self._target = self._dense * self.budget.keep

    def _go_on_from(self, state: dict) -> None:
        self._kept = {name: live.bool().cpu() for name, live in state['kept'].items()}
        if state['importance']:
            self.importance.load_state_dict(state['importance'])

    def _watch(self, runner, model) -> list:
        """Reads gradients just before each optimizer step, where they are final, and masks just after it."""
        optimizer = runner.optim_wrapper.optimizer
        fused = any(group.get('fused') for group in optimizer.param_groups)
        if fused and isinstance(runner.optim_wrapper, AmpOptimWrapper):
            raise UserError('ChannelPruningHook cannot read unscaled gradients with a fused optimizer under mixed '
                             'precision; set fused=False in optim_wrapper.optimizer.')

        def observe(*_):
            if runner.iter >= self.schedule.begin:
                self.importance.observe(model, self.groups)

        return [
            optimizer.register_step_pre_hook(observe),
            optimizer.register_step_post_hook(lambda *_: self._mask.apply())
        ]

    def _prune(self, runner, budget: float, step: int) -> None:
        model = bare_model(runner.model)
        scores = self.importance.scores(model, self.groups, self._kept)
        self._kept = keep_best(self.groups, scores, self._kept, self.cost, budget)
        self._mask_all(runner)
        runner.logger.info(f'Pruning step {step}/{self.schedule.steps}: {self.budget.cost} {self.cost(self._kept):.5g} '
                           f'of {self._dense:.5g} (budget {budget:.5g}); {self._summary()}')

    def _summary(self) -> str:
        whole = full_channels(self.groups)
        return ', '.join(f'{name} {cost(self._kept) / cost(whole):.1%}' for name, cost in self.costs.items())

    def _mask_all(self, runner) -> None:
        """Masks the model, the optimizer's state and averaged copies, and keeps the model's mask for later steps."""
        model = bare_model(runner.model)
        self._cuts = tensor_cuts(model, self.groups, self._kept)
        self._mask = ChannelMask(model_tensors(model), self._cuts)
        for mask in (self._mask, *(ChannelMask(model_tensors(m), self._cuts) for m in ema_models(runner))):
            mask.apply()
        mask_optimizer(runner.optim_wrapper.optimizer, dict(model.named_parameters()), self._cuts)

    def _make_slim(self, runner) -> None:
        for handle in self._handles:
            handle.remove()
        model = bare_model(runner.model)
        summary = self._summary()
        slim(model, self._cuts, runner.optim_wrapper.optimizer)
        for copy in ema_models(runner):
            slim(copy, self._cuts)
        rewrap(runner)
        forget_best(runner)
        touched = {name.rpartition('.')[0] for name in self._cuts} | set(self.channels or {})
        self.channels, self._kept = channel_spec(model, touched), None
        path = write_config(slim_config(runner.cfg, self.channels), osp.join(runner.work_dir, 'slim.py'))
        widths = '\n'.join(f'  {name}: {widths}' for name, widths in self.channels.items())
        runner.logger.info(f'Pruning is over; kept {summary}. New widths:\n{widths}\nThe slim config is {path}.')
