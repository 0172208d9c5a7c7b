"""MobileNet-V1 (Howard et al., arXiv 1704.04861), as a backbone for mmpretrain and mmdet."""
import re
from collections.abc import Sequence
from typing import Optional, Union

from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmadasap.errors import UserError
from mmadasap.registry import MODELS

# Output channels, blocks and stride of each stage.
STAGES = ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2))
STEM = 32

_BLOCKS = [(stage, block) for stage, (_, count, _) in enumerate(STAGES, 1) for block in range(count)]
_DEPTHWISE, _POINTWISE = 'depthwise_conv', 'pointwise_conv'
# Position in a flat block, or name in timm's, -> our name.
_LAYERS = {
    '0': f'{_DEPTHWISE}.conv', '1': f'{_DEPTHWISE}.bn', '3': f'{_POINTWISE}.conv', '4': f'{_POINTWISE}.bn',
    'conv_dw': f'{_DEPTHWISE}.conv', 'bn1': f'{_DEPTHWISE}.bn',
    'conv_pw': f'{_POINTWISE}.conv', 'bn2': f'{_POINTWISE}.bn',
}


def public_key(name: str) -> str:
    """Our name of a weight of a public MobileNet-V1 classifier; other names are returned as they are.

    =============================== ============================ ======================================
    flat files, blocks n = 1 ... 13 timm's ``mobilenetv1_100``   here
    =============================== ============================ ======================================
    ``model.0.0``, ``features.0.0`` ``conv_stem``                ``backbone.conv1.conv``
    ``model.0.1``, ``features.0.1`` ``bn1``                      ``backbone.conv1.bn``
    ``model.n.0``, ``features.n.0`` ``blocks.s.b.conv_dw``       ``backbone.layerS.b.depthwise_conv.conv``
    ``model.n.1``, ``features.n.1`` ``blocks.s.b.bn1``           ``backbone.layerS.b.depthwise_conv.bn``
    ``model.n.3``, ``features.n.3`` ``blocks.s.b.conv_pw``       ``backbone.layerS.b.pointwise_conv.conv``
    ``model.n.4``, ``features.n.4`` ``blocks.s.b.bn2``           ``backbone.layerS.b.pointwise_conv.bn``
    ``fc``, ``classifier.0``        ``classifier``               ``head.fc``
    =============================== ============================ ======================================

    S = s + 1; block n is the n-th of the stages of 1, 2, 2, 6 and 2 blocks.
    """
    layer, _, entry = name.rpartition('.')
    flat = re.fullmatch(r'(?:model|features)\.(\d+)\.(\d)', layer)
    if flat:
        number, part = int(flat[1]), flat[2]
        if number == 0 and part in '01':
            return f'backbone.conv1.{("conv", "bn")[int(part)]}.{entry}'
        if 1 <= number <= len(_BLOCKS) and part in _LAYERS:
            stage, block = _BLOCKS[number - 1]
            return f'backbone.layer{stage}.{block}.{_LAYERS[part]}.{entry}'
    timm = re.fullmatch(r'blocks\.(\d)\.(\d)\.(conv_dw|bn1|conv_pw|bn2)', layer)
    if timm:
        return f'backbone.layer{int(timm[1]) + 1}.{timm[2]}.{_LAYERS[timm[3]]}.{entry}'
    outside = dict(conv_stem='backbone.conv1.conv', bn1='backbone.conv1.bn')
    outside |= dict.fromkeys(('fc', 'classifier', 'classifier.0'), 'head.fc')
    return f'{outside[layer]}.{entry}' if layer in outside else name


@MODELS.register_module()
class MobileNetV1(BaseModule):
    """A convolution and 13 depthwise separable ones in five stages, named like mmpretrain's MobileNetV2.

    In an ``ImageClassifier`` weights of public checkpoints are renamed on loading, see :func:`public_key`.

    Args:
        widen_factor: Multiplies the channels of every layer; above 0.
        out_indices: Stages, 0 to 4, whose outputs are returned.
        frozen_stages: The stem and this many stages are not trained; -1 trains all.
        norm_cfg: Norm layers.
        act_cfg: Activations; ReLU6 for timm's weights.
        norm_eval: Whether norms keep their statistics while training.
        init_cfg: Initialisation.

    Raises:
        UserError: An argument out of range.
    """

    def __init__(self,
                 widen_factor: float = 1.0,
                 out_indices: Sequence[int] = (4, ),
                 frozen_stages: int = -1,
                 norm_cfg: dict = dict(type='BN'),
                 act_cfg: dict = dict(type='ReLU'),
                 norm_eval: bool = False,
                 init_cfg: Optional[Union[dict, list]] = [
                     dict(type='Kaiming', layer=['Conv2d']),
                     dict(type='Constant', val=1, layer=['_BatchNorm']),
                 ]):
        super().__init__(init_cfg)
        for name, value, is_right in (('widen_factor', widen_factor, widen_factor > 0),
                                      ('out_indices', out_indices, set(out_indices) <= set(range(len(STAGES)))),
                                      ('frozen_stages', frozen_stages, -1 <= frozen_stages <= len(STAGES))):
            if not is_right:
                raise UserError(f'MobileNetV1: {name}={value!r} is out of range.')
        self.out_indices, self.frozen_stages, self.norm_eval = tuple(out_indices), frozen_stages, norm_eval

        def width(channels: int) -> int:
            return max(8, int(channels * widen_factor + 4) // 8 * 8)

        layer = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.conv1 = ConvModule(3, width(STEM), 3, stride=2, padding=1, **layer)
        inputs = width(STEM)
        self.layers = []
        for number, (channels, blocks, stride) in enumerate(STAGES, 1):
            stage = nn.Sequential()
            for block in range(blocks):
                stage.append(DepthwiseSeparableConvModule(
                    inputs, width(channels), 3, stride=stride if block == 0 else 1, padding=1, **layer))
                inputs = width(channels)
            self.layers.append(f'layer{number}')
            self.add_module(f'layer{number}', stage)
        self._freeze()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Outputs of the stages asked for, each (N, C, H / 2^k, W / 2^k)."""
        x = self.conv1(x)
        outputs = []
        for index, name in enumerate(self.layers):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                outputs.append(x)
        return tuple(outputs)

    def train(self, mode: bool = True) -> 'MobileNetV1':
        """Switches the mode; frozen parts and, with ``norm_eval``, norms stay in eval mode."""
        super().train(mode)
        self._freeze()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def _freeze(self) -> None:
        # From the start: distributed wrappers wait for gradients of what they find trainable.
        frozen = [self.conv1] if self.frozen_stages >= 0 else []
        frozen += [getattr(self, name) for name in self.layers[:max(self.frozen_stages, 0)]]
        for part in frozen:
            part.eval().requires_grad_(False)

    @staticmethod
    def _checkpoint_filter(state_dict: dict, *_) -> None:
        """What mmpretrain's classifiers call before they load weights."""
        for name in list(state_dict):
            state_dict[public_key(name)] = state_dict.pop(name)
