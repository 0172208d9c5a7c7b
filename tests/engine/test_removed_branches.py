"""Checkpoints of detectors that lost residual branches: shown, and never mixed with others."""
import copy
import re

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmadasap.engine.host import raw_outputs
from mmadasap.engine.inspection import format_report, inspect_slim
from mmadasap.engine.slim_config import check_widths, dense_config, slim_config
from mmadasap.errors import UserError
from mmadasap.pruning import channel_spec, count_parameters, find_branches, trace_groups
from mmadasap.pruning.branches import remove
from mmadasap.registry import MODELS
from tests.toy_detector import toy_detector

BLOCK = 'backbone.layer1.1'


@pytest.fixture
def networks():
    """The dense network, the one without a branch, and the latter's checkpoint."""
    init_default_scope('mmdet')
    cfg = Config(dict(model=toy_detector(), default_scope='mmdet'))
    dense = MODELS.build(cfg.model).eval()
    x = torch.zeros(1, 3, 32, 32)
    found = find_branches(dense, x, raw_outputs, trace_groups(dense, x, raw_outputs))
    slim = copy.deepcopy(dense)
    remove(slim, [b for b in found if b.block == BLOCK])
    channels = channel_spec(slim, [])
    checkpoint = dict(state_dict=slim.state_dict(), meta=dict(cfg=slim_config(cfg, channels).pretty_text),
                      channel_pruning=dict(channels=channels, masks=None, budget=None, parent=None))
    return dense, slim, checkpoint


def test_layers_that_are_gone_are_shown_with_no_channels(networks, tmp_path):
    dense, slim, checkpoint = networks
    torch.save(checkpoint, tmp_path / 'slim.pth')
    report = inspect_slim(str(tmp_path / 'slim.pth'))
    assert report.before == {f'{BLOCK}.conv1': 4, f'{BLOCK}.conv2': 4}
    assert report.after == {f'{BLOCK}.conv1': 0, f'{BLOCK}.conv2': 0}
    assert report.parameters == (count_parameters(dense), count_parameters(slim))
    assert f'{BLOCK}.conv1' in format_report(report)


def test_neither_fits_the_other(networks):
    dense, slim, checkpoint = networks
    check_widths(slim, checkpoint)
    check_widths(dense, dict(state_dict=dense.state_dict()))
    with pytest.raises(UserError, match=rf'holds a dense network .*{BLOCK}.conv1.weight .* and gone in the model'):
        check_widths(slim, dict(state_dict=dense.state_dict()))
    with pytest.raises(UserError, match=f'holds a pruned network .*it has no residual branch in {BLOCK}'):
        check_widths(dense, checkpoint)


def test_the_command_names_the_files_that_are_there(networks, tmp_path):
    dense, _, checkpoint = networks
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a/slim.py').touch()
    for path, command in ((None, '<its slim.py> <checkpoint>'),
                          (f'{tmp_path}/c.pth', f'<its slim.py> {tmp_path}/c.pth'),
                          (f'{tmp_path}/a/c d.pth', f"{tmp_path}/a/slim.py '{tmp_path}/a/c d.pth'")):
        with pytest.raises(UserError, match=f'run "python tools/test.py {re.escape(command)}".$'):
            check_widths(dense, checkpoint, path)


def test_the_config_of_the_dense_network_comes_back():
    slim = slim_config(Config(dict(model=toy_detector())), {BLOCK: dict(gone=['conv1'], stays=['relu'])})
    assert dense_config(slim).model == toy_detector() and slim.model.type == 'mmadasap.SlimModel'
