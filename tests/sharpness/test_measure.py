import pytest
import torch
from torch import nn

from mmadasap.errors import UserError
from mmadasap.sharpness import measure_sharpness
from tests.toys import ResidualNet


class Bowl(nn.Module):
    """loss = (a^2 + 4 b^2) / 2 at a point (a, b)."""

    def __init__(self, a, b):
        super().__init__()
        self.point = nn.Parameter(torch.tensor([a, b], dtype=torch.float64))

    def loss(self):
        return (self.point.square() * torch.tensor([1.0, 4.0])).sum() / 2


def test_one_step_by_hand():
    # At (3, 1): loss 6.5, g = (3, 4); eps = 0.5 (0.6, 0.8); loss at (3.3, 1.4) = (10.89 + 7.84) / 2 = 9.365.
    bowl = Bowl(3.0, 1.0)
    found = measure_sharpness(bowl, [bowl.loss], rho=0.5, steps=0)
    assert (found.loss, found.one_step, found.projected) == pytest.approx((6.5, 2.865, 2.865))


def test_projected_ascent_finds_the_greatest_rise_of_a_bowl():
    # From the bottom nearly, along a: the greatest rise within the ball lies along b, 4 * 0.5^2 / 2 = 0.5.
    bowl = Bowl(1e-6, 1e-7)
    found = measure_sharpness(bowl, [bowl.loss], rho=0.5, steps=60)
    assert found.one_step < 0.3
    assert found.projected == pytest.approx(0.5, rel=1e-4)


def test_the_gradient_is_that_of_all_batches():
    # The batches pull in opposite directions along a; together the gradient at (0, 1) is (0, 4).
    bowl = Bowl(0.0, 1.0)
    pulls = [lambda: bowl.loss() + 100 * bowl.point[0], lambda: bowl.loss() - 100 * bowl.point[0]]
    found = measure_sharpness(bowl, pulls, rho=0.5, steps=0)
    assert found.one_step == pytest.approx(4 * (1.5**2 - 1) / 2)


def test_the_model_and_the_random_state_are_left_as_they_were():
    torch.manual_seed(0)
    model, images = nn.Sequential(nn.Dropout(0.5), ResidualNet()), torch.randn(4, 3, 8, 8)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model[1].norm1.eval()
    state = torch.get_rng_state()
    found = measure_sharpness(model, [lambda: model(images + torch.rand(())).square().mean()], rho=0.1)
    assert found.projected >= found.one_step > 0
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert model.training and model[0].training and not model[1].norm1.training
    assert torch.equal(torch.get_rng_state(), state) and all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize('arguments, message', [(dict(rho=0), 'rho=0'), (dict(rho=1, steps=-1), 'steps=-1')])
def test_wrong_arguments_are_refused(arguments, message):
    bowl = Bowl(1.0, 1.0)
    with pytest.raises(UserError, match=message):
        measure_sharpness(bowl, [bowl.loss], **arguments)
    with pytest.raises(UserError, match='0 were given'):
        measure_sharpness(bowl, [], rho=1)


def test_a_loss_that_is_not_finite_is_an_error_and_weights_return():
    bowl = Bowl(1.0, 2.0)
    with pytest.raises(UserError, match='not finite'):
        measure_sharpness(bowl, [lambda: bowl.loss() / (bowl.point[0] - 1)], rho=1)
    assert bowl.point.tolist() == [1.0, 2.0]
