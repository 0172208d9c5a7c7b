"""Whether a plain network finds what the host's own model finds, before it is written to a file."""
import torch
from torch import Tensor

from mmadasap.errors import UserError, brief

from .networks import ClassifierNetwork, DetectorNetwork

# The same numbers by other orders of adding; of a wrong decoding there is much more.
TOLERANCE = 1e-3
# Candidates of an image that are compared, the best first.
COMPARED = 100
# Share and number of what either side finds alone after suppression: of boxes that overlap by nearly the limit rounding
# decides which stay.
ALONE, FEW = 0.05, 3


def check_agreement(network: ClassifierNetwork | DetectorNetwork, images: Tensor) -> None:
    """Compares a network of :func:`~mmadasap.export.networks.deployable` with the model it was made of.

    A classifier gives the probabilities that its head predicts. A detector's best boxes before suppression, as its head
    decodes them, are among those the network gives, with these scores; and where the network ends with suppression,
    either finds what the other does.

    Args:
        network: In eval mode.
        images: Pixels 0..255, BGR, shape (N, 3, H, W).

    Raises:
        UserError: A head that is decoded in another way here, or cannot be.
    """
    head = network.model.head if isinstance(network, ClassifierNetwork) else network.model.bbox_head
    differ = _scores_differ if isinstance(network, ClassifierNetwork) else _boxes_differ
    try:
        with torch.no_grad():
            apart = differ(network, images)
    except Exception as error:
        raise UserError(f'The outputs of {type(head).__name__} cannot be decoded here ({brief(error)}); this head has '
                        'no export.') from None
    if not apart <= TOLERANCE:
        raise UserError(f'{type(head).__name__} makes something else of its outputs than an export would ({apart:.2g} '
                        'apart, in scores or in shares of the image); this head has no export.')
    alone, found = _count_alone(network, images) if getattr(network, 'nms', None) is not None else (0, 0)
    if alone > max(FEW, ALONE * found):
        raise UserError(f'{type(head).__name__} chooses among its boxes in another way than an export would ({alone} '
                        f'of {found} are found by one of them alone); export it without --nms.')


def _scores_differ(network: ClassifierNetwork, images: Tensor) -> float:
    found = network.model.predict(network.normalized(images))
    return float((network(images) - torch.stack([sample.pred_score for sample in found])).abs().max())


def _boxes_differ(network: DetectorNetwork, images: Tensor) -> float:
    return max(_farthest(theirs, *ours, network.size)
               for theirs, *ours in zip(_candidates(network, images), *network.candidates(images)))


def _count_alone(network: DetectorNetwork, images: Tensor) -> tuple[int, int]:
    """(how many boxes in all images one of head and network finds alone, how many boxes both have in sum)."""
    # What mmdet does to save time is left out here.
    with torch.no_grad():
        theirs, ours = _predict(network, images, nms_pre=10**6), network(images)
    limit = images.new_tensor(network.size[::-1]).repeat(2)
    pairs = [(torch.cat([t.bboxes.clamp(min=0).minimum(limit), t.scores[:, None], t.labels[:, None]], 1),
              torch.cat([boxes, scores[:, None], labels[:, None]], 1)[scores > 0])
             for t, boxes, scores, labels in zip(theirs, *ours)]
    weights = torch.cat([1 / limit, images.new_ones(2)])
    alone = sum(_rows_alone(a * weights, b * weights) for a, b in pairs)
    return alone, sum(len(a) + len(b) for a, b in pairs)


def _rows_alone(one: Tensor, other: Tensor) -> int:
    """How many rows of either are no row of the other."""
    if not len(one) or not len(other):
        return len(one) + len(other)
    apart = torch.cdist(one, other, p=float('inf'))
    return sum(int((apart.amin(dim) > TOLERANCE).sum()) for dim in (0, 1))


def _candidates(network: DetectorNetwork, images: Tensor) -> list:
    """What the host's head decodes, before suppression; of each image boxes, scores and labels."""
    # An untrained network, too, has something to compare.
    return _predict(network, images, with_nms=False, score_thr=0.0)


def _predict(network: DetectorNetwork, images: Tensor, with_nms: bool = True, **settings) -> list:
    """What the host's head finds in each image, with other settings of its ``test_cfg``."""
    head, size = network.model.bbox_head, network.size
    cfg = head.test_cfg.copy()
    cfg.update(settings)
    meta = dict(img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0), pad_shape=size, batch_input_shape=size)
    outputs = network.model(network.normalized(images), mode='tensor')
    return head.predict_by_feat(
        *outputs, batch_img_metas=[meta] * len(images), cfg=cfg, rescale=False, with_nms=with_nms)


def _farthest(theirs, boxes: Tensor, scores: Tensor, size: tuple[int, int]) -> float:
    """How far the best of ``theirs`` are from the nearest of all boxes (A, 4) with scores (A, C), at most."""
    best = theirs[theirs.scores.topk(min(COMPARED, len(theirs))).indices]
    limit = boxes.new_tensor(size[::-1]).repeat(2)
    apart = torch.cdist(best.bboxes.clamp(min=0).minimum(limit), boxes, p=float('inf')) / max(size)
    apart += (scores[:, best.labels].T - best.scores[:, None]).abs()
    return float(apart.amin(1).amax())
