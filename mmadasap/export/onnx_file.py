"""Writing ONNX files and running them."""
import inspect
import os
import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch
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

    What fills up an image's boxes after suppression (score 0) is not compared.
    """
    with torch.no_grad():
        ours = network(images)
    ours = [ours.numpy()] if isinstance(ours, Tensor) else [t.numpy() for t in ours]
    theirs = run_onnx(session, images)
    differences = {name: np.abs(a - b) for name, a, b in zip(network.outputs, ours, theirs)}
    if 'labels' in differences:
        live = (ours[1] > 0) | (theirs[1] > 0)
        differences = {name: d[live] for name, d in differences.items()}
    return {name: float(d.max(initial=0)) for name, d in differences.items()}
