"""What an export costs: dense and slim side by side."""
import os
import os.path as osp
import tempfile
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from mmadasap.latency import interleaved_medians
from mmadasap.pruning import count_parameters

from .onnx_file import open_onnx, run_onnx, write_onnx


@dataclass(frozen=True)
class ExportCost:
    """One network: learned numbers, bytes of its ONNX file, and median milliseconds of one image on the processor."""
    parameters: int
    onnx_bytes: int
    onnx_ms: float
    torch_ms: float

    def to_dict(self) -> dict:
        """Plain data for JSON."""
        return asdict(self)


def measure_exports(networks: dict[str, nn.Module], size: tuple[int, int], image: Tensor) -> dict[str, ExportCost]:
    """Exports every network and times all of them in turns on one image, shape (1, 3, H, W)."""
    calls, sizes = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name, network in networks.items():
            path = osp.join(folder, f'{name}.onnx')
            write_onnx(network, size, path)
            sizes[name], session = os.path.getsize(path), open_onnx(path)
            calls[name, 'onnx'] = lambda session=session: run_onnx(session, image)
            calls[name, 'torch'] = torch.inference_mode()(lambda network=network: network(image))
        times = interleaved_medians(calls)
    return {
        name: ExportCost(count_parameters(n), sizes[name], times[name, 'onnx'], times[name, 'torch'])
        for name, n in networks.items()
    }


def format_costs(costs: dict[str, ExportCost]) -> str:
    """A table: one row a network."""
    lines = [f'{"":8}{"parameters":>12}{"ONNX MB":>10}{"ONNX Runtime ms":>17}{"PyTorch ms":>12}']
    lines += [f'{name:8}{c.parameters:12,}{c.onnx_bytes / 1e6:10.2f}{c.onnx_ms:17.2f}{c.torch_ms:12.2f}'
              for name, c in costs.items()]
    return '\n'.join(lines)
