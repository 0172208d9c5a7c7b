import random
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from mmadasap.sharpness import RandomState, note_forward, part_of_batch
from mmadasap.sharpness.replay import batch_size, untouched


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


class Echo(nn.Module):

    def forward(self, inputs, samples=None, mode='tensor'):
        return len(inputs), samples


def test_the_call_sees_a_part_of_the_batch_and_its_replay_the_whole():
    noted, model = [], Echo()
    with note_forward(model, noted.append, fraction=0.5):
        assert model(torch.zeros(5, 2), samples=list('abcde'), mode='loss') == (3, ['a', 'b', 'c'])
        assert model(torch.zeros(5, 2), samples=list('abcde')) == (5, list('abcde'))
    assert noted[0].replay() == (5, list('abcde'))


class Writer(nn.Module):
    """Like a head that rewrites the labels it is given."""

    def forward(self, inputs, samples, mode='tensor'):
        seen = [dict(s) for s in samples]
        for sample in samples:
            sample['label'] += 1
        return seen


def test_a_model_that_writes_into_its_samples_sees_them_as_they_were():
    noted, model = [], Writer()
    with note_forward(model, noted.append):
        first = model(torch.zeros(2), samples=[dict(label=1), dict(label=2)], mode='loss')
    assert noted[0].replay() == first


def test_a_call_that_counts_leaves_the_random_state_where_it_ends():
    noted, model = [], Draws()
    with note_forward(model, noted.append):
        model(torch.zeros(2), mode='loss')
    after = RandomState.capture()
    torch.rand(7)
    noted[0].replay(counts=True)
    assert torch.rand(()) + np.random.rand() + random.random() == _next_of(after)


def test_the_length_of_a_list_of_images_is_the_size_of_their_batch():
    noted, model = [], Echo()
    with note_forward(model, noted.append, fraction=0.5):
        assert model([torch.zeros(3, 4)] * 4, samples=list('abcd'), mode='loss') == (2, ['a', 'b'])


def test_a_part_of_a_batch_at_any_depth():
    images = torch.arange(4)
    part = part_of_batch(dict(views=[images, dict(labels=images.view(4, 1))], scale=torch.tensor(2), size=(8, 8)), 4, 1)
    assert part['views'][0].tolist() == [0] and part['views'][1]['labels'].tolist() == [[0]]
    assert part['scale'] == 2 and part['size'] == (8, 8)


class Sample(NamedTuple):
    image: torch.Tensor
    boxes: list


def test_tuples_with_names_stay_what_they_are():
    sample = Sample(torch.arange(4), [1, 2, 3, 4])
    assert untouched(sample).boxes == [1, 2, 3, 4] and isinstance(untouched(sample), Sample)
    pair = part_of_batch(Sample(torch.arange(2), [1, 2]), 2, 1)
    assert isinstance(pair, Sample) and pair.boxes == [1]
    part = part_of_batch(sample, 4, 1)
    assert isinstance(part, Sample) and part.image.tolist() == [0] and part.boxes == [1]


@pytest.mark.parametrize('size', [2, 8])
def test_of_several_views_of_a_batch_all_are_cut(size):
    views = [torch.zeros(size, 3, 4, 4), torch.ones(size, 3, 4, 4)]
    assert batch_size([dict(inputs=views)]) == size
    assert [len(view) for view in part_of_batch(dict(inputs=views), size, 1)['inputs']] == [1, 1]
    images = [torch.zeros(3, 4, 4)] * size
    assert batch_size([images]) == size and len(part_of_batch(images, size, 1)) == 1
