import pytest
import torch
from mmengine.config import ConfigDict

from mmadasap.errors import UserError
from mmadasap.models import SlimModel
from mmadasap.registry import MODELS
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


def test_pretrained_weights_of_the_dense_shapes_are_not_asked_for(monkeypatch):
    built = []
    monkeypatch.setattr(MODELS, 'build', lambda cfg: (built.append(cfg), ToyClassifier())[1])
    SlimModel('ToyClassifier', CHANNELS, backbone=dict(depth=50, init_cfg=dict(type='Pretrained', checkpoint='x')),
              neck=[dict(init_cfg=dict(type='Xavier'))])
    assert built == [
        dict(type='ToyClassifier', backbone=dict(depth=50), neck=[dict(init_cfg=dict(type='Xavier'))])
    ]


def test_nested_configs_are_still_read_by_attribute(monkeypatch):
    built = []
    monkeypatch.setattr(MODELS, 'build', lambda cfg: (built.append(cfg), ToyClassifier())[1])
    SlimModel('ToyClassifier', CHANNELS, **ConfigDict(test_cfg=dict(nms=dict(iou=0.5))))
    assert built[0]['test_cfg'].nms.iou == 0.5


def test_widths_of_another_model_are_refused():
    with pytest.raises(UserError, match="'backbone.conv1', which is no module of ToyClassifier"):
        SlimModel('ToyClassifier', {'backbone.conv1': dict(in_channels=3, out_channels=1, groups=1)})
