"""A slim checkpoint goes through what the hosts offer: inferencers, averages, augmentation, compilation."""
import copy

import cv2
import numpy as np
import pytest
import torch
from mmdet.apis import DetInferencer, inference_detector, init_detector
from mmengine.analysis import FlopAnalyzer, get_model_complexity_info
from mmengine.config import Config
from mmengine.model import ExponentialMovingAverage, StochasticWeightAverage
from mmpretrain import ImageClassificationInferencer
from torch import nn

from mmadasap.engine.host import raw_outputs
from mmadasap.engine.networks import build_network
from mmadasap.engine.publish import publish
from mmadasap.engine.slim_config import slim_config, write_config
from mmadasap.errors import UserError
from mmadasap.pruning import COSTS, channel_spec, count_parameters, rebuild, slim, trace_layers
from tests.pruning.architectures import build, cifar
from tests.pruning.test_architectures import cut_a_third
from tests.toy_detector import toy_detector
from tests.toys import randomize

PIPELINES = dict(
    mmdet=[
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(32, 32), keep_ratio=False),
        dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))
    ],
    mmpretrain=[dict(type='LoadImageFromFile'), dict(type='PackInputs')])


def pruned(folder, scope, model, size):
    """slim.py and c.pth of a network with random weights that a third of the channels went from; (config, network)."""
    cfg = Config(dict(
        default_scope=scope, model=model, custom_imports=dict(imports=['tests.toys'], allow_failed_imports=False),
        visualizer=dict(type='DetLocalVisualizer', name='hosts'),
        test_dataloader=dict(dataset=dict(type='CocoDataset', pipeline=PIPELINES[scope]))))
    network = randomize(build_network(cfg)).eval()
    *_, cuts = cut_a_third(network, torch.zeros(1, 3, size, size))
    slim(network, cuts)
    channels = channel_spec(network, {name.rpartition('.')[0] for name in cuts})
    small = slim_config(cfg, channels)
    write_config(small, str(folder / 'slim.py'))
    torch.save(dict(
        state_dict=network.state_dict(), channel_pruning=dict(masks=None, channels=channels),
        message_hub=dict(runtime_info=dict(cfg=small.pretty_text)),
        meta=dict(cfg=small.pretty_text, dataset_meta=dict(classes=('a', 'b'), palette=[(9, 9, 9), (99, 9, 9)]))),
        folder / 'c.pth')
    return small, network


@pytest.fixture(scope='module')
def detector(tmp_path_factory):
    folder = tmp_path_factory.mktemp('detector')
    model = toy_detector() | dict(test_cfg=dict(
        nms_pre=100, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), min_bbox_size=0, max_per_img=10))
    cfg, network = pruned(folder, 'mmdet', model, 32)
    cv2.imwrite(str(folder / 'image.png'), np.random.default_rng(0).integers(0, 255, (40, 48, 3), dtype=np.uint8))
    torch.save(dict(meta={}, state_dict=build_network(Config(dict(default_scope='mmdet', model=model))).state_dict()),
               folder / 'dense.pth')
    return folder, cfg, network


def test_the_inferencer_needs_the_weights_alone(detector):
    folder, *_ = detector
    published = publish(str(folder / 'c.pth'), str(folder / 'p.pth'))
    found = []
    for weights in (str(folder / 'c.pth'), published):
        inferencer = DetInferencer(weights=weights, device='cpu', show_progress=False)
        assert inferencer.model.backbone.layer1[0].conv1.out_channels == 3
        found.append(inferencer(str(folder / 'image.png'), no_save_vis=True)['predictions'][0])
    model = init_detector(str(folder / 'slim.py'), str(folder / 'c.pth'), device='cpu')
    instances = inference_detector(model, str(folder / 'image.png')).pred_instances
    assert found[0] == found[1] and len(found[0]['scores']) > 0
    assert found[0]['scores'] == pytest.approx(instances.scores.tolist())
    assert found[0]['bboxes'] == [pytest.approx(box) for box in instances.bboxes.tolist()]


