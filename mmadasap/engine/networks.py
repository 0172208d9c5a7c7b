"""From configs and checkpoints to networks, and the size of the images they see."""
from collections.abc import Sequence
from typing import Optional

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from torch import Tensor, nn

from mmadasap.engine.checkpoint import SLIM_TYPE, check_model, checkpoint_channels, read_checkpoint
from mmadasap.engine.slim_config import check_widths, make_slim
from mmadasap.engine.wholeness import check_whole
from mmadasap.errors import UserError
from mmadasap.export import Normalized, fit, test_images
from mmadasap.hosts import scope_of
from mmadasap.registry import MODELS, type_name


def adopt_slim_model(cfg: Config, checkpoint: str) -> Optional[str]:
    """Makes a dense ``cfg`` build the slim network a checkpoint holds; a slim one says itself what it builds.

    Returns:
        One line saying so, or None where ``cfg`` stays as it is.
    """
    if cfg.model.type == SLIM_TYPE:
        return None
    channels = checkpoint_channels(read_checkpoint(checkpoint))
    if channels is None:
        return None
    make_slim(cfg.model, channels)
    return f'{checkpoint} holds a pruned network: its widths are used instead of those of the config.'


def input_size(cfg: Config, wanted: Optional[Sequence[int]] = None) -> tuple[int, int]:
    """(H, W) of the images the config's network sees: the pruning hook's, ``input_size``, or what the last step of the
    test pipeline that sets a size makes of them.

    Args:
        cfg: The config.
        wanted: (H, W) of the command line, which wins.

    Raises:
        UserError: The config does not say, or ``wanted`` is no size.
    """
    if wanted is not None:
        return check_size(wanted)
    told = [hook['input_size'] for hook in cfg.get('custom_hooks') or [] if 'input_size' in hook]
    told += [cfg.input_size] if 'input_size' in cfg else []
    steps = [s.get('crop_size' if type_name(s) == 'CenterCrop' else 'scale') for s in cfg.get('test_pipeline', [])]
    # A pipeline's scales are (W, H).
    told += [s[::-1] if isinstance(s, (list, tuple)) else s for s in steps if s is not None][-1:]
    if not told:
        raise UserError(f'{cfg.filename} does not say how large its images are; give --input-size H W.')
    return (told[0], told[0]) if isinstance(told[0], int) else tuple(told[0])


def check_size(size: Sequence[int]) -> tuple[int, int]:
    """(H, W) of the command line.

    Raises:
        UserError: A number below 1.
    """
    height, width = size
    if min(height, width) < 1:
        raise UserError(f'--input-size {height} {width} is no image; give a height and a width of at least 1.')
    return height, width


def first_test_image(cfg: Config, model: nn.Module, size: tuple[int, int]) -> Optional[Tensor]:
    """The first image of the test set as a dense detector sees it, shape (1, 3, H, W), padded to ``size`` (H, W).

    None where there is none that fits, and for networks without boxes, which any image does for.
    """
    if not hasattr(model, 'bbox_head'):
        return None
    normalized = Normalized(model.data_preprocessor)
    try:
        return normalized(fit(test_images(cfg, 1), size, normalized.blank()))
    except UserError:
        return None


def build_network(cfg: Config) -> nn.Module:
    """The network of a config, untrained.

    Raises:
        UserError: It configures none.
    """
    check_model(cfg)
    init_default_scope(scope_of(cfg))
    return MODELS.build(cfg.model)


def load_network(cfg: Config, checkpoint: str) -> nn.Module:
    """The network of a config, or the slim one a checkpoint holds, with the checkpoint's weights, ready to predict.

    Raises:
        UserError: The checkpoint is damaged, or holds other weights than the network has.
    """
    check_model(cfg)
    cfg = Config(cfg.to_dict())
    loaded = read_checkpoint(checkpoint)
    adopt_slim_model(cfg, checkpoint)
    model = build_network(cfg)
    check_widths(model, loaded, checkpoint)
    check_whole(model, loaded)
    load_checkpoint(model, checkpoint, map_location='cpu')
    return model.eval()
