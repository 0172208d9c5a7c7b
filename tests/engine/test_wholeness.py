import pytest
import torch
from torch import nn

from mmadasap.engine.wholeness import check_whole
from mmadasap.errors import UserError


class Renamed(nn.Module):
    """Reads its weight under an older name, as heads of hosts do."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))

    def _load_from_state_dict(self, state_dict, prefix, *args):
        if f'{prefix}old' in state_dict:
            state_dict[f'{prefix}weight'] = state_dict.pop(f'{prefix}old')
        super()._load_from_state_dict(state_dict, prefix, *args)


def model():
    return nn.Sequential(Renamed(), nn.BatchNorm1d(2))


def test_what_parts_of_the_model_rename_is_there():
    weights = {f'module.{name}': torch.ones_like(value) for name, value in model().state_dict().items()
               if not name.endswith('num_batches_tracked')}
    weights['module.0.old'] = weights.pop('module.0.weight')
    check_whole(model(), dict(state_dict=weights))
    assert 'module.0.old' in weights


@pytest.mark.parametrize('change, message', [
    (dict(gone='1.bias'), r'1 weights: 1.bias is missing\)'),
    (dict(gone='0.weight', wide='1.weight'), r'1.weight is \(3,\) in the checkpoint and \(2,\) in the model\)'),
])
def test_what_does_not_fit_is_named(change, message):
    weights = model().state_dict()
    weights.pop(change['gone'])
    if 'wide' in change:
        weights[change['wide']] = torch.ones(3)
    with pytest.raises(UserError, match=message):
        check_whole(model(), weights)


def test_what_the_model_makes_anew_is_not_missing():
    net = model()
    net.register_buffer('made', torch.ones(1))
    net.register_load_state_dict_pre_hook(lambda module, state, *args: state.pop('made', None))
    check_whole(net, net.state_dict())
