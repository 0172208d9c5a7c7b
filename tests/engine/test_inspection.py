import pytest
import torch

from mmadasap.engine.inspection import format_report, inspect_slim
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
    assert report.budget == Budget('macs', 0.5) and report.parent == str(folder / 'dense/epoch_1.pth')
    text = format_report(report)
    assert 'budget: 50% of the macs' in text and 'dense/epoch_1.pth' in text


def test_a_dense_checkpoint_has_nothing_to_show(folder):
    with pytest.raises(UserError, match='epoch_1.pth holds a dense network'):
        inspect_slim(str(folder / 'dense/epoch_1.pth'))


def test_a_pruned_checkpoint_without_its_config_says_so(tmp_path):
    torch.save(dict(channel_pruning=dict(channels={}), state_dict=dict(w=torch.ones(1))), tmp_path / 'c.pth')
    with pytest.raises(UserError, match='not its config'):
        inspect_slim(str(tmp_path / 'c.pth'))
