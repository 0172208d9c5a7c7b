"""The paper's tables of results (1 to 4, 6, 12 to 14), for whoever has ImageNet, VOC and the devices."""
import glob
import os.path as osp

from runs import ROOT, Run

CLASSIFICATION = 'configs/classification'
NETWORKS = {'resnet50': 'ResNet-50', 'mobilenet-v1': 'MobileNet-V1', 'mobilenet-v2': 'MobileNet-V2'}
VOC_TAIL = '8xb16-800e_voc0712.py'


def imagenet(network: str) -> dict[str, Run]:
    """Label -> run, of all configs of a network; the pruned ones start from the dense one."""
    dense, found = f'imagenet-{network}_dense', {}
    for path in sorted(glob.glob(osp.join(CLASSIFICATION, network, '*-8xb128-90e_in1k.py'), root_dir=ROOT)):
        method = osp.basename(path).removeprefix(f'{network}_').removesuffix('-8xb128-90e_in1k.py')
        name = f'imagenet-{network}_{method}'
        found[f'{NETWORKS[network]}, {method}'] = Run(
            name, path, start=None if name == dense else dense,
            robust=osp.join(CLASSIFICATION, network, f'{network}_robust_in1k.py'))
    return found


def voc() -> dict[str, Run]:
    """Label -> run of the detection table; all start from the backbone's ImageNet weights, as the configs say."""
    parts = {'dense': 'configs/dense/ssd512_r50_dense'}
    for keep in (40, 20):
        parts |= {f'HALP + SGD, {keep} % of the latency': f'configs/halp/ssd512_r50_halp-sgd-latency{keep}',
                  f'AdaSAP_L, {keep} % of the latency': f'configs/adasap/ssd512_r50_adasap-l-latency{keep}'}
    names = {label: f'voc_{osp.basename(path).removeprefix("ssd512_r50_")}' for label, path in parts.items()}
    return {
        label: Run(names[label], f'{path}-{VOC_TAIL}', dense=None if label == 'dense' else names['dense'])
        for label, path in parts.items()}
