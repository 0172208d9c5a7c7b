"""AdaSAP's second step inside mmengine's runner: mask channels on a schedule, then remove them."""
import copy
import os.path as osp
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Optional

from mmengine.config import Config
from mmengine.hooks import Hook

from mmadasap.engine.checkpoint import checkpoint_channels
from mmadasap.engine.host import (
    averaged_models,
    bare_model,
    built_optimizer,
    check_layers_show,
    check_optimizer,
    forget_best,
    from_first_rank,
    hold_stopping,
    refresh,
    rewrap,
)
from mmadasap.engine.latency_log import load_table, log_times
from mmadasap.engine.optimizer_steps import around_steps
from mmadasap.engine.origin import record_origin
from mmadasap.engine.plain_checkpoint import make_plain, make_resumable
from mmadasap.engine.pruning_plan import PruningPlan
from mmadasap.engine.resumption import check_resumable, due_of, masks_of
from mmadasap.engine.slim_config import slim_config, write_config
from mmadasap.errors import UserError
from mmadasap.latency import LatencyTable
from mmadasap.pruning import (
    ChannelPruner,
    PruningSchedule,
    channel_spec,
    format_groups,
    rebuild,
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
        budget: ``dict(cost='channels' | 'parameters' | 'macs' | 'latency', keep=<share of the dense network's cost>)``;
            in place of ``keep``, ``speedup`` or ``at_most`` (in the cost's unit: ms for latency).
        begin: Start of the pruning phase; before it is warm-up.
        end: End of the phase.
        interval: Iterations between two pruning steps.
        by_epoch: Whether ``begin`` and ``end`` count epochs (else iterations).
        importance: ``dict(type='MagnitudeImportance' | 'TaylorImportance', normalize='mean' | 'none')``.
        allocator: ``dict(solver='exact' | 'halp', block=<channels>)`` chooses all widths together; None ranks channels
            against each other, and for a budget of latency is 'exact' in the table's blocks.
        latency_table: File with times of the network's layers, which a budget of latency needs.
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
                 importance: dict = dict(type='MagnitudeImportance', normalize='mean'),
                 allocator: Optional[dict] = None,
                 latency_table: Optional[str] = None,
                 protect: Sequence[str] = ('backbone.conv1', )):
        self.plan = PruningPlan(input_size, budget, begin, end, interval, by_epoch, importance, allocator,
                                latency_table, protect)
        self._table: Optional[LatencyTable] = None
        self.schedule: Optional[PruningSchedule] = None
        self.channels: Optional[dict] = None
        self._resumed: Optional[dict] = None
        self._pruner: Optional[ChannelPruner] = None
        self._parent: Optional[str] = None
        self._due: Optional[float] = None
        self._done = 0
        self._handles: list = []
        self._stopping: list[Hook] = []

    def before_train(self, runner) -> None:
        """Fixes the schedule, traces the model and checks that the budget can be met."""
        check_optimizer(runner)
        self.schedule, self._done = self.plan.schedule(runner), self.plan.done(runner)
        if not runner._resume:
            self._parent = runner._load_from
        if self.is_over and self._due is None:
            if self.channels is None:
                raise UserError(f'Training resumes at iteration {runner.iter}, after the pruning phase '
                                f'(end={self.schedule.end}), from a checkpoint without a pruned network; resume from '
                                'a checkpoint of this run, or use load_from to start anew.')
            self._write_slim_config(runner)
            return
        check_layers_show(runner)
        # Until the network is slim its training is not to be stopped early.
        self._stopping = hold_stopping(runner)
        if self.plan.latency_table is not None:
            self._table = load_table(self.plan.latency_table, runner.logger)
        self._pruner = self.plan.pruner(bare_model(runner.model), self._table)
        runner.logger.info(f'Channel groups:\n{format_groups(self._pruner.groups)}')
        if self._resumed is not None:
            self._pruner.load_state_dict(self._resumed)
        self._handles = around_steps(runner.optim_wrapper, partial(self._observe, runner), self._pruner.mask)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Prunes where the schedule says so; at the end of the phase removes what is pruned."""
        self._advance(runner, self.plan.done(runner, batch_idx + 1))

    def after_train_epoch(self, runner) -> None:
        """Catches up where a loader gives fewer batches than its length, as with mmdet's AspectRatioBatchSampler."""
        if self.plan.by_epoch:
            self._advance(runner, self.plan.done(runner, len(runner.train_dataloader)))

    @property
    def is_over(self) -> bool:
        """Whether the pruning phase has ended, in a run that trains."""
        return self.schedule.is_over(self._done)

    def _advance(self, runner, done: int) -> None:
        before, self._done = self._done, done
        if self._pruner is None:
            return
        self._due = self.schedule.budget_within(before, done, self._pruner.dense, self._pruner.target) or self._due
        # Inside a cycle of gradient accumulation there are gradients and noted inputs of the present shapes.
        if not runner.optim_wrapper.should_update():
            return
        if self._due is not None:
            self._prune(runner, self._due)
        if self.is_over:
            self._make_slim(runner)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Adds where the network comes from, and the masks, or after surgery the widths and the slim config in both
        places readers look.
        """
        masks = None if self._pruner is None else self._pruner.state_dict()
        checkpoint['channel_pruning'] = dict(
            masks=masks, channels=self.channels, budget=asdict(self.plan.budget), parent=self._parent, due=self._due)
        if self.channels is not None and 'model' in runner.cfg:
            text = self._slim_config(runner).pretty_text
            checkpoint['meta']['cfg'] = text
            checkpoint['message_hub']['runtime_info']['cfg'] = text
        make_plain(checkpoint)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Adopts a checkpoint's widths before its weights are loaded, and its masks when resuming."""
        if runner._resume:
            check_resumable(checkpoint)
            make_resumable(checkpoint)
        channels = checkpoint_channels(checkpoint) if 'channel_pruning' in checkpoint else None
        if channels is not None:
            # mmengine builds the optimizer first, for the dense network.
            rebuild(bare_model(runner.model), channels, built_optimizer(runner))
            for averaged in averaged_models(runner):
                rebuild(averaged.module, channels)
                refresh(averaged)
            rewrap(runner)
            self.channels = channels
            runner.logger.info(f'ChannelPruningHook: took over the widths of {len(self.channels)} modules from the '
                               'checkpoint.')
        if runner._resume and 'channel_pruning' in checkpoint:
            state = checkpoint['channel_pruning']
            self._resumed, self._parent, self._due = masks_of(state), state.get('parent'), due_of(state)

    def _observe(self, runner) -> None:
        if self._done >= self.schedule.begin:
            self._pruner.observe()

    def _prune(self, runner, budget: float) -> None:
        pruner, self._due = self._pruner, None
        pruner.prune(budget)
        pruner.adopt(from_first_rank(pruner.kept))
        pruner.mask()
        pruner.mask_state(runner.optim_wrapper.optimizer, [a.module for a in averaged_models(runner)])
        gap = '' if pruner.allocation is None else f', at most {pruner.allocation.gap:.2%} from the best value'
        runner.logger.info(f'Pruned to {self.plan.budget.cost} {pruner.cost(pruner.kept):.5g} of {pruner.dense:.5g} '
                           f'(budget {budget:.5g}{gap}); kept {pruner.summary()}')

    def _make_slim(self, runner) -> None:
        for handle in self._handles:
            handle.remove()
        pruner, self._pruner = self._pruner, None
        averaged = averaged_models(runner)
        masked = None if self._table is None else copy.deepcopy(pruner.model)
        touched = pruner.remove(runner.optim_wrapper.optimizer, [a.module for a in averaged])
        for model in averaged:
            refresh(model)
        rewrap(runner)
        forget_best(runner)
        for hook in self._stopping:
            runner.register_hook(hook)
        slim_before = (runner.cfg.get('model') or {}).get('channels', {})
        leaving = [layer for group in pruner.groups if group.leaves for layer in group.modules('out')]
        self.channels = channel_spec(pruner.model, {*touched, *slim_before, *(self.channels or {})}, leaving)
        widths = '\n'.join(f'  {name}: {widths}' for name, widths in self.channels.items())
        runner.logger.info(f'Pruning is over; kept {pruner.summary()}. New widths:\n{widths}')
        self._write_slim_config(runner)
        if masked is not None:
            log_times(dict(masked=masked, slim=pruner.model), self._table, self.plan.input_size, runner.logger)

    def _write_slim_config(self, runner) -> None:
        if 'model' in runner.cfg:
            path = write_config(self._slim_config(runner), osp.join(runner.work_dir, 'slim.py'))
            runner.logger.info(f'The slim config is {path}.')

    def _slim_config(self, runner) -> Config:
        cfg = slim_config(runner.cfg, self.channels)
        record_origin(cfg, self.plan.budget, self._parent)
        return cfg
