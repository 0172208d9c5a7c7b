# Magnitude pruning under SAM throughout. Sizes of adasap-p-sam, which it differs from by the radii alone.
_base_ = ['./resnet50_dense-8xb128-90e_in1k.py', '../../_base_/pruning/imagenet.py']
optim_wrapper = _base_.parts.sam
custom_hooks = [dict(_base_.parts.magnitude, budget=dict(cost='parameters', keep=0.76))]
load_from = 'work_dirs/resnet50_dense-8xb128-90e_in1k/epoch_90.pth'
