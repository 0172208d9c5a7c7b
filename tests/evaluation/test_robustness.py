import math

import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.registry import DATASETS, METRICS, MODELS
from mmengine.runner import TestLoop

from mmadasap.engine.checkpoint import read_checkpoint
from mmadasap.errors import UserError
from mmadasap.evaluation import RobustnessResult, evaluate_robustness
from tests.engine.hooks.test_channel_pruning_hook import SGD
from tests.toys import ToyClassifier, ToyData, make_runner


def test_means_and_ratio_by_hand():
    result = RobustnessResult(0.8, dict(fog={1: 0.6, 3: 0.4}, snow={1: 0.5, 3: 0.1}))
    assert result.mean_corrupted == pytest.approx(0.4) and result.relative == pytest.approx(0.5)
    assert result.to_dict()['corrupted'] == dict(fog={'1': 0.6, '3': 0.4}, snow={'1': 0.5, '3': 0.1})
    assert result.by_corruption() == dict(fog=pytest.approx(0.5), snow=pytest.approx(0.3))
    assert result.by_severity() == {0: 0.8, 1: pytest.approx(0.55), 3: pytest.approx(0.25)}
    assert math.isnan(RobustnessResult(0.8).mean_corrupted)


@METRICS.register_module()
class MeanPrediction(BaseMetric):
    """Counts what it sees, under the name of an accuracy."""

    def process(self, data_batch, data_samples):
        self.results += [1.0] * len(data_samples)

    def compute_metrics(self, results):
        return dict(accuracy=sum(results) / 12)


LOADER = dict(
    dataset=dict(type='ToyImages', pipeline=[]), batch_size=4, sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'))


@DATASETS.register_module()
class ToyImages(ToyData):
    """Images whose mean shows what corrupted them; the pipeline is recorded, not run."""

    seen: list = []

    def __init__(self, pipeline):
        super().__init__()
        self.seen.append([step['corruption'] + str(step['severity']) for step in pipeline])


@pytest.fixture
def toy(tmp_path):
    make_runner(tmp_path, SGD, epochs=1).train()
    ToyImages.seen.clear()
    cfg = Config(
        dict(model=dict(type='ToyClassifier'), work_dir=str(tmp_path), test_dataloader=LOADER, test_cfg=dict(),
             test_evaluator=dict(type='MeanPrediction'), default_scope='mmengine'))
    return cfg, str(tmp_path / 'epoch_1.pth')


def test_exactly_what_was_asked_for_is_run_and_means_go_over_it(toy):
    result = evaluate_robustness(*toy, ['fog', 'snow'], [2, 4])
    assert ToyImages.seen == [[], ['fog2'], ['fog4'], ['snow2'], ['snow4']]
    assert result.corrupted == dict(fog={2: 1.0, 4: 1.0}, snow={2: 1.0, 4: 1.0}) and result.metric == 'accuracy'
    assert result.parameters == sum(p.numel() for p in MODELS.build(toy[0].model).parameters())


@MODELS.register_module()
class NotedPrecision(ToyClassifier):
    """Notes whether it is run in mixed precision."""

    seen: list = []

    def forward(self, *args, **kwargs):
        self.seen.append((torch.ones(1, 1) @ torch.ones(1, 1)).dtype == torch.bfloat16)
        return super().forward(*args, **kwargs)


@pytest.mark.parametrize('half', [False, True])
def test_it_tests_in_the_precision_of_the_config(toy, half):
    cfg, checkpoint = toy
    cfg.model.type, cfg.test_cfg.fp16 = 'NotedPrecision', half
    NotedPrecision.seen.clear()
    evaluate_robustness(cfg, checkpoint, ['fog'], [1])
    assert NotedPrecision.seen and set(NotedPrecision.seen) == {half}


def test_a_killed_grid_goes_on_and_models_do_not_mix(toy, tmp_path, monkeypatch):
    cells = str(tmp_path / 'cells')
    run, calls = TestLoop.run, []

    def die_at_the_third(self):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return run(self)

    monkeypatch.setattr(TestLoop, 'run', die_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        evaluate_robustness(*toy, ['fog', 'snow'], [3], cells=cells)
    ToyImages.seen.clear()
    result = evaluate_robustness(*toy, ['fog', 'snow'], [3], cells=cells)
    assert ToyImages.seen == [['snow3']] and set(result.corrupted) == {'fog', 'snow'}
    ToyImages.seen.clear()
    toy[0].model.dropout = 0.5
    evaluate_robustness(*toy, ['fog'], [3], cells=cells)
    assert ToyImages.seen == [[], ['fog3']]


def test_an_unknown_metric_is_refused_with_the_known_ones(toy):
    with pytest.raises(UserError, match=r"gives no 'pascal_voc/mAP', only \['accuracy'\]"):
        evaluate_robustness(*toy, [], [3], metric='pascal_voc/mAP')


def test_a_stored_copy_that_is_missing_is_named_before_anything_runs(toy, tmp_path):
    with pytest.raises(UserError, match='fog/3.* holds no corrupted copy'):
        evaluate_robustness(*toy, ['fog'], [3], stored=str(tmp_path))
    assert not ToyImages.seen


def test_a_checkpoint_of_another_network_is_refused(toy):
    cfg, checkpoint = toy
    loaded = read_checkpoint(checkpoint)
    loaded['state_dict'] = {f'other.{name}': value for name, value in loaded['state_dict'].items()}
    torch.save(loaded, checkpoint)
    with pytest.raises(UserError, match='The checkpoint does not fit the model'):
        evaluate_robustness(cfg, checkpoint, ['fog'], [1])
    assert not ToyImages.seen
