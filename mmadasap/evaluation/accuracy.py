"""The one accuracy among an evaluator's results, as a share between 0 and 1."""
import copy
import math
from collections.abc import Mapping
from typing import Optional, Union

from mmadasap.errors import UserError

# In order of preference; classifiers count in percent.
ACCURACIES = ('pascal_voc/mAP', 'coco/bbox_mAP', 'accuracy/top1', 'mAP', 'bbox_mAP', 'top1', 'accuracy')
PERCENT = ('accuracy/top', 'top', 'single-label/', 'multi-label/')


def find_accuracy(results: Mapping[str, float], metric: Optional[str] = None) -> tuple[str, float]:
    """(its name, the accuracy as a share) of an evaluator's results.

    Args:
        results: Name -> value.
        metric: Which to take; None takes the first known one.

    Raises:
        UserError: There is none of that name, or none known.
    """
    known = ACCURACIES if metric is None else (metric, )
    for name in known:
        if name in results:
            return name, float(results[name]) * (0.01 if name.startswith(PERCENT) else 1)
    wanted = f'no {metric!r}' if metric else 'no accuracy that is known by name'
    raise UserError(f'The evaluator gives {wanted}, only {sorted(results)}; name one of these as metric.')


def class_accuracies(results: Mapping[str, float], metric: str) -> dict[str, float]:
    """Class -> accuracy, of evaluators that tell (``AP/<class>``, and COCO's ``<kind>_<class>_precision``).

    Args:
        results: Name -> value.
        metric: What is counted as accuracy; of COCO's, classes are of its kind, boxes or masks.
    """
    kind, found = metric.removeprefix('coco/').partition('_')[0], {}
    for name, value in results.items():
        last = name.partition('/')[2]
        if last.startswith('AP/'):
            found[last[len('AP/'):]] = float(value)
        elif name.startswith(f'coco/{kind}_') and last.endswith('_precision') and not math.isnan(float(value)):
            found[last[len(f'{kind}_'):-len('_precision')]] = float(value)
    return found


def with_class_accuracies(evaluator: Union[dict, list]) -> Union[dict, list]:
    """The config of an evaluator that tells the accuracy of every class where its metric can."""
    if isinstance(evaluator, (list, tuple)):
        return [with_class_accuracies(metric) for metric in evaluator]
    evaluator = copy.deepcopy(evaluator)
    # As a class in mmengine's new style, or by name.
    kind = getattr(evaluator['type'], '__name__', evaluator['type'])
    if kind in ('VOCMetric', 'mmdet.VOCMetric'):
        evaluator['type'] = 'mmadasap.VOCMetric'
    elif kind in ('CocoMetric', 'mmdet.CocoMetric'):
        evaluator |= dict(type='mmadasap.CocoMetric', classwise=True)
    return evaluator
