"""Predicted beside measured times of networks, layer by layer and from image to detections."""
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Optional

import torch
from torch import Tensor, nn

from mmadasap.errors import UserError
from mmadasap.pruning.cost import LayerShape, trace_layers
from mmadasap.pruning.graph import image_channels
from mmadasap.pruning.operations import Operation

from .conditions import DTYPES, Conditions
from .drift import measured_alone
from .measure import interleaved_medians, on_device
from .memory import keep_freed_memory
from .profile import profile_layers
from .table import Estimate, LatencyTable

Forward = Callable[[nn.Module, Tensor], Any]

# These are rarely modules of their own, so a profile of modules does not show them.
JOINING = ('add', 'mul', 'cat', 'upsample', 'mean')


@dataclass(frozen=True)
class LayerTime:
    """Milliseconds of a layer at its widths: by the table, how far off that may be, and in the forward pass."""
    name: str
    c_in: int
    c_out: int
    predicted: float
    bound: float
    measured: float


@dataclass(frozen=True)
class NetworkTime:
    """Milliseconds of one network.

    Attributes:
        layers: Convolutions, linear layers and norms.
        following_predicted, following_measured: Activations and poolings together.
        joining_predicted: Sums, products and concatenations together.
        layers_alone: Layers, activations and poolings, each measured alone once more, as for the table: what this is
            off the table is the machine's drift since then, or lies between measured widths; what it is off the
            forward pass is what a layer costs more in company.
        rest: What is left after the network (decoding, suppression), on outputs of the last network; the same for all.
        measured: Network and rest, as they run.
    """
    layers: tuple[LayerTime, ...]
    following_predicted: float
    following_measured: float
    joining_predicted: float
    layers_alone: float
    rest: float
    measured: float

    @property
    def layers_predicted(self) -> float:
        """Convolutions, linear layers, norms, activations and poolings by the table."""
        return sum(layer.predicted for layer in self.layers) + self.following_predicted

    @property
    def layers_measured(self) -> float:
        """The same in the forward pass."""
        return sum(layer.measured for layer in self.layers) + self.following_measured

    @property
    def table(self) -> float:
        """All the table knows of the network: what budgets are about."""
        return self.layers_predicted + self.joining_predicted

    @property
    def predicted(self) -> float:
        """Table and rest: from image to detections."""
        return self.table + self.rest

    def stages(self) -> dict[str, tuple[float, float]]:
        """Predicted and measured time of the layers, by the first two parts of their names."""
        found: dict[str, tuple[float, float]] = {}
        for layer in self.layers:
            stage = '.'.join(layer.name.split('.')[:2])
            predicted, measured = found.get(stage, (0.0, 0.0))
            found[stage] = predicted + layer.predicted, measured + layer.measured
        return found

    def to_dict(self) -> dict:
        """Plain data for JSON."""
        totals = {name: getattr(self, name) for name in ('layers_predicted', 'layers_measured', 'table', 'predicted')}
        return asdict(self) | totals


def compare_times(models: dict[str, nn.Module], table: LatencyTable, forward: Forward,
                  finish: Callable[[nn.Module, Any], object], size: tuple[int, int],
                  rounds: int = 30, image: Optional[Tensor] = None) -> dict[str, NetworkTime]:
    """Predicts and measures networks side by side, under the table's settings; they are moved and cast accordingly.

    Args:
        models: Networks by name in eval mode; the last one's outputs are what is decoded for all, and suppression
            takes several times as long if its weights are not trained.
        table: Predicts.
        forward: Runs one on an image and returns its raw outputs.
        finish: Turns raw outputs into detections or scores.
        size: (H, W) of the image.
        rounds: Measured passes of each.
        image: What they see, shape (1, C, H, W); None for noise.

    Raises:
        UserError: A layer the table does not know, or a table of another backend than torch.
    """
    backend = table.conditions.backend
    if backend != 'torch':
        raise UserError(f'{table.path} is of {backend}, and networks are measured in torch; build a table with '
                        '--backend torch, or measure whole networks on ONNX Runtime with tools/export_onnx.py.')
    keep_freed_memory()
    with on_device(table.conditions.where):
        models = {name: placed(m, table.conditions) for name, m in models.items()}
        batch = table.conditions.batch
        channels = image_channels(next(iter(models.values())))
        seen = torch.randn(batch, channels, *size) if image is None else image.repeat(batch, 1, 1, 1)
        image = placed(seen, table.conditions)
        predictions = {name: _predict(trace_layers(m, image[:1], forward), table) for name, m in models.items()}
        profiles = profile_layers(models, lambda model: forward(model, image), rounds)
        totals = _totals(models, forward, finish, image, rounds)
        return {
            name: _network_time(predictions[name], _alone(predictions[name], table.conditions), profiles[name],
                                totals[name], totals[''])
            for name in models
        }


