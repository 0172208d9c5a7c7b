"""Masked equals slim on the detectors of the configs, and every width is what the groups say."""
import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmadasap.engine.host import raw_outputs
from mmadasap.pruning import (
    COSTS,
    ChannelMask,
    MagnitudeImportance,
    NetworkCost,
    channel_spec,
    count_parameters,
    full_channels,
    keep_best,
    model_tensors,
    rebuild,
    slim,
    tensor_cuts,
    trace_groups,
    trace_layers,
)
from mmadasap.registry import MODELS
from tests.toys import randomize

CONFIGS = Path(__file__).parents[2] / 'configs'
QUARTER = 'quickstart/ssd256_r50-w16_dense-60e_bccd.py'
FULL = 'dense/ssd512_r50_dense-8xb16-800e_voc0712.py'

# Groups of ResNet-50 up to layer3 by width at full size: the stem, the inner convolutions of 3 + 4 + 6 blocks (two a
# block), one group a stage for its residual stream.
BACKBONE = {64: 1 + 6, 128: 8, 256: 12 + 1, 512: 1, 1024: 1}


def build(file, dtype):
    cfg = Config.fromfile(CONFIGS / file)
    init_default_scope('mmdet')
    # Xavier-like sizes keep activations of a deep random network in range.
    model = randomize(MODELS.build(dict(cfg.model)))
    with torch.no_grad():
        for p in model.parameters():
            if p.dim() > 1:
                p.mul_(2 / p.flatten(1).shape[1]**0.5)
    return model.to(dtype).eval(), torch.randn(1, 3, cfg.input_size, cfg.input_size, dtype=dtype)


def flat(outputs):
    return torch.cat([t.flatten() for level in outputs for t in level])


def prune(model, x, keep):
    groups, layers = trace_groups(model, x, raw_outputs, ['backbone.conv1']), trace_layers(model, x, raw_outputs)
    cost = NetworkCost(layers, groups, COSTS['macs'])
    whole = full_channels(groups)
    scores = MagnitudeImportance().scores(model, groups, whole)
    return groups, keep_best(groups, scores, whole, cost, keep * cost(whole)), cost


def check(file, dtype, tolerance):
    model, x = build(file, dtype)
    with torch.no_grad():
        dense = flat(raw_outputs(model, x))
    groups, kept, cost = prune(model, x, 0.5)
    cuts = tensor_cuts(model, groups, kept)
    ChannelMask(model_tensors(model), cuts).apply()
    small = copy.deepcopy(model)
    slim(small, cuts)
    with torch.no_grad():
        masked, slimmed = flat(raw_outputs(model, x)), flat(raw_outputs(small, x))
    scale = masked.abs().max()
    assert (masked - slimmed).abs().max() <= tolerance * scale
    assert (masked - dense).abs().max() > 1e-2 * scale
    check_widths(small, groups, kept)
    layers = trace_layers(small, x, raw_outputs)
    macs = sum(COSTS['macs'](layer, layer.in_width, layer.out_width) for layer in layers)
    assert macs == cost(kept) <= 0.5 * cost(full_channels(groups))
    return model, small, cuts, x


def check_widths(model, groups, kept):
    for group in groups:
        width = int(kept[group.name].sum())
        assert width == group.width if group.protected else 1 <= width <= group.width
        for member in group.members:
            weight = model.get_submodule(member.module).weight
            assert weight.shape[0 if member.side == 'out' else 1] == width, member.module


@pytest.mark.parametrize('dtype, tolerance', [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_quarter_width(dtype, tolerance):
    check(QUARTER, dtype, tolerance)


@pytest.mark.slow
@pytest.mark.parametrize('dtype, tolerance', [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_full_size(dtype, tolerance):
    check(FULL, dtype, tolerance)


def test_rebuilding_the_quarter_width_model_gives_the_slim_one():
    _, small, cuts, x = check(QUARTER, torch.float32, 1e-5)
    spec = channel_spec(small, {name.rpartition('.')[0] for name in cuts})
    again, _ = build(QUARTER, torch.float32)
    rebuild(again, spec).load_state_dict(small.state_dict())
    with torch.no_grad():
        assert torch.equal(flat(raw_outputs(again, x)), flat(raw_outputs(small, x)))
    assert count_parameters(again) == count_parameters(small)


@pytest.mark.parametrize('file, factor', [(QUARTER, 4), pytest.param(FULL, 1, marks=pytest.mark.slow)])
def test_groups_are_those_of_the_architecture(file, factor):
    model, x = build(file, torch.float32)
    groups = trace_groups(model, x, raw_outputs, ['backbone.conv1'])
    backbone = [g for g in groups if g.name.startswith('backbone.')]
    widths = [g.width * factor for g in backbone]
    assert {w: widths.count(w) for w in set(widths)} == BACKBONE
    stage3 = next(g for g in backbone if g.width * factor == 1024)
    assert sum(name.endswith('conv3') for name in stage3.modules('out')) == 6
    assert {n for n in stage3.modules('in') if 'head' in n} == {'bbox_head.cls_convs.0.0', 'bbox_head.reg_convs.0.0'}
    protected = {g.name for g in groups if g.protected}
    assert all('bbox_head' in name or name == 'backbone.conv1' for name in protected)
    assert len(protected) == 1 + 2 * len(model.bbox_head.cls_convs)
