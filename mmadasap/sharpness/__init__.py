"""Sharpness-aware steps with one radius per neuron (AdaSAP, steps 1 and 3). Knows torch and nothing of mmengine."""
from .cycle import Cycle
from .measure import Sharpness, measure_sharpness
from .neurons import NeuronLayer, Neurons, collect_neurons, trace_norms
from .perturbation import Perturbation, TensorBackup, global_norm, read_numbers
from .radius import AdaptiveRadius, UniformRadius, build_radius, radius_range
from .replay import NotedForward, RandomState, note_forward, part_of_batch
from .reuse import ReusedDirection
from .trajectory import score_rows, trajectory_loss

__all__ = [
    'AdaptiveRadius', 'Cycle', 'NeuronLayer', 'Neurons', 'NotedForward', 'Perturbation', 'RandomState',
    'ReusedDirection', 'Sharpness', 'TensorBackup', 'UniformRadius', 'build_radius', 'collect_neurons',
    'global_norm', 'measure_sharpness', 'note_forward', 'part_of_batch', 'radius_range', 'read_numbers',
    'score_rows', 'trace_norms', 'trajectory_loss'
]
