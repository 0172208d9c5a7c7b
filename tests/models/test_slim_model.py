import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.model import PretrainedInit
from mmengine.registry import init_default_scope
from mmengine.runner.checkpoint import load_state_dict

from mmadasap.errors import UserError
from mmadasap.models import SlimModel
from mmadasap.registry import MODELS
from tests.toy_classifier import toy_classifier
from tests.toy_detector import toy_detector
from tests.toys import ToyClassifier

CHANNELS = {
    'net.conv1': dict(in_channels=8, out_channels=2, groups=1),
    'net.norm1': dict(num_features=2),
    'net.conv2': dict(in_channels=2, out_channels=8, groups=1),
}


def test_it_is_the_model_itself_with_smaller_layers():
    model = MODELS.build(dict(type='mmadasap.SlimModel', detector='ToyClassifier', channels=CHANNELS, dropout=0.5))
    assert type(model) is ToyClassifier and model.dropout.p == 0.5
    assert model.net.conv1.weight.shape == (2, 8, 3, 3) and model.net.norm1.running_var.shape == (2, )
    assert model.state_dict().keys() == ToyClassifier().state_dict().keys()
    assert model(torch.randn(2, 3, 8, 8)).shape == (2, 3)


FILE = dict(type='Pretrained', checkpoint='x.pth')
NORMAL = dict(type='Normal', layer='Conv2d')


@pytest.mark.parametrize('dense, kept', [
    (dict(backbone=dict(depth=50, init_cfg=FILE)), dict(backbone=dict(depth=50))),
    (dict(init_cfg=FILE), dict()),
    (dict(backbone=dict(init_cfg=[NORMAL, FILE])), dict(backbone=dict(init_cfg=[NORMAL]))),
    (dict(backbone=dict(init_cfg=dict(NORMAL, override=dict(FILE, name='conv1')))), dict(backbone=dict(
        init_cfg=NORMAL))),
    (dict(backbone=dict(init_cfg=dict(FILE, type=PretrainedInit))), dict(backbone=dict())),
    (dict(backbone=dict(init_cfg=dict(FILE, type='mmengine.Pretrained'))), dict(backbone=dict())),
    (dict(backbone=dict(depth=50, pretrained='x.pth')), dict(backbone=dict(depth=50))),
    (dict(pretrained='x.pth'), dict()),
    (dict(neck=[dict(init_cfg=dict(type='Xavier'))]), dict(neck=[dict(init_cfg=dict(type='Xavier'))])),
])
def test_pretrained_weights_of_the_dense_shapes_are_not_asked_for(monkeypatch, dense, kept):
    built = []
    monkeypatch.setattr(MODELS, 'build', lambda cfg: (built.append(cfg), ToyClassifier())[1])
    SlimModel('ToyClassifier', CHANNELS, **dense)
    assert built == [dict(type='ToyClassifier', **kept)]


NARROW = {
    'backbone.layer1.0.conv1': dict(in_channels=4, out_channels=2, groups=1),
    'backbone.layer1.0.bn1': dict(num_features=2),
    'backbone.layer1.0.conv2': dict(in_channels=2, out_channels=4, groups=1),
}


@pytest.mark.parametrize('scope, dense, where', [
    ('mmdet', toy_detector(), 'backbone'), ('mmpretrain', toy_classifier(), None)])
def test_the_file_a_host_model_names_is_not_read(tmp_path, scope, dense, where):
    init_default_scope(scope)
    file = str(tmp_path / 'nowhere.pth')
    dense = dict(dense, pretrained=file) if where is None else dense | {where: dict(dense[where], pretrained=file)}
    model = MODELS.build(dict(dense, type='mmadasap.SlimModel', detector=dense['type'], channels=NARROW))
    model.init_weights()
    assert model.backbone.layer1[0].conv1.out_channels == 2


def test_nested_configs_are_still_read_by_attribute(monkeypatch):
    built = []
    monkeypatch.setattr(MODELS, 'build', lambda cfg: (built.append(cfg), ToyClassifier())[1])
    SlimModel('ToyClassifier', CHANNELS, **ConfigDict(test_cfg=dict(nms=dict(iou=0.5))))
    assert built[0]['test_cfg'].nms.iou == 0.5


def test_weights_with_other_rows_are_refused_where_pruning_decides_them():
    model = MODELS.build(dict(type='mmadasap.SlimModel', detector='ToyClassifier', channels=CHANNELS))
    state = model.state_dict()
    model.load_state_dict(state)
    for name in ('net.conv1.weight', 'net.norm1.weight'):
        with pytest.raises(UserError, match=rf'1 weights differ: {name} \(1,.* in the checkpoint and \(2,'):
            model.load_state_dict(state | {name: state[name][:1]}, strict=False)
    other = MODELS.build(dict(type='mmadasap.SlimModel', detector='ToyClassifier', channels=CHANNELS, classes=7))
    load_state_dict(other, state)
    assert torch.equal(other.net.conv1.weight, model.net.conv1.weight)


def test_widths_of_another_model_are_refused():
    with pytest.raises(UserError, match="'backbone.conv1', which is no module of ToyClassifier"):
        SlimModel('ToyClassifier', {'backbone.conv1': dict(in_channels=3, out_channels=1, groups=1)})
