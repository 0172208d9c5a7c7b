import time

from mmadasap.latency import interleaved_medians


def test_calls_take_turns_and_medians_are_milliseconds():
    order = []

    def call(name, seconds):
        return lambda: (order.append(name), time.sleep(seconds))

    times = interleaved_medians(dict(a=call('a', 0.002), b=call('b', 0.02)), rounds=5, warmup=1)
    assert order == ['a', 'b'] * 6
    assert 2 <= times['a'] < times['b'] and times['b'] >= 20
