"""Runs on blood cells: SSD on ResNet-50 at 256 pixels, HALP beside AdaSAP_L at two budgets of latency."""
from collections.abc import Mapping
from typing import Any

from runs import PHASE_HOOK, PRUNING_HOOK, Run

FOLDER = 'configs/quickstart/ssd256_r50-w16'
# Times of one machine, so that everybody's networks are pruned to the same widths.
LATENCY_TABLE = 'benchmarks/reproduce/latency/ssd256_r50-w16_bccd.json'
DENSE = 'bccd_dense'
# The paper's AdaSAP_L allocates as HALP does, this project's jointly: each has SGD with its own allocation beside it.
METHODS = {'halp-sgd': 'HALP + SGD', 'exact-sgd': 'exact allocation + SGD', 'adasap-l': 'AdaSAP_L',
           'adasap-halp': "AdaSAP_L with HALP's allocation"}
EPOCHS = 40
# As in the paper's classification, an eighth of the epochs is adaptive: fine-tuning a slim network is the cheap part.
PHASE = dict(begin=1, end=5, interval=4)
# 292 images in batches of 16.
STEPS_A_EPOCH = 19


def dense() -> Run:
    """The dense network the others start from."""
    return Run(DENSE, f'{FOLDER}_dense-60e_bccd.py', amp=True, measures=('train', ))


def wide() -> Run:
    """The dense network at twice the width."""
    levels = (512, 256, 256, 128, 128)
    options = {'model.backbone.base_channels': 32, 'model.backbone.stem_channels': 32,
               'model.neck.in_channels': (512, ), 'model.neck.out_channels': levels,
               'model.bbox_head.in_channels': levels}
    return Run('bccd-w32_dense', f'{FOLDER}_dense-60e_bccd.py', options, amp=True, measures=('train', ))


def pruned(method: str, keep: int, times: int = 1, suffix: str = '', options: Mapping[str, Any] = {},
           hooks: Mapping[str, Mapping[str, Any]] = {}) -> Run:
    """A method at a share of the latency in percent.

    Args:
        method: Key of METHODS.
        keep: Percent.
        times: How many times as many epochs as the others it has.
        suffix: Of the name, where more differs:
        options: further settings of the config, and
        hooks: of its hooks.
    """
    hook = dict(PHASE, budget=dict(cost='latency', keep=keep / 100), latency_table=LATENCY_TABLE,
                allocator=dict(solver='halp' if 'halp' in method else 'exact'))
    config = 'adasap-l' if method.startswith('adasap') else 'halp-sgd'
    return Run(f'bccd_{method}{suffix}-latency{keep}{"" if times == 1 else f"-{times}x"}',
               f'{FOLDER}_{config}-latency50-40e_bccd.py', options, times * EPOCHS, {PRUNING_HOOK: hook, **hooks},
               start=DENSE, amp=True, times=times)


def half_ascent(keep: int) -> Run:
    """AdaSAP_L that climbs along the gradient of half of each batch: one pass and a half a step in place of two."""
    return pruned('adasap-l', keep, suffix='-half-ascent', options={'optim_wrapper.ascent_fraction': 0.5})


def searches(keep: int) -> dict[str, Run]:
    """Label -> run: as many settings for either, half and twice of the learning rate and of what else it has."""
    found = {}
    for method in ('halp-sgd', 'adasap-l'):
        label = METHODS[method]
        found[label] = pruned(method, keep)
        for factor in (0.5, 2):
            found[f'{label}, lr x {factor}'] = pruned(
                method, keep, suffix=f'-lr-x{factor}', options={'optim_wrapper.optimizer.lr': 0.02 * factor})
            name, settings = _scaled(method, factor)
            found[f'{label}, {name} x {factor}'] = pruned(
                method, keep, suffix=f'-{name.replace(" ", "-")}-x{factor}', **settings)
    return found


def _scaled(method: str, factor: float) -> tuple[str, dict[str, Any]]:
    if method == 'halp-sgd':
        return 'weight decay', dict(options={'optim_wrapper.optimizer.weight_decay': 5e-4 * factor})
    radii = {'optim_wrapper.radius.rho_min': 0.01 * factor, 'optim_wrapper.radius.rho_max': 0.1 * factor}
    return 'rho', dict(options=radii, hooks={PHASE_HOOK: dict(radius=dict(type='UniformRadius', rho=0.05 * factor))})


def one_shot(method: str) -> Run:
    """30 epochs, half of the channels cut at once after the first: the network forgets most and trains briefly."""
    wrappers = dict(sgd={}, sam=dict(type='mmadasap.AdaSAPOptimWrapper', radius=dict(type='UniformRadius', rho=0.05)))
    pruning = dict(type=PRUNING_HOOK, input_size=256, budget=dict(cost='channels', keep=0.5), begin=0, end=1,
                   interval=STEPS_A_EPOCH, importance=dict(type='MagnitudeImportance', normalize='mean'))
    options = {'optim_wrapper': wrappers[method], 'custom_hooks': [dict(type='mmadasap.ChannelsLastHook'), pruning]}
    return Run(f'bccd_one-shot-{method}', f'{FOLDER}_dense-60e_bccd.py', options, epochs=30, start=DENSE,
               amp=True)
