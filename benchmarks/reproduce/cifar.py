"""Runs on CIFAR-10: ResNet-18 at 16 base channels, every method of the paper's classification tables."""
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from runs import PHASE_HOOK, PRUNING_HOOK, Run

FOLDER = 'configs/classification/cifar10/resnet18-w16'
# Output channels of all layers of the dense network, and of what is left of them at 20 % of the parameters.
NEURONS, SLIM_NEURONS = 1210, 600
# Of AdaSAP_P, by climbs.py: the mean over all neurons of its radii on the dense network, and how far it climbs.
MEAN_RADIUS, CLIMB = 0.084, 0.067
METHODS = {
    'magnitude-sgd': 'magnitude + SGD',
    'magnitude-sam': 'magnitude + SAM',
    'magnitude-asam': 'magnitude + ASAM throughout',
    'taylor-sgd': 'Taylor + SGD',
    'taylor-sam': 'Taylor + SAM',
    'adasap-taylor': 'AdaSAP, Taylor',
    'adasap-p': 'AdaSAP_P',
    'adasap-p-asam': 'AdaSAP_P with ASAM',
    'mean-radius': "magnitude + SAM of AdaSAP_P's mean radius",
    'equal-climb': 'magnitude + SAM that climbs as far as AdaSAP_P',
}
# Only against them is what the radii do apart, and not how large they are.
CONTROLS = {'mean-radius': MEAN_RADIUS, 'equal-climb': CLIMB}
# With ASAM the paper's greatest radius is the uniform one; here that of ASAM for CIFAR-10.
ASAM = {'optim_wrapper.asam': True, 'optim_wrapper.radius.rho_max': 0.5}
VARIANTS = {
    'adasap-p-asam': dict(options=ASAM, hooks={PHASE_HOOK: dict(radius=dict(type='UniformRadius', rho=0.5))}),
} | {name: dict(options={'optim_wrapper.radius': dict(_delete_=True, type='UniformRadius', rho=rho)})
     for name, rho in CONTROLS.items()}


@dataclass(frozen=True)
class Setting:
    """A regime: what data, how long.

    Attributes:
        prefix: Of its runs' names.
        dense: Epochs of the dense network.
        epochs: Epochs of each pruned one, of which ``begin`` to ``end`` are the pruning phase.
        interval: Iterations between two pruning steps.
        data: Settings of the data.
        every: Corrupted accuracy is measured on every n-th test image.
    """
    prefix: str
    dense: int
    epochs: int
    begin: int
    end: int
    interval: int = 30
    data: Mapping[str, Any] = field(default_factory=dict)
    every: int = 2


def dense(setting: Setting) -> Run:
    """The dense network the others start from."""
    return Run(f'{setting.prefix}_dense', f'{FOLDER}_dense-1xb128-20e_cifar10.py',
               setting.data, setting.dense, amp=True, measures=('train', ), every=setting.every)


def pruned(setting: Setting, method: str, size: int, suffix: str = '', options: Mapping[str, Any] = {},
           hooks: Mapping[str, Mapping[str, Any]] = {}) -> Run:
    """A method at a size, in percent of the parameters kept.

    Args:
        setting: The regime.
        method: Key of METHODS.
        size: Percent.
        suffix: Of the name, where more differs:
        options: further settings of the config, and
        hooks: of its hooks.
    """
    if method in VARIANTS:
        return pruned(setting, 'adasap-p', size, f'-{method.removeprefix("adasap-p-")}', **VARIANTS[method])
    phase = dict(begin=setting.begin, end=setting.end, interval=setting.interval,
                 budget=dict(cost='parameters', keep=size / 100))
    hooks = {name: dict(hooks.get(name, {})) for name in (PRUNING_HOOK, PHASE_HOOK)}
    hooks[PRUNING_HOOK] = phase | hooks[PRUNING_HOOK]
    return Run(f'{setting.prefix}_{method}{suffix}-params{size}', f'{FOLDER}_{method}-params50-1xb128-20e_cifar10.py',
               {**setting.data, **options}, setting.epochs, hooks, start=f'{setting.prefix}_dense', amp=True,
               measures=('pruning', ), every=setting.every)


def warmups(setting: Setting, size: int, epochs: tuple[int, ...]) -> dict[str, Run]:
    """Label -> AdaSAP_P with a warm-up of so many epochs before a phase of the same length (paper: Table 10)."""
    return {f'{begin} epochs': _warmed_up(setting, size, begin) for begin in epochs}


