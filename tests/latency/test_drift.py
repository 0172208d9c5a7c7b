import pytest
import torch

from mmadasap.latency import Conditions, drift
from mmadasap.latency.drift import measured_alone
from mmadasap.pruning import trace_layers
from tests.toys import ResidualNet


def operations():
    layers = trace_layers(ResidualNet(), torch.zeros(1, 3, 8, 8), lambda model, x: model(x))
    return [(operation, layer.in_width, layer.out_width) for layer in layers for operation in layer.operations]


def test_equal_operations_are_measured_once_and_counted_each_time(monkeypatch):
    measured = []

    def three_ms(call, renew, seconds):
        renew()
        measured.append(call())
        return 3.0, 0.1

    monkeypatch.setattr(drift, 'median_and_spread', three_ms)
    points = operations()
    assert measured_alone([points[0], points[0], points[1]], Conditions.here()) == 9.0
    assert len(measured) == 2 and all(torch.is_tensor(out) for out in measured)


def test_every_operation_of_a_network_takes_time_alone(monkeypatch):
    monkeypatch.setattr(drift, 'SECONDS', 1e-4)
    assert measured_alone(operations(), Conditions.here()) > 0
    assert measured_alone([], Conditions.here()) == 0


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_operations_are_measured_under_the_tables_conditions(monkeypatch, dtype):
    seen = []
    monkeypatch.setattr(drift, 'median_and_spread', lambda call, renew, seconds: (seen.append(call().dtype), (1, 0))[1])
    measured_alone(operations()[:1], Conditions.here(dtype=dtype))
    assert seen == [getattr(torch, dtype)]
