import copy

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import MODELS, init_default_scope
from mmpretrain.models import losses
from torch import nn

from mmadasap.engine import MESAHook
from mmadasap.errors import UserError
from mmadasap.sharpness import trajectory_loss
from tests.engine.hooks.test_channel_pruning_hook import SGD, pruning
from tests.toy_detector import detector_loader, toy_detector
from tests.toys import ToyData, ToyLinear, make_runner, same, values

PLAIN = dict(type='OptimWrapper')


def mesa(**kwargs):
    return dict(type='mmadasap.MESAHook', head='net.fc', begin=0, decay=0.5) | kwargs


def losses_of(runner):
    """The logged loss_mesa of each iteration."""
    runner.train()
    buffer = runner.message_hub.log_scalars.get('train/loss_mesa')
    return [] if buffer is None else buffer.data[0].tolist()


def test_the_loss_is_zero_while_the_copy_is_the_network_and_grows_as_it_lags(tmp_path):
    # The copy speaks with the statistics it has, the network with its batch's: norm-free, they agree at first.
    model = dict(type='ToyLinear')
    found = losses_of(make_runner(tmp_path / 'a', PLAIN, [mesa(head='last')], model=model, batch_size=12, epochs=3))
    assert abs(found[0]) < 1e-6 and found[1] > 1e-6 and len(found) == 3
    late = losses_of(
        make_runner(tmp_path / 'b', PLAIN, [mesa(head='last', begin=2)], model=model, batch_size=12, epochs=3))
    assert len(late) == 1 and late[0] > 1e-6


# What heads of the hosts have that tell sigmoids from a softmax.
HEADS = dict(
    mmdet=lambda sigmoid: dict(use_sigmoid_cls=sigmoid),
    cross_entropy=lambda sigmoid: dict(loss_module=losses.CrossEntropyLoss(use_sigmoid=sigmoid)),
    smoothed=lambda sigmoid: dict(loss_module=losses.LabelSmoothLoss(0.1, 3, use_sigmoid=sigmoid, mode=(
        'multi_label' if sigmoid else 'original'))),
    focal=lambda sigmoid: dict(loss_module=losses.FocalLoss() if sigmoid else losses.CrossEntropyLoss()))


@pytest.mark.parametrize('host', HEADS)
@pytest.mark.parametrize('sigmoid', [False, True])
def test_the_loss_is_the_distance_to_the_average_of_all_weights_so_far(tmp_path, sigmoid, host):
    steps = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1.0))
    hook = mesa(head='last', decay=0.9, weight=0.7, temperature=2.0)
    # The whole data set in every batch.
    runner = make_runner(tmp_path, steps, [hook, dict(type='KeepWeights')], dict(type='ToyLinear'), 4, batch_size=12)
    for name, value in HEADS[host](sigmoid).items():
        setattr(runner.model.last, name, value)
    found, weights, model = losses_of(runner), torch.load(tmp_path / 'rank0.pt'), ToyLinear()

    def scores(row):
        nn.utils.vector_to_parameters(row, model.parameters())
        return model(inputs=ToyData().images).detach()

    copy = weights[0]
    for value, now, following in zip(found, weights[:-1], weights[1:], strict=True):
        assert value == pytest.approx(0.7 * float(trajectory_loss(scores(now), scores(copy), 2.0, sigmoid)), abs=1e-6)
        copy = 0.9 * copy + 0.1 * following
    assert found[-1] > 1e-3


def test_a_loaded_network_is_where_the_copy_starts(tmp_path):
    make_runner(tmp_path / 'first', PLAIN, model=dict(type='ToyLinear'), epochs=1).train()
    [first] = losses_of(make_runner(
        tmp_path / 'second', PLAIN, [mesa(head='last', decay=0.9)], dict(type='ToyLinear'), 1, batch_size=12,
        load_from=str(tmp_path / 'first/epoch_1.pth')))
    assert abs(first) < 1e-6


def test_a_detector_of_mmdet(tmp_path):
    # As many iterations as the detector's toy data have batches of two: at the first the copy is the network.
    init_default_scope('mmdet')
    runner = make_runner(
        tmp_path, PLAIN, [mesa(head='bbox_head')], model=toy_detector(norm_eval=True), epochs=1,
        train_dataloader=detector_loader(), default_scope='mmdet')
    found = losses_of(runner)
    assert len(found) == 3 and abs(found[0]) < 1e-6 and min(found[1:]) > 1e-9