def placed(thing: nn.Module | Tensor, conditions: Conditions) -> Any:
    """A network or an image on the device, in the number format and memory format of ``conditions``."""
    form = torch.channels_last if conditions.channels_last else torch.contiguous_format
    return thing.to(conditions.where, DTYPES[conditions.dtype], memory_format=form)


@torch.inference_mode()
def _totals(models, forward, finish, image, rounds) -> dict[str, float]:
    last = list(models.values())[-1]
    outputs = forward(last, image)

    def whole(model):
        forward(model, image)
        finish(model, outputs)

    calls = {name: torch.inference_mode()(partial(whole, model)) for name, model in models.items()}
    calls[''] = torch.inference_mode()(partial(finish, last, outputs))
    return interleaved_medians(calls, rounds)


def _predict(layers: list[LayerShape], table: LatencyTable) -> list[tuple[LayerShape, Operation, Estimate]]:
    """(layer, operation, time) of every operation of every layer."""
    return [(layer, operation, time) for layer in layers
            for operation, time in table.estimates(layer, layer.in_width, layer.out_width)]


def _alone(predictions, conditions: Conditions) -> float:
    return measured_alone([(operation, layer.in_width, layer.out_width) for layer, operation, _ in predictions
                           if operation.kind not in JOINING], conditions)


def _network_time(predictions, alone: float, profile: dict[str, float], total: float, rest: float) -> NetworkTime:
    own: dict[LayerShape, list[Estimate]] = {}
    following = joining = 0.0
    for layer, operation, time in predictions:
        if operation.kind in ('conv', 'linear', 'norm'):
            own.setdefault(layer, []).append(time)
        elif operation.kind in JOINING:
            joining += time.ms
        else:
            following += time.ms
    layers = tuple(
        LayerTime(s.name, s.in_width, s.out_width, sum(t.ms for t in times), sum(t.bound for t in times),
                  profile[s.name]) for s, times in own.items())
    known = {layer.name for layer in layers}
    others = sum(ms for name, ms in profile.items() if name and name not in known)
    return NetworkTime(layers, following, others, joining, alone, rest, total)


def format_times(times: dict[str, NetworkTime], per_layer: bool = True) -> str:
    """Tables for people: the layers of the last network, then totals and speed-ups of all against the first."""
    lines = []
    if per_layer:
        name, last = list(times.items())[-1]
        lines += [f'{name + ": layer":44}{"widths":>12}{"predicted":>11}{"+-":>8}{"measured ms":>13}']
        lines += [f'{r.name:44}{f"{r.c_in}->{r.c_out}":>12}{r.predicted:11.3f}{r.bound:8.3f}{r.measured:13.3f}'
                  for r in last.layers] + ['']
    first = next(iter(times.values()))
    lines.append(f'{"":14}{"layers: table":>14}{"alone now":>11}{"measured":>10}{"off":>7}{"whole: table+rest":>19}'
                 f'{"measured":>10}{"speed-up: table":>17}{"measured":>10}{"off":>7}')
    for name, t in times.items():
        promised, real = first.predicted / t.predicted, first.measured / t.measured
        lines.append(f'{name:14}{t.layers_predicted:14.2f}{t.layers_alone:11.2f}{t.layers_measured:10.2f}'
                     f'{t.layers_predicted / t.layers_measured - 1:7.1%}{t.predicted:19.2f}{t.measured:10.2f}'
                     f'{promised:17.3f}{real:10.3f}{promised / real - 1:7.1%}')
    return '\n'.join([*lines, f'all in ms; the rest (decoding, suppression of what the last one finds) takes '
                      f'{first.rest:.2f}.'])


def format_stages(time: NetworkTime) -> str:
    """A table for people: the stages of one network."""
    rows = [f'{stage:24}{predicted:12.3f}{measured:12.3f}' for stage, (predicted, measured) in time.stages().items()]
    return '\n'.join([f'{"stage":24}{"table, ms":>12}{"measured":>12}', *rows])
