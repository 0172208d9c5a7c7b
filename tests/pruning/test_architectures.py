"""Masked equals slim on the architectures people use: residual sums, concatenation, depthwise and grouped layers."""
import copy

import pytest
import torch
from mmdet.models.necks.ssd_neck import L2Norm
from mmdet.structures import DetDataSample
from mmengine.config import Config
from torch import nn

from mmadasap.engine.host import raw_outputs
from mmadasap.engine.slim_config import make_slim
from mmadasap.pruning import (
    COSTS,
    ChannelMask,
    NetworkCost,
    channel_spec,
    full_channels,
    image_channels,
    model_tensors,
    rebuild,
    slim,
    tensor_cuts,
    trace_groups,
    trace_layers,
)
from mmadasap.registry import MODELS
from tests.pruning.architectures import ARCHITECTURES, build, flat, l2_norm_in_double, model_config

BOTH = [(torch.float64, 1e-10), (torch.float32, 1e-5)]


@pytest.fixture(autouse=True)
def in_double(monkeypatch, request):
    if 'float64' in request.node.name:
        monkeypatch.setattr(L2Norm, 'forward', l2_norm_in_double)


def cut_a_third(model, x, forward=raw_outputs):
    """Groups, live channels and cuts; of each prunable group a random third goes."""
    groups = trace_groups(model, x[:1], forward)
    kept, generator = full_channels(groups), torch.Generator().manual_seed(0)
    for group in groups:
        if group.protected is None:
            kept[group.name][torch.randperm(group.width, generator=generator)[:group.width // 3]] = False
    return groups, kept, tensor_cuts(model, groups, kept)


@torch.no_grad()
def check(name, small, dtype, tolerance):
    model, x = build(name, small, dtype)
    assert image_channels(model) == x.shape[1]
    dense = flat(raw_outputs(model, x))
    groups, kept, cuts = cut_a_third(model, x)
    assert sum(g.protected is None for g in groups) > len(groups) / 3
    ChannelMask(model_tensors(model), cuts).apply()
    small_model = copy.deepcopy(model)
    slim(small_model, cuts)
    masked, slimmed = raw_outputs(model, x), raw_outputs(small_model, x)
    masked, slimmed = flat(masked), flat(slimmed)
    scale = masked.abs().max()
    assert (masked - slimmed).abs().max() <= tolerance * scale
    assert (masked - dense).abs().max() > 1e-2 * scale

    spec = channel_spec(small_model, {n.rpartition('.')[0] for n in cuts})
    again = rebuild(build(name, small, dtype)[0], spec)
    again.load_state_dict(small_model.state_dict())
    assert torch.equal(flat(raw_outputs(again, x)), slimmed)


@pytest.mark.parametrize('dtype, tolerance', BOTH, ids=['float64', 'float32'])
@pytest.mark.parametrize('name', ARCHITECTURES)
def test_masked_equals_slim_equals_rebuilt(name, dtype, tolerance):
    check(name, True, dtype, tolerance)


@pytest.mark.slow
@pytest.mark.parametrize('dtype, tolerance', BOTH, ids=['float64', 'float32'])
@pytest.mark.parametrize('name', ARCHITECTURES)
def test_at_full_size(name, dtype, tolerance):
    check(name, False, dtype, tolerance)


@pytest.mark.parametrize('name', ARCHITECTURES)
@torch.no_grad()
def test_a_slim_config_builds_the_network_that_surgery_made(name):
    model, x = build(name, dtype=torch.float32)
    cuts = cut_a_third(model, x)[2]
    slim(model, cuts)
    cfg = model_config(name)
    make_slim(cfg, channel_spec(model, {n.rpartition('.')[0] for n in cuts}))
    # As slim.py has it: through text, with the dense config's own keys beside the widths.
    again = MODELS.build(Config.fromstring(Config(dict(model=cfg)).pretty_text, '.py').model).eval()
    assert type(again) is type(model)
    again.load_state_dict(model.state_dict())
    assert torch.equal(flat(raw_outputs(again, x)), flat(raw_outputs(model, x)))


def test_a_grouped_convolution_loses_whole_groups():
    # Four groups of 2 inputs and 3 outputs each; the layers before and after are cut along them.
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.Conv2d(8, 12, 3, groups=4), nn.ReLU(),
                        nn.Conv2d(12, 5, 1)).double().eval()
    x = torch.randn(1, 3, 6, 6, dtype=torch.float64)
    groups = {g.name: g for g in trace_groups(net, x, lambda m, x: m(x))}
    assert {name: g.width for name, g in groups.items()} == {'2': 4, '4': 5}
    members = {(m.module, m.side): m for m in groups['2'].members}
    assert members['0', 'out'].channel.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert members['4', 'in'].channel.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    kept = full_channels(groups.values())
    kept['2'][1] = False
    cuts = tensor_cuts(net, groups.values(), kept)
    ChannelMask(model_tensors(net), cuts).apply()
    masked = net(x)
    slim(net, cuts)
    assert (net[0].out_channels, net[1].num_features, net[4].in_channels) == (6, 6, 9)
    assert (net[2].in_channels, net[2].out_channels, net[2].groups) == (6, 9, 3)
    assert (net(x) - masked).abs().max() <= 1e-10 * masked.abs().max()


def test_the_cost_of_a_grouped_convolution_is_that_of_the_smaller_one():
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 12, 3, groups=4), nn.Conv2d(12, 5, 1))
    x = torch.randn(1, 3, 6, 6)

    def macs(model):
        return {s.name: COSTS['macs'](s, s.in_width, s.out_width) for s in trace_layers(model, x, lambda m, x: m(x))}

    groups = trace_groups(net, x, lambda m, x: m(x))
    assert macs(net) == {'0': 36 * 3 * 8, '1': 16 * 2 * 12 * 9, '2': 16 * 12 * 5}
    kept = full_channels(groups)
    next(kept[g.name] for g in groups if g.width == 4)[0] = False
    cost = NetworkCost(trace_layers(net, x, lambda m, x: m(x)), groups, COSTS['macs'])
    predicted = cost.by_layer(kept)
    slim(net, tensor_cuts(net, groups, kept))
    assert predicted == macs(net) == {'0': 36 * 3 * 6, '1': 16 * 2 * 9 * 9, '2': 16 * 9 * 5}


