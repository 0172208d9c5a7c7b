# AdaSAP_P: magnitude under adaptive radii, then ASAM. Size in Table 1.
_base_ = ['./resnet50_dense-8xb128-90e_in1k.py', '../../_base_/pruning/imagenet.py']
optim_wrapper = _base_.parts.adasap_asam
custom_hooks = [dict(_base_.parts.magnitude, budget=dict(cost='parameters', keep=0.77)), _base_.parts.then_asam]
load_from = 'work_dirs/resnet50_dense-8xb128-90e_in1k/epoch_90.pth'
