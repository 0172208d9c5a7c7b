import torch
from torch import nn

from mmadasap.latency import sites_of
from mmadasap.latency.grid import Range, Site, without_covered
from mmadasap.pruning import trace_groups, trace_layers
from mmadasap.pruning.operations import Operation


def test_points_are_blocks_and_the_dense_width():
    assert Range(30, True).points(8, 9) == (8, 16, 24, 30)
    assert Range(64, True).points(8, 3) == (8, 40, 64)
    assert Range(64, True).points(8, 2) == (8, 64)
    assert Range(6, True).points(8, 4) == (6, )
    assert Range(30, False).points(8, 9) == (30, )


def test_axes_of_grouped_convolutions_are_whole_groups():
    site = Site(Operation('conv', (4, 4), group_width=2, group_outs=3), None, Range(48, True))
    assert site.axes(8, (8, 8)) == ((0, ), (24, 48))


def test_sites_of_a_network_once_each_and_outputs_fixed():
    net = nn.Sequential(nn.Conv2d(3, 16, 1), nn.Conv2d(16, 8, 1), nn.ReLU(), nn.Conv2d(8, 4, 1))
    x = torch.randn(1, 3, 4, 4)
    groups = trace_groups(net, x, lambda m, v: m(v))
    sites = sites_of(trace_layers(net, x, lambda m, v: m(v)), groups)
    conv = Operation('conv', (4, 4), bias=True)
    assert set(sites) == {
        Site(conv, Range(3, False), Range(16, True)), Site(conv, Range(16, True), Range(8, True)),
        Site(conv, Range(8, True), Range(4, False)), Site(Operation('relu', (4, 4)), None, Range(8, True))}


def test_a_wider_range_answers_for_a_narrower_one():
    net = nn.Sequential(nn.Conv2d(3, 16, 1), nn.Conv2d(16, 16, 1), nn.Conv2d(16, 8, 1), nn.Conv2d(8, 4, 1))
    x = torch.randn(1, 3, 4, 4)
    sites = sites_of(trace_layers(net, x, lambda m, v: m(v)), trace_groups(net, x, lambda m, v: m(v)))
    sites = without_covered(sites, block=4)
    assert len(sites) == 3 and all(s.writes != Range(8, True) for s in sites)


def test_a_range_narrower_than_a_block_answers_for_itself():
    relu = [Site(Operation('relu', (4, 4)), None, Range(width, True)) for width in (64, 32, 16)]
    assert without_covered(relu, block=16) == relu[:1]
    assert without_covered(relu, block=32) == [relu[0], relu[2]]
    whole = Site(relu[0].operation, None, Range(32, False))
    assert without_covered([relu[0], whole], block=8) == [relu[0], whole]
    conv = [Site(Operation('conv', (4, 4)), Range(width, True), Range(64, True)) for width in (64, 8)]
    assert without_covered(conv, block=8) == conv[:1] and without_covered(conv, block=16) == conv
