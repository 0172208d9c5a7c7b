import pytest
import torch

from mmadasap.engine.checkpoint import checkpoint_config, read_checkpoint
from mmadasap.errors import UserError


def test_a_module_that_is_absent_is_no_damage():
    text = "custom_imports = dict(imports='nowhere_to_be_found')\nmodel = dict(type='mmadasap.SlimModel')\n"
    with pytest.raises(UserError, match='needs what cannot be imported here .*nowhere_to_be_found.*; install it'):
        checkpoint_config(dict(meta=dict(cfg=text)))


def test_a_path_below_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    torch.save({'weight': torch.ones(1)}, tmp_path / 'a.pth')
    assert read_checkpoint('~/a.pth')['weight'] == 1
