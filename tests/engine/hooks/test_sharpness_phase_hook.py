import pytest
from mmengine.hooks import Hook

from mmadasap.errors import UserError
from tests.engine.hooks.test_channel_pruning_hook import SAM, SGD, UNIFORM, pruning
from tests.toys import make_runner


def test_the_radius_is_swapped_when_the_phase_ends(tmp_path):
    runner = make_runner(tmp_path, SAM, [pruning(), UNIFORM], epochs=4)
    seen = []

    class Radius(Hook):
        priority = 'LOWEST'

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            seen.append(type(runner.optim_wrapper.radius).__name__)

    runner.register_hook(Radius())
    runner.train()
    assert seen == ['AdaptiveRadius'] * 8 + ['UniformRadius'] * 4


def test_without_a_radius_steps_are_plain_once_the_network_is_slim(tmp_path):
    runner = make_runner(tmp_path, SAM, [pruning(), dict(type='mmadasap.SharpnessPhaseHook', radius=None)], epochs=4)
    runner.train()
    # Of four epochs of three iterations each, the last is after the phase.
    assert runner.model.loss_calls == 2 * 9 + 3


@pytest.mark.parametrize('wrapper, hooks, message', [
    (SGD, [pruning(), UNIFORM], 'needs an optim wrapper with a radius, but this run has OptimWrapper'),
    (SAM, [UNIFORM], 'this run has no ChannelPruningHook'),
])
def test_a_phase_hook_without_its_partners_is_refused(tmp_path, wrapper, hooks, message):
    with pytest.raises(UserError, match=message):
        make_runner(tmp_path, wrapper, hooks, epochs=4).train()
