"""The paper's tables of results (1 to 4, 6, 7, 9 to 14), for whoever has ImageNet, VOC and the devices."""
import glob
import os.path as osp
from dataclasses import replace

from runs import PHASE_HOOK, PRUNING_HOOK, ROOT, Run

CLASSIFICATION = 'configs/classification'
AROUND_PRUNING = ('taylor-sgd', 'magnitude-sgd', 'magnitude-sam', 'adasap-p-sam')
NETWORKS = {'resnet50': 'ResNet-50', 'mobilenet-v1': 'MobileNet-V1', 'mobilenet-v2': 'MobileNet-V2'}
VOC_TAIL = '8xb16-800e_voc0712.py'
# The paper's AdaSAP_L allocates as HALP does; the configs of this project's, jointly.
HALP = {PRUNING_HOOK: dict(allocator=dict(solver='halp'))}
# What is never validated cannot be the best: of 800 epochs the last 30 compete, as in the paper.
LAST_30 = {'train_cfg.val_begin': 771}


def imagenet(network: str) -> dict[str, Run]:
    """Label -> run, of all configs of a network; the pruned ones start from the dense one.

    Beside each AdaSAP_L of the configs, which allocates jointly, is the paper's with HALP's allocation.
    """
    dense, found = f'imagenet-{network}_dense', {}
    for path in sorted(glob.glob(osp.join(CLASSIFICATION, network, '*-8xb128-90e_in1k.py'), root_dir=ROOT)):
        method = osp.basename(path).removeprefix(f'{network}_').removesuffix('-8xb128-90e_in1k.py')
        name = f'imagenet-{network}_{method}'
        found[f'{NETWORKS[network]}, {method}'] = Run(
            name, path, start=None if name == dense else dense, robust=_robust(network),
            measures=('pruning', ) if method.startswith(AROUND_PRUNING) and network == 'resnet50' else ())
    return found | {label.replace('adasap-l', 'adasap-halp'): _with_halp(run)
                    for label, run in found.items() if 'adasap-l' in label}


def _with_halp(run: Run) -> Run:
    return replace(run, name=run.name.replace('adasap-l', 'adasap-halp'), hooks=HALP)


def around_pruning() -> dict[str, Run]:
    """Label -> run of Tables 7 and 9, which are without ASAM."""
    return {label: run for label, run in imagenet('resnet50').items() if 'pruning' in run.measures}


def warmups(epochs: tuple[int, ...]) -> dict[str, Run]:
    """Label -> AdaSAP_P with a warm-up of so many epochs (Table 10)."""
    return {f'{begin} epochs': _warmed_up(begin) for begin in epochs}


def _warmed_up(begin: int) -> Run:
    if begin == 10:
        # As in the configs.
        return _adasap_p(40, '', {})
    return _adasap_p(40, f'-warmup{begin}', {PRUNING_HOOK: dict(begin=begin, end=begin + 1)})


def third_steps() -> dict[str, Run]:
    """Label -> AdaSAP_P with another perturbation in the third step (Table 11)."""
    adaptive = dict(type='AdaptiveRadius', rho_min=0.01, rho_max=0.1)
    return {'none': _adasap_p(20, '-then-none', {PHASE_HOOK: dict(radius=None)}),
            'adaptive': _adasap_p(20, '-then-adaptive', {PHASE_HOOK: dict(radius=adaptive)}),
            'uniform': _adasap_p(20, '', {})}


def _adasap_p(size: int, suffix: str, hooks: dict[str, dict]) -> Run:
    """Without ASAM, as the accuracies in Table 11 are those of Table 14's row at 20 %; those of Table 10 fit no row."""
    run = imagenet('resnet50')[f'ResNet-50, adasap-p-sam-params{size}']
    return replace(run, name=f'imagenet-resnet50_adasap-p-sam{suffix}-params{size}', hooks=hooks)


def _robust(network: str) -> str:
    return osp.join(CLASSIFICATION, network, f'{network}_robust_in1k.py')


def voc() -> dict[str, Run]:
    """Label -> run of the detection table; all start from the backbone's ImageNet weights, as the configs say."""
    parts = {'dense': 'configs/dense/ssd512_r50_dense'}
    for keep in (40, 20):
        parts |= {f'HALP + SGD, {keep} % of the latency': f'configs/halp/ssd512_r50_halp-sgd-latency{keep}',
                  f'AdaSAP_L, {keep} % of the latency': f'configs/adasap/ssd512_r50_adasap-l-latency{keep}'}
    names = {label: f'voc_{osp.basename(path).removeprefix("ssd512_r50_")}' for label, path in parts.items()}
    found = {
        label: Run(names[label], f'{path}-{VOC_TAIL}', LAST_30, dense=None if label == 'dense' else names['dense'])
        for label, path in parts.items()}
    return found | {label.replace('AdaSAP_L', "AdaSAP_L with HALP's allocation"): _with_halp(run)
                    for label, run in found.items() if 'AdaSAP_L' in label}
