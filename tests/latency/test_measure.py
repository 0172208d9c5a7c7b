import time
from contextlib import contextmanager

import torch

from mmadasap.latency import interleaved_medians
from mmadasap.latency.measure import on_device


def test_calls_take_turns_and_medians_are_milliseconds():
    order = []

    def call(name, seconds):
        return lambda: (order.append(name), time.sleep(seconds))

    times = interleaved_medians(dict(a=call('a', 0.002), b=call('b', 0.02)), rounds=5, warmup=1)
    assert order == ['a', 'b'] * 6
    assert 2 <= times['a'] < times['b'] and times['b'] >= 20


def test_the_measured_device_is_the_current_one(monkeypatch):
    current = [0]

    @contextmanager
    def device(where):
        current.append(where)
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, 'device', device)
    with on_device('cuda:1'):
        assert current == [0, 'cuda:1']
        with on_device('cpu'):
            assert current == [0, 'cuda:1']
    assert current == [0]
