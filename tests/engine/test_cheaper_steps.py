"""The wrapper's ways to save the second pass: reused directions, and a part of the batch."""
import copy

import pytest
import torch
from mmengine.optim import OptimWrapper

from mmadasap.engine import AdaSAPOptimWrapper
from mmadasap.sharpness import UniformRadius
from tests.engine.quadratic import SAM, Quadratic
from tests.toys import ToyClassifier, ToyData, make_runner, same, values


def test_reused_direction_by_hand():
    # Step 1 at w = (3, 4): g = (3, 8) (b counts twice), the second gradient at w + eps is not along g. Learning rate 0
    # keeps w; step 2 reuses v = g2 - (g2.g / g.g) g and steps along g + 0.5 |g| / |v| v with one pass.
    model = Quadratic(3.0, 4.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    wrapper = AdaSAPOptimWrapper(optimizer, radius=dict(type='UniformRadius', rho=0.5), interval=2, reuse_scale=0.5)
    batch = dict(x=torch.tensor([1.0, 2.0], dtype=torch.float64))
    model.train_step(batch, wrapper)
    optimizer.param_groups[0]['lr'] = 1.0
    model.train_step(batch, wrapper)
    assert len(model.seen) == 3
    g = torch.tensor([3.0, 8.0], dtype=torch.float64)
    second = torch.tensor([1.0, 2.0], dtype=torch.float64) * torch.tensor(model.seen[1], dtype=torch.float64)
    v = second - second @ g / (g @ g) * g
    expected = torch.tensor([3.0, 4.0]) - (g + 0.5 * g.norm() / v.norm() * v)
    assert model.layer.weight.detach().flatten().tolist() == pytest.approx(expected.tolist(), abs=1e-12)
    model.train_step(batch, wrapper)
    assert len(model.seen) == 5


@pytest.mark.parametrize('stop', [3, 4])
def test_resuming_goes_on_with_the_reused_direction(tmp_path, stop):
    wrapper = dict(type='mmadasap.AdaSAPOptimWrapper', radius=SAM, interval=3)

    def run(name, **kwargs):
        return make_runner(tmp_path / name, dict(wrapper), batch_size=12, **kwargs)

    whole = values(run('whole', epochs=6).train())
    run('first', epochs=stop).train()
    resumed = run('second', epochs=6, load_from=str(tmp_path / f'first/epoch_{stop}.pth'), resume=True).train()
    assert same(values(resumed), whole)


def test_the_first_pass_sees_a_part_and_statistics_come_from_the_whole_batch():
    torch.manual_seed(0)
    model, data = ToyClassifier(), ToyData()
    sizes = []
    model.net.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    wrapper = AdaSAPOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1), radius=dict(type='UniformRadius', rho=0), ascent_fraction=0.3)
    twin = copy.deepcopy(model)
    model.train_step(dict(inputs=data.images, labels=data.labels), wrapper)
    assert sizes == [4, 12]
    twin.train_step(
        dict(inputs=data.images, labels=data.labels), OptimWrapper(torch.optim.SGD(twin.parameters(), lr=0.1)))
    assert same(values(model), values(twin))


def test_a_direction_from_before_a_stretch_of_plain_steps_is_not_reused():
    model = Quadratic(3.0, 4.0)
    wrapper = AdaSAPOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.0), radius=SAM, interval=10)
    batch = dict(x=torch.tensor([1.0, 2.0], dtype=torch.float64))
    calls = []
    for radius in (SAM, SAM, None, SAM, SAM):
        wrapper.radius = None if radius is None else UniformRadius(0.05)
        model.train_step(batch, wrapper)
        calls.append(len(model.seen))
    assert calls == [2, 3, 4, 6, 7]


def test_a_direction_of_a_skipped_step_is_not_reused():
    model = Quadratic(3.0, 4.0)
    wrapper = AdaSAPOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), radius=SAM, interval=3)
    calls = []
    for first in (float('nan'), 1.0, 1.0):
        model.train_step(dict(x=torch.tensor([first, 2.0], dtype=torch.float64)), wrapper)
        calls.append(len(model.seen))
    # The second step finds no direction and makes its own, which the third reuses.
    assert wrapper.skipped_steps == 1 and calls == [2, 4, 5]
    assert model.layer.weight.flatten().tolist() != [3.0, 4.0]


def test_the_interval_counts_steps_and_not_micro_batches():
    model = Quadratic(3.0, 4.0)
    wrapper = AdaSAPOptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.1), radius=SAM, interval=2, accumulative_counts=2)
    calls = []
    for _ in range(6):
        model.train_step(dict(x=torch.tensor([1.0, 2.0], dtype=torch.float64)), wrapper)
        calls.append(len(model.seen))
    # Both micro-batches are replayed at the end of the first and the third step; the second makes one pass.
    assert calls == [1, 4, 5, 6, 7, 10]
