"""Sharpness-aware training at one pass and a forward of an averaged copy (MESA)."""
from typing import Optional

import torch
from mmengine.hooks import Hook
from mmengine.model import ExponentialMovingAverage
from mmengine.runner import IterBasedTrainLoop
from torch import Tensor, nn

from mmadasap.engine.host import bare_model, raw_outputs
from mmadasap.errors import UserError
from mmadasap.registry import HOOKS
from mmadasap.sharpness import score_rows, trajectory_loss


@HOOKS.register_module()
class MESAHook(Hook):
    """Adds ``loss_mesa``, the distance of the class scores to those of an averaged copy (Du et al., arXiv 2205.14083).

    For networks with one dense head that gives logits of classes first (SSD, RetinaNet, YOLOX, ...) or a linear
    classifier. Use it with a plain optim wrapper, or ``radius=None``. Pruning makes the copy smaller along with the
    network; checkpoints hold it.

    Args:
        weight: lambda of the paper, at least 0.
        temperature: tau of the paper, above 0.
        decay: Share of the copy that an iteration keeps, above 0 and below 1 (paper: 0.9995; less for short runs).
        begin: Epoch from which the loss is added; by iterations, so many lengths of the data loader.
        head: Name of the module that gives the class scores, or a tuple whose first entry they are; what the network
            returns in ``mode='tensor'`` must be its output.

    Raises:
        UserError: A value out of range; at the start of training, a model without such a head; at the first step, a
            head that gives something else.
    """

    priority = 'NORMAL'

    def __init__(self,
                 weight: float = 0.8,
                 temperature: float = 5.0,
                 decay: float = 0.9995,
                 begin: int = 5,
                 head: str = 'bbox_head'):
        for name, value, is_right in (('weight', weight, weight >= 0), ('temperature', temperature, temperature > 0),
                                      ('decay', decay, 0 < decay < 1), ('begin', begin, begin >= 0)):
            if not is_right:
                raise UserError(f'MESAHook: {name}={value} is out of range.')
        self.weight, self.temperature, self.decay = weight, temperature, decay
        self.begin, self.head = begin, head
        self.ema_model: Optional[ExponentialMovingAverage] = None
        self._active = False
        self._handles: list = []
        self._scores: object = None
        self._checked = False

    def before_run(self, runner) -> None:
        """Makes the averaged copy."""
        model = bare_model(runner.model)
        self._find_head(model)
        self.ema_model = ExponentialMovingAverage(model, momentum=1 - self.decay)

    def before_train(self, runner) -> None:
        """Starts the copy as the network, unless it was resumed, and listens to the head and to the losses."""
        model = bare_model(runner.model)
        if self.ema_model.steps == 0:
            self.ema_model.update_parameters(model)
        # Not in before_run: other hooks copy the model there, and would copy this one with it.
        self._handles = [self._find_head(model).register_forward_hook(self._note),
                         model.register_forward_hook(self._add_loss, with_kwargs=True)]

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Begins with the epoch asked for."""
        epoch = runner.epoch
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            # They stay in their first epoch.
            epoch = runner.iter // len(runner.train_dataloader)
        self._active = epoch >= self.begin

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Moves the copy."""
        self.ema_model.update_parameters(bare_model(runner.model))

    def after_train(self, runner) -> None:
        """Stops listening."""
        for handle in self._handles:
            handle.remove()

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Adds the copy."""
        checkpoint['mesa'] = self.ema_model.state_dict()

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Goes on with the copy when resuming; otherwise it starts as the loaded network."""
        if runner._resume and 'mesa' in checkpoint:
            self.ema_model.load_state_dict(checkpoint['mesa'])

    def _find_head(self, network: nn.Module) -> nn.Module:
        try:
            return network.get_submodule(self.head)
        except AttributeError:
            raise UserError(f'MESAHook: head={self.head!r} is no module of {type(network).__name__}; name the one '
                            'that gives class scores.') from None

    def _note(self, module: nn.Module, inputs: tuple, output: object) -> None:
        # What is never used would hold its graph, and models that hold graphs cannot be copied.
        if self._active:
            self._scores = _class_scores(output)

    def _add_loss(self, module: nn.Module, args: tuple, kwargs: dict, losses: dict) -> Optional[dict]:
        if not self._active or kwargs.get('mode') != 'loss':
            return None
        head = self._find_head(module)
        now, self._scores = self._scores, None
        now, averaged = _rows(now, head), _rows(self._predict(args, kwargs), head)
        if not self._checked:
            _check_logits(now, head)
            self._checked = True
        return dict(losses, loss_mesa=self.weight * trajectory_loss(now, averaged, self.temperature, _is_sigmoid(head)))

    @torch.no_grad()
    def _predict(self, args: tuple, kwargs: dict) -> object:
        inputs = kwargs['inputs'] if 'inputs' in kwargs else args[0]
        return _class_scores(raw_outputs(self.ema_model.module.eval(), inputs))


def _is_sigmoid(head: nn.Module) -> bool:
    """Whether each score is a probability of its own: mmdet's heads say so, of mmpretrain's their loss does."""
    losses = [loss for name, loss in head.named_modules() if name.startswith('loss_module')]
    # mmpretrain's focal loss takes sigmoids without saying so.
    of_loss = any(getattr(loss, 'use_sigmoid', type(loss).__name__ == 'FocalLoss') for loss in losses)
    return getattr(head, 'use_sigmoid_cls', of_loss)


def _class_scores(output: object) -> object:
    return output[0] if isinstance(output, tuple) else output


def _rows(scores: object, head: nn.Module) -> Tensor:
    level = scores[0] if isinstance(scores, (list, tuple)) else scores
    classes = getattr(head, 'cls_out_channels', level.shape[1] if level.dim() == 2 else None)
    if not classes or level.shape[1] % classes:
        raise UserError(f'MESAHook: what {type(head).__name__} writes first, {level.shape[1]} channels, is not the '
                        f'scores of its classes ({classes or "it does not say how many"}); train without MESAHook.')
    return score_rows(scores, classes)


def _check_logits(scores: Tensor, head: nn.Module) -> None:
    if bool(((scores > 0) & (scores < 1)).all()):
        raise UserError(f'MESAHook: {type(head).__name__} gives probabilities where logits are needed; train without '
                        'MESAHook.')