def test_a_layer_the_traced_pass_does_not_run_keeps_what_it_may_read():

    class Aside(nn.Module):

        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 6, 1), nn.Conv2d(6, 2, 1)
            self.auxiliary = nn.Conv2d(4, 3, 1)

        def forward(self, x):
            return self.c(self.b(self.a(x)))

    groups = {g.name: g for g in trace_groups(Aside(), torch.randn(1, 3, 4, 4), lambda m, x: m(x))}
    assert groups['a'].protected == 'auxiliary, which the traced pass does not run, may read these channels'
    assert groups['b'].protected is None


def test_frozen_stages_are_traced_and_left_whole():
    model, x = build('retinanet', True, torch.float32)
    model.train()
    assert not model.backbone.layer1[0].conv1.weight.requires_grad
    groups = trace_groups(model, x[:1], raw_outputs)
    group = next(g for g in groups if 'backbone.layer1.0.conv1' in g.modules('out'))
    assert group.protected == 'backbone.layer1.0.conv1 is frozen'
    assert not model.backbone.layer1[0].conv1.weight.requires_grad
    assert model.backbone.layer2[0].conv1.weight.requires_grad


def test_a_two_stage_detector_finds_the_same_boxes_masked_and_slim():
    model, x = build('faster_rcnn', True, torch.float32)
    groups, _, cuts = cut_a_third(model, x)
    protected = {g.name for g in groups if g.protected}
    assert any(name.startswith('neck.fpn_convs') for name in protected)
    assert any(m.module == 'roi_head.bbox_head.shared_fcs.0' for g in groups if g.protected is None for m in g.members)
    ChannelMask(model_tensors(model), cuts).apply()
    small = copy.deepcopy(model)
    slim(small, cuts)
    samples = [DetDataSample(metainfo=dict(img_shape=(64, 64), ori_shape=(64, 64), scale_factor=(1, 1)))
               for _ in range(2)]
    found = [m.predict(x, copy.deepcopy(samples)) for m in (model, small)]
    for a, b in zip(*found):
        assert len(a.pred_instances) > 0
        torch.testing.assert_close(a.pred_instances.bboxes, b.pred_instances.bboxes, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(a.pred_instances.scores, b.pred_instances.scores, rtol=1e-3, atol=1e-4)
