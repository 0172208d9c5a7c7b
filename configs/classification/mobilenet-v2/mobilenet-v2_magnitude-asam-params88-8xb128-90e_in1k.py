# Magnitude pruning under uniform ASAM throughout. Size of taylor-sgd in Table 12.
_base_ = ['./mobilenet-v2_dense-8xb128-90e_in1k.py', '../../_base_/pruning/imagenet.py']
optim_wrapper = _base_.parts.asam
custom_hooks = [dict(_base_.parts.magnitude, budget=dict(cost='parameters', keep=0.88))]
load_from = 'work_dirs/mobilenet-v2_dense-8xb128-90e_in1k/epoch_90.pth'
