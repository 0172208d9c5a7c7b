import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import EMAHook, Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import METRICS

from mmadasap.engine import ChannelPruningHook
from mmadasap.errors import UserError
from mmadasap.pruning import COSTS, trace_layers
from mmadasap.registry import MODELS
from tests.toys import make_runner, same, values

SAM = dict(type='mmadasap.AdaSAPOptimWrapper', radius=dict(type='AdaptiveRadius', rho_min=0.01, rho_max=0.1))
SGD = dict(type='OptimWrapper')


def pruning(begin=1, end=3, interval=2, keep=0.5, **kwargs):
    return dict(
        type='mmadasap.ChannelPruningHook',
        input_size=8,
        budget=dict(cost='macs', keep=keep),
        begin=begin,
        end=end,
        interval=interval,
        protect=kwargs.pop('protect', ()),
        **kwargs)


UNIFORM = dict(type='mmadasap.SharpnessPhaseHook', radius=dict(type='UniformRadius', rho=0.05))


@METRICS.register_module()
class FallingAccuracy(BaseMetric):
    """Less each time."""

    def __init__(self):
        super().__init__()
        self.times = 0

    def process(self, data_batch, data_samples):
        self.results.append(1)

    def compute_metrics(self, results):
        self.times += 1
        return dict(accuracy=1 / self.times)


