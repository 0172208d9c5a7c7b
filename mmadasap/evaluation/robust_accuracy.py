"""Accuracy of a classifier on clean images, on ImageNet-V2 and on ImageNet-C, from one pass over all of them."""
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Optional

from mmengine.evaluator import BaseMetric

from mmadasap.errors import UserError
from mmadasap.registry import METRICS

from .robustness import RobustnessResult

# Mean error of AlexNet over the five severities (Hendrycks and Dietterich 2019, github.com/hendrycks/robustness).
ALEXNET_ERRORS = dict(
    gaussian_noise=0.886428, shot_noise=0.894468, impulse_noise=0.922640, defocus_blur=0.819880, glass_blur=0.826268,
    motion_blur=0.785948, zoom_blur=0.798360, snow=0.866816, frost=0.826572, fog=0.819324, brightness=0.564592,
    contrast=0.853204, elastic_transform=0.646056, pixelate=0.717840, jpeg_compression=0.606500)
SEVERITIES = {1, 2, 3, 4, 5}
# The selection of ImageNet-V2 that AdaSAP's R_V2 is of.
MAIN_VARIANT = 'matched-frequency'


@METRICS.register_module()
class RobustAccuracy(BaseMetric):
    """Top-k accuracy of every data set of a ConcatDataset, and the ratios between them.

    Samples are told apart by ``shift``, which mmadasap's data sets give them ('clean', 'v2/matched-frequency',
    'c/fog/3'); ``PackInputs`` must pass it on in ``meta_keys``. Gives ``top1`` and the like of the clean images and
    what :func:`summarize` says of the others, in percent.

    Args:
        topk: Ranks within which the true class counts as found.
        reference: Corruption -> mean error (0 to 1) of a reference network over the five severities, for mCE;
            'alexnet' for the usual one; None gives no mCE.
        collect_device: Of :class:`mmengine.evaluator.BaseMetric`.
        prefix: Of :class:`mmengine.evaluator.BaseMetric`.

    Raises:
        UserError: A reference that is neither; at evaluation, samples without ``shift`` or no clean ones.
    """

    default_prefix = 'robust'

    def __init__(self,
                 topk: Sequence[int] = (1, 5),
                 reference: Optional[dict | str] = None,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None):
        super().__init__(collect_device, prefix)
        if reference == 'alexnet':
            reference = ALEXNET_ERRORS
        if reference is not None and not isinstance(reference, Mapping):
            raise UserError(f"RobustAccuracy: reference={reference!r} must be 'alexnet' or a dict of mean errors.")
        self.topk, self.reference = tuple(topk), reference

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Notes the data set and the rank of the true class of every sample."""
        for sample in data_samples:
            if 'shift' not in sample:
                raise UserError("RobustAccuracy: a sample does not say which data set it is of; use mmadasap's data "
                                "sets and dict(type='PackInputs', meta_keys=('img_path', 'shift')).")
            scores = sample['pred_score']
            # Ties and scores that are not finite count as not found.
            rank = int((~(scores < scores[sample['gt_label'].to(scores.device)])).sum()) - 1
            # Interned: there may be millions.
            self.results.append((sys.intern(sample['shift']), rank))

    def compute_metrics(self, results: list[tuple[str, int]]) -> dict[str, float]:
        """Accuracies in percent, ratios as shares."""
        ranks = defaultdict(list)
        for shift, rank in results:
            ranks[shift].append(rank)
        if 'clean' not in ranks:
            raise UserError('RobustAccuracy compares with clean images, but there are none; add the clean data set to '
                            'the ConcatDataset.')
        found = {}
        for k in self.topk:
            top = {shift: 100 * sum(rank < k for rank in rows) / len(rows) for shift, rows in ranks.items()}
            found |= {f'top{k}': top['clean']}
            found |= {f'{name}/top{k}': value for name, value in top.items() if name.startswith('v2/')}
            if k == 1:
                found |= summarize(top, self.reference)
        return found


def summarize(top1: Mapping[str, float], reference: Optional[Mapping[str, float]] = None) -> dict[str, float]:
    """What people report beside the clean accuracy.

    Args:
        top1: Data set ('clean', 'v2/<variant>', 'c/<corruption>/<severity>') -> top-1 accuracy in percent.
        reference: Corruption -> mean error (0 to 1) of a reference network over the five severities.

    Returns:
        ``R_V2`` (matched frequency over clean) and ``R_V2/<variant>`` of the other selections; ``c/<corruption>/top1``
        (mean over severities), ``c/top1`` (mean over all) and ``R_C``; ``mCE`` in percent (mean over the reference's
        corruptions of the error relative to it) where all five severities of all of them are there.
    """
    variants = {name.partition('/')[2]: value for name, value in top1.items() if name.startswith('v2/')}
    clean = top1['clean'] or float('nan')
    ratio = RobustnessResult(clean)
    found = {'R_V2' if v == MAIN_VARIANT else f'R_V2/{v}': value / clean for v, value in variants.items()}
    for name, value in top1.items():
        if name.startswith('c/'):
            _, corruption, severity = name.split('/')
            ratio.corrupted.setdefault(corruption, {})[int(severity)] = value
    if ratio.corrupted:
        means = ratio.by_corruption()
        found |= {f'c/{name}/top1': mean for name, mean in means.items()}
        found |= {'c/top1': ratio.mean_corrupted, 'R_C': ratio.relative}
        if reference and all(set(ratio.corrupted.get(name, ())) == SEVERITIES for name in reference):
            found['mCE'] = sum((100 - means[name]) / error for name, error in reference.items()) / len(reference)
    return found
