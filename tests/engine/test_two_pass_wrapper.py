"""Which calls a step makes again, from which state, and what an error leaves behind."""
import copy
from contextlib import nullcontext

import pytest
import torch
from mmengine.optim import OptimWrapper

from mmadasap.engine import AdaSAPOptimWrapper
from mmadasap.errors import UserError
from mmadasap.sharpness import UniformRadius
from tests.engine.quadratic import SAM, Quadratic, one_step
from tests.toys import ToyClassifier, ToyData, same, values


def test_accumulation_replays_every_micro_batch_at_the_perturbed_point():
    # Mean of the batches (1, 0) and (0, 1) is half the loss of (1, 1): g = (1.5, 2), the same direction.
    model = Quadratic(3.0, 4.0)
    wrapper = AdaSAPOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1),
        radius=dict(type='UniformRadius', rho=0.5),
        accumulative_counts=2)
    for batch in ((1.0, 0.0), (0.0, 1.0)):
        model.train_step(dict(x=torch.tensor(batch, dtype=torch.float64)), wrapper)
    assert model.seen[:2] == [[3.0, 4.0]] * 2
    assert model.seen[2] == model.seen[3] == pytest.approx([3.3, 4.4], abs=1e-15)
    assert model.layer.weight.detach().flatten().tolist() == pytest.approx([3 - 0.165, 4 - 0.22], abs=1e-15)
    assert wrapper.inner_count == 2


class Remembering(ToyClassifier):
    """Its loss hangs on what earlier calls left: a buffer, one that is put anew, and a momentum encoder."""

    def __init__(self):
        super().__init__()
        self.register_buffer('seen', torch.ones(()))
        self.register_buffer('calls', torch.ones(()))
        self.encoder = copy.deepcopy(self.net.stem).requires_grad_(False)

    def forward(self, inputs, labels=None, mode='tensor'):
        self.calls = self.calls + 1
        self.seen += inputs.mean().detach()
        with torch.no_grad():
            self.encoder.weight.lerp_(self.net.stem.weight, 0.5)
        losses = super().forward(inputs, labels, mode)
        target = self.encoder(inputs).detach()
        return dict(losses, near=(self.net.stem(inputs) - target).square().mean() * self.seen / self.calls)


@pytest.mark.parametrize('accumulative_counts', [1, 2])
def test_radius_zero_is_the_plain_wrapper_where_a_loss_hangs_on_earlier_calls(accumulative_counts):
    torch.manual_seed(0)
    models = [Remembering()]
    models.append(copy.deepcopy(models[0]))
    data = ToyData()
    for model, kind in zip(models, (OptimWrapper, lambda *args, **kwargs: AdaSAPOptimWrapper(
            *args, radius=UniformRadius(0.0), **kwargs))):
        wrapper = kind(torch.optim.SGD(model.parameters(), lr=0.1), accumulative_counts=accumulative_counts)
        for _ in range(4):
            model.train_step(dict(inputs=data.images, labels=data.labels), wrapper)
    assert models[1].calls == 5 and same(values(models[0]), values(models[1]))


def test_two_backward_passes_a_step(monkeypatch):
    model, calls = Quadratic(3.0, 4.0), []
    backward = OptimWrapper.backward
    monkeypatch.setattr(OptimWrapper, 'backward', lambda self, loss: (calls.append(1), backward(self, loss)))
    one_step(model, radius=dict(type='UniformRadius', rho=0))
    assert len(calls) == 2


def test_a_loss_that_is_not_one_call_is_refused():
    model = Quadratic(3.0, 4.0)
    wrapper = AdaSAPOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), radius=SAM)
    x = torch.ones(2, dtype=torch.float64)
    with pytest.raises(RuntimeError, match='one forward call'), wrapper.optim_context(model):
        model(x, mode='loss')
        model(x, mode='loss')
    # A call without a step leaves nothing behind.
    model.train_step(dict(x=x), wrapper)


