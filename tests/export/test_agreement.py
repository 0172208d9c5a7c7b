"""What is exported is what the host's own model finds, and what is not is refused."""
import pytest
import torch
from mmengine.hub import get_config
from mmengine.registry import init_default_scope

import mmadasap.models  # noqa: F401
from mmadasap.errors import UserError
from mmadasap.export import check_agreement, deployable
from mmadasap.registry import MODELS
from tests.pruning.architectures import SMALL_FPN, SMALL_RESNET, build, cifar
from tests.toys import randomize

FPN = SMALL_RESNET | dict(neck=SMALL_FPN, bbox_head=dict(in_channels=16, feat_channels=64, num_classes=3))


def images(size):
    return torch.randint(0, 256, (2, 3, size, size), generator=torch.Generator().manual_seed(0)).float()


def detector(source, changes):
    init_default_scope('mmdet')
    cfg = get_config(f'mmdet::{source}')
    cfg.merge_from_dict(dict(model=changes))
    cfg.model.backbone.pop('init_cfg', None)
    return randomize(MODELS.build(cfg.model)).eval()


@pytest.mark.parametrize('name', ['ssd_vgg', 'retinanet', 'yolox', 'rtmdet', 'resnet18'])
def test_what_is_exported_is_what_the_host_finds(name):
    model, x = build(name, dtype=torch.float32)
    check_agreement(deployable(model, tuple(x.shape[2:]), nms=name != 'resnet18'), images(x.shape[2]))


def test_factors_of_the_scores_belong_to_them():
    model = detector('fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py', FPN)
    network = deployable(model, (64, 64))
    check_agreement(network, images(64))
    network.model.bbox_head.conv_centerness.register_forward_hook(lambda m, x, out: out + torch.randn_like(out))
    with pytest.raises(UserError, match='FCOSHead makes something else of its outputs'):
        check_agreement(network, images(64))


@pytest.mark.parametrize('source', ['fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py', 'atss/atss_r50_fpn_1x_coco.py'])
def test_thresholds_are_of_classes_before_factors(source):
    """What a class scores above the threshold stays, however little its factor leaves of it."""
    model = detector(source, FPN)
    model.test_cfg.update(score_thr=0.4, max_per_img=1000)
    network = deployable(model, (64, 64), nms=True)
    check_agreement(network, images(64))
    scores = network(images(64))[1]
    assert 0 < scores[scores > 0].min() < 0.4


def test_a_box_has_one_label_where_the_head_gives_it_one():
    model, x = build('yolox', dtype=torch.float32)
    model.test_cfg.max_per_img = 1000
    network = deployable(model, tuple(x.shape[2:]), nms=True)
    check_agreement(network, images(x.shape[2]))
    network.one_label = False
    with pytest.raises(UserError, match=r'YOLOXHead chooses among its boxes in another way .*; export it without'):
        check_agreement(network, images(x.shape[2]))


@pytest.mark.parametrize('source, message', [
    ('tood/tood_r50_fpn_1x_coco.py', r'^TOODHead makes something else of its outputs than an export would \(0\.'),
    ('foveabox/fovea_r50_fpn_4xb4-1x_coco.py', r'^The outputs of FoveaHead cannot be decoded here \(TypeError: ')])
def test_heads_that_decode_in_another_way_are_refused(source, message):
    network = deployable(detector(source, FPN), (64, 64))
    with pytest.raises(UserError, match=f'{message}.*; this head has no export'):
        check_agreement(network, images(64))


def test_probabilities_of_several_labels_are_not_a_softmax():
    init_default_scope('mmpretrain')
    cfg = cifar(18, 8) | dict(head=dict(type='MultiLabelLinearClsHead', num_classes=10, in_channels=64))
    with pytest.raises(UserError, match='^MultiLabelLinearClsHead makes something else of its outputs'):
        check_agreement(deployable(MODELS.build(cfg).eval(), (32, 32)), images(32))
