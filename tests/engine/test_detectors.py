"""mmdet's own detectors, from its own configs, as they are."""
import copy

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.hub import get_config
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmadasap.engine import AdaSAPOptimWrapper
from tests.toys import same, values

SIZE = 96
CONFIGS = [
    'retinanet/retinanet_r50_fpn_1x_coco.py',
    'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    'rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
    'yolox/yolox_tiny_8xb8-300e_coco.py',
]


def build(path):
    cfg = get_config(f'mmdet::{path}')
    init_default_scope('mmdet')
    cfg.model.backbone.init_cfg = None
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model.train()


def batch(size=SIZE, images=2):
    samples = []
    for i in range(images):
        boxes = torch.tensor([[8., 8., 40. + 8 * i, 48.], [32., 30., 80., 76.]])
        sample = DetDataSample(gt_instances=InstanceData(bboxes=boxes, labels=torch.tensor([1, 3])))
        sample.set_metainfo(dict(img_shape=(size, size), ori_shape=(size, size), scale_factor=(1.0, 1.0)))
        samples.append(sample)
    return dict(inputs=list(torch.randint(256, (images, 3, size, size), dtype=torch.uint8)), data_samples=samples)


@pytest.mark.slow
@pytest.mark.parametrize('path', CONFIGS)
def test_the_replay_gives_the_same_loss_and_a_step_moves_the_weights(path):
    model, data = build(path), batch()
    # YOLOX asks the runner's message hub how far training is.
    MessageHub.get_current_instance().update_info('iter', 0)
    losses = []
    model.register_forward_hook(lambda module, args, output: losses.append(module.parse_losses(output)[0].item()))
    before = values(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    wrapper = AdaSAPOptimWrapper(optimizer, radius=dict(type='UniformRadius', rho=0))
    model.train_step(copy.deepcopy(data), wrapper)
    assert len(losses) == 2 and losses[0] == losses[1]
    wrapper.radius = type(wrapper.radius)(0.05)
    model.train_step(copy.deepcopy(data), wrapper)
    assert losses[3] != losses[2]
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    assert all(torch.equal(values(model)[name], before[name]) for name in trainable)
    optimizer.param_groups[0]['lr'] = 1e-4
    model.train_step(copy.deepcopy(data), wrapper)
    assert not same(values(model), before)
