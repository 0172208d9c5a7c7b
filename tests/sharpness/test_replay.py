import random

import numpy as np
import torch
from torch import nn

from mmadasap.sharpness import RandomState, note_forward


class Draws(nn.Module):

    def forward(self, x, mode='tensor'):
        return x + torch.rand(()) + np.random.rand() + random.random()


def test_replay_draws_the_same_numbers_and_leaves_the_state_as_one_pass_would():
    noted, model = [], Draws()
    with note_forward(model, noted.append):
        first = model(torch.zeros(2), mode='loss')
        model(torch.zeros(2), mode='tensor')
    after = RandomState.capture()
    assert len(noted) == 1
    assert torch.equal(noted[0].replay(), first)
    assert torch.rand(()) + np.random.rand() + random.random() == _next_of(after)


def _next_of(state):
    state.restore()
    return torch.rand(()) + np.random.rand() + random.random()


def test_nothing_is_noted_outside():
    noted, model = [], Draws()
    with note_forward(model, noted.append):
        pass
    model(torch.zeros(2), mode='loss')
    assert noted == [] and not model._forward_pre_hooks
