import runpy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmadasap.engine.inspection import format_report, inspect_slim
from mmadasap.engine.origin import origin_of
from mmadasap.errors import UserError
from mmadasap.pruning import Budget, count_parameters
from tests.engine.hooks.test_channel_pruning_hook import SGD, pruning
from tests.toys import ToyClassifier, make_runner


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp('inspect')
    make_runner(root / 'dense', SGD, epochs=1).train()
    make_runner(root / 'slim', SGD, [pruning()], epochs=4, load_from=str(root / 'dense/epoch_1.pth')).train()
    resume = str(root / 'slim/epoch_4.pth')
    make_runner(root / 'slim', SGD, [pruning()], epochs=5, load_from=resume, resume=True).train()
    return root


@pytest.mark.parametrize('epoch', [4, 5])
def test_widths_budget_and_parent(folder, epoch):
    path = folder / f'slim/epoch_{epoch}.pth'
    report = inspect_slim(str(path))
    weights = torch.load(path, weights_only=True)['state_dict']
    assert report.after == {name: len(weights[f'{name}.weight']) for name in report.after}
    assert report.before['net.conv1'] == 6 and report.before['net.stem'] == 8
    assert report.parameters[0] == count_parameters(ToyClassifier())
    assert report.parameters[1] < report.parameters[0]
    assert report.budget == Budget('macs', 0.5)
    assert report.parents == [str(folder / 'dense/epoch_1.pth')]
    text = format_report(report)
    assert 'budget: 50% of the macs' in text and 'dense/epoch_1.pth' in text


def test_a_dense_checkpoint_has_nothing_to_show(folder):
    with pytest.raises(UserError, match='epoch_1.pth holds a dense network'):
        inspect_slim(str(folder / 'dense/epoch_1.pth'))


def test_a_pruned_checkpoint_without_its_config_says_so(tmp_path):
    torch.save(dict(channel_pruning=dict(channels={}), state_dict=dict(w=torch.ones(1))), tmp_path / 'c.pth')
    with pytest.raises(UserError, match='not its config'):
        inspect_slim(str(tmp_path / 'c.pth'))


TRAIN = runpy.run_path(str(Path(__file__).parents[2] / 'tools/train.py'))['main']


def fine_tune(folder, monkeypatch, epochs, *flags):
    """Trains from slim.py as a user does, with two classes more."""
    config = folder / 'fine.py'
    config.write_text(f"_base_ = '{folder}/slim/slim.py'\nload_from = '{folder}/slim/epoch_5.pth'\n"
                      f'model = dict(classes=5)\ntrain_cfg = dict(max_epochs={epochs})\n')
    monkeypatch.setattr('sys.argv', ['train.py', str(config), '--work-dir', str(folder / 'fine'), *flags])
    TRAIN()


def test_a_fine_tuned_checkpoint_tells_its_budget_and_its_parents(folder, monkeypatch):
    fine_tune(folder, monkeypatch, 1)
    fine_tune(folder, monkeypatch, 2, '--resume')
    for epoch in (1, 2):
        path = folder / f'fine/epoch_{epoch}.pth'
        assert 'channel_pruning' not in torch.load(path, weights_only=True)
        report = inspect_slim(str(path))
        assert report.budget == Budget('macs', 0.5)
        assert report.parents == [str(folder / 'slim/epoch_5.pth'), str(folder / 'dense/epoch_1.pth')]
        text = format_report(report)
        assert 'budget: 50% of the macs' in text
        assert f'started from: {folder}/slim/epoch_5.pth, which started from {folder}/dense/epoch_1.pth' in text


def test_pruning_again_tells_both_generations(folder, tmp_path):
    slim = Config.fromfile(folder / 'slim/slim.py')
    start = str(folder / 'slim/epoch_5.pth')
    make_runner(tmp_path, SGD, [pruning(keep=0.9)], epochs=4, load_from=start, model=slim.model.to_dict(),
                slim_origin=slim.slim_origin).train()
    report = inspect_slim(str(tmp_path / 'epoch_4.pth'))
    assert report.parents == [start, str(folder / 'dense/epoch_1.pth')] and report.budget == Budget('macs', 0.9)


def test_checkpoints_from_before_configs_told_it_still_do(folder, tmp_path):
    checkpoint = torch.load(folder / 'slim/epoch_5.pth', weights_only=True)
    cfg = Config.fromstring(checkpoint['meta']['cfg'], '.py')
    del cfg._cfg_dict['slim_origin']
    checkpoint['meta']['cfg'] = cfg.pretty_text
    torch.save(checkpoint, tmp_path / 'c.pth')
    report = inspect_slim(str(tmp_path / 'c.pth'))
    assert report.parents == [str(folder / 'dense/epoch_1.pth')] and report.budget == Budget('macs', 0.5)


@pytest.mark.parametrize('origin, message', [
    (5, 'slim_origin=5 is no dict'),
    (dict(parents=[3]), r"slim_origin\['parents'\]=\[3\] is no list of paths"),
    (dict(parents='a.pth'), r"slim_origin\['parents'\]='a.pth' is no list of paths"),
    (dict(budget=7), 'budget=7 is no dict'),
    (dict(budget=dict(kep=1)), "budget={'kep': 1}"),
])
def test_a_damaged_origin_is_named(origin, message):
    with pytest.raises(UserError, match=message):
        origin_of(Config(dict(slim_origin=origin)))
