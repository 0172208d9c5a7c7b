# Magnitude pruning under SGD. Size of taylor-sgd in Table 12.
_base_ = ['./mobilenet-v1_dense-8xb128-90e_in1k.py', '../../_base_/pruning/imagenet.py']
custom_hooks = [dict(_base_.parts.magnitude, budget=dict(cost='parameters', keep=0.40))]
load_from = 'work_dirs/mobilenet-v1_dense-8xb128-90e_in1k/epoch_90.pth'
