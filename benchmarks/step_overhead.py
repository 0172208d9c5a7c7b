"""What a sharpness-aware step costs, beside plain SGD, two bare passes, and reference implementations.

    python benchmarks/step_overhead.py --sam sam:SAM --asam asam:ASAM --out benchmarks/results/step_overhead.json

The references are imported from PYTHONPATH: davda54/sam's ``sam.py`` (first_step, second_step) and SamsungLabs/ASAM's
``asam.py`` (ascent_step, descent_step). Everything is timed in one process, taking turns; medians in milliseconds.
"""
import argparse
import importlib
from collections.abc import Callable

import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import nn

from mmadasap.engine import AdaSAPOptimWrapper
from mmadasap.engine.host import raw_outputs
from mmadasap.fileio import write_json
from mmadasap.latency import describe_machine, interleaved_medians
from mmadasap.registry import MODELS
from mmadasap.sharpness import (
    Neurons,
    Perturbation,
    build_radius,
    collect_neurons,
    radius_range,
    read_numbers,
    trace_norms,
)

LARGE = 'configs/dense/ssd512_r50_dense-8xb16-800e_voc0712.py'
SMALL = 'configs/quickstart/ssd256_r50-w16_dense_shapes.py'
UNIFORM = dict(type='UniformRadius', rho=0.05)
ADAPTIVE = dict(type='AdaptiveRadius', rho_min=0.01, rho_max=0.1)
OURS = dict(
    SAM=dict(radius=UNIFORM), ASAM=dict(radius=dict(type='UniformRadius', rho=2.0), asam=True),
    adaptive=dict(radius=ADAPTIVE))


INTERVAL = 5
REUSING = f'LookSAM, interval {INTERVAL}, ours'


class Still(torch.optim.SGD):
    """An optimizer that neither steps nor drops gradients, so that only the code around it is timed."""

    def step(self, closure=None):
        """Does nothing."""

    def zero_grad(self, set_to_none=True):
        """Does nothing."""


def build(path: str) -> nn.Module:
    """The detector of a config, untrained, on the device there is."""
    cfg = Config.fromfile(path)
    init_default_scope('mmdet')
    cfg.model.backbone.init_cfg = None
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).train()
    model.init_weights()
    return model.to('cuda' if torch.cuda.is_available() else 'cpu', memory_format=torch.channels_last)


def imported(path: str) -> type:
    """A class named as ``module:Class``."""
    module, _, name = path.partition(':')
    return getattr(importlib.import_module(module), name)


def neurons_of(model: nn.Module, size: int) -> Neurons:
    """The model's neurons, each tensor with a random gradient."""
    with trace_norms(model) as followers, torch.no_grad():
        raw_outputs(model, torch.zeros(2, 3, size, size, device=next(model.parameters()).device))
    for p in model.parameters():
        p.grad = torch.randn_like(p)
    return collect_neurons(model, followers).with_gradient()


def climb_and_return(neurons: Neurons, radius: dict, asam: bool = False) -> Callable[[], None]:
    """Scores, radii, the norm, w + eps, and back: what the references' two half steps do as well."""
    policy, perturbation = build_radius(radius), Perturbation(0.01 if asam else None, 'global')
    weights = [layer.weight for layer in neurons.layers]

    @torch.no_grad()
    def call():
        radii = policy(weights, [w.grad for w in weights])
        norm = perturbation.norm(neurons)
        perturbation.climb(neurons, radii, read_numbers(norm, radius_range(radii, norm))[0])
        perturbation.come_back()

    return call


def reference_climbs(model: nn.Module, args: argparse.Namespace) -> dict[str, Callable[[], None]]:
    """The same of the references."""
    calls = {}
    if args.sam:
        sam = imported(args.sam)(model.parameters(), Still, rho=0.05, lr=0.01)
        calls['SAM, reference'] = lambda: (sam.first_step(), sam.second_step())
    if args.asam:
        asam = imported(args.asam)(Still(model.parameters(), lr=0.01), model, rho=2.0)
        calls['ASAM, reference'] = lambda: (asam.ascent_step(), asam.descent_step())
    return calls


def bare_copy_and_add(neurons: Neurons) -> Callable[[], None]:
    """The least that a climb with a backup can do."""
    tensors = [t.detach() for t in neurons.tensors()]
    grads, copies = [t.grad for t in neurons.tensors()], [t.clone() for t in tensors]

    def call():
        torch._foreach_copy_(copies, tensors)
        torch._foreach_add_(copies, grads)

    return call


