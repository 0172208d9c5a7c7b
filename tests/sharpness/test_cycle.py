import pytest
import torch
from torch import nn

from mmadasap.sharpness import Cycle, note_forward


class Counter(nn.Module):
    """Counts its calls in a buffer."""

    def __init__(self):
        super().__init__()
        self.register_buffer('calls', torch.zeros(()))

    def forward(self, x, mode='loss'):
        self.calls += 1
        return x


def first_pass(cycle, model, calls=2):
    with note_forward(model, cycle.note):
        for i in range(calls):
            model(torch.tensor(i), mode='loss')
            assert cycle.admit(10 + i)


@pytest.mark.parametrize('statistics_are_good', [True, False])
def test_statistics_move_once_in_two_passes(statistics_are_good):
    cycle, model = Cycle(), Counter()
    model.calls += 5
    first_pass(cycle, model)
    with cycle.again(statistics_are_good) as calls:
        assert model.calls == (7 if statistics_are_good else 5)
        assert [(int(forward.replay()), count) for forward, count in calls] == [(0, 10), (1, 11)]
    assert model.calls == 7
    cycle.undo_statistics()
    assert model.calls == 5


def test_a_new_cycle_starts_from_its_own_statistics():
    cycle, model = Cycle(), Counter()
    first_pass(cycle, model)
    cycle.close()
    first_pass(cycle, model, calls=1)
    cycle.undo_statistics()
    assert model.calls == 2


def test_nothing_pending_is_not_admitted():
    assert not Cycle().admit(0)


def test_shares_of_the_loss_add_up():
    cycle = Cycle()
    for share in (1.0, 2.0):
        cycle.add_loss(torch.tensor(share))
    assert cycle.take_loss() == 3
    cycle.add_loss(torch.tensor(4.0))
    assert cycle.take_loss() == 4
