_base_ = [
    '../../_base_/models/resnet18-w16_cifar10.py', '../../_base_/datasets/cifar10.py',
    '../../_base_/schedules/cifar10_20e.py', '../../_base_/classification_runtime.py'
]
custom_hooks = [dict(type='mmadasap.ChannelsLastHook')]
