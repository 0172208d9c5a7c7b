# AdaSAP with Taylor pruning, without ASAM. Size in Table 6.
_base_ = ['./resnet50_dense-8xb128-90e_in1k.py', '../../_base_/pruning/imagenet.py']
optim_wrapper = _base_.parts.adasap
custom_hooks = [dict(_base_.parts.taylor, budget=dict(cost='parameters', keep=0.76)), _base_.parts.then_sam]
load_from = 'work_dirs/resnet50_dense-8xb128-90e_in1k/epoch_90.pth'
