"""COCO's average precision by hand on one image, where mmdet's metric gives none or another kind's."""
import json

import pytest
import torch
from mmdet.evaluation import CocoMetric as MmdetMetric
from mmengine.registry import init_default_scope

from mmadasap.evaluation import CocoMetric
from mmadasap.evaluation.accuracy import class_accuracies, find_accuracy

SQUARE = [10, 10, 50, 10, 50, 50, 10, 50]


@pytest.fixture
def annotations(tmp_path):
    """One square cat, and a class without objects."""
    init_default_scope('mmdet')
    cat = dict(id=1, image_id=1, category_id=1, bbox=[10, 10, 40, 40], area=1600, iscrowd=0, segmentation=[SQUARE])
    path = tmp_path / 'annotations.json'
    path.write_text(json.dumps(dict(
        images=[dict(id=1, file_name='a.jpg', width=100, height=100)], annotations=[cat],
        categories=[dict(id=1, name='cat'), dict(id=2, name='never')])))
    return str(path)


def evaluate(kind, annotations, boxes, masks=None, metric='bbox'):
    found = kind(ann_file=annotations, metric=metric, classwise=True)
    found.dataset_meta = dict(classes=('cat', 'never'))
    instances = dict(bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
                     scores=torch.full((len(boxes), ), 0.9), labels=torch.zeros(len(boxes), dtype=torch.long))
    instances |= {} if masks is None else dict(masks=masks)
    found.process({}, [dict(img_id=1, ori_shape=(100, 100), pred_instances=instances)])
    return found.evaluate(1)


def test_where_nothing_is_found_accuracy_is_0(annotations):
    assert not evaluate(MmdetMetric, annotations, [])
    results = evaluate(CocoMetric, annotations, [])
    assert find_accuracy(results) == ('coco/bbox_mAP', 0) and class_accuracies(results, 'coco/bbox_mAP') == {'cat': 0}


def test_classes_are_of_the_kind_that_is_compared(annotations):
    """The box is right; the mask covers less than half of the square."""
    mask = torch.zeros(1, 100, 100, dtype=torch.bool)
    mask[0, 10:50, 10:25] = True
    results = evaluate(CocoMetric, annotations, [[10, 10, 50, 50]], mask, ['bbox', 'segm'])
    assert find_accuracy(results) == ('coco/bbox_mAP', 1) and class_accuracies(results, 'coco/bbox_mAP') == {'cat': 1}
    assert class_accuracies(results, 'coco/segm_mAP') == {'cat': 0} and results['coco/segm_mAP'] == 0


def test_numbers_are_mmdets(annotations):
    boxes = [[12, 10, 50, 50], [60, 60, 90, 90]]
    expected = evaluate(MmdetMetric, annotations, boxes)
    results = evaluate(CocoMetric, annotations, boxes)
    assert {k.replace('/bbox_cat', '/cat').replace('/bbox_never', '/never'): v for k, v in results.items()
            } == pytest.approx(expected, nan_ok=True)
