"""Average precision by hand on three images, and mmdet's own metric without its rounding."""
import numpy as np
import pytest
import torch
from mmdet.evaluation import VOCMetric as MmdetMetric
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmadasap.evaluation import VOCMetric

CLASSES = ('a', 'b', 'never')


def sample(truth, found):
    """truth: (box, label); found: (box, label, score)."""

    def boxes(rows):
        return torch.tensor([row[0] for row in rows], dtype=torch.float32).reshape(-1, 4)

    out = DetDataSample()
    out.gt_instances = InstanceData(bboxes=boxes(truth), labels=torch.tensor([t[1] for t in truth], dtype=torch.long))
    out.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
    out.pred_instances = InstanceData(
        bboxes=boxes(found), labels=torch.tensor([f[1] for f in found], dtype=torch.long),
        scores=torch.tensor([f[2] for f in found]))
    return out.to_dict()


def evaluate(metric, samples):
    metric.dataset_meta = dict(classes=CLASSES)
    metric.process({}, samples)
    return metric.evaluate(len(samples))


BOX, ASIDE, FAR = [10, 10, 29, 29], [12, 10, 31, 29], [60, 60, 79, 79]
# Class a: 3 objects; by score: hit .9, miss .8 (far away), hit .7, second hit on the same object .6 (a miss).
# Class b: 1 object; miss .5, hit .4.
TOY = [
    sample([(BOX, 0)], [(BOX, 0, .9), (FAR, 0, .8), (BOX, 1, .5)]),
    sample([(BOX, 0), (FAR, 1)], [(ASIDE, 0, .7), (BOX, 0, .6), (FAR, 1, .4)]),
    sample([(BOX, 0)], []),
]


@pytest.mark.parametrize('mode, a, b', [
    # Precision is 1 up to recall 1/3 and 2/3 up to recall 2/3; class b has 1/2 up to recall 1.
    ('area', 1 / 3 * 1 + 1 / 3 * 2 / 3, 1 / 2),
    # Recalls 0, .1, .2, .3 are reached at precision 1 and .4, .5, .6 at 2/3; class b at 1/2 everywhere.
    ('11points', (4 * 1 + 3 * 2 / 3) / 11, 1 / 2),
])
def test_a_hand_count(mode, a, b):
    found = evaluate(VOCMetric(eval_mode=mode), TOY)
    assert found['pascal_voc/AP/a'] == pytest.approx(a, abs=1e-6)
    assert found['pascal_voc/AP/b'] == pytest.approx(b, abs=1e-6)
    assert found['pascal_voc/mAP'] == pytest.approx((a + b) / 2, abs=1e-6) == found['pascal_voc/AP50']
    assert 'pascal_voc/AP/never' not in found


def random_samples():
    rng = np.random.default_rng(0)

    def rows(count, scored):
        corners = rng.uniform(0, 60, (count, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(10, 40, (count, 2))], 1)
        return [(box.tolist(), int(rng.integers(2)), *([float(rng.random())] if scored else [])) for box in boxes]

    return [sample(rows(6, False), rows(25, True)) for _ in range(7)]


@pytest.mark.parametrize('mode', ['area', '11points'])
@pytest.mark.parametrize('thresholds', [0.5, [0.5, 0.3]])
def test_the_numbers_are_mmdets_without_its_rounding(mode, thresholds):
    ours, theirs = (evaluate(kind(thresholds, eval_mode=mode), random_samples()) for kind in (VOCMetric, MmdetMetric))
    assert ours['pascal_voc/mAP'] == theirs['pascal_voc/mAP'] > 0
    for name in theirs.keys() - {'pascal_voc/mAP'}:
        assert round(ours[name], 3) == theirs[name] != ours[name]
    assert np.mean([ours[f'pascal_voc/AP/{c}'] for c in 'ab']) == pytest.approx(ours['pascal_voc/mAP'], abs=1e-7)

