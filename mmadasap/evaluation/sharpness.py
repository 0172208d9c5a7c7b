"""Sharpness (AdaSAP, Eq. 9) of a checkpoint on its training data."""
import copy
from functools import partial
from itertools import islice

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.runner import Runner, set_random_seed

from mmadasap.engine.checkpoint import check_parts
from mmadasap.engine.networks import load_network
from mmadasap.errors import UserError
from mmadasap.evaluation.loss import batch_loss
from mmadasap.sharpness import Sharpness, measure_sharpness


def evaluate_sharpness(cfg: Config, checkpoint: str, rho: float, batches: int, steps: int) -> Sharpness:
    """Measures on the first batches of the shuffled training data, seed 0, with norms in eval mode.

    Args:
        cfg: Config of the network, dense or slim, with train_dataloader.
        checkpoint: Path of its weights, dense or slim.
        rho: Radius of the ball.
        batches: How many batches.
        steps: Steps of projected ascent after the first.

    Raises:
        UserError: No training data, or fewer batches than that; and as :func:`measure_sharpness`.
    """
    check_parts(cfg, 'train_dataloader')
    model = load_network(cfg, checkpoint).to(get_device())
    loader = copy.deepcopy(cfg.train_dataloader)
    loader.update(num_workers=0, persistent_workers=False)
    # Augmentations draw from Python's and NumPy's generators as well.
    set_random_seed(0)
    drawn = islice(Runner.build_dataloader(loader, seed=0), batches)
    inputs = [model.data_preprocessor(batch, training=False) for batch in drawn]
    if len(inputs) < batches:
        raise UserError(f'train_dataloader gives only {len(inputs)} batches, {batches} were asked for.')
    return measure_sharpness(model, [partial(batch_loss, model, data) for data in inputs], rho, steps)
