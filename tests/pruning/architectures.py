"""The architectures of the project's users, small and at full size."""
import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import init_default_scope

import mmadasap.models  # noqa: F401
from mmadasap.registry import MODELS
from tests.toys import randomize

SMALL_RESNET = dict(backbone=dict(base_channels=8, stem_channels=8))
SMALL_FPN = dict(in_channels=[32, 64, 128, 256], out_channels=16)
TWO_STAGE = dict(
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16), bbox_head=dict(in_channels=16, fc_out_channels=32, num_classes=3)),
    test_cfg=dict(rpn=dict(max_per_img=50), rcnn=dict(score_thr=0.0)))
# SSD300's seven layers after VGG need 300 pixels; two of them are enough for 64.
SMALL_SSD = dict(
    neck=dict(out_channels=(512, 1024, 256, 256), level_strides=(2, 2), level_paddings=(1, 1)),
    bbox_head=dict(
        type='mmadasap.SSDHead', in_channels=(512, 1024, 256, 256), num_classes=3,
        anchor_generator=dict(strides=[8, 16, 32, 64], ratios=([2], ) * 4, input_size=64,
                              min_sizes=[4, 9, 22, 35], max_sizes=[9, 22, 35, 48])))


def cifar(depth, channels):
    return dict(
        type='ImageClassifier',
        backbone=dict(type='ResNet_CIFAR', depth=depth, base_channels=channels, stem_channels=channels),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=10, in_channels=channels * (8 if depth == 18 else 32)))


def mobilenet_v1(widen_factor):
    return dict(
        type='ImageClassifier',
        backbone=dict(type='mmadasap.MobileNetV1', widen_factor=widen_factor),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=10, in_channels=int(1024 * widen_factor)))


# Name -> (scope, config, changes for the small form, input sizes of both forms).
ARCHITECTURES = dict(
    ssd_vgg=('mmdet', 'mmdet::pascal_voc/ssd300_voc0712.py', SMALL_SSD, (64, 300)),
    retinanet=('mmdet', 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', SMALL_RESNET | dict(
        neck=SMALL_FPN, bbox_head=dict(
            num_classes=3, in_channels=16, feat_channels=16, stacked_convs=2)), (64, 128)),
    faster_rcnn=('mmdet', 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py', SMALL_RESNET | dict(
        neck=SMALL_FPN) | TWO_STAGE, (64, 128)),
    yolox=('mmdet', 'mmdet::yolox/yolox_s_8xb8-300e_coco.py', dict(
        backbone=dict(widen_factor=0.125), neck=dict(in_channels=[32, 64, 128], out_channels=16),
        bbox_head=dict(in_channels=16, feat_channels=16)), (64, 128)),
    rtmdet=('mmdet', 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py', dict(
        backbone=dict(widen_factor=0.125), neck=dict(in_channels=[32, 64, 128], out_channels=16),
        bbox_head=dict(in_channels=16, feat_channels=16)), (64, 128)),
    resnet18=('mmpretrain', 'mmpretrain::resnet/resnet18_8xb32_in1k.py', dict(
        backbone=dict(base_channels=8, stem_channels=8), head=dict(in_channels=64)), (32, 64)),
    resnet50=('mmpretrain', 'mmpretrain::resnet/resnet50_8xb32_in1k.py', dict(
        backbone=dict(base_channels=8, stem_channels=8), head=dict(in_channels=256)), (32, 64)),
    resnet_cifar=('mmpretrain', cifar(18, 64), cifar(18, 8), (32, 32)),
    mobilenet_v1=('mmpretrain', mobilenet_v1(1.0), mobilenet_v1(0.25), (32, 64)),
    mobilenet_v2=('mmpretrain', 'mmpretrain::mobilenet_v2/mobilenet-v2_8xb32_in1k.py', dict(
        backbone=dict(widen_factor=0.25)), (32, 64)),
    resnext50=('mmpretrain', 'mmpretrain::resnext/resnext50-32x4d_8xb32_in1k.py', dict(
        backbone=dict(base_channels=16, stem_channels=16, groups=8, width_per_group=4), head=dict(in_channels=512)),
        (32, 64)),
)


def model_config(name, small=True):
    """The model's config; its scope is the default one afterwards."""
    scope, source, changes, _ = ARCHITECTURES[name]
    init_default_scope(scope)
    cfg = get_config(source) if isinstance(source, str) else Config(dict(model=source))
    if name == 'ssd_vgg':
        cfg.model.bbox_head.type = 'mmadasap.SSDHead'
    if small:
        cfg.merge_from_dict(dict(model=changes))
    cfg.model.backbone.pop('init_cfg', None)
    return cfg.model


def build(name, small=True, dtype=torch.float64, seed=0):
    """A model with non-trivial values everywhere in eval mode, and an input."""
    model = randomize(MODELS.build(model_config(name, small)), seed)
    with torch.no_grad():
        # Xavier-like sizes keep activations of a deep random network in range.
        for p in model.parameters():
            if p.dim() > 1:
                p.mul_(2 / p.flatten(1).shape[1]**0.5)
    size = ARCHITECTURES[name][3][0 if small else 1]
    x = torch.randn(2, 3, size, size, dtype=dtype, generator=torch.Generator().manual_seed(seed))
    return model.to(dtype).eval(), x


def l2_norm_in_double(self, x):
    """mmdet's L2Norm computes in float32 whatever the weights are; its formula in their own precision."""
    norm = x.pow(2).sum(1, keepdim=True).sqrt() + self.eps
    return self.weight[None, :, None, None].expand_as(x) * x / norm


def flat(outputs):
    """All tensors of nested outputs in one vector."""
    if isinstance(outputs, torch.Tensor):
        return outputs.flatten()
    return torch.cat([flat(o) for o in outputs])
