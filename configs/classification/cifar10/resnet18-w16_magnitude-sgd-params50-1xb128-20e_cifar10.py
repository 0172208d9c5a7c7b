# Magnitude pruning under SGD.
_base_ = ['./resnet18-w16_dense-1xb128-20e_cifar10.py', '../../_base_/pruning/cifar10.py']
custom_hooks = [*_base_.custom_hooks, dict(_base_.parts.magnitude, budget=dict(cost='parameters', keep=0.50))]
load_from = 'work_dirs/resnet18-w16_dense-1xb128-20e_cifar10/epoch_20.pth'
