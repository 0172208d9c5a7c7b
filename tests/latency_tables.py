"""A latency table nobody measured, for tests that need one."""
import numpy as np
import torch

from mmadasap.engine.host import raw_outputs
from mmadasap.latency import Conditions, sites_of
from mmadasap.latency.table import Grid, LatencyTable
from mmadasap.pruning import trace_groups, trace_layers


def write_made_up_table(model, size, path, block=8):
    """Writes a table whose times grow with both widths."""
    example = torch.zeros(1, 3, size, size)
    grids = []
    for site in sites_of(trace_layers(model, example, raw_outputs), trace_groups(model, example, raw_outputs)):
        ins, outs = (np.array(axis) for axis in site.axes(block, (2, 2)))
        ms = 1e-4 + 1e-6 * np.outer(np.maximum(ins, 1), outs)
        grids.append(Grid(site.operation, ins, outs, ms, np.zeros_like(ms)))
    LatencyTable(Conditions.here('cpu', 'torch', 'float32', 1, False), block, tuple(grids)).save(str(path))
