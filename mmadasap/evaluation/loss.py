"""Mean loss of a checkpoint on its test data, which mmengine's loops do not compute (AdaSAP, Table 9)."""
import copy

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.runner import Runner
from torch import Tensor, nn

from mmadasap.engine.networks import load_network


def batch_loss(model: nn.Module, data: dict) -> Tensor:
    """Loss of a preprocessed batch, shape ()."""
    return model.parse_losses(model(**copy.deepcopy(data), mode='loss'))[0]


@torch.no_grad()
def evaluate_loss(cfg: Config, checkpoint: str) -> float:
    """Mean loss over the images of ``test_dataloader``, with norms in eval mode.

    Args:
        cfg: Config of the network, dense or slim; its test images must carry labels in the network's coordinates.
        checkpoint: Path of its weights, dense or slim.

    Raises:
        UserError: The checkpoint is damaged, or holds other weights than the network has.
    """
    model = load_network(cfg, checkpoint).to(get_device())
    total = count = 0
    for batch in Runner.build_dataloader(copy.deepcopy(cfg.test_dataloader), seed=0):
        data = model.data_preprocessor(batch, training=False)
        images = len(data['inputs'])
        total, count = total + images * batch_loss(model, data).item(), count + images
    return total / count
