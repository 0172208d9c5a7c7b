"""Everything people switch on, crossed: the weights after training equal a straightforward reference.

Without autocast the run is in float64 and the reference computes its own gradients; under bfloat16 autocast it takes
the gradients of the run's two passes and redoes the arithmetic between and after them in float64.
"""
import copy
import itertools

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.hooks import EMAHook
from mmengine.registry import init_default_scope
from torch import nn

from mmadasap.engine.host import bare_model
from tests.toy_detector import ToyBoxes, detector_loader, toy_detector
from tests.toys import make_runner

RHO, LR, MOMENTUM, DECAY, EMA = 0.05, 0.05, 0.9, 1e-3, 0.1
SCALE = 2.0**8
CLIPS = dict(none=None, norm=dict(max_norm=0.5), value=dict(type='value', clip_value=0.02))
OPTIONS = dict(
    precision=('float64', 'bfloat16'),
    accumulation=(1, 3),
    clip=('none', 'norm', 'value'),
    norm_eval=(True, False),
    ema=(True, False),
    frozen=(True, False),
    resume=(True, False))


def pairwise(options):
    """Few of all combinations, in which each pair of values of two options occurs."""
    rows = [dict(zip(options, values)) for values in itertools.product(*options.values())]
    open_pairs = set().union(*map(pairs, rows))
    while open_pairs:
        best = max(rows, key=lambda row: len(pairs(row) & open_pairs))
        open_pairs -= pairs(best)
        yield best


def pairs(row):
    return set(itertools.combinations(row.items(), 2))


def cases():
    few = list(pairwise(OPTIONS))
    for values in itertools.product(*OPTIONS.values()):
        row = dict(zip(OPTIONS, values))
        name = '-'.join(f'{key}={value}' for key, value in row.items())
        yield pytest.param(row, id=name, marks=() if row in few else pytest.mark.slow)


class Spy:
    """What happens in a run: weights and statistics at each loss call, and gradients after each backward."""

    def __init__(self, weights):
        self.weights, self.buffers, self.grads = [], [], []
        self.names = weights

    def watch(self, model):
        wanted = {name: p for name, p in model.named_parameters() if name in self.names}

        def before(module, args, kwargs):
            if kwargs.get('mode') == 'loss':
                self.weights.append({n: p.detach().double() for n, p in wanted.items()})
                self.grads.append({})

        def after(module, args, kwargs, output):
            if kwargs.get('mode') == 'loss':
                self.buffers.append({n: b.clone() for n, b in module.named_buffers()})

        model.register_forward_pre_hook(before, with_kwargs=True)
        model.register_forward_hook(after, with_kwargs=True)
        for name, p in wanted.items():
            p.register_post_accumulate_grad_hook(
                lambda p, name=name: self.grads[-1].update({name: p.grad.double() / SCALE}))


class Reference:
    """SAM with SGD and an exponential moving average, written out; holds weights in float64 by name."""

    def __init__(self, weights, row):
        self.weights, self.row = weights, row
        self.velocity = {name: torch.zeros_like(w) for name, w in weights.items()}
        self.averaged = None

    def cycle(self, gradients_at):
        first = gradients_at(self.weights)
        norm = torch.cat([g.flatten() for g in first.values()]).norm()
        second = gradients_at({name: w + RHO * first[name] / norm for name, w in self.weights.items()})
        second = self.clip(second)
        for name, w in self.weights.items():
            # The first step of torch's SGD starts its velocity with the gradient.
            self.velocity[name] = MOMENTUM * self.velocity[name] + second[name] + DECAY * w
            self.weights[name] = w - LR * self.velocity[name]

    def clip(self, grads):
        if self.row['clip'] == 'value':
            return {name: g.clamp(-0.02, 0.02) for name, g in grads.items()}
        norm = torch.cat([g.flatten() for g in grads.values()]).norm()
        factor = min(1.0, 0.5 / (norm.item() + 1e-6)) if self.row['clip'] == 'norm' else 1.0
        return {name: factor * g for name, g in grads.items()}

    def average(self):
        now = copy.deepcopy(self.weights)
        self.averaged = now if self.averaged is None else {
            name: (1 - EMA) * a + EMA * now[name] for name, a in self.averaged.items()}


def own_gradients(model, batches):
    """Gradients of the mean loss over micro-batches in ``model``; its statistics move at the first call alone."""
    calls = []

    def gradients_at(weights):
        kept = {name: b.clone() for name, b in model.named_buffers()}
        for name, p in model.named_parameters():
            p.data.copy_(weights.get(name, p.data))
        wanted = {n: p for n, p in model.named_parameters() if p.requires_grad}
        grads = {n: torch.zeros_like(p) for n, p in wanted.items()}
        for batch in batches:
            losses = model(**model.data_preprocessor(copy.deepcopy(batch), training=True), mode='loss')
            parts = torch.autograd.grad(model.parse_losses(losses)[0] / len(batches), list(wanted.values()))
            grads = {n: g + part for (n, g), part in zip(grads.items(), parts)}
        if calls:
            for name, b in model.named_buffers():
                b.copy_(kept[name])
        calls.append(1)
        return grads

    return gradients_at


