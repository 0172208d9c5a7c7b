import math

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmpretrain.evaluation import Accuracy
from mmpretrain.structures import DataSample

from mmadasap.errors import UserError
from mmadasap.evaluation import RobustAccuracy, summarize
from mmadasap.registry import METRICS
from tests.datasets.image_folders import write_images
from tests.datasets.test_imagenet import WNIDS
from tests.toy_classifier import toy_classifier
from tests.toys import make_runner


def sample(shift, label, scores):
    data = DataSample().set_gt_label(label).set_pred_score(torch.tensor(scores))
    data.set_metainfo(dict(shift=shift))
    return data


def evaluate(samples, **kwargs):
    evaluator = Evaluator(METRICS.build(dict(type='mmadasap.RobustAccuracy', **kwargs)))
    evaluator.process(samples)
    return evaluator.evaluate(len(samples))


def test_by_hand():
    found = evaluate([
        sample('clean', 0, [.6, .3, .1]), sample('clean', 1, [.6, .3, .1]),  # 50, within two 100
        sample('v2/matched-frequency', 2, [.6, .3, .1]), sample('v2/matched-frequency', 0, [.6, .3, .1]),  # 50
        sample('v2/matched-frequency', 0, [.6, .3, .1]), sample('v2/matched-frequency', 2, [.6, .3, .1]),
        sample('c/fog/1', 0, [.6, .3, .1]), sample('c/fog/2', 1, [.6, .3, .1]),  # 100 and 0
        sample('c/snow/1', 1, [.6, .3, .1]), sample('c/snow/2', 1, [.6, .3, .1]),  # 0 and 0
    ], topk=(1, 2))
    assert found == pytest.approx({
        'robust/top1': 50, 'robust/top2': 100, 'robust/v2/matched-frequency/top1': 50,
        'robust/v2/matched-frequency/top2': 50, 'robust/R_V2': 1.0, 'robust/c/fog/top1': 50, 'robust/c/snow/top1': 0,
        'robust/c/top1': 25, 'robust/R_C': 0.5
    })


def test_clean_accuracy_is_mmpretrains():
    generator = torch.Generator().manual_seed(0)
    scores, labels = torch.rand(200, 10, generator=generator), torch.randint(10, (200, ), generator=generator)
    found = evaluate([sample('clean', int(y), x.tolist()) for x, y in zip(scores, labels)])
    (top1, ), (top5, ) = Accuracy.calculate(scores, labels, topk=(1, 5))
    assert found['robust/top1'] == pytest.approx(top1.item()) and found['robust/top5'] == pytest.approx(top5.item())


def test_no_luck_with_ties_and_nan():
    found = evaluate([sample('clean', 0, [.5, .5, 0.]), sample('clean', 0, [math.nan] * 3)], topk=(1, ))
    assert found == {'robust/top1': 0.0}


def test_mce_by_hand():
    """Errors .5 and .2 in mean against .8 and .4: (.625 + .5) / 2."""
    cells = {f'c/fog/{s}': v for s, v in zip(range(1, 6), (90, 70, 50, 30, 10))}
    cells |= {f'c/snow/{s}': 80 for s in range(1, 6)}
    found = summarize(dict(cells, clean=80), dict(fog=.8, snow=.4))
    assert found['mCE'] == pytest.approx(56.25) and found['c/top1'] == pytest.approx(65)
    assert found['R_C'] == pytest.approx(65 / 80)


def test_mce_needs_all_severities_of_all_corruptions():
    cells = {f'c/fog/{s}': 50 for s in range(1, 5)}
    assert 'mCE' not in summarize(dict(cells, clean=80), dict(fog=.8))
    cells['c/fog/5'] = 50
    assert 'mCE' in summarize(dict(cells, clean=80), dict(fog=.8))
    assert 'mCE' not in summarize(dict(cells, clean=80), dict(fog=.8, snow=.4))
    assert 'mCE' not in summarize(dict(cells, clean=80))


def test_alexnet_itself_has_an_mce_of_100():
    reference = RobustAccuracy(reference='alexnet').reference
    cells = {f'c/{name}/{s}': 100 - 100 * error for name, error in reference.items() for s in range(1, 6)}
    assert summarize(dict(cells, clean=56.5), reference)['mCE'] == pytest.approx(100)
    assert len(reference) == 15


def test_ratios_of_a_network_that_knows_nothing_are_undefined():
    found = summarize({'clean': 0.0, 'c/fog/1': 0.0, 'v2/matched-frequency': 0.0, 'v2/top-images': 1.0})
    assert all(math.isnan(found[key]) for key in ('R_C', 'R_V2', 'R_V2/top-images'))


def test_what_is_missing_is_said():
    anonymous = DataSample().set_gt_label(0).set_pred_score(torch.tensor([1., 0.]))
    with pytest.raises(UserError, match='meta_keys'):
        evaluate([anonymous])
    with pytest.raises(UserError, match='no|none'):
        evaluate([sample('c/fog/1', 0, [1., 0.])])
    with pytest.raises(UserError, match="reference='vgg'"):
        RobustAccuracy(reference='vgg')


def test_one_test_run_over_all_data_sets(tmp_path):
    """Through the runner: what the pipeline packs reaches the metric, and accuracies are those of each data set."""
    classes = dict(classes=('a', 'b', 'c'))
    pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs', meta_keys=('img_path', 'shift'))]
    common = dict(data_root=str(tmp_path), metainfo=classes, pipeline=pipeline, test_mode=True)
    write_images(tmp_path / 'val', WNIDS, per_class=4)
    write_images(tmp_path / 'imagenetv2-top-images-format-val', ['0', '1', '2'])
    write_images(tmp_path / 'fog' / '2', WNIDS)
    runner = make_runner(
        tmp_path, dict(type='OptimWrapper'), model=toy_classifier(), default_scope='mmpretrain',
        test_dataloader=dict(
            batch_size=5, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
            dataset=dict(type='ConcatDataset', datasets=[
                dict(common, type='mmadasap.ImageNet', split='val'),
                dict(common, type='mmadasap.ImageNetV2', variant='top-images'),
                dict(common, type='mmadasap.ImageNetC', corruption='fog', severity=2),
            ])),
        test_cfg=dict(), test_evaluator=dict(type='mmadasap.RobustAccuracy', topk=(1, )))
    # It sees class 1 everywhere.
    with torch.no_grad():
        runner.model.head.fc.weight.zero_()
        runner.model.head.fc.bias.copy_(torch.tensor([0., 1., 0.5]))
    found = runner.test()
    third = pytest.approx(100 / 3)
    assert found == {'robust/top1': third, 'robust/v2/top-images/top1': third, 'robust/R_V2/top-images': 1.0,
                     'robust/c/fog/top1': third, 'robust/c/top1': third, 'robust/R_C': 1.0}
