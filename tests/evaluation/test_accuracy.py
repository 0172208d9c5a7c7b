import pytest
from mmdet.evaluation import CocoMetric

from mmadasap.errors import UserError
from mmadasap.evaluation.accuracy import class_accuracies, find_accuracy, with_class_accuracies


@pytest.mark.parametrize('results, expected', [
    ({'pascal_voc/AP50': 0.9, 'pascal_voc/mAP': 0.5}, ('pascal_voc/mAP', 0.5)),
    ({'coco/bbox_mAP': 0.3, 'coco/bbox_mAP_50': 0.5}, ('coco/bbox_mAP', 0.3)),
    ({'accuracy/top1': 93.5, 'accuracy/top5': 99.0}, ('accuracy/top1', 0.935)),
    ({'accuracy': 0.25}, ('accuracy', 0.25)),
])
def test_the_accuracy_is_found_and_is_a_share(results, expected):
    name, value = find_accuracy(results)
    assert (name, value) == (expected[0], pytest.approx(expected[1]))


def test_a_named_metric_is_taken():
    assert find_accuracy({'pascal_voc/mAP': 0.5, 'accuracy/top5': 50.0}, 'accuracy/top5') == ('accuracy/top5', 0.5)


@pytest.mark.parametrize('metric, message', [
    ('x', r"gives no 'x', only \['speed'\]"),
    (None, r"gives no accuracy that is known by name, only \['speed'\]"),
])
def test_what_there_is_instead_is_said(metric, message):
    with pytest.raises(UserError, match=message):
        find_accuracy({'speed': 3}, metric)


def test_classes():
    results = {'pascal_voc/mAP': 0.5, 'pascal_voc/AP/a cat': 0.25, 'coco/bbox_a_dog_precision': 0.5,
               'coco/segm_a_dog_precision': 0.75, 'coco/bbox_cow_precision': float('nan'), 'single-label/precision': 80}
    assert class_accuracies(results, 'coco/bbox_mAP') == {'a cat': 0.25, 'a_dog': 0.5}
    assert class_accuracies(results, 'coco/segm_mAP_50') == {'a cat': 0.25, 'a_dog': 0.75}


def test_metrics_that_can_tell_classes_do():
    voc = dict(type='VOCMetric', eval_mode='area')
    found = with_class_accuracies([voc, dict(type='CocoMetric'), dict(type='Accuracy'), dict(type=CocoMetric)])
    coco = 'mmadasap.CocoMetric'
    assert [m['type'] for m in found] == ['mmadasap.VOCMetric', coco, 'Accuracy', coco] and found[3]['classwise']
    assert found[1]['classwise'] and found[0]['eval_mode'] == 'area' and voc['type'] == 'VOCMetric'
