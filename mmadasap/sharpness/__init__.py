"""Sharpness-aware steps with one radius per neuron (AdaSAP, steps 1 and 3). Knows torch and nothing of mmengine."""
from .neurons import NeuronLayer, Neurons, collect_neurons, trace_norms
from .perturbation import TensorBackup, climb, global_norm, perturbation, scale_gradients
from .radius import AdaptiveRadius, UniformRadius, build_radius
from .replay import NotedForward, RandomState, note_forward

__all__ = [
    'AdaptiveRadius', 'NeuronLayer', 'Neurons', 'NotedForward', 'RandomState', 'TensorBackup', 'UniformRadius',
    'build_radius', 'climb', 'collect_neurons', 'global_norm', 'note_forward', 'perturbation', 'scale_gradients',
    'trace_norms'
]
