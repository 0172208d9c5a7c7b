import pytest
import torch
from mmengine.hub import get_config
from mmengine.registry import init_default_scope
from torch_pruning.dependency.group import Group

from mmadasap.engine.host import raw_outputs
from mmadasap.pruning import TraceError
from mmadasap.pruning.groups import trace_groups
from mmadasap.registry import MODELS


def test_a_network_whose_trace_has_no_end_is_refused():
    init_default_scope('mmpretrain')
    model = MODELS.build(get_config('mmpretrain::shufflenet_v2/shufflenet-v2-1x_16xb64_in1k.py').model)
    plain = Group.add_dep
    with pytest.raises(TraceError, match='ImageClassifier cannot be traced .* more ways than torch-pruning can follow'):
        trace_groups(model, torch.zeros(1, 3, 64, 64), raw_outputs)
    assert Group.add_dep is plain
