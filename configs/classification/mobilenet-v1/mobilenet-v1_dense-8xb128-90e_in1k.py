_base_ = [
    '../../_base_/models/mobilenet-v1_in1k.py', '../../_base_/datasets/imagenet.py',
    '../../_base_/schedules/imagenet_90e.py', '../../_base_/classification_runtime.py'
]
