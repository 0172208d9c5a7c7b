"""A RetinaNet of a few thousand weights on 32-pixel images, trained by mmdet's own code."""
import torch
from mmdet.models import DetDataPreprocessor
from mmdet.registry import DATASETS, MODELS
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch.utils.data import Dataset


@MODELS.register_module()
class DoublePreprocessor(DetDataPreprocessor):
    """Images in double precision."""

    def forward(self, data, training=False):
        data = super().forward(data, training)
        return dict(data, inputs=data['inputs'].double())


@DATASETS.register_module()
class ToyBoxes(Dataset):
    """Fixed random images with two boxes each."""

    metainfo = dict(classes=('a', 'b'))

    def __init__(self, length=6, size=32):
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randint(256, (length, 3, size, size), generator=generator, dtype=torch.uint8)
        corners = torch.rand(length, 2, 2, generator=generator) * size / 2
        self.boxes = torch.cat([corners, corners + size / 3], 2)
        self.size = size

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        boxes = InstanceData(bboxes=self.boxes[index], labels=torch.tensor([0, 1]))
        shape = dict(img_shape=(self.size, self.size), batch_input_shape=(self.size, self.size), pad_shape=(
            self.size, self.size))
        return dict(inputs=self.images[index], data_samples=DetDataSample(gt_instances=boxes, metainfo=shape))


def detector_loader():
    """Config of a data loader over them, two at a time, in order."""
    return dict(
        dataset=dict(type='ToyBoxes'), batch_size=2, num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False), collate_fn=dict(type='pseudo_collate'))


def toy_detector(norm_eval=False, frozen_stages=-1, double=False):
    """Config of the detector."""
    return dict(
        type='RetinaNet',
        data_preprocessor=dict(
            type='DoublePreprocessor' if double else 'DetDataPreprocessor', mean=[128.0] * 3, std=[64.0] * 3),
        backbone=dict(
            type='ResNet', depth=18, base_channels=4, stem_channels=4, num_stages=2, strides=(1, 2), dilations=(1, 1),
            out_indices=(1, ), norm_eval=norm_eval, frozen_stages=frozen_stages),
        neck=dict(type='FPN', in_channels=[8], out_channels=8, num_outs=1),
        bbox_head=dict(
            type='RetinaHead', num_classes=2, in_channels=8, feat_channels=8, stacked_convs=1,
            anchor_generator=dict(
                type='AnchorGenerator', octave_base_scale=1, scales_per_octave=1, ratios=[1.0], strides=[8]),
            bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
            loss_cls=dict(type='FocalLoss', use_sigmoid=True),
            loss_bbox=dict(type='L1Loss')),
        train_cfg=dict(
            assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.3, neg_iou_thr=0.2, min_pos_iou=0, ignore_iof_thr=-1),
            sampler=dict(type='PseudoSampler'), allowed_border=-1, pos_weight=-1, debug=False))
