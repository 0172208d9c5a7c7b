# Clean ImageNet, the three selections of ImageNet-V2 and all of ImageNet-C in one data set, for RobustAccuracy:
# data/imagenet/val, data/imagenetv2/imagenetv2-*-format-val, data/imagenet-c/<corruption>/<severity>.
_base_ = './corruptions.py'
# ImageNet-C is published cropped to 224 pixels.
cropped_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='PackInputs', meta_keys=('img_path', 'shift')),
]
whole_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=256, edge='short'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs', meta_keys=('img_path', 'shift')),
]
robust_dataset = dict(
    _delete_=True,
    type='ConcatDataset',
    datasets=[
        dict(
            type='mmadasap.ImageNet', data_root='data/imagenet/', split='val', test_mode=True,
            pipeline=whole_pipeline),
        *[
            dict(
                type='mmadasap.ImageNetV2', data_root='data/imagenetv2/', variant=variant, test_mode=True,
                pipeline=whole_pipeline) for variant in ('matched-frequency', 'threshold-0.7', 'top-images')
        ],
        *[
            dict(
                type='mmadasap.ImageNetC', data_root='data/imagenet-c/', corruption=corruption, severity=severity,
                test_mode=True, pipeline=cropped_pipeline) for corruption in _base_.robust_corruptions
            for severity in (1, 2, 3, 4, 5)
        ],
    ])
