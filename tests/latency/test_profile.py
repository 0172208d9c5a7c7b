import time

import torch
from torch import nn

from mmadasap.latency.profile import profile_layers


class Sleep(nn.Module):
    def forward(self, x):
        time.sleep(0.01)
        return x


def test_time_of_each_module_all_its_calls_together():
    slow = Sleep()
    model = nn.Sequential(slow, nn.ReLU(), slow)
    found = profile_layers(dict(a=model), lambda m: m(torch.zeros(1)), rounds=3, warmup=1)['a']
    assert set(found) == {'', '0', '1'}
    assert 20 <= found['0'] <= found[''] and found['1'] < 10
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
