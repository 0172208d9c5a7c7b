"""Runs on blood cells: SSD on ResNet-50 at 256 pixels, HALP beside AdaSAP_L at two budgets of latency."""
from runs import PRUNING_HOOK, Run

FOLDER = 'configs/quickstart/ssd256_r50-w16'
# Times of one machine, so that everybody's networks are pruned to the same widths.
LATENCY_TABLE = 'benchmarks/reproduce/latency/ssd256_r50-w16_bccd.json'
DENSE = 'bccd_dense'
# The second has AdaSAP_L's allocation and HALP's optimizer: only against it is the last one's sharpness alone.
METHODS = {'halp-sgd': 'HALP + SGD', 'exact-sgd': 'exact allocation + SGD', 'adasap-l': 'AdaSAP_L'}
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


def pruned(method: str, keep: int, times: int = 1) -> Run:
    """A method at a share of the latency in percent, for ``times`` as many epochs as the others."""
    hook = dict(PHASE, budget=dict(cost='latency', keep=keep / 100), latency_table=LATENCY_TABLE,
                allocator=dict(solver='halp' if method == 'halp-sgd' else 'exact'))
    config = 'adasap-l' if method == 'adasap-l' else 'halp-sgd'
    return Run(f'bccd_{method}-latency{keep}{"" if times == 1 else f"-{times}x"}',
               f'{FOLDER}_{config}-latency50-40e_bccd.py', epochs=times * EPOCHS, hooks={PRUNING_HOOK: hook},
               start=DENSE, amp=True)


def one_shot(method: str) -> Run:
    """Half of the channels cut in one step, then 30 epochs: a setting in which the small network underfits."""
    wrappers = dict(sgd={}, sam=dict(type='mmadasap.AdaSAPOptimWrapper', radius=dict(type='UniformRadius', rho=0.05)))
    pruning = dict(type=PRUNING_HOOK, input_size=256, budget=dict(cost='channels', keep=0.5), begin=0, end=1,
                   interval=STEPS_A_EPOCH, importance=dict(type='MagnitudeImportance', normalize='mean'))
    options = {'optim_wrapper': wrappers[method], 'custom_hooks': [dict(type='mmadasap.ChannelsLastHook'), pruning]}
    return Run(f'bccd_one-shot-{method}', f'{FOLDER}_dense-60e_bccd.py', options, epochs=30, start=DENSE,
               amp=True)
