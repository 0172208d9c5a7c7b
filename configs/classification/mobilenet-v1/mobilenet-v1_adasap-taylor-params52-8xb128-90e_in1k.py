# AdaSAP with Taylor pruning, without ASAM. Size of taylor-sgd in Table 12.
_base_ = ['./mobilenet-v1_dense-8xb128-90e_in1k.py', '../../_base_/pruning/imagenet.py']
optim_wrapper = _base_.parts.adasap
custom_hooks = [dict(_base_.parts.taylor, budget=dict(cost='parameters', keep=0.52)), _base_.parts.then_sam]
load_from = 'work_dirs/mobilenet-v1_dense-8xb128-90e_in1k/epoch_90.pth'
