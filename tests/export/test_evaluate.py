import torch
from mmdet.structures import DetDataSample

from mmadasap.export.evaluate import _note


def test_boxes_are_in_pixels_of_the_original_image_and_padding_is_dropped():
    sample = DetDataSample(metainfo=dict(scale_factor=(0.5, 0.25), img_shape=(40, 60)))
    boxes = torch.tensor([[10.0, 10.0, 20.0, 20.0], [0.0, 0.0, 0.0, 0.0]])
    _note(sample, dict(boxes=boxes, scores=torch.tensor([0.9, 0.0]), labels=torch.tensor([2, 0])))
    found = sample.pred_instances
    assert found.bboxes.tolist() == [[20.0, 40.0, 40.0, 80.0]]
    assert found.labels.tolist() == [2] and len(found.scores) == 1


def test_boxes_end_with_the_image_and_not_with_its_padding():
    sample = DetDataSample(metainfo=dict(scale_factor=(1, 1), img_shape=(40, 60)))
    boxes = torch.tensor([[10.0, 10.0, 64.0, 64.0], [61.0, 5.0, 64.0, 9.0], [5.0, 40.0, 9.0, 50.0]])
    _note(sample, dict(boxes=boxes, scores=torch.tensor([0.9, 0.8, 0.7]), labels=torch.tensor([2, 0, 1])))
    assert sample.pred_instances.bboxes.tolist() == [[10.0, 10.0, 60.0, 40.0]]
    assert sample.pred_instances.labels.tolist() == [2]
