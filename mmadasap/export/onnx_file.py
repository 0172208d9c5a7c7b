"""Writing ONNX files and running them."""
import inspect
import os
import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from mmadasap.errors import UserError
from mmadasap.fileio import replacing

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

OPSET = 17


def write_onnx(network: nn.Module, size: tuple[int, int], path: str) -> None:
    """Writes a network of :func:`~mmadasap.export.networks.deployable` with any number of images a call.

    Args:
        network: In eval mode.
        size: (H, W) of the images.
        path: Where the file goes.
    """
    names = ['images', *network.outputs]
    # The exporter by tracing carries NonMaxSuppression and needs no further package.
    tracing = dict(dynamo=False) if 'dynamo' in inspect.signature(torch.onnx.export).parameters else {}
    with replacing(path, '.onnx') as partial, torch.no_grad(), warnings.catch_warnings():
        # Shapes that are fixed at export are meant to be.
        warnings.simplefilter('ignore')
        torch.onnx.export(
            network, (torch.zeros(2, 3, *size), ), partial, input_names=names[:1], output_names=names[1:],
            dynamic_axes={name: {0: 'batch'} for name in names}, opset_version=OPSET, **tracing)


def open_onnx(path: str) -> 'InferenceSession':
    """A session on the processor with torch's number of threads.

    Raises:
        UserError: onnxruntime is not installed, or the file is damaged.
    """
    try:
        import onnxruntime
    except ImportError:
        raise UserError("onnxruntime is not installed; install it with pip install 'mmadasap[export]'.") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    if not os.path.isfile(path):
        raise UserError(f'There is no ONNX file {path!r}.')
    try:
        return onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    except Exception as error:
        raise UserError(f'{path} cannot be run as an ONNX file ({str(error).splitlines()[0][:200]}).') from None


def run_onnx(session: 'InferenceSession', images: Tensor) -> tuple[np.ndarray, ...]:
    """Outputs for images (N, 3, H, W)."""
    return tuple(session.run(None, {'images': images.float().numpy()}))


def largest_differences(network: nn.Module, session: 'InferenceSession', images: Tensor) -> dict[str, float]:
    """Output -> largest absolute difference between PyTorch and ONNX Runtime over the images.

    After suppression detections are compared as sets: rounding decides the order of nearly equal scores. What fills
    up an image's boxes (score 0) is no detection.
    """
    with torch.no_grad():
        ours = network(images)
    ours = [ours.numpy()] if isinstance(ours, Tensor) else [t.numpy() for t in ours]
    theirs = run_onnx(session, images)
    if 'labels' in network.outputs:
        ours, theirs = _paired(_without_fillers(*ours), _without_fillers(*theirs), max(network.size))
    return {name: float(np.abs(a - b).max(initial=0)) for name, a, b in zip(network.outputs, ours, theirs)}


def _without_fillers(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, ...]:
    """The same detections, with box 0 and label -1 where the score is 0."""
    live = scores > 0
    return boxes * live[..., None], scores, np.where(live, labels, -1)


def _paired(ours: tuple[np.ndarray, ...], theirs: tuple[np.ndarray, ...], size: int) -> tuple[list, list]:
    """Both with detections of each image in such order that those standing at one place are alike."""
    pairs = [linear_sum_assignment(_distances(*image, size)) for image in zip(*ours, *theirs)]
    return tuple([np.stack([values[i] for values, i in zip(output, chosen)]) for output in side]
                 for side, chosen in zip((ours, theirs), zip(*pairs)))


def _distances(boxes, scores, labels, their_boxes, their_scores, their_labels, size: int) -> np.ndarray:
    """How unlike each of K detections is each of the other K, shape (K, K); 1 is a whole image, score or class."""
    boxes = np.abs(boxes[:, None] - their_boxes).max(-1) / size
    return boxes + np.abs(scores[:, None] - their_scores) + (labels[:, None] != their_labels)
