import torch

from mmadasap.sharpness import ReusedDirection


def numbered(*tensors):
    return dict(enumerate(tensors))


def test_the_kept_part_is_orthogonal_to_the_first_gradient_by_hand():
    # first (3, 4), second (4, 8): the share of the first in it is 44/25, what remains (-1.28, 0.96), norm 1.6.
    reused = ReusedDirection(scale=0.5)
    reused.note_first(numbered(torch.tensor([3.]), torch.tensor([4.])))
    reused.note_second(numbered(torch.tensor([4.]), torch.tensor([8.])))
    torch.testing.assert_close(torch.cat([*reused.direction.values()]), torch.tensor([-1.28, 0.96]))
    # g = (0.6, 0.8) has norm 1, so the direction is added at length 0.5: (0.6 - 0.4, 0.8 + 0.3).
    grads = [torch.tensor([0.6]), torch.tensor([0.8])]
    reused.add_to(numbered(*grads))
    torch.testing.assert_close(torch.cat(grads), torch.tensor([0.2, 1.1]))


def test_the_scale_of_the_loss_cancels():
    torch.manual_seed(0)
    first, second, later = torch.randn(3, 7)
    results = []
    for loss_scale in (1.0, 1024.0):
        reused = ReusedDirection(scale=0.7)
        reused.note_first(numbered(first))
        reused.note_second(numbered(loss_scale * second))
        grads = [loss_scale * later]
        reused.add_to(numbered(*grads))
        results.append(grads[0] / loss_scale)
    torch.testing.assert_close(*results)


def test_pruned_entries_stay_without_gradient():
    reused = ReusedDirection(scale=1.0)
    reused.note_first(numbered(torch.tensor([1., 0., 0.])))
    reused.note_second(numbered(torch.tensor([0., 1., 1.])))
    grads = [torch.tensor([2., 2., 0.])]
    reused.add_to(numbered(*grads))
    torch.testing.assert_close(grads[0], torch.tensor([2., 2. + 8**0.5, 0.]))


def test_a_second_gradient_along_the_first_leaves_the_gradient_alone():
    reused = ReusedDirection(scale=0.7)
    reused.note_first(numbered(torch.tensor([3., 4.])))
    reused.note_second(numbered(torch.tensor([6., 8.])))
    grads = [torch.tensor([1., 2.])]
    reused.add_to(numbered(*grads))
    torch.testing.assert_close(grads[0], torch.tensor([1., 2.]))


def test_other_shapes_are_not_ready():
    reused = ReusedDirection(scale=0.7)
    assert not reused.ready_for(numbered(torch.ones(2)))
    reused.note_first(numbered(torch.ones(2)))
    reused.note_second(numbered(torch.ones(2)))
    assert reused.ready_for(numbered(torch.zeros(2))) and not reused.ready_for(numbered(torch.zeros(3)))
    reused.note_first(numbered(torch.ones(2)))
    reused.note_second(numbered(torch.ones(3)))
    assert not reused.ready_for(numbered(torch.ones(2)))


def test_another_tensor_of_the_same_shape_is_not_ready():
    reused = ReusedDirection(scale=0.7)
    reused.note_first({3: torch.ones(2)})
    reused.note_second({3: torch.ones(2)})
    assert reused.ready_for({3: torch.ones(2)}) and not reused.ready_for({4: torch.ones(2)})
    reused.note_first({3: torch.ones(2)})
    reused.note_second({4: torch.ones(2)})
    assert not reused.ready_for({3: torch.ones(2)}) and not reused.ready_for({4: torch.ones(2)})


def test_state_goes_on():
    reused, other = ReusedDirection(0.7), ReusedDirection(0.7)
    reused.note_first(numbered(torch.tensor([1., 0.])))
    reused.note_second(numbered(torch.tensor([1., 1.])))
    other.load_state_dict(reused.state_dict())
    assert torch.equal(other.direction[0], torch.tensor([0., 1.]))
    # As earlier versions wrote it.
    other.load_state_dict(dict(direction=[torch.tensor([0., 2.])]))
    assert other.ready_for(numbered(torch.ones(2)))