def _warmed_up(setting: Setting, size: int, begin: int) -> Run:
    if begin == setting.begin:
        return pruned(setting, 'adasap-p', size)
    phase = dict(begin=begin, end=begin + setting.end - setting.begin)
    return pruned(setting, 'adasap-p', size, f'-warmup{begin}', hooks={PRUNING_HOOK: phase})


def third_steps(setting: Setting, size: int) -> dict[str, Run]:
    """Label -> AdaSAP_P with another perturbation in the third step (paper: Table 11)."""
    adaptive = dict(type='AdaptiveRadius', rho_min=0.01, rho_max=0.1)
    return {
        'none': pruned(setting, 'adasap-p', size, '-then-none', hooks={PHASE_HOOK: dict(radius=None)}),
        'adaptive': pruned(setting, 'adasap-p', size, '-then-adaptive', hooks={PHASE_HOOK: dict(radius=adaptive)}),
        'uniform': pruned(setting, 'adasap-p', size),
    }


def readings(setting: Setting, size: int) -> dict[str, Run]:
    """Label -> AdaSAP_P under every reading of Eq. 2-6 and of the global ranking, the project's default first.

    With a norm for each neuron all radii are divided by the root of their number, as it is before and after surgery:
    the whole weights then move as far as with a global norm. The last row has them as printed.
    """
    default, *others = product(('global', 'neuron'), ('model', 'layer'), ('linear', 'rank'), ('mean', 'none'))
    found = {', '.join(default): pruned(setting, 'adasap-p', size)}
    for reading in others:
        found[', '.join(reading)] = _reading(setting, size, *reading)
    found['neuron, model, linear, mean, radii as printed'] = pruned(
        setting, 'adasap-p', size, '-neuron-as-printed', {'optim_wrapper.norm_scope': 'neuron'})
    return found


def _reading(setting: Setting, size: int, norm: str, scope: str, mapping: str, normalize: str) -> Run:
    radius = dict(score_scope=scope, mapping=mapping)
    hooks = {PRUNING_HOOK: dict(importance=dict(type='MagnitudeImportance', normalize=normalize))}
    if norm == 'neuron':
        share = NEURONS**-0.5
        radius.update(rho_min=0.01 * share, rho_max=0.1 * share)
        hooks[PHASE_HOOK] = dict(radius=dict(type='UniformRadius', rho=0.05 * SLIM_NEURONS**-0.5))
    return pruned(setting, 'adasap-p', size, f'-{norm}-{scope}-{mapping}-{normalize}',
                  {'optim_wrapper.norm_scope': norm, 'optim_wrapper.radius': radius}, hooks)


def searches(setting: Setting, size: int) -> dict[str, Run]:
    """Label -> run: the same number of settings for every method, learning rate first, then what else it has."""
    found = {}
    for method in ('taylor-sgd', 'magnitude-sgd', 'magnitude-sam', 'adasap-p'):
        for lr in (0.03, 0.1, 0.3):
            found[f'{METHODS[method]}, lr {lr}'] = pruned(
                setting, method, size, *(() if lr == 0.1 else (f'-lr{lr}', {'optim_wrapper.optimizer.lr': lr})))
        for factor in (0.5, 2):
            name, options, hooks = _scaled(method, factor)
            found[f'{METHODS[method]}, {name} x {factor}'] = pruned(
                setting, method, size, f'-{name.replace(" ", "-")}-x{factor}', options, hooks)
    for method, kind in (('taylor-sgd', 'Taylor'), ('magnitude-sgd', 'Magnitude')):
        raw = dict(importance=dict(type=f'{kind}Importance', normalize='none'))
        found[f'{METHODS[method]}, raw scores'] = pruned(setting, method, size, '-raw', hooks={PRUNING_HOOK: raw})
    return found


def _scaled(method: str, factor: float) -> tuple[str, dict, dict]:
    """What a method has beside the learning rate, its options and its hooks' with that multiplied."""
    if method.endswith('-sgd'):
        return 'weight decay', {'optim_wrapper.optimizer.weight_decay': 5e-4 * factor}, {}
    if method == 'magnitude-sam':
        return 'rho', {'optim_wrapper.radius.rho': 0.05 * factor}, {}
    return 'rho', {'optim_wrapper.radius.rho_min': 0.01 * factor, 'optim_wrapper.radius.rho_max': 0.1 * factor}, {
        PHASE_HOOK: dict(radius=dict(type='UniformRadius', rho=0.05 * factor))}
