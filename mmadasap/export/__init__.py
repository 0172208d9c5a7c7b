"""Networks as ONNX files: decoded outputs, checked against what the host finds and against PyTorch."""
from .agreement import check_agreement
from .images import fit, read_images, test_images
from .networks import ClassifierNetwork, DetectorNetwork, Normalized, deployable
from .nms import NonMaxSuppression
from .onnx_file import largest_differences, open_onnx, run_onnx, write_onnx

__all__ = [
    'ClassifierNetwork', 'DetectorNetwork', 'NonMaxSuppression', 'Normalized', 'check_agreement', 'deployable', 'fit',
    'largest_differences', 'open_onnx', 'read_images', 'run_onnx', 'test_images', 'write_onnx'
]