VALIDATION = dict(
    val_cfg=dict(), val_evaluator=dict(type='FallingAccuracy'), val_dataloader=dict(
        dataset=dict(type='ToyData'), batch_size=12, sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate')))


def hook_of(runner, kind=ChannelPruningHook):
    return next(h for h in runner.hooks if isinstance(h, kind))


def momentum(runner):
    state = runner.optim_wrapper.optimizer.state
    return {str(i): state[p]['momentum_buffer'].clone() for i, p in enumerate(runner.model.parameters())}


@pytest.mark.parametrize('wrapper', [SGD, SAM])
@pytest.mark.parametrize('importance', ['MagnitudeImportance', 'TaylorImportance'])
def test_a_run_prunes_to_its_budget_and_ends_slim(tmp_path, wrapper, importance):
    runner = make_runner(tmp_path, wrapper, [pruning(importance=dict(type=importance))], epochs=4)
    model = runner.train()
    hook = hook_of(runner)
    layers = trace_layers(model, torch.zeros(1, 3, 8, 8), lambda m, x: m(x))
    macs = sum(COSTS['macs'](layer, layer.in_width, layer.out_width) for layer in layers)
    dense = 64 * (8 * 27 + 6 * 8 * 9 + 8 * 6 + 8 * 9) + 24
    assert 0.4 * dense < macs <= 0.5 * dense
    assert model.net.conv1.out_channels < 6 and model.net.conv1.weight.shape[0] == model.net.conv1.out_channels
    assert runner.optim_wrapper.optimizer.param_groups[0]['params'] == list(model.parameters())
    for p in model.parameters():
        assert runner.optim_wrapper.optimizer.state[p]['momentum_buffer'].shape == p.shape
    assert set(hook.channels) >= {'net.stem', 'net.conv1', 'net.norm1', 'net.fc'}


class Watch(Hook):
    """Keeps, for every iteration, how many channels of conv1 live, and whether all that is the others' is zero."""

    priority = 'LOWEST'

    def __init__(self):
        self.live, self.clean = [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        net = runner.model.net
        rows = [net.conv1.weight, net.conv1.bias, net.norm1.weight, net.norm1.bias, net.conv2.weight.transpose(0, 1)]
        alive, *others = [row.detach().flatten(1).any(1) if row.dim() > 1 else row != 0 for row in rows]
        self.live.append(int(alive.sum()))
        self.clean.append(not any((other & ~alive).any() for other in others))


@pytest.mark.parametrize('wrapper', [SGD, SAM])
def test_masks_hold_through_the_phase(tmp_path, wrapper):
    watch = Watch()
    # Under ReLU what is dead would get no gradient, and stay dead without a mask.
    runner = make_runner(tmp_path, wrapper, [pruning(interval=2)], dict(activation='Sigmoid'), epochs=4)
    runner.register_hook(watch)
    runner.train()
    # Three iterations an epoch: the phase is 4..9 with steps after 5, 7 and 9.
    assert watch.live[:4] == [6] * 4
    assert watch.live[4] == watch.live[5] and watch.live[6] == watch.live[7]
    assert sorted(watch.live, reverse=True) == watch.live and watch.live[-1] < 6
    assert all(watch.clean)


def test_a_phase_counted_in_iterations_is_the_one_counted_in_epochs(tmp_path):
    def train(folder, hook, sampler, loop):
        loader = dict(dataset=dict(type='ToyData'), batch_size=4, num_workers=0, sampler=dict(
            type=sampler, shuffle=False), collate_fn=dict(type='default_collate'))
        return values(make_runner(tmp_path / folder, SGD, [hook], train_dataloader=loader, train_cfg=loop).train())

    by_epochs = train('epochs', pruning(), 'DefaultSampler', dict(by_epoch=True, max_epochs=4))
    by_iterations = train('iterations', pruning(begin=3, end=9, by_epoch=False), 'InfiniteSampler',
                          dict(by_epoch=False, max_iters=12))
    assert len(by_epochs['net.conv1.bias']) < 6 and same(by_iterations, by_epochs)


@pytest.mark.parametrize('epoch', [2, 3], ids=['in the middle of the phase', 'after surgery'])
@pytest.mark.parametrize('importance', ['MagnitudeImportance', 'TaylorImportance'])
def test_resuming_goes_on_as_the_uninterrupted_run(tmp_path, epoch, importance):

    def make(folder, **kwargs):
        hooks = [pruning(interval=4, importance=dict(type=importance)), UNIFORM]
        return make_runner(tmp_path / folder, SAM, hooks, epochs=5, **kwargs)

    whole = make('whole')
    whole.train()
    again = make('again', resume=True, load_from=str(tmp_path / f'whole/epoch_{epoch}.pth'))
    again.train()
    assert hook_of(again).channels == hook_of(whole).channels
    assert same(values(again.model), values(whole.model))
    assert same(momentum(again), momentum(whole))
    assert again.optim_wrapper.radius == whole.optim_wrapper.radius


@pytest.mark.parametrize('update_buffers', [False, True])
def test_an_averaged_model_is_masked_and_shrinks_along(tmp_path, update_buffers):
    ema = dict(type='EMAHook', update_buffers=update_buffers)
    clean = []

    class AverageWatch(Hook):
        priority = 'NORMAL'

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            pruner = hook_of(runner)._pruner
            if pruner is not None and runner.iter + 1 in (5, 7):
                dead = ~pruner.kept['net.conv1']
                clean.append(not hook_of(runner, EMAHook).ema_model.module.net.conv1.weight[dead].any())

    runner = make_runner(tmp_path, SGD, [pruning(), ema], epochs=4)
    runner.register_hook(AverageWatch())
    runner.train()
    average = hook_of(runner, EMAHook).ema_model.module
    assert clean == [True, True]
    assert {k: v.shape for k, v in average.state_dict().items()} == {
        k: v.shape for k, v in runner.model.state_dict().items()}
    resumed = make_runner(tmp_path / 'again', SGD, [pruning(), ema], epochs=5, resume=True,
                          load_from=str(tmp_path / 'epoch_4.pth'))
    resumed.train()
    assert resumed.model.net.conv1.weight.shape == runner.model.net.conv1.weight.shape


@pytest.mark.parametrize('importance', ['MagnitudeImportance', 'TaylorImportance'])
def test_inside_an_accumulation_cycle_pruning_waits_for_its_step(tmp_path, importance):
    watch = Watch()
    # Three iterations an epoch and cycles of two: the phase ends after iteration 9, in the middle of a cycle.
    hooks = [pruning(interval=1, importance=dict(type=importance)), UNIFORM]
    runner = make_runner(tmp_path, dict(SAM, accumulative_counts=2), hooks, epochs=5)
    runner.register_hook(watch)
    runner.train()
    changed = [i + 2 for i in range(len(watch.live) - 1) if watch.live[i] != watch.live[i + 1]]
    assert changed and all(i % 2 == 0 for i in changed) and max(changed) <= 10
    assert runner.model.net.conv1.out_channels == watch.live[-1] < 6
    assert all(watch.clean)


@pytest.mark.parametrize('stop', [2, 3])
def test_a_pruning_step_that_waits_for_the_end_of_a_cycle_survives_a_resume(tmp_path, stop):
    # With a step after every iteration those after 3 (in the middle of the phase) and 9 (at its end) are within cycles.
    wrapper, hooks = dict(SAM, accumulative_counts=2), [pruning(interval=1)]
    make_runner(tmp_path / 'first', wrapper, hooks, epochs=5).train()
    checkpoint = tmp_path / f'first/epoch_{stop}.pth'
    due = torch.load(checkpoint, weights_only=True)['channel_pruning']['due']
    assert (due is None) == (stop == 2)
    watch = Watch()
    resumed = make_runner(tmp_path / 'second', wrapper, hooks, epochs=5, resume=True, load_from=str(checkpoint))
    resumed.register_hook(watch)
    resumed.train()
    assert resumed.model.net.conv1.out_channels == watch.live[-1] < 6 and all(watch.clean)
    assert (tmp_path / 'second/slim.py').exists()


def test_a_budget_of_everything_keeps_every_channel(tmp_path):
    runner = make_runner(tmp_path, SGD, [pruning(interval=1, keep=1.0)], epochs=3)
    runner.train()
    assert runner.model.net.conv1.out_channels == 6 and runner.model.net.stem.out_channels == 8


def test_pruning_a_slim_network_again_keeps_all_its_widths(tmp_path):
    first = make_runner(tmp_path / 'a', SGD, [pruning()], epochs=3)
    first.train()
    slim = Config.fromfile(tmp_path / 'a/slim.py')
    hook = pruning(keep=0.9, protect=['net.stem'])
    second = make_runner(tmp_path / 'b', SGD, [hook], epochs=3, model=slim.model.to_dict())
    second.train()
    again = Config.fromfile(tmp_path / 'b/slim.py')
    assert set(again.model.channels) >= set(slim.model.channels)
    model = MODELS.build(again.model)
    model.load_state_dict(second.model.state_dict())


@pytest.mark.parametrize('classes', [2, 7])
def test_a_slim_config_takes_any_number_of_classes(tmp_path, classes):
    make_runner(tmp_path, SGD, [pruning()], epochs=4).train()
    cfg = Config.fromfile(tmp_path / 'slim.py')
    assert 'out_features' not in cfg.model.channels['net.fc']
    cfg.model.classes = classes
    model = MODELS.build(cfg.model)
    assert model.net.fc.out_features == len(model.net.fc.weight) == len(model.net.fc.bias) == classes
    assert model(torch.zeros(1, 3, 8, 8)).shape == (1, classes)


def test_checkpoints_after_surgery_carry_the_slim_config_in_both_places(tmp_path):
    make_runner(tmp_path, SAM, [pruning(), UNIFORM], epochs=4).train()
    before = torch.load(tmp_path / 'epoch_2.pth', weights_only=False)
    after = torch.load(tmp_path / 'epoch_4.pth', weights_only=False)
    slim = Config.fromfile(tmp_path / 'slim.py')
    assert slim.model.type == 'mmadasap.SlimModel' and slim.model.channels == after['channel_pruning']['channels']
    assert slim.optim_wrapper.radius == UNIFORM['radius']
    assert [h.type for h in slim.custom_hooks] == ['mmadasap.PlainCheckpointHook', 'mmadasap.WidthGuardHook']
    assert Config.fromstring(after['meta']['cfg'], '.py').model == slim.model
    assert before['channel_pruning']['channels'] is None
    assert after['message_hub']['runtime_info']['cfg'] == after['meta']['cfg']


def test_the_best_checkpoint_is_one_of_the_slim_network(tmp_path):
    runner = make_runner(tmp_path, SGD, [pruning()], epochs=4)
    runner.message_hub.update_info('best_score', 0.99)
    runner.train()
    assert 'best_score' not in runner.message_hub.runtime_info


def test_nothing_is_left_of_masks_after_surgery(tmp_path):
    runner = make_runner(tmp_path, SGD, [pruning()], epochs=4)
    runner.train()
    optimizer = runner.optim_wrapper.optimizer
    assert not optimizer._optimizer_step_pre_hooks and not optimizer._optimizer_step_post_hooks


def test_several_optimizers_are_refused(tmp_path):
    runner = make_runner(tmp_path, SGD, [pruning()])
    runner.optim_wrapper = OptimWrapperDict(
        one=OptimWrapper(torch.optim.SGD(runner.model.parameters(), lr=0.1)),
        two=OptimWrapper(torch.optim.SGD(runner.model.parameters(), lr=0.1)))
    with pytest.raises(UserError, match=r'has several \(one, two\)'):
        runner.train()


def test_an_optimizer_spread_over_ranks_is_refused(tmp_path):
    runner = make_runner(tmp_path, SGD, [pruning()])
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.optim_wrapper.optimizer.consolidate_state_dict = None
    with pytest.raises(UserError, match='SGD spreads it over ranks'):
        runner.train()


@pytest.mark.parametrize('setting', [
    dict(efficient_conv_bn_eval=['net']), dict(activation_checkpointing=['net.conv1'])])
def test_settings_that_hide_layers_are_refused(tmp_path, setting):
    [key] = setting
    with pytest.raises(UserError, match=f'{key}=.* hides layers'):
        make_runner(tmp_path, SGD, [pruning()], epochs=4, **setting).train()


@pytest.mark.parametrize('condition, epochs', [
    # Accuracy falls at every validation: the second of the slim network is worse than the first, and any is enough.
    (dict(patience=1), 5), (dict(patience=9, stopping_threshold=0.1), 4)])
def test_training_is_not_stopped_early_before_the_network_is_slim(tmp_path, condition, epochs):
    stopping = dict(type='EarlyStoppingHook', monitor='accuracy', rule='greater', **condition)
    runner = make_runner(tmp_path, SGD, [pruning(begin=1, end=4), stopping], epochs=9, **VALIDATION)
    runner.train()
    assert runner.epoch == epochs and (tmp_path / 'slim.py').exists()


def test_resuming_past_the_phase_without_a_pruned_network_is_refused(tmp_path):
    make_runner(tmp_path, SGD, epochs=4).train()
    runner = make_runner(tmp_path / 'b', SGD, [pruning()], epochs=5, resume=True,
                         load_from=str(tmp_path / 'epoch_4.pth'))
    with pytest.raises(UserError, match='Training resumes at iteration 12'):
        runner.train()


def test_two_runs_agree_to_the_bit(tmp_path):
    runs = []
    for name in 'ab':
        runner = make_runner(tmp_path / name, SAM, [pruning(), UNIFORM], epochs=4, model=dict(dropout=0.2))
        runs.append(values(runner.train()))
    assert same(*runs)
