"""The paper's three classification networks at full size: parameter counts, its levels, masked and slim."""
import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from mmadasap.engine.host import raw_outputs
from mmadasap.pruning import Budget, ChannelPruner, MagnitudeImportance, count_parameters
from mmadasap.registry import MODELS

MODELS_FOLDER = Path(__file__).parents[1] / 'configs/_base_/models'
# Parameters, and the Size column of Tables 1, 2, 4, 6, 10, 12 and 14.
NETWORKS = {
    'resnet50': (25557032, (.19, .20, .27, .40, .41, .42, .43, .44, .46, .48, .60, .62, .65, .68, .71, .76, .77, .78,
                            .82, .87)),
    'mobilenet-v1': (4231976, (.39, .40, .52, .56)),
    'mobilenet-v2': (3504872, (.72, .87, .88)),
}


def build(name):
    """A network with values everywhere that neither explode nor vanish."""
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(MODELS_FOLDER / f'{name}_in1k.py').model)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low in ((module.weight, .5), (module.bias, -.2), (module.running_mean, -.2),
                                (module.running_var, .5)):
                nn.init.uniform_(tensor, low, low + (1 if low > 0 else .4))
    return model.eval()


def pruner_of(model, keep):
    budget = Budget('parameters', keep)
    example = torch.zeros(1, 3, 224, 224)
    return ChannelPruner(model, example, raw_outputs, budget, MagnitudeImportance(), ('backbone.conv1', ))


@pytest.mark.parametrize('name', NETWORKS)
def test_parameters(name):
    assert count_parameters(build(name)) == NETWORKS[name][0]


@pytest.mark.slow
@pytest.mark.parametrize('name', NETWORKS)
def test_every_size_of_the_tables_is_reached(name):
    for keep in NETWORKS[name][1]:
        model = build(name)
        pruner = pruner_of(model, keep)
        pruner.prune(pruner.target)
        pruner.remove(torch.optim.SGD(model.parameters(), lr=0.1), [])
        assert 0.99 * keep < count_parameters(model) / NETWORKS[name][0] <= keep


@pytest.mark.slow
@pytest.mark.parametrize('name', NETWORKS)
def test_masked_equals_slim_at_every_stage(name):
    """In double precision to 1e-10 and in single to 1e-5 of the largest output, and unlike dense."""
    model = build(name)
    pruner = pruner_of(model, NETWORKS[name][1][0])
    image = torch.rand(2, 3, 96, 96)
    dense = raw_outputs(model, image)
    for share in (0.5, 1.0):
        pruner.prune(pruner.dense**(1 - share) * pruner.target**share)
        pruner.mask()
        masked, slim = copy.deepcopy(model), copy.deepcopy(model)
        slim_pruner = copy.copy(pruner)
        slim_pruner.model = slim
        slim_pruner.remove(torch.optim.SGD(slim.parameters(), lr=0.1), [])
        for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
            a, b = (raw_outputs(copy.deepcopy(m).to(dtype), image.to(dtype)) for m in (masked, slim))
            assert (a - b).abs().max() <= tolerance * a.abs().max()
            assert (a - dense).abs().max() > 1e-2 * a.abs().max()
