from collections import namedtuple

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from mmadasap.engine.plain_checkpoint import make_plain, make_resumable, to_plain
from tests.toys import make_runner, same, values


def test_numpy_and_histories_become_plain_at_any_depth():
    plain = to_plain(dict(a=[np.float64(1.5), (np.arange(2), 'text')], b=None, c=HistoryBuffer([1.0, 2.0], [3, 4], 9)))
    assert type(plain['a'][0]) is float and torch.equal(plain['a'][1][0], torch.arange(2))
    assert plain['a'][1][1] == 'text' and plain['b'] is None
    assert plain['c']['history'].tolist() == [1, 2] and plain['c']['max_length'] == 9


def test_text_in_arrays_and_named_tuples_become_plain():
    pair = namedtuple('Pair', 'a b')(1, np.array(['cat', 'dog']))
    plain = to_plain(dict(pair=pair))['pair']
    assert type(plain) is tuple and plain == (1, ['cat', 'dog'])


def test_a_checkpoint_comes_back_through_a_file_that_needs_no_unpickling(tmp_path):
    buffer = HistoryBuffer([0.5, 0.25], [2, 2], 100)
    checkpoint = dict(
        meta=dict(time='now', seed=np.int64(3)), state_dict=dict(w=torch.ones(2)),
        message_hub=dict(log_scalars={'train/loss': buffer}, runtime_info={}, resumed_keys={'train/loss': True}))
    make_plain(checkpoint)
    torch.save(checkpoint, tmp_path / 'c.pth')
    loaded = torch.load(tmp_path / 'c.pth', weights_only=True)
    make_resumable(loaded)
    again = loaded['message_hub']['log_scalars']['train/loss']
    assert isinstance(again, HistoryBuffer) and again.mean() == buffer.mean() and again.max_length == 100
    assert loaded['meta']['seed'] == 3


def test_a_schedule_that_holds_a_function_resumes_without_unpickling(tmp_path):
    def run(folder, **kwargs):
        runner = make_runner(tmp_path / folder, dict(type='OptimWrapper'), [dict(type='mmadasap.PlainCheckpointHook')],
                             param_scheduler=dict(type='OneCycleLR', eta_max=0.1, total_steps=6, by_epoch=False),
                             **kwargs)
        runner.train()
        return runner

    whole = run('whole')
    loaded = torch.load(tmp_path / 'whole/epoch_1.pth', weights_only=True)
    assert loaded['param_schedulers'][0]['last_step'] == 3
    again = run('again', resume=True, load_from=str(tmp_path / 'whole/epoch_1.pth'))
    assert same(values(again.model), values(whole.model))


def test_checkpoints_of_plain_mmengine_are_left_alone():
    checkpoint = dict(message_hub=dict(log_scalars={'train/loss': HistoryBuffer([1.0], [1])}))
    make_resumable(checkpoint)
    assert checkpoint['message_hub']['log_scalars']['train/loss'].current() == 1
    make_resumable({})
