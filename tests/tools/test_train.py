"""What ``tools/train.py`` adds to every run."""
import runpy

import pytest
import torch

from tests.engine.hooks.test_channel_pruning_hook import SGD
from tests.tools.test_tools import ROOT
from tests.toys import make_runner

TRAIN = runpy.run_path(str(ROOT / 'tools/train.py'))['main']
PLAIN = dict(type='mmadasap.PlainCheckpointHook')


@pytest.mark.parametrize('hooks', [[], [dict(type='EMAHook')], [PLAIN]], ids=['none', 'average', 'plain'])
def test_checkpoints_of_a_dense_run_need_no_unpickling_and_resume(tmp_path, monkeypatch, hooks):
    schedule = [dict(type='CosineAnnealingLR', T_max=5, by_epoch=True)]
    cfg = make_runner(tmp_path, SGD, hooks, epochs=1, param_scheduler=schedule).cfg
    for epochs, flags in ((1, []), (2, ['--resume'])):
        cfg.train_cfg.max_epochs = epochs
        cfg.dump(tmp_path / 'dense.py')
        monkeypatch.setattr('sys.argv', ['train.py', str(tmp_path / 'dense.py'), '--work-dir', str(tmp_path), *flags])
        TRAIN()
        loaded = torch.load(tmp_path / f'epoch_{epochs}.pth', weights_only=True)
        assert loaded['meta']['epoch'] == epochs and loaded['meta']['cfg'].count(PLAIN['type']) == 1
