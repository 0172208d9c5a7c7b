# Clean CIFAR-10 and all of the published CIFAR-10-C in one data set, for RobustAccuracy: data/cifar10, and
# data/cifar10-c/{<corruption>,labels}.npy. Its severities are milder than those of mmadasap.Corrupt.
_base_ = './corruptions.py'
robust_pipeline = [dict(type='PackInputs', meta_keys=('img_id', 'shift'))]
robust_dataset = dict(
    _delete_=True,
    type='ConcatDataset',
    datasets=[
        dict(
            type='mmadasap.CIFAR10', data_root='data/cifar10/', split='test', test_mode=True,
            pipeline=robust_pipeline),
        *[
            dict(
                type='mmadasap.CIFAR10C', data_root='data/cifar10-c/', corruption=corruption, severity=severity,
                test_mode=True, pipeline=robust_pipeline) for corruption in _base_.robust_corruptions
            for severity in (1, 2, 3, 4, 5)
        ],
    ])
