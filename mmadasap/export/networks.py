"""Trained models as plain networks: pixels in, boxes or class probabilities out, without the host's containers."""
from typing import Optional

import torch
from torch import Tensor, nn

from mmadasap.errors import UserError

from .nms import NonMaxSuppression


def deployable(model: nn.Module, size: tuple[int, int], nms: bool = False) -> nn.Module:
    """The network to export of an mmdet detector or an mmpretrain classifier.

    Args:
        model: As built from its config, with weights.
        size: (H, W) of the images.
        nms: Whether a detector's network ends with non-maximum suppression, as its ``test_cfg`` sets it.

    Raises:
        UserError: A model whose boxes cannot be decoded here, or suppression for one without boxes.
    """
    head = getattr(model, 'head', None)
    if head is not None and hasattr(model, 'backbone') and not hasattr(model, 'bbox_head'):
        if nms:
            raise UserError(f'--nms: {type(model).__name__} finds no boxes that could suppress each other; export it '
                            'without.')
        return ClassifierNetwork(model).eval()
    dense = hasattr(model, 'bbox_head') and not hasattr(model, 'mask_head')
    if not dense or not hasattr(model.bbox_head, 'prior_generator'):
        raise UserError(f'{type(model).__name__} is neither a classifier nor a detector with one dense head, so there '
                        'is no export of its outputs; export single-stage detectors or classifiers.')
    return DetectorNetwork(model, size, suppression(model.test_cfg) if nms else None).eval()


def suppression(test_cfg: dict) -> NonMaxSuppression:
    """Non-maximum suppression as a detector's ``test_cfg`` sets it.

    Raises:
        UserError: Another kind than plain suppression within classes.
    """
    nms = test_cfg.get('nms', {})
    if nms.get('type') != 'nms' or nms.get('class_agnostic'):
        raise UserError(f"test_cfg.nms={dict(nms)!r} is not of type 'nms' within classes, which is what ONNX has; "
                        'export without it.')
    return NonMaxSuppression(nms['iou_threshold'], test_cfg.get('score_thr', 0), test_cfg.get('max_per_img', 100),
                             test_cfg.get('min_bbox_size', -1))


