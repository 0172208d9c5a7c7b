"""Measuring on a device."""
from .machine import describe_machine
from .measure import interleaved_medians

__all__ = ['describe_machine', 'interleaved_medians']
