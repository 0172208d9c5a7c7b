# HALP under SGD: 50% of the latency removed.
# Its table: tools/build_latency_table.py with the dense config, on the device you ship to.
_base_ = ['./resnet18-w16_dense-1xb128-20e_cifar10.py', '../../_base_/pruning/cifar10.py']
custom_hooks = [
    *_base_.custom_hooks,
    dict(
        _base_.parts.latency,
        budget=dict(cost='latency', keep=0.50),
        latency_table='work_dirs/latency/resnet18-w16_dense-1xb128-20e_cifar10.json',
        allocator=dict(solver='halp')),
]
load_from = 'work_dirs/resnet18-w16_dense-1xb128-20e_cifar10/epoch_20.pth'