class Normalized(nn.Module):
    """Pixels 0..255 as OpenCV reads them (BGR), shape (N, 3, H, W), brought to what the model was trained on."""

    def __init__(self, preprocessor: nn.Module):
        super().__init__()
        self.swap = getattr(preprocessor, '_channel_conversion', False) or getattr(preprocessor, 'to_rgb', False)
        scaled = getattr(preprocessor, '_enable_normalize', False)
        self.register_buffer('mean', preprocessor.mean.clone() if scaled else torch.zeros(3, 1, 1))
        self.register_buffer('std', preprocessor.std.clone() if scaled else torch.ones(3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images of the same shape."""
        return ((images.flip(1) if self.swap else images) - self.mean) / self.std

    def blank(self) -> Tensor:
        """The pixel, shape (3, 1, 1), that becomes 0: what images are padded with."""
        return self.mean.flip(0) if self.swap else self.mean


class ClassifierNetwork(nn.Module):
    """Images -> class probabilities (N, C)."""

    outputs = ('scores', )

    def __init__(self, model: nn.Module):
        super().__init__()
        self.normalized, self.model = Normalized(model.data_preprocessor), model

    def forward(self, images: Tensor) -> Tensor:
        """Pixels 0..255, BGR, shape (N, 3, H, W)."""
        return self.model(self.normalized(images), mode='tensor').softmax(-1)


class DetectorNetwork(nn.Module):
    """Images -> boxes (N, A, 4) as x1, y1, x2, y2 in pixels of the input, and scores (N, A, C) without background.

    With suppression: boxes (N, K, 4), scores (N, K) and labels (N, K) as :class:`NonMaxSuppression` gives them. What
    mmdet does besides, keeping the best ``nms_pre`` of each level first, is left out: it saves time and drops
    candidates far below those it keeps.

    Raises:
        UserError: At construction, for a head that does not write four numbers a box.
    """

    def __init__(self, model: nn.Module, size: tuple[int, int], nms: Optional[NonMaxSuppression] = None):
        super().__init__()
        self.normalized, self.model, self.size, self.nms = Normalized(model.data_preprocessor), model, size, nms
        self.outputs = ('boxes', 'scores') if nms is None else ('boxes', 'scores', 'labels')
        head = model.bbox_head
        with torch.no_grad():
            outputs = model.eval()(torch.zeros(1, 3, *size), mode='tensor')
        if len(outputs) not in (2, 3):
            raise UserError(f'{type(head).__name__} does not write scores, boxes and perhaps one factor of the scores '
                            f'({len(outputs)} outputs); this head has no export.')
        scores, boxes = outputs[:2]
        for box, priors in zip(boxes, head.prior_generator.num_base_priors):
            if box.shape[1] != 4 * priors:
                raise UserError(f'{type(head).__name__} writes {box.shape[1]} numbers for {priors} boxes, and only '
                                'four a box can be decoded; this head has no export.')
        sizes = [score.shape[2:] for score in scores]
        # Points come with their stride, which some heads decode with; anchors are boxes already.
        points = dict(with_stride=True) if hasattr(head, '_bbox_decode') else {}
        self.register_buffer('priors', torch.cat(head.prior_generator.grid_priors(sizes, device='cpu', **points)))
        # YOLOX gives a box its best class alone, and its threshold is of the product with the factor.
        self.one_label, self.floor = bool(points), 0.0
        if nms is not None and len(outputs) == 3 and not self.one_label:
            # Other heads look at the class alone, before the factor.
            self.floor, nms.threshold = nms.threshold, 0.0

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Pixels 0..255, BGR, shape (N, 3, H, W)."""
        if self.nms is None:
            return self.candidates(images)
        boxes, classes, factor = self._outputs(images)
        competing = classes > self.floor
        if self.one_label:
            competing = competing & (classes == classes.amax(-1, keepdim=True))
        return self.nms(boxes, classes * competing.to(classes.dtype) * factor)

    def candidates(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes (N, A, 4) and scores (N, A, C) before suppression."""
        boxes, classes, factor = self._outputs(images)
        return boxes, classes * factor

    def _outputs(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor | float]:
        """Boxes (N, A, 4), scores of classes (N, A, C) and the factor (N, A, 1) of a box's: objectness, centerness."""
        head, (scores, boxes, *factors) = self.model.bbox_head, self.model(self.normalized(images), mode='tensor')
        scores = self._rows(scores, head.cls_out_channels)
        scores = scores.sigmoid() if getattr(head, 'use_sigmoid_cls', True) else scores.softmax(-1)[..., :-1]
        factor = self._rows(factors[0], 1).sigmoid() if factors else 1.0
        boxes = self._decode(self._rows(boxes, 4))
        height, width = self.size
        x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
        return torch.stack([x[..., 0], y[..., 0], x[..., 1], y[..., 1]], -1), scores, factor

    @staticmethod
    def _rows(levels: list[Tensor], width: int) -> Tensor:
        """Maps (N, P * width, H, W) of all levels -> (N, A, width), in the order of the priors."""
        return torch.cat([t.permute(0, 2, 3, 1).reshape(t.shape[0], -1, width) for t in levels], 1)

    def _decode(self, boxes: Tensor) -> Tensor:
        head = self.model.bbox_head
        if hasattr(head, '_bbox_decode'):
            return head._bbox_decode(self.priors, boxes)
        priors = self.priors.unsqueeze(0).expand(boxes.shape[0], -1, -1)
        return head.bbox_coder.decode(priors.reshape(-1, self.priors.shape[1]), boxes.reshape(-1, 4)).reshape_as(boxes)
