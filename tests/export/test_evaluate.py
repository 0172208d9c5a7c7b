import torch
from mmdet.structures import DetDataSample

from mmadasap.export.evaluate import _note


def test_boxes_are_in_pixels_of_the_original_image_and_padding_is_dropped():
    sample = DetDataSample(metainfo=dict(scale_factor=(0.5, 0.25)))
    boxes = torch.tensor([[10.0, 10.0, 20.0, 20.0], [0.0, 0.0, 0.0, 0.0]])
    _note(sample, dict(boxes=boxes, scores=torch.tensor([0.9, 0.0]), labels=torch.tensor([2, 0])))
    found = sample.pred_instances
    assert found.bboxes.tolist() == [[20.0, 40.0, 40.0, 80.0]]
    assert found.labels.tolist() == [2] and len(found.scores) == 1
