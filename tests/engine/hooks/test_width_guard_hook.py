import re

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, OptimWrapperDict

from mmadasap.errors import UserError
from tests.engine.hooks.test_channel_pruning_hook import SGD, pruning
from tests.toys import make_runner, same, values

GUARD = dict(type='mmadasap.WidthGuardHook')


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """Folders of a dense run, of a pruning run, and of one that prunes less."""
    root = tmp_path_factory.mktemp('runs')
    make_runner(root / 'dense', SGD, epochs=1).train()
    make_runner(root / 'slim', SGD, [pruning()], epochs=4).train()
    make_runner(root / 'less', SGD, [pruning(keep=0.75)], epochs=4).train()
    return root


def load(tmp_path, checkpoint, model=None, hooks=(GUARD, ), resume=False):
    runner = make_runner(tmp_path, SGD, hooks, model=model, epochs=5, load_from=str(checkpoint), resume=resume)
    runner.load_or_resume()
    return runner


def slim_model(runs, name):
    return Config.fromfile(runs / name / 'slim.py').model.to_dict()


@pytest.mark.parametrize('command', ['test.py {config} {path}', 'train.py {config} --cfg-options load_from={path}',
                                     'train.py {config} --resume {path}'])
@pytest.mark.parametrize('checkpoint, model, message, config', [
    ('slim/epoch_4.pth', None, r'a pruned network .*net\.\w+\.weight \(.*\) in the checkpoint', 'slim/slim.py'),
    ('dense/epoch_1.pth', 'slim', 'a dense network of other widths', None),
    ('less/epoch_4.pth', 'slim', 'a pruned network of other widths', 'less/slim.py'),
])
def test_mixed_widths_are_refused_with_the_command_to_run(runs, tmp_path, checkpoint, model, message, config, command):
    model = slim_model(runs, model) if model else None
    runner = make_runner(tmp_path, SGD, [GUARD], model=model, epochs=5, load_from=str(runs / checkpoint),
                         resume='--resume' in command)
    command = command.format(config=runs / config if config else '<its dense config>', path=runs / checkpoint)
    with pytest.raises(UserError, match=rf'{message}.* run "python tools/{re.escape(command)}"'):
        runner.load_or_resume() if 'test.py' in command else runner.train()


def test_matching_widths_and_another_number_of_classes_pass(runs, tmp_path):
    runner = load(tmp_path / 'a', runs / 'slim/epoch_4.pth', slim_model(runs, 'slim'))
    adopted = load(tmp_path / 'b', runs / 'slim/epoch_4.pth', hooks=[pruning(), GUARD], resume=True)
    assert same(values(runner.model), values(adopted.model))
    load(tmp_path / 'c', runs / 'slim/epoch_4.pth', slim_model(runs, 'slim') | dict(classes=7))
    load(tmp_path / 'd', runs / 'dense/epoch_1.pth', dict(classes=7))


def test_runs_with_several_optimizers_load_and_resume(tmp_path, runs):
    """As adversarial training has them, with tools/train.py's hooks."""
    def run(folder, **kwargs):
        runner = make_runner(tmp_path / folder, SGD, [GUARD, dict(type='mmadasap.PlainCheckpointHook')], **kwargs)
        model = runner.model
        runner.optim_wrapper = OptimWrapperDict(
            fc=OptimWrapper(torch.optim.SGD(model.net.fc.parameters(), lr=0.1)),
            stem=OptimWrapper(torch.optim.SGD(model.net.stem.parameters(), lr=0.1)))
        model.train_step = lambda data, optim_wrapper: model(**data, mode='loss')
        runner.train()

    run('first', epochs=1, load_from=str(runs / 'dense/epoch_1.pth'))
    run('second', epochs=2, load_from=str(tmp_path / 'first/epoch_1.pth'), resume=True)
    assert (tmp_path / 'second/epoch_2.pth').exists()
