# Taylor pruning under SGD. Size in Table 12.
_base_ = ['./mobilenet-v2_dense-8xb128-90e_in1k.py', '../../_base_/pruning/imagenet.py']
custom_hooks = [dict(_base_.parts.taylor, budget=dict(cost='parameters', keep=0.72))]
load_from = 'work_dirs/mobilenet-v2_dense-8xb128-90e_in1k/epoch_90.pth'
