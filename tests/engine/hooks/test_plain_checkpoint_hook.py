import pytest
import torch

from tests.engine.hooks.test_channel_pruning_hook import SGD, pruning
from tests.toys import make_runner, same, values

PLAIN = dict(type='mmadasap.PlainCheckpointHook')


def test_a_run_resumes_to_the_bit_with_its_histories(tmp_path):
    whole = make_runner(tmp_path / 'whole', SGD, [PLAIN], epochs=3)
    expected = values(whole.train())
    make_runner(tmp_path / 'first', SGD, [PLAIN], epochs=1).train()
    resumed = make_runner(
        tmp_path / 'second', SGD, [PLAIN], epochs=3, resume=True, load_from=str(tmp_path / 'first/epoch_1.pth'))
    assert same(values(resumed.train()), expected)
    losses = [run.message_hub.log_scalars['train/loss'].data[0].tolist() for run in (whole, resumed)]
    assert losses[0] == losses[1]


def test_schedules_need_no_unpickling_either(tmp_path):
    schedules = [dict(type='LinearLR', start_factor=0.1, end=1, convert_to_iter_based=True, by_epoch=True, begin=0),
                 dict(type='CosineAnnealingLR', T_max=3, by_epoch=True)]
    make_runner(tmp_path, SGD, [PLAIN], epochs=1, param_scheduler=schedules).train()
    assert len(torch.load(tmp_path / 'epoch_1.pth', weights_only=True)['param_schedulers']) == 2


@pytest.mark.parametrize('epoch', [2, 4])
def test_checkpoints_of_a_pruning_run_need_no_unpickling(tmp_path, epoch):
    make_runner(tmp_path, SGD, [pruning(), dict(type='EMAHook')], epochs=4).train()
    state = torch.load(tmp_path / f'epoch_{epoch}.pth', weights_only=True)['channel_pruning']
    assert (state['channels'] is None) == (state['masks'] is not None)
