"""Evaluation on clean and corrupted images."""
from .robustness import RobustnessResult, evaluate_robustness, format_results

__all__ = ['RobustnessResult', 'evaluate_robustness', 'format_results']