def test_a_host_that_loads_other_widths_into_a_slim_model_is_stopped(detector):
    folder, *_ = detector
    with pytest.raises(UserError, match=r'network of other widths than this pruned one.*layer1.*\(.*in the model'):
        init_detector(str(folder / 'slim.py'), str(folder / 'dense.pth'), device='cpu')


def test_averages_keep_the_widths_and_the_guard(detector):
    _, cfg, network = detector
    model = build_network(cfg)
    model.load_state_dict(network.state_dict())
    for averaged in (StochasticWeightAverage(model), ExponentialMovingAverage(model, momentum=0.5)):
        averaged.update_parameters(model)
        with torch.no_grad():
            for p in model.parameters():
                p.add_(1)
        averaged.update_parameters(model)
        name = 'backbone.layer1.0.conv1.weight'
        difference = model.get_parameter(name) - averaged.module.get_parameter(name)
        assert difference.allclose(torch.tensor(0.5), atol=1e-5)
        averaged.module.load_state_dict(model.state_dict())
        with pytest.raises(UserError, match='other widths'):
            averaged.module.load_state_dict(torch.load(detector[0] / 'dense.pth', weights_only=True)['state_dict'])


def test_the_classifier_of_the_other_host(tmp_path):
    cfg, network = pruned(tmp_path, 'mmpretrain', cifar(18, 8), 32)
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    inferencer = ImageClassificationInferencer(
        str(tmp_path / 'slim.py'), pretrained=str(tmp_path / 'c.pth'), device='cpu', classes=list('abcdefghij'))
    scores = inferencer(image)[0]['pred_scores']
    with torch.no_grad():
        expected = network.test_step(dict(inputs=torch.from_numpy(image.transpose(2, 0, 1))[None]))
    np.testing.assert_allclose(scores, expected[0].pred_score.numpy(), atol=1e-6)


@pytest.mark.slow
def test_compiled_on_a_processor_it_computes_the_same(detector):
    *_, network = detector
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        eager = raw_outputs(network, x)
        compiled = torch.compile(copy.deepcopy(network))(x, mode='tensor')
    for a, b in zip(eager, compiled):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('name', ['resnet18', 'mobilenet_v2', 'resnext50', 'ssd_vgg', 'retinanet'])
def test_parameters_and_macs_agree_with_mmengine(name):
    model, x = build(name, dtype=torch.float32)
    *_, cuts = cut_a_third(model, x)
    slim(model, cuts)
    layers = trace_layers(model, x[:1], raw_outputs)
    analyzer = FlopAnalyzer(model, x[:1])
    analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    theirs = analyzer.by_module()
    info = get_model_complexity_info(model, inputs=(x[:1], ), show_table=False, show_arch=False)
    assert info['params'] == count_parameters(model)
    # Its total has norms and pooling besides, which are not multiply-accumulates of layers.
    assert {s.name: theirs[s.name] for s in layers if s.kernel_area} == {
        s.name: COSTS['macs'](s, s.in_width, s.out_width) for s in layers if s.kernel_area}
    assert 0 <= info['flops'] - sum(theirs[s.name] for s in layers if s.kernel_area) < 0.2 * info['flops']


def test_norms_that_are_synchronised_stay_so():
    model, x = build('resnet18', dtype=torch.float32)
    model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    dense = copy.deepcopy(model)
    *_, cuts = cut_a_third(model, x)
    slim(model, cuts)
    norms = {n: m for n, m in model.named_modules() if isinstance(m, nn.SyncBatchNorm)}
    assert norms and not any(type(m) is nn.BatchNorm2d for m in model.modules())
    for name, norm in norms.items():
        assert norm.num_features == len(norm.weight) == len(norm.running_var) <= dense.get_submodule(name).num_features
    again = rebuild(dense, channel_spec(model, {n.rpartition('.')[0] for n in cuts}))
    again.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(raw_outputs(again, x), raw_outputs(model, x))
