"""Evaluation on clean and corrupted images."""
from .report import format_results, write_report
from .robustness import RobustnessResult, evaluate_robustness
from .voc_metric import VOCMetric

__all__ = ['RobustnessResult', 'VOCMetric', 'evaluate_robustness', 'format_results', 'write_report']
