"""From a config and a checkpoint to a checked ONNX file."""
import os.path as osp
from collections.abc import Sequence
from typing import Optional

from mmengine.config import Config
from torch import nn

from mmadasap.engine.checkpoint import SLIM_TYPE
from mmadasap.engine.networks import adopt_slim_model, build_network, check_size, load_network
from mmadasap.engine.slim_config import dense_config
from mmadasap.errors import UserError
from mmadasap.export import (
    check_agreement,
    deployable,
    fit,
    largest_differences,
    open_onnx,
    read_images,
    test_images,
    write_onnx,
)
from mmadasap.export.evaluate import evaluate_onnx
from mmadasap.export.images import common_size
from mmadasap.export.report import ExportCost, format_costs, measure_exports
from mmadasap.latency import describe_machine

# Images an export is checked on where none are named.
CHECKED = 8


def export_onnx(cfg: Config,
                checkpoint: str,
                out: str,
                nms: bool = False,
                size: Optional[Sequence[int]] = None,
                images: Optional[Sequence[str]] = None,
                evaluate: bool = False) -> dict:
    """Writes the network of a checkpoint as ONNX file, checks it on real images and measures it.

    The images first show that the network finds what the host's own model finds.

    Args:
        cfg: Config of the model, dense or slim.
        checkpoint: Path of its weights.
        out: The file to write.
        nms: Whether a detector ends with non-maximum suppression; one that is evaluated does.
        size: (H, W) of its images; None takes that of the checked images.
        images: Image files to check on; None takes the first of the test set.
        evaluate: Whether the test set is run through the file.

    Returns:
        ``differences`` (output -> largest absolute difference to PyTorch), ``costs`` (of this network, and of the dense
        one it was cut from), ``metrics`` if evaluated, and what was measured on, as plain data.

    Raises:
        UserError: A model that cannot be exported or whose head decodes its outputs in another way, a damaged
            checkpoint, or images that cannot be read.
    """
    cfg, size = Config(cfg.to_dict()), size and check_size(size)
    model = load_network(cfg, checkpoint)
    adopt_slim_model(cfg, checkpoint)
    if images is None:
        shown = test_images(cfg, CHECKED)
        size = size or tuple(common_size(shown, getattr(model.data_preprocessor, 'pad_size_divisor', 1)))
    elif size is None:
        raise UserError('--images needs --input-size H W, the size they are resized to.')
    else:
        shown = read_images(images, size)
    nms = nms or (evaluate and hasattr(model, 'bbox_head'))
    network = deployable(model, size, nms)
    blank = network.normalized.blank()
    batch = fit(shown, size, blank)
    check_agreement(network, batch)
    write_onnx(network, size, out)
    session = open_onnx(out)
    # Suppression takes longer the more boxes there are, which says nothing about the network.
    networks = _dense(cfg, size) | {'slim' if cfg.model.type == SLIM_TYPE else 'dense': deployable(model, size)}
    result = dict(
        checkpoint=osp.abspath(checkpoint), size=list(size), nms=nms, images=len(batch),
        differences=largest_differences(network, session, batch),
        costs={name: c.to_dict() for name, c in measure_exports(networks, size, batch[:1]).items()},
        machine=describe_machine('cpu'))
    if evaluate:
        result['metrics'] = {k: float(v) for k, v in evaluate_onnx(cfg, session, size, blank).items()}
    return result


def _dense(cfg: Config, size: tuple[int, int]) -> dict[str, nn.Module]:
    """The dense network a slim one was cut from, untrained: time and size do not depend on the weights' values."""
    if cfg.model.type != SLIM_TYPE:
        return {}
    return {'dense': deployable(build_network(dense_config(cfg)), size)}


def format_export(result: dict) -> str:
    """What people want to know of :func:`export_onnx`."""
    lines = [f'largest absolute difference to PyTorch over {result["images"]} images: '
             + ', '.join(f'{name} {value:.2e}' for name, value in result['differences'].items())]
    lines.append(format_costs({name: ExportCost(**cost) for name, cost in result['costs'].items()}))
    machine, (height, width) = result['machine'], result['size']
    lines.append(f'one image of {height} x {width}, without suppression, on {machine["device"]}, '
                 f'{machine["threads"]} threads, median')
    lines += [f'{name} by ONNX Runtime: {value:.4f}' for name, value in result.get('metrics', {}).items()]
    return '\n'.join(lines)
