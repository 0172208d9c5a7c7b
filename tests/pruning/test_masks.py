import torch
from torch import nn

from mmadasap.pruning import ChannelMask, full_channels, mask_optimizer, model_tensors, tensor_cuts, trace_groups


def traced():
    net = nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))
    groups = trace_groups(net, torch.randn(2, 1, 2, 2), lambda m, x: m(x))
    kept = full_channels(groups)
    kept['0'][1] = False
    return net, groups, kept


def test_a_channel_takes_its_rows_norm_entries_statistics_and_columns():
    net, groups, kept = traced()
    cuts = tensor_cuts(net, groups, kept)
    one = [True, False, True]
    expected = {name: {0: one} for name in ('0.weight', '0.bias', '1.weight', '1.bias', '1.running_mean',
                                            '1.running_var')}
    # Flattening makes four columns of every channel of 2x2 pixels.
    expected['3.weight'] = {1: [True] * 4 + [False] * 4 + [True] * 4}
    assert {name: {d: f.tolist() for d, f in dims.items()} for name, dims in cuts.items()} == expected


def test_whole_groups_leave_no_cuts():
    net, groups, _ = traced()
    assert tensor_cuts(net, groups, full_channels(groups)) == {}


def test_masking_zeroes_these_entries_alone():
    net, groups, kept = traced()
    for t in model_tensors(net).values():
        t.data.fill_(1)
    cuts = tensor_cuts(net, groups, kept)
    ChannelMask(model_tensors(net), cuts).apply()
    assert net[0].weight.flatten().tolist() == [1, 0, 1] and net[1].running_var.tolist() == [1, 0, 1]
    assert net[3].weight.sum() == 16 and net[3].bias.tolist() == [1, 1]


def test_momentum_is_masked():
    net, groups, kept = traced()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    mask_optimizer(optimizer, dict(net.named_parameters()), tensor_cuts(net, groups, kept))
    assert optimizer.state[net[1].weight]['momentum_buffer'].tolist() == [1, 0, 1]
    assert optimizer.state[net[3].bias]['momentum_buffer'].tolist() == [1, 1]
