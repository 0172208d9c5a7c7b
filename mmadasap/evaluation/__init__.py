"""Evaluation on clean and corrupted images."""
from mmadasap.hosts import is_installed, stand_in
from mmadasap.registry import METRICS

from .report import format_results, write_report
from .robust_accuracy import ALEXNET_ERRORS, RobustAccuracy, summarize
from .robustness import RobustnessResult, evaluate_robustness

__all__ = [
    'ALEXNET_ERRORS', 'RobustAccuracy', 'RobustnessResult', 'evaluate_robustness', 'format_results', 'summarize',
    'write_report'
]

if is_installed('mmdet'):
    from .coco_metric import CocoMetric
    from .voc_metric import VOCMetric
    __all__ += ['CocoMetric', 'VOCMetric']
else:
    stand_in(METRICS, 'mmdet', 'CocoMetric', 'VOCMetric')
