import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmadasap.engine.export import export_onnx
from mmadasap.errors import UserError
from mmadasap.registry import MODELS
from tests.pruning.architectures import cifar


def test_no_file_is_written_of_a_head_that_decodes_in_another_way(tmp_path):
    init_default_scope('mmpretrain')
    model = cifar(18, 8) | dict(head=dict(type='MultiLabelLinearClsHead', num_classes=10, in_channels=64))
    torch.save(dict(state_dict=MODELS.build(model).state_dict()), tmp_path / 'm.pth')
    cv2.imwrite(str(tmp_path / 'i.png'), np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(UserError, match='this head has no export'):
        export_onnx(Config(dict(model=model, default_scope='mmpretrain')), str(tmp_path / 'm.pth'),
                    str(tmp_path / 'm.onnx'), size=(32, 32), images=[str(tmp_path / 'i.png')])
    assert {path.name for path in tmp_path.iterdir()} == {'m.pth', 'i.png'}
