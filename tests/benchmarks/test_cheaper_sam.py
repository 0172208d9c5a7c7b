import json
import sys

import cheaper_sam
import pytest

from mmadasap.errors import UserError
from tests.toys import make_runner


def test_time_is_read_from_plain_checkpoints(tmp_path):
    make_runner(tmp_path, dict(type='OptimWrapper'), [dict(type='mmadasap.PlainCheckpointHook')], epochs=1).train()
    assert 0 < cheaper_sam.training_seconds(str(tmp_path / 'epoch_1.pth')) < 60


def test_results_of_other_epochs_are_not_written_over(tmp_path, monkeypatch):
    out = tmp_path / 'out.json'
    out.write_text(json.dumps(dict(epochs=15, variants={})))
    monkeypatch.setattr(sys, 'argv', ['cheaper_sam.py', '--epochs', '60', '--out', str(out)])
    with pytest.raises(UserError, match='holds results of 15 epochs; give another --out for --epochs 60'):
        cheaper_sam.main()
