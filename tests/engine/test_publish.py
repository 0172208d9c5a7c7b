import hashlib

import torch
from mmengine.hooks import EMAHook

from mmadasap.engine.publish import publish
from tests.engine.hooks.test_channel_pruning_hook import SGD, pruning
from tests.toys import make_runner


def test_weights_and_config_are_kept_under_a_hash(tmp_path):
    runner = make_runner(tmp_path, SGD, [pruning()], epochs=4)
    runner.train()
    path = publish(str(tmp_path / 'epoch_4.pth'), str(tmp_path / 'out' / 'toy.pth'))
    with open(path, 'rb') as file:
        assert path.endswith(f'toy-{hashlib.sha256(file.read()).hexdigest()[:8]}.pth')
    published = torch.load(path, weights_only=True)
    assert set(published) == {'meta', 'state_dict', 'channel_pruning'} and 'SlimModel' in published['meta']['cfg']
    assert all(torch.equal(v, published['state_dict'][k]) for k, v in runner.model.state_dict().items())
    assert len(list((tmp_path / 'out').iterdir())) == 1


def test_a_checkpoint_of_plain_mmengine_becomes_plain(tmp_path):
    make_runner(tmp_path, SGD, epochs=1).train()
    published = torch.load(publish(str(tmp_path / 'epoch_1.pth'), str(tmp_path / 'p.pth')), weights_only=True)
    assert set(published) == {'meta', 'state_dict'} and published['meta']['epoch'] == 1


def test_of_a_run_with_an_average_that_is_published(tmp_path):
    runner = make_runner(tmp_path, SGD, [dict(type='EMAHook', momentum=0.5)], epochs=1)
    runner.train()
    published = torch.load(publish(str(tmp_path / 'epoch_1.pth'), str(tmp_path / 'p.pth')), weights_only=True)
    average = next(hook for hook in runner.hooks if isinstance(hook, EMAHook)).ema_model.module.state_dict()
    weights = runner.model.state_dict()
    assert all(torch.equal(published['state_dict'][name], average[name]) for name in weights)
    assert not torch.equal(average['net.fc.weight'], weights['net.fc.weight'])


def test_the_same_weights_get_the_same_name(tmp_path):
    make_runner(tmp_path, SGD, epochs=1).train()
    paths = {publish(str(tmp_path / 'epoch_1.pth'), str(tmp_path / 'p.pth')) for _ in range(2)}
    assert len(paths) == 1


def test_weights_alone_are_published(tmp_path):
    torch.save({'fc.weight': torch.ones(2)}, tmp_path / 'raw.pth')
    published = torch.load(publish(str(tmp_path / 'raw.pth'), str(tmp_path / 'p.pth')), weights_only=True)
    assert set(published) == {'meta', 'state_dict'} and torch.equal(published['state_dict']['fc.weight'], torch.ones(2))
