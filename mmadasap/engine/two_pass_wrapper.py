"""Steps of two passes over the same batch inside mmengine's protocol: noting the forward call, and making it again."""
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Optional

from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmadasap.engine.host import bare_model
from mmadasap.errors import UserError
from mmadasap.sharpness import Cycle, Perturbation, note_forward


class TwoPassOptimWrapper(OptimWrapper):
    """What is the same whatever happens to the weights between two passes.

    Subclasses plan each cycle of gradient accumulation in :meth:`_plan_cycle` and step in :meth:`_end_cycle`.

    Attributes:
        ddp_sync: 'rank' or 'global': whether the first pass of a rank keeps its gradient to itself.
        ascent_fraction: Share of the batch that the first pass sees.
    """

    ddp_sync: str
    ascent_fraction: float
    _perturbation: Perturbation

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._cycle = Cycle()
        self._cycle_open = False
        self._planned = False
        self._two_passes = False
        self._reuses = False

    @contextmanager
    def optim_context(self, model: nn.Module):
        """Notes the forward call made inside."""
        if not self._cycle_open:
            self._plan_cycle()
            self._planned = True
        if not self._two_passes:
            with super().optim_context(model):
                yield
            return
        fraction = 1.0 if self._reuses else self.ascent_fraction
        self._cycle.expect()
        with (super().optim_context(model), self._of_this_rank(model), note_forward(model, self._cycle.note, fraction),
              self._look_at(model)):
            yield

    def update_params(self,
                      loss: Tensor,
                      step_kwargs: Optional[dict] = None,
                      zero_kwargs: Optional[dict] = None) -> None:
        """As :meth:`OptimWrapper.update_params`, with the second pass between backward and step.

        Raises:
            RuntimeError: The loss does not come from a forward call inside :meth:`optim_context`.
        """
        if not self._planned:
            # Nothing was noted; if two passes are wanted, that ends below.
            self._plan_cycle()
        if not self._two_passes:
            super().update_params(loss, step_kwargs, zero_kwargs)
            self._planned = self._cycle_open = not self.should_update()
            return
        if not self._cycle.admit(self._inner_count):
            raise RuntimeError(f'{type(self).__name__} saw no forward call to replay; run the model as '
                               'model.train_step(data, optim_wrapper) does, inside optim_wrapper.optim_context(model) '
                               "with mode='loss'.")
        try:
            self._backward(loss)
            self._planned = self._cycle_open = not self.should_update()
            if not self._cycle_open:
                self._end_cycle(step_kwargs or {}, zero_kwargs or {})
        except BaseException:
            self._abandon(zero_kwargs or {})
            raise

    def _plan_cycle(self) -> None:
        """Decides what the accumulation cycle that begins now does."""
        raise NotImplementedError

    def _look_at(self, model: nn.Module) -> AbstractContextManager:
        """What a subclass wants to know of the forward call."""
        raise NotImplementedError

    def _end_cycle(self, step_kwargs: dict, zero_kwargs: dict) -> None:
        """From the gradient at w to the step."""
        raise NotImplementedError

    def _of_this_rank(self, model: nn.Module) -> AbstractContextManager:
        """The first pass of a rank keeps its gradient to itself, unless all are to climb along the mean."""
        if self.ddp_sync == 'global' or not hasattr(model, 'no_sync'):
            return nullcontext()
        if getattr(model, 'static_graph', False):
            raise UserError(f"{type(self).__name__}: ddp_sync='rank' does not work with static_graph=True, which "
                            "synchronises every pass; set ddp_sync='global', or static_graph=False in "
                            'model_wrapper_cfg.')
        return model.no_sync()

    def _backward(self, loss: Tensor) -> None:
        scaled = self.scale_loss(loss)
        self._cycle.add_loss(scaled)
        self.backward(scaled)

    def _second_pass(self) -> None:
        """Accumulates the gradient of every micro-batch at the present weights."""
        with self._cycle.again(first_counts=self.ascent_fraction == 1) as calls:
            for forward, count in calls:
                self._inner_count = count
                with super().optim_context(forward.model):
                    losses = forward.replay(counts=self.ascent_fraction < 1)
                self._backward(bare_model(forward.model).parse_losses(losses)[0])

    def _abandon(self, zero_kwargs: dict) -> None:
        """After an error in either pass: as if the cycle had not begun."""
        self._perturbation.come_back()
        self._cycle.undo()
        self._inner_count = self._cycle.begin
        self._planned = self._cycle_open = False
        self._cycle.close()
        self.zero_grad(**zero_kwargs)
