"""The paper's claims as differences between two runs, and the rule that decides them."""
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

import bccd
import cifar
from scipy.stats import t as student
from tables import BUDGETS, FIFTH

LEAST_SEEDS = 3
HOLDS, FAILS, OPEN = 'holds', 'does not hold', 'not decided'


@dataclass(frozen=True)
class Claim:
    """That one run is better than another.

    Attributes:
        text: What is claimed.
        paper: The paper's number.
        ours: The run that should be better.
        other: The run it is compared with, seed by seed.
        metric: Column of report.py.
        lower: Whether less is better.
        digits: How the difference is shown.
    """
    text: str
    paper: str
    ours: str
    other: str
    metric: str
    lower: bool = False
    digits: int = 4


def judge(claim: Claim, numbers: Callable[[str], dict[int, float]]) -> tuple[str, Optional[float], float, int]:
    """(verdict, mean difference, half of its 95 % interval, seeds) of the paired differences over common seeds.

    A claim holds if the whole interval (Student's t) is on its side, does not hold if the whole interval is on the
    other, and is not decided otherwise or with fewer than three seeds.
    """
    ours, other = numbers(claim.ours), numbers(claim.other)
    differences = [ours[seed] - other[seed] for seed in sorted(ours.keys() & other.keys())]
    count = len(differences)
    if not count:
        return OPEN, None, math.nan, 0
    mean = statistics.mean(differences)
    if count < LEAST_SEEDS:
        return OPEN, mean, math.nan, count
    half = student.ppf(0.975, count - 1) * statistics.stdev(differences) / math.sqrt(count)
    good = -mean if claim.lower else mean
    return (HOLDS if good > half else FAILS if good < -half else OPEN), mean, half, count


def describe(claim: Claim, mean: float, half: float) -> str:
    """The difference for people, with half of its 95 % interval where there is one."""
    text = f'{mean:+.{claim.digits}f}'
    return text if math.isnan(half) else f'{text} ± {half:.{claim.digits}f}'


def _detection(keep: int, text: str, paper: tuple[str, str, str]) -> list[Claim]:
    ours, other = bccd.pruned('adasap-l', keep).name, bccd.pruned('halp-sgd', keep).name
    return [Claim(f'{text}, {name}', number, ours, other, metric)
            for (name, metric), number in zip(ACCURACIES.items(), paper)]


def _classification(size: int, ours: str, other: str, paper: tuple[str, str, str]) -> list[Claim]:
    names = [cifar.pruned(FIFTH, method, size).name for method in (ours, other)]
    text = f'{cifar.METHODS[ours]} over {cifar.METHODS[other]}, {size} % kept'
    return [Claim(f'{text}, {name}', number, *names, metric)
            for (name, metric), number in zip(ACCURACIES.items(), paper)]


def _around_pruning(size: int, other: str, metrics: dict[str, tuple[str, str]]) -> list[Claim]:
    names = [cifar.pruned(FIFTH, method, size).name for method in ('adasap-p', other)]
    return [Claim(f'AdaSAP_P under {cifar.METHODS[other]}, {size} % kept, {name}', paper, *names, metric, lower=True)
            for metric, (name, paper) in metrics.items()]


def _third_step(other: str, paper: tuple[str, str]) -> list[Claim]:
    runs = cifar.third_steps(FIFTH, 20)
    return [Claim(f'uniform over {other} perturbation in the third step, {name}', number, runs['uniform'].name,
                  runs[other].name, metric)
            for (name, metric), number in zip(ACCURACIES.items(), paper)]


ACCURACIES = {'clean': 'clean', 'corrupted': 'corrupted', 'R_C': 'relative'}
NOT_IN_PAPER = ('not given', ) * 3
CLAIMS = [
    *_detection(BUDGETS[0], 'Table 3: AdaSAP_L over HALP, 60 % of the latency removed', ('+0.021', '+0.037', '+0.027')),
    *_detection(BUDGETS[1], 'Table 3: AdaSAP_L over HALP, 80 % of the latency removed', ('+0.023', '+0.036', '+0.023')),
    *_classification(20, 'adasap-p', 'taylor-sgd', ('+0.0082', '+0.0193', '+0.02')),
    *_classification(20, 'adasap-p', 'taylor-sam', ('+0.0076', '+0.0137', '+0.01')),
    *_classification(20, 'taylor-sam', 'taylor-sgd', ('+0.0006', '+0.0056', '+0.01')),
    *_classification(20, 'adasap-p-asam', 'magnitude-asam', ('+0.0070', '+0.0064', '+0.00')),
    *_classification(20, 'adasap-p', 'magnitude-sgd', NOT_IN_PAPER),
    *_classification(20, 'adasap-p', 'magnitude-sam', NOT_IN_PAPER),
    *_classification(50, 'adasap-p', 'taylor-sgd', ('+0.0118', '+0.0173', '+0.01')),
    *_classification(50, 'adasap-taylor', 'taylor-sgd', ('+0.0041', '+0.0023', '+0.00')),
    *_classification(50, 'adasap-p', 'adasap-taylor', ('+0.0067', '+0.0157', '+0.02')),
    *_classification(50, 'adasap-p', 'magnitude-sam', NOT_IN_PAPER),
    *_around_pruning(50, 'taylor-sgd', {
        'sharpness_before': ('sharpness before pruning (Table 7)', '-0.002'),
        'sharpness_after': ('sharpness after pruning (Table 7)', '-0.005')}),
    *_around_pruning(20, 'magnitude-sam', {
        'loss_before': ('loss before pruning (Table 9)', '+0.038'),
        'loss_after': ('loss after pruning (Table 9)', '-0.054')}),
    *_third_step('none', ('+0.0041', '+0.0002')),
    *_third_step('adaptive', ('+0.0029', '+0.0014')),
]
