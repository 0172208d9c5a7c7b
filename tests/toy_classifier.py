"""mmpretrain's classifiers at a few thousand weights, on random images of 32 pixels."""
import torch
from mmpretrain.registry import DATASETS
from mmpretrain.structures import DataSample
from torch.utils.data import Dataset


@DATASETS.register_module()
class ToyLabels(Dataset):
    """Fixed random images with labels."""

    metainfo = dict(classes=('a', 'b', 'c'))

    def __init__(self, length=8, classes=3, size=32):
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randint(256, (length, 3, size, size), generator=generator, dtype=torch.uint8)
        self.labels = torch.randint(classes, (length, ), generator=generator)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return dict(inputs=self.images[index], data_samples=DataSample().set_gt_label(self.labels[index]))


def classifier_loader(batch_size=2, **dataset):
    """Config of a data loader over them."""
    return dict(
        dataset=dict(dataset, type='ToyLabels'), batch_size=batch_size, num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False), collate_fn=dict(type='default_collate'))


def toy_classifier(backbone=None, channels=32):
    """Config of a classifier; a ResNet-18 for small images at 4 channels unless another backbone is given."""
    return dict(
        type='ImageClassifier',
        data_preprocessor=dict(mean=[128.0] * 3, std=[64.0] * 3, to_rgb=True),
        backbone=backbone or dict(type='ResNet_CIFAR', depth=18, stem_channels=4, base_channels=4),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=3, in_channels=channels,
                  loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original')))
