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


@pytest.mark.parametrize('first_counts', [True, False])
def test_statistics_move_once_in_two_passes(first_counts):
    cycle, model = Cycle(), Counter()
    model.calls += 5
    first_pass(cycle, model)
    with cycle.again(first_counts) as calls:
        assert model.calls == 5
        assert [(int(forward.replay()), count) for forward, count in calls] == [(0, 10), (1, 11)]
    assert model.calls == 7
    cycle.undo()
    assert model.calls == 5


class Moving(nn.Module):
    """Moves a buffer by putting a new tensor in its place, and a parameter that is not trained."""

    def __init__(self):
        super().__init__()
        self.register_buffer('calls', torch.zeros(()))
        self.encoder = nn.Parameter(torch.zeros(()), requires_grad=False)

    def forward(self, x, mode='loss'):
        self.calls = self.calls + 1
        self.encoder += 10
        return self.calls + self.encoder


@pytest.mark.parametrize('first_counts', [True, False])
def test_the_second_pass_sees_what_the_first_saw(first_counts):
    cycle, model = Cycle(), Moving()
    first_pass(cycle, model)
    with cycle.again(first_counts) as calls:
        assert [int(forward.replay()) for forward, _ in calls] == [11, 22]
    assert (model.calls, model.encoder) == (2, 20)
    cycle.undo()
    assert (model.calls, model.encoder) == (0, 0)


def test_of_two_calls_for_one_loss_the_second_is_refused():
    cycle, model = Cycle(), Counter()
    with note_forward(model, cycle.note):
        model(torch.tensor(0), mode='loss')
        with pytest.raises(RuntimeError, match="one forward call with mode='loss', and this is the second"):
            model(torch.tensor(0), mode='loss')
        cycle.expect()
        model(torch.tensor(0), mode='loss')


def test_a_new_cycle_starts_from_its_own_statistics():
    cycle, model = Cycle(), Counter()
    first_pass(cycle, model)
    cycle.close()
    first_pass(cycle, model, calls=1)
    cycle.undo()
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
