import math

import pytest
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

from mmadasap.errors import UserError
from mmadasap.evaluation import RobustnessResult, evaluate_robustness, format_results
from mmadasap.evaluation.robustness import corrupted_loader
from tests.engine.hooks.test_channel_pruning_hook import SGD
from tests.toys import make_runner


def test_means_and_ratio_by_hand():
    result = RobustnessResult(0.8, dict(fog=({1: 0.6, 3: 0.4}), snow={1: 0.5, 3: 0.1}))
    assert result.mean_corrupted == pytest.approx(0.4) and result.relative == pytest.approx(0.5)
    assert result.to_dict()['corrupted'] == dict(fog={'1': 0.6, '3': 0.4}, snow={'1': 0.5, '3': 0.1})
    assert math.isnan(RobustnessResult(0.8).mean_corrupted)


def test_the_corruption_goes_in_right_after_loading():
    steps = [dict(type='A'), dict(type='LoadImageFromFile'), dict(type='Resize')]
    loader = dict(dataset=dict(pipeline=steps))
    found = corrupted_loader(loader, 'fog', 2)['dataset']['pipeline']
    assert [s['type'] for s in found] == ['A', 'LoadImageFromFile', 'mmadasap.Corrupt', 'Resize']
    assert found[2]['corruption'] == 'fog' and found[2]['severity'] == 2
    assert len(loader['dataset']['pipeline']) == 3


def test_a_pipeline_that_loads_nothing_is_refused():
    with pytest.raises(UserError, match='no LoadImageFromFile'):
        corrupted_loader(dict(dataset=dict(pipeline=[dict(type='Resize')])), 'fog', 2)


def test_the_table_has_a_row_a_corruption():
    a, b = RobustnessResult(0.8, dict(fog={3: 0.4})), RobustnessResult(0.5, dict(fog={3: 0.1}))
    text = format_results(dict(a=a, b=b))
    rows = {line.split()[0]: line.split()[-2:] for line in text.splitlines()[1:]}
    assert rows['fog'] == ['0.400', '0.100'] and rows['R_C'] == ['0.500', '0.200']


@METRICS.register_module()
class MeanPrediction(BaseMetric):
    """Counts what it sees, under the name of an accuracy."""

    def process(self, data_batch, data_samples):
        self.results += [1.0] * len(data_samples)

    def compute_metrics(self, results):
        return dict(accuracy=sum(results) / 12)


def test_an_unknown_metric_is_refused_with_the_known_ones(tmp_path):
    make_runner(tmp_path, SGD).train()
    loader = dict(dataset=dict(type='ToyData'), batch_size=4, sampler=dict(type='DefaultSampler', shuffle=False),
                  collate_fn=dict(type='default_collate'))
    cfg = Config(
        dict(model=dict(type='ToyClassifier'), work_dir=str(tmp_path), test_dataloader=loader, test_cfg=dict(),
             test_evaluator=dict(type='MeanPrediction'), default_scope='mmengine'))
    checkpoint = str(tmp_path / 'epoch_2.pth')
    assert evaluate_robustness(cfg, checkpoint, [], [3], metric='accuracy').clean == 1.0
    with pytest.raises(UserError, match=r"gives no 'pascal_voc/mAP', only \['accuracy'\]"):
        evaluate_robustness(cfg, checkpoint, [], [3])
