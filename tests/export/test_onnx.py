"""ONNX Runtime gives what PyTorch gives, for every number of images."""
import numpy as np
import onnx
import pytest
import torch
from mmdet.structures import DetDataSample
from scipy.optimize import linear_sum_assignment

from mmadasap.errors import UserError
from mmadasap.export import NonMaxSuppression, deployable, fit, largest_differences, open_onnx, run_onnx, write_onnx
from tests.pruning.architectures import build


def exported(name, path, nms=False):
    model, x = build(name, dtype=torch.float32)
    size = tuple(x.shape[2:])
    network = deployable(model, size, nms)
    write_onnx(network, size, str(path))
    return model, network, open_onnx(str(path)), torch.randint(0, 256, (3, 3, *size)).float()


@pytest.mark.parametrize('name', ['ssd_vgg', 'yolox', 'rtmdet', 'resnet18'])
def test_one_file_serves_every_number_of_images(name, tmp_path):
    _, network, session, images = exported(name, tmp_path / 'n.onnx')
    for count in (1, 3):
        differences = largest_differences(network, session, images[:count])
        assert set(differences) == set(network.outputs)
        assert differences['scores'] < 1e-5 and differences.get('boxes', 0) < 1e-2
    onnx.checker.check_model(str(tmp_path / 'n.onnx'))


@pytest.mark.parametrize('name', ['ssd_vgg', 'retinanet'])
def test_what_the_file_finds_is_what_mmdet_finds(name, tmp_path):
    model, network, session, images = exported(name, tmp_path / 'n.onnx', nms=True)
    assert 'NonMaxSuppression' in {node.op_type for node in onnx.load(str(tmp_path / 'n.onnx')).graph.node}
    model.bbox_head.test_cfg.nms_pre = 10**6
    size = tuple(images.shape[2:])
    metainfo = dict(img_shape=size, ori_shape=size, scale_factor=(1, 1))
    data = dict(inputs=list(images), data_samples=[DetDataSample(metainfo=metainfo) for _ in images])
    with torch.no_grad():
        theirs = [s.pred_instances for s in model.test_step(data)]
    boxes, scores, labels = run_onnx(session, images)
    for i, found in enumerate(theirs):
        count = len(found)
        assert (scores[i] > 0).sum() == count > 0
        np.testing.assert_allclose(scores[i][:count], found.scores.numpy(), atol=1e-5)
        # Boxes of equal score may come in another order, and their coordinates may be equal but for rounding.
        distances = np.abs(boxes[i][:count, None] - found.bboxes.numpy()).max(2)
        distances[labels[i][:count, None] != found.labels.numpy()] = 1e6
        assert distances[linear_sum_assignment(distances)].max() < 1e-2


def test_suppression_by_hand():
    boxes = torch.tensor([[[0., 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]]])
    scores = torch.tensor([[[.9, .1], [.8, .7], [.3, .6]]])
    # Class 0: 1 overlaps 0 by 0.9; class 1: nothing overlaps, 0 is below the threshold.
    found, best, labels = NonMaxSuppression(iou=0.5, threshold=0.2, count=5)(boxes, scores)
    assert best[0].tolist() == pytest.approx([.9, .7, .6, .3, 0])
    assert labels[0, :4].tolist() == [0, 1, 1, 0]
    assert found[0, :4].tolist() == boxes[0, [0, 1, 2, 2]].tolist()
    # Of heights 10, 9 and 10 the second is not above 9, and no longer stands beside 0.
    _, best, _ = NonMaxSuppression(iou=0.5, threshold=0.2, count=5, min_size=9)(boxes, scores)
    assert best[0].tolist() == pytest.approx([.9, .6, .3, 0, 0])


class Found:
    """A network, or a session, that found these boxes, scores and labels."""

    outputs, size = ('boxes', 'scores', 'labels'), (100, 100)

    def __init__(self, *detections):
        self.found = [torch.tensor([list(values)]) for values in zip(*detections)]

    def __call__(self, images):
        return self.found

    def run(self, names, inputs):
        return [t.numpy() for t in self.found]


A, B, FILLER = ([0., 0, 10, 10], .5, 1), ([50., 50, 60, 60], .5, 1), ([3., 3, 4, 4], 0., 0)


@pytest.mark.parametrize('ours, theirs, boxes, scores, labels', [
    ((A, B), (B, A), 0, 0, 0),
    ((A, B), (([50, 50, 60, 62.], .5, 1), ([0, 0, 10, 9.], .25, 1)), 2, .25, 0),
    ((A, B), (A, A), 50, 0, 0),
    ((A, B), (A, ([50., 50, 60, 60], .5, 3)), 0, 0, 2),
    ((A, FILLER), (A, ([7., 7, 9, 9], 0., 2)), 0, 0, 0),
    ((A, B), (A, FILLER), 60, .5, 2),
])
def test_detections_are_compared_as_sets(ours, theirs, boxes, scores, labels):
    found = largest_differences(Found(*ours), Found(*theirs), torch.zeros(1, 3, 1, 1))
    assert found == dict(boxes=boxes, scores=scores, labels=labels)


def test_a_classifier_gives_probabilities(tmp_path):
    model, network, session, images = exported('resnet18', tmp_path / 'n.onnx')
    scores, = run_onnx(session, images)
    assert scores.shape == (3, 1000) and np.allclose(scores.sum(1), 1, atol=1e-5)
    with torch.no_grad():
        found = model.test_step(dict(inputs=images))
    np.testing.assert_allclose(scores, torch.stack([f.pred_score for f in found]).numpy(), atol=1e-5)


def test_a_classifier_has_nothing_to_suppress():
    model, _ = build('resnet18', dtype=torch.float32)
    with pytest.raises(UserError, match='--nms: ImageClassifier finds no boxes'):
        deployable(model, (32, 32), nms=True)


def test_two_stages_are_refused():
    model, _ = build('faster_rcnn', dtype=torch.float32)
    with pytest.raises(UserError, match='FasterRCNN is neither a classifier nor a detector with one dense head'):
        deployable(model, (64, 64))


def test_suppression_across_classes_is_refused():
    model, _ = build('retinanet', dtype=torch.float32)
    model.test_cfg.nms.class_agnostic = True
    with pytest.raises(UserError, match="class_agnostic.*is not of type 'nms' within classes"):
        deployable(model, (64, 64), nms=True)


def test_a_head_of_one_output_is_refused():
    model, _ = build('retinanet', dtype=torch.float32)
    model.bbox_head.forward = lambda x: (list(x), )
    with pytest.raises(UserError, match=r'RetinaHead does not write scores, boxes .* \(1 outputs\); this head has no'):
        deployable(model, (64, 64))


def test_images_are_padded_with_what_becomes_zero():
    blank = torch.tensor([1., 2., 3.]).reshape(3, 1, 1)
    batch = fit([torch.full((3, 2, 2), 7), torch.full((3, 3, 1), 8)], (3, 2), blank)
    assert batch[0, :, :2].eq(7).all() and batch[0, :, 2, 0].tolist() == [1, 2, 3]
    assert batch[1, :, :, 0].eq(8).all() and batch[1, :, 0, 1].tolist() == [1, 2, 3]
    with pytest.raises(UserError, match='3 x 1 pixels does not fit'):
        fit([torch.zeros(3, 3, 1)], (2, 2), blank)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / 'bad.onnx').write_bytes(b'nothing')
    with pytest.raises(UserError, match='bad.onnx cannot be run'):
        open_onnx(str(tmp_path / 'bad.onnx'))