def test_static_graphs_are_refused_where_a_pass_is_not_synchronised():
    model = Quadratic(3.0, 4.0)
    model.no_sync, model.static_graph = nullcontext, True
    batch = dict(x=torch.ones(2, dtype=torch.float64))
    wrapper = AdaSAPOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), radius=SAM)
    with pytest.raises(UserError, match="static_graph=True.*set ddp_sync='global'"):
        model.train_step(batch, wrapper)
    model.train_step(batch, AdaSAPOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1), radius=SAM, ddp_sync='global'))


def test_a_loss_from_elsewhere_is_refused():
    model = Quadratic(3.0, 4.0)
    wrapper = AdaSAPOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), radius=SAM)
    with wrapper.optim_context(model):
        pass
    with pytest.raises(RuntimeError, match='no forward call to replay'):
        wrapper.update_params(model.layer.weight.sum())


@pytest.mark.parametrize('before', [False, True], ids=['at first', 'after a step as it should be'])
def test_a_loss_without_a_context_is_refused_and_makes_no_plain_step(before):
    model = Quadratic(3.0, 4.0)
    wrapper = AdaSAPOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), radius=None)
    batch = dict(x=torch.ones(2, dtype=torch.float64))
    wrapper.update_params(model(**batch)['loss'])
    if before:
        model.train_step(batch, wrapper)
    weights = model.layer.weight.detach().clone()
    assert weights.flatten().tolist() != [3.0, 4.0]
    wrapper.radius = UniformRadius(0.5)
    with pytest.raises(RuntimeError, match='no forward call to replay'):
        wrapper.update_params(model(**batch)['loss'])
    assert torch.equal(model.layer.weight, weights)
    model.train_step(batch, wrapper)
    assert not torch.equal(model.layer.weight, weights)


def test_an_error_in_the_second_pass_leaves_the_weights_at_w():
    model = Quadratic(3.0, 4.0)
    forward = model.forward

    def fail_at_the_second_call(x, mode='tensor'):
        if len(model.seen) == 1:
            raise KeyboardInterrupt
        return forward(x, mode)

    model.forward = fail_at_the_second_call
    with pytest.raises(KeyboardInterrupt):
        one_step(model, radius=SAM)
    assert model.layer.weight.detach().flatten().tolist() == [3.0, 4.0]


class Failing(ToyClassifier):
    """Runs out of memory once, in the forward or the backward pass of a call."""

    def __init__(self, call, backward):
        super().__init__()
        self.call, self.backward = call, backward

    def forward(self, inputs, labels=None, mode='tensor'):
        losses = super().forward(inputs, labels, mode)
        if self.loss_calls == self.call:
            if not self.backward:
                raise torch.OutOfMemoryError
            losses['loss'].register_hook(self._fail)
        return losses

    def _fail(self, grad):
        raise torch.OutOfMemoryError


@pytest.mark.parametrize('accumulative_counts, call, backward', [
    (1, 1, True), (1, 2, True), (1, 2, False), (1, 3, True), (2, 2, True), (2, 3, True), (2, 4, False), (2, 6, True)])
def test_after_an_error_training_goes_on_as_if_the_cycle_had_not_begun(accumulative_counts, call, backward):
    torch.manual_seed(0)
    failing, fresh, data = Failing(call, backward), ToyClassifier(), ToyData()
    fresh.load_state_dict(failing.state_dict())
    wrappers = [AdaSAPOptimWrapper(torch.optim.SGD(m.parameters(), lr=0.1), radius=SAM,
                                   accumulative_counts=accumulative_counts) for m in (failing, fresh)]
    step = [dict(inputs=data.images[i:], labels=data.labels[i:]) for i in range(accumulative_counts)]
    if call > 2 * accumulative_counts:
        for batch in step:
            failing.train_step(batch, wrappers[0])
            fresh.train_step(batch, wrappers[1])
    with pytest.raises(torch.OutOfMemoryError):
        for batch in step:
            failing.train_step(batch, wrappers[0])
    assert same(values(failing), values(fresh))
    for batch in step:
        for model, wrapper in zip((failing, fresh), wrappers):
            model.train_step(batch, wrapper)
    assert same(values(failing), values(fresh))
    assert wrappers[0].inner_count == wrappers[1].inner_count
