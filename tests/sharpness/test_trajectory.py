import math

import torch

from mmadasap.sharpness import score_rows, trajectory_loss


def test_maps_become_one_row_an_anchor():
    # Two anchors of three classes at one place of a map of 1 x 2.
    maps = torch.arange(12.).view(1, 6, 1, 2)
    assert score_rows([maps, maps], 3).tolist() == 2 * [[0, 2, 4], [6, 8, 10], [1, 3, 5], [7, 9, 11]]
    assert score_rows(torch.eye(2), 2).tolist() == [[1, 0], [0, 1]]


def test_softmax_by_hand():
    # averaged (1/2, 1/2), now (3/4, 1/4): KL = 1/2 ln(2/3) + 1/2 ln 2 = ln(4/3) / 2; temperature 2 doubles the scores.
    now, averaged = torch.tensor([[2 * math.log(3), 0.]]), torch.zeros(1, 2)
    assert math.isclose(trajectory_loss(now, averaged, 2.0, False).item(), math.log(4 / 3) / 2, rel_tol=1e-5)


def test_sigmoid_by_hand():
    # Each of two scores: averaged 1/2, now 3/4, so twice the above.
    now, averaged = torch.full((1, 2), math.log(3)), torch.zeros(1, 2)
    assert math.isclose(trajectory_loss(now, averaged, 1.0, True).item(), math.log(4 / 3), rel_tol=1e-5)


def test_equal_predictions_cost_nothing_and_the_copy_gets_no_gradient():
    torch.manual_seed(0)
    for sigmoid in (False, True):
        scores = torch.randn(4, 3, requires_grad=True)
        copy = scores.detach().clone().requires_grad_()
        loss = trajectory_loss(scores, copy, 5.0, sigmoid)
        loss.backward()
        assert abs(loss.item()) < 1e-6 and copy.grad is None and scores.grad.abs().max() < 1e-6