def test_weight_zero_is_plain_training_to_the_bit(tmp_path):
    plain = values(make_runner(tmp_path / 'plain', PLAIN).train())
    assert same(values(make_runner(tmp_path / 'mesa', PLAIN, [mesa(weight=0.0)]).train()), plain)
    assert not same(values(make_runner(tmp_path / 'more', PLAIN, [mesa(weight=5.0)]).train()), plain)


def test_a_run_resumes_to_the_bit(tmp_path):
    whole = values(make_runner(tmp_path / 'whole', PLAIN, [mesa()], epochs=3).train())
    make_runner(tmp_path / 'first', PLAIN, [mesa()], epochs=1).train()
    resumed = make_runner(
        tmp_path / 'second', PLAIN, [mesa()], epochs=3, resume=True,
        load_from=str(tmp_path / 'first/epoch_1.pth')).train()
    assert same(values(resumed), whole)


def test_the_copy_becomes_slim_with_the_network(tmp_path):
    runner = make_runner(tmp_path, SGD, [pruning(), mesa()], epochs=4)
    runner.train()
    copy = next(h for h in runner.hooks if isinstance(h, MESAHook)).ema_model.module
    shapes = {name: p.shape for name, p in runner.model.named_parameters()}
    assert {name: p.shape for name, p in copy.named_parameters()} == shapes
    assert shapes['net.conv1.weight'] != torch.Size([6, 8, 3, 3])


@pytest.mark.parametrize('kwargs, message', [(dict(weight=-1), 'weight=-1'), (dict(decay=1), 'decay=1'),
                                             (dict(decay=0), 'decay=0'),
                                             (dict(temperature=0), 'temperature=0'), (dict(begin=-1), 'begin=-1')])
def test_wrong_arguments_are_refused(kwargs, message):
    with pytest.raises(UserError, match=message):
        MESAHook(**kwargs)


def test_a_head_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="head='bbox_head' is no module of ToyClassifier"):
        make_runner(tmp_path, PLAIN, [mesa(head='bbox_head')]).train()


def test_by_iterations_it_begins_after_as_many_passes(tmp_path):
    # Three iterations a pass.
    loops = dict(train_cfg=dict(by_epoch=False, max_iters=8))
    assert len(losses_of(make_runner(tmp_path, PLAIN, [mesa(begin=2)], **loops))) == 2


def test_before_it_begins_the_model_can_be_copied(tmp_path):
    runner = make_runner(tmp_path, PLAIN, [mesa(begin=9)], epochs=1)
    copies = []

    class Copying(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            copies.append(copy.deepcopy(runner.model))

    runner.register_hook(Copying())
    runner.train()
    assert len(copies) == 3


class Wrong(nn.Module):
    """A head whose first output is no map of logits."""

    def __init__(self, classes, output):
        super().__init__()
        self.cls_out_channels, self.output = classes, output

    def forward(self, x):
        return self.output(x), x


@pytest.mark.parametrize('classes, output, message', [
    (3, lambda x: x[:, :4], 'writes first, 4 channels, is not the scores of its classes .3.'),
    (None, lambda x: x, 'writes first, 5 channels, is not the scores of its classes .it does not say how many.'),
    (5, torch.sigmoid, 'Wrong gives probabilities where logits are needed')],
    ids=['boxes among them', 'unknown', 'probabilities'])
def test_heads_that_give_no_logits_of_classes_are_refused_at_the_first_step(tmp_path, classes, output, message):
    @MODELS.register_module(force=True)
    class Headed(BaseModel):
        def __init__(self):
            super().__init__()
            self.conv, self.bbox_head = nn.Conv2d(3, 5, 1), Wrong(classes, output)

        def forward(self, inputs, labels=None, mode='tensor'):
            outputs = self.bbox_head(self.conv(inputs))
            return dict(loss=outputs[0].mean()) if mode == 'loss' else outputs

    runner = make_runner(tmp_path, PLAIN, [mesa(head='bbox_head')], dict(type='Headed'))
    with pytest.raises(UserError, match=f'{message}.*; train without MESAHook'):
        runner.train()