def time_climbs(model: nn.Module, size: int, args: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of climbing and coming back, by implementation."""
    neurons = neurons_of(model, size)
    calls = {'bare copy + add': bare_copy_and_add(neurons)}
    calls |= {f'{name}, ours': climb_and_return(neurons, **kwargs) for name, kwargs in OURS.items()}
    calls |= reference_climbs(model, args)
    grads = [p.grad for p in model.parameters()]

    def refresh():
        # ASAM scales gradients in place: without fresh ones they would die out.
        for grad in grads:
            grad.fill_(1e-3)

    return interleaved_medians(calls, rounds=args.rounds, before=refresh)


def batch(images: int, size: int) -> dict:
    """Random images with two boxes each."""
    samples = []
    for _ in range(images):
        boxes = torch.tensor([[0.1, 0.1, 0.5, 0.6], [0.4, 0.3, 0.9, 0.9]]) * size
        sample = DetDataSample(gt_instances=InstanceData(bboxes=boxes, labels=torch.tensor([0, 1])))
        sample.set_metainfo(dict(img_shape=(size, size), ori_shape=(size, size), scale_factor=(1.0, 1.0)))
        samples.append(sample)
    return dict(inputs=list(torch.randint(256, (images, 3, size, size), dtype=torch.uint8)), data_samples=samples)


def time_steps(model: nn.Module, size: int, args: argparse.Namespace) -> dict[str, float]:
    """Milliseconds of whole training steps with a learning rate of 0, by implementation."""
    data = batch(args.batch_size, size)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)

    def prepared():
        return model.data_preprocessor(data, training=True)

    def pass_once(inputs):
        model.parse_losses(model(**inputs, mode='loss'))[0].backward()

    def twice():
        inputs = prepared()
        for _ in range(2):
            pass_once(inputs)
            optimizer.zero_grad()

    def step(wrapper):
        return lambda: model.train_step(data, wrapper)

    calls = {'two bare passes': twice, 'SGD': step(OptimWrapper(optimizer))}
    calls |= {f'{name}, ours': step(AdaSAPOptimWrapper(optimizer, **kwargs)) for name, kwargs in OURS.items()}
    if args.sam:
        sam = imported(args.sam)(model.parameters(), torch.optim.SGD, rho=0.05, lr=0.0, momentum=0.9)

        def sam_step():
            inputs = prepared()
            pass_once(inputs)
            sam.first_step(zero_grad=True)
            pass_once(inputs)
            sam.second_step(zero_grad=True)

        calls['SAM, reference'] = sam_step
    if args.asam:
        asam = imported(args.asam)(optimizer, model, rho=2.0)

        def asam_step():
            inputs = prepared()
            pass_once(inputs)
            asam.ascent_step()
            pass_once(inputs)
            asam.descent_step()

        calls['ASAM, reference'] = asam_step
    calls['SAM on half the batch, ours'] = step(AdaSAPOptimWrapper(optimizer, radius=UNIFORM, ascent_fraction=0.5))
    reusing = step(AdaSAPOptimWrapper(optimizer, radius=UNIFORM, interval=INTERVAL))
    calls[REUSING] = lambda: [reusing() for _ in range(INTERVAL)]
    times = interleaved_medians(calls, rounds=args.rounds)
    return times | {REUSING: times[REUSING] / INTERVAL}


def show(title: str, times: dict[str, float], named: str) -> None:
    """A table of milliseconds and ratios to one row."""
    print(f'\n{title}\n{"":30}{"ms":>10}{"ratio":>9}')
    for name, ms in times.items():
        print(f'{name:30}{ms:10.2f}{ms / times[named]:9.2f}')


def main() -> None:
    """Parses, times, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--sam', help="davda54/sam's class as module:Class")
    parser.add_argument('--asam', help="SamsungLabs/ASAM's class as module:Class")
    parser.add_argument('--batch-size', type=int, default=16, help='images of a whole step')
    parser.add_argument('--rounds', type=int, default=15, help='timings of each')
    parser.add_argument('--out', default='benchmarks/results/step_overhead.json', help='results as JSON')
    args = parser.parse_args()
    large, small = build(LARGE), build(SMALL)
    result = dict(
        machine=describe_machine(),
        climb_and_return_ms=dict(ssd512=time_climbs(large, 512, args), ssd256_w16=time_climbs(small, 256, args)),
        step_ms=dict(ssd256_w16=time_steps(small, 256, args)),
        batch_size=args.batch_size)
    write_json(args.out, result)
    for name, times in result['climb_and_return_ms'].items():
        show(f'climb + return, {name}', times, 'bare copy + add')
    show(f'whole step, ssd256_w16, batch {args.batch_size}', result['step_ms']['ssd256_w16'], 'two bare passes')
    share = result['climb_and_return_ms']['ssd256_w16']['adaptive, ours'] / result['step_ms']['ssd256_w16']['SGD']
    print(f'\nclimb + return is {share:.1%} of a plain step of ssd256_w16 (adaptive radius); written to {args.out}')


if __name__ == '__main__':
    main()
