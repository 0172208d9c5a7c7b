"""Measuring on a device, and the table that remembers it."""
from .builder import build_table
from .compare import NetworkTime, compare_times, format_stages, format_times
from .conditions import BACKENDS, DTYPES, Conditions
from .grid import sites_of
from .machine import describe_machine
from .measure import interleaved_medians
from .table import Estimate, LatencyTable

__all__ = [
    'BACKENDS', 'Conditions', 'DTYPES', 'Estimate', 'LatencyTable', 'NetworkTime', 'build_table', 'compare_times',
    'describe_machine', 'format_stages', 'format_times', 'interleaved_medians', 'sites_of'
]
