import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.runner.checkpoint import _load_checkpoint_to_model

from mmadasap.engine.wholeness import check_whole
from mmadasap.errors import UserError
from mmadasap.models import MobileNetV1
from mmadasap.models.mobilenet_v1 import public_key
from mmadasap.registry import MODELS
from tests.toys import randomize


@pytest.fixture
def classifier():
    init_default_scope('mmpretrain')

    def build():
        return randomize(MODELS.build(dict(
            type='ImageClassifier',
            backbone=dict(type='mmadasap.MobileNetV1', widen_factor=0.25),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=3, in_channels=256)))).eval()

    return build


def test_parameters():
    assert sum(p.numel() for p in MobileNetV1().parameters()) + 1025 * 1000 == 4231976


def test_width_and_stages():
    net = MobileNetV1(widen_factor=0.5, out_indices=(0, 2, 4)).eval()
    assert [tuple(t.shape) for t in net(torch.zeros(1, 3, 64, 64))] == [
        (1, 32, 32, 32), (1, 128, 8, 8), (1, 512, 2, 2)]


def test_frozen_stages_are_frozen_from_the_start():
    """Distributed wrappers register what is trainable when they are made, before the first train()."""
    model = MobileNetV1(widen_factor=0.25, frozen_stages=1)
    assert not any(p.requires_grad for part in (model.conv1, model.layer1) for p in part.parameters())
    assert all(p.requires_grad for p in model.layer2.parameters())


def test_frozen_stages_and_norm_eval():
    net = MobileNetV1(widen_factor=0.25, frozen_stages=2, norm_eval=True).train()
    trained = {name.split('.')[0] for name, p in net.named_parameters() if p.requires_grad}
    assert trained == {'layer3', 'layer4', 'layer5'}
    assert not any(m.training for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d))


@pytest.mark.parametrize('kwargs', [dict(widen_factor=0), dict(out_indices=(5, )), dict(frozen_stages=6)])
def test_out_of_range(kwargs):
    with pytest.raises(UserError, match=f'{next(iter(kwargs))}=.* is out of range'):
        MobileNetV1(**kwargs)


def flat(state, first, last):
    """The names of flat public files, the other way round than the code: by counting modules in order."""
    parts = {'depthwise_conv.conv': 0, 'depthwise_conv.bn': 1, 'pointwise_conv.conv': 3, 'pointwise_conv.bn': 4}
    blocks, renamed = [], {}
    for name, value in state.items():
        if name.startswith('backbone.conv1.'):
            layer, entry = name.split('.')[2:]
            renamed[f'{first}.0.{("conv", "bn").index(layer)}.{entry}'] = value
        elif name.startswith('head.fc.'):
            renamed[name.replace('head.fc', last)] = value
        elif name.startswith('backbone.'):
            _, stage, block, *layer, entry = name.split('.')
            if (stage, block) not in blocks:
                blocks.append((stage, block))
            renamed[f'{first}.{len(blocks)}.{parts[".".join(layer)]}.{entry}'] = value
    return renamed


def timm(state):
    """The names of timm's files."""
    parts = {'depthwise_conv.conv': 'conv_dw', 'depthwise_conv.bn': 'bn1', 'pointwise_conv.conv': 'conv_pw',
             'pointwise_conv.bn': 'bn2'}
    renamed = {}
    for name, value in state.items():
        name = name.replace('backbone.conv1.conv', 'conv_stem').replace('backbone.conv1.bn', 'bn1')
        name = name.replace('head.fc', 'classifier')
        for ours, theirs in parts.items():
            name = name.replace(ours, theirs)
        for stage in range(5):
            name = name.replace(f'backbone.layer{stage + 1}', f'blocks.{stage}')
        renamed[name] = value
    return renamed


@pytest.mark.parametrize('rename', [
    lambda s: flat(s, 'model', 'fc'), lambda s: flat(s, 'features', 'classifier.0'), timm, dict])
def test_public_checkpoints_load_under_their_own_names(classifier, rename):
    source, target = classifier(), randomize(classifier(), seed=1)
    public = rename({k: v.clone() for k, v in source.state_dict().items() if 'data_preprocessor' not in k})
    image = torch.rand(2, 3, 32, 32)
    assert not torch.allclose(source(image), target(image))
    _load_checkpoint_to_model(target, dict(state_dict=public), strict=True)
    assert torch.equal(source(image), target(image))


def test_a_public_checkpoint_is_whole(classifier):
    model = classifier()
    public = timm({k: v for k, v in model.state_dict().items() if 'data_preprocessor' not in k})
    check_whole(model, dict(state_dict=public))
    public.pop('conv_stem.weight')
    with pytest.raises(UserError, match='backbone.conv1.conv.weight is missing'):
        check_whole(model, dict(state_dict=public))


def test_other_names_stay():
    for name in ('model.14.0.weight', 'model.3.2.weight', 'head.fc.weight', 'backbone.conv1.conv.weight', 'ema_steps'):
        assert public_key(name) == name