def noted_gradients(spy, cycle, count):
    """The run's own gradients, after checking at which weights each pass was made."""
    calls = iter((2 * cycle * count, (2 * cycle + 1) * count))

    def gradients_at(weights):
        first = next(calls)
        for call in range(first, first + count):
            for name, w in weights.items():
                torch.testing.assert_close(spy.weights[call][name], w, rtol=0, atol=2e-6)
        return spy.grads[first + count - 1]

    return gradients_at


def run(tmp_path, row, spy, epochs, name, **kwargs):
    """Trains as the row says; returns the runner."""
    init_default_scope('mmdet')
    double = row['precision'] == 'float64'
    wrapper = dict(
        type='mmadasap.AdaSAPOptimWrapper' if double else 'mmadasap.AmpAdaSAPOptimWrapper',
        optimizer=dict(type='SGD', lr=LR, momentum=MOMENTUM, weight_decay=DECAY),
        radius=dict(type='UniformRadius', rho=RHO), accumulative_counts=row['accumulation'],
        clip_grad=CLIPS[row['clip']]) | ({} if double else dict(dtype='bfloat16', loss_scale=SCALE))
    hooks = [dict(type='EMAHook', momentum=EMA)] if row['ema'] else []
    runner = make_runner(
        tmp_path / name, copy.deepcopy(wrapper), hooks, epochs=epochs,
        model=toy_detector(row['norm_eval'], 1 if row['frozen'] else -1, double),
        train_dataloader=detector_loader(),
        default_scope='mmdet', **kwargs)
    if double:
        runner.model.double()
    spy.names = spy.names or [n for n, p in runner.model.named_parameters() if p.requires_grad]
    spy.watch(bare_model(runner.model))
    return runner


def trained(tmp_path, row, spy):
    """A runner after two epochs, and a copy of its model as it was before them."""
    first = run(tmp_path, row, spy, 1 if row['resume'] else 2, 'first')
    first.model.init_weights()
    first._init_model_weights = lambda: None
    start = copy.deepcopy(bare_model(first.model))
    first.train()
    if not row['resume']:
        return first, start
    second = run(tmp_path, row, spy, 2, 'second', load_from=str(tmp_path / 'first/epoch_1.pth'), resume=True)
    second.train()
    return second, start


@pytest.mark.parametrize('row', cases())
def test_training_equals_the_reference(tmp_path, row):
    spy, count = Spy([]), row['accumulation']
    runner, start = trained(tmp_path, row, spy)
    double = row['precision'] == 'float64'
    start._forward_hooks.clear(), start._forward_pre_hooks.clear()
    start.train()
    data = ToyBoxes()
    micro_batches = [pseudo_collate([data[i], data[i + 1]]) for i in (0, 2, 4)] * 2
    reference = Reference({n: p.detach().double().clone() for n, p in start.named_parameters() if p.requires_grad}, row)
    for iteration in range(6):
        if (iteration + 1) % count == 0:
            cycle = iteration // count
            batches = micro_batches[iteration + 1 - count:iteration + 1]
            reference.cycle(own_gradients(start, batches) if double else noted_gradients(spy, cycle, count))
        reference.average()
    check(runner, reference, start, spy, row)


def check(runner, reference, start, spy, row):
    """Weights, averaged weights and statistics of the run against the reference."""
    double = row['precision'] == 'float64'
    tolerance = dict(rtol=1e-9, atol=1e-11) if double else dict(rtol=0, atol=5e-6)
    model = bare_model(runner.model)
    found = dict(model.named_parameters())
    for name, w in reference.weights.items():
        torch.testing.assert_close(found[name].double(), w, **tolerance)
    assert len(spy.weights) == 12
    if row['ema']:
        averaged = next(h.ema_model.module for h in runner.hooks if isinstance(h, EMAHook))
        for name, p in averaged.named_parameters():
            torch.testing.assert_close(p.double(), reference.averaged.get(name, found[name].double()), **tolerance)
    if double:
        for (name, b), expected in zip(model.named_buffers(), start.buffers()):
            torch.testing.assert_close(b, expected, msg=name, **tolerance)
    else:
        last_first_pass = spy.buffers[-1 - row['accumulation']]
        assert all(torch.equal(b, last_first_pass[name]) for name, b in model.named_buffers())
    batches = {int(m.num_batches_tracked) for m in model.modules() if isinstance(m, nn.BatchNorm2d)}
    assert batches == ({0} if row['norm_eval'] else {0, 6} if row['frozen'] else {6})
