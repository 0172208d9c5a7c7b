"""Checkpoints as mmengine itself writes them, read without trusting pickle."""
from pickle import UnpicklingError

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmadasap.engine.checkpoint import read_checkpoint
from mmadasap.engine.safe_globals import allow_histories
from mmadasap.errors import UserError
from tests.toys import make_runner


@pytest.fixture(autouse=True)
def allowed():
    # The OneDL fork allows its own while it reads, and with them takes away ours.
    allow_histories()


class Evil:

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


def test_what_mmengine_writes_is_read(tmp_path):
    make_runner(tmp_path, dict(type='OptimWrapper')).train()
    path = tmp_path / 'epoch_1.pth'
    loaded = torch.load(path, weights_only=True)
    loss = loaded['message_hub']['log_scalars']['train/loss']
    assert isinstance(loss, HistoryBuffer) and len(loss.data[0]) == 3 and loss.mean() > 0
    assert read_checkpoint(str(path)).keys() == loaded.keys()


@pytest.mark.parametrize('value', [np.float64(0.1), np.int64(3), np.float32(2), np.arange(3), np.ones(2, np.float32)])
def test_numbers_and_arrays_are_read(tmp_path, value):
    torch.save(dict(meta=value), tmp_path / 'x.pth')
    assert np.array_equal(torch.load(tmp_path / 'x.pth', weights_only=True)['meta'], value)


@pytest.mark.parametrize('call', [
    (getattr, (HistoryBuffer, '__init__')), (getattr, (np.ndarray, 'tofile')), (eval, ('1', ))])
def test_nothing_else_is(tmp_path, call):
    torch.save(dict(meta=Evil(*call)), tmp_path / 'x.pth')
    with pytest.raises(UnpicklingError):
        torch.load(tmp_path / 'x.pth', weights_only=True)


def test_a_file_that_is_not_read_is_told_without_colours(tmp_path, monkeypatch):
    torch.save(dict(state_dict=dict(weight=torch.ones(1)), meta=Evil(eval, ('1', ))), tmp_path / 'x.pth')
    monkeypatch.setattr('mmadasap.engine.checkpoint.CheckpointLoader.load_checkpoint',
                        lambda path, map_location: torch.load(path, weights_only=True))
    with pytest.raises(UserError, match='x.pth cannot be read as a checkpoint') as caught:
        read_checkpoint(str(tmp_path / 'x.pth'))
    assert '\x1b' not in str(caught.value) and 'eval' in str(caught.value) and '\n' not in str(caught.value)
