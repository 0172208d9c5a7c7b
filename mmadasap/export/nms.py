"""Non-maximum suppression that PyTorch runs and ONNX files contain as their own operator."""
import torch
from torch import Tensor, nn


class _SelectBoxes(torch.autograd.Function):
    """(image, class, box) of what survives, shape (K, 3): ONNX's operator NonMaxSuppression."""

    @staticmethod
    def forward(ctx, boxes: Tensor, scores: Tensor, per_class: int, iou: float, threshold: float) -> Tensor:
        """Boxes (N, A, 4) and scores (N, C, A)."""
        # Here, for classifiers do without compiled operators.
        from mmcv.ops import nms
        found = []
        for image, by_class in enumerate(scores):
            for label, values in enumerate(by_class):
                above = (values > threshold).nonzero().flatten()
                if len(above):
                    _, order = nms(boxes[image, above].float(), values[above].float(), iou)
                    found += [(image, label, index) for index in above[order[:per_class]].tolist()]
        return torch.tensor(found, dtype=torch.long, device=boxes.device).reshape(-1, 3)

    @staticmethod
    def symbolic(g, boxes, scores, per_class: int, iou: float, threshold: float):
        """The node of the file."""
        limits = [torch.tensor([per_class]), torch.tensor([iou]), torch.tensor([threshold])]
        return g.op('NonMaxSuppression', boxes, scores, *(g.op('Constant', value_t=limit) for limit in limits))


class NonMaxSuppression(nn.Module):
    """Keeps the best boxes of each image, suppressing within each class.

    Args:
        iou: Boxes that overlap a better one of their class by more go.
        threshold: Scores that are not above go.
        count: Boxes an image at most.
        min_size: Boxes whose width or height is not above go.
    """

    def __init__(self, iou: float, threshold: float, count: int, min_size: float = -1):
        super().__init__()
        self.iou, self.threshold, self.count, self.min_size = float(iou), float(threshold), int(count), float(min_size)

    def forward(self, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (N, A, 4) and scores (N, A, C) -> boxes (N, K, 4), scores (N, K) and labels (N, K), best first.

        K is ``count``, or A times C where that is less; an image with fewer boxes fills up with scores of 0.
        """
        number, classes = int(scores.shape[1]), int(scores.shape[2])
        large = (boxes[..., 2:] - boxes[..., :2] > self.min_size).all(-1, keepdim=True)
        scores = (scores * large.to(scores.dtype)).transpose(1, 2)
        chosen = _SelectBoxes.apply(boxes, scores, self.count, self.iou, self.threshold)
        image, label, box = chosen.unbind(1)
        kept = torch.zeros_like(scores).index_put((image, label, box), scores[image, label, box])
        best, at = kept.flatten(1).topk(min(self.count, number * classes))
        labels = torch.div(at, number, rounding_mode='floor')
        index = (at - labels * number).unsqueeze(-1).expand(-1, -1, 4)
        return boxes.gather(1, index), best, labels
