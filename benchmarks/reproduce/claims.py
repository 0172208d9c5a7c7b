"""The paper's claims as differences between two runs, and the rule that decides them."""
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

import bccd
import cifar
from runs import Run
from scipy.stats import t as student
from tables import BUDGETS, FIFTH, WARMUPS

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
        table: Whose runs it takes, as run.py knows it.
        lower: Whether less is better.
        digits: How the difference is shown.
    """
    text: str
    paper: str
    ours: str
    other: str
    metric: str
    table: str
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


def _pair(table: str, text: str, ours: Run, other: Run, paper: tuple[str, ...]) -> list[Claim]:
    """Claims of one pair of runs on accuracy clean, corrupted and their ratio; none where the paper has no number."""
    return [Claim(f'{text}: {name}', number, ours.name, other.name, metric, table)
            for (name, metric), number in zip(ACCURACIES.items(), paper) if number]


def _detection(keep: int, ours: str, other: str, paper: tuple[str, ...]) -> list[Claim]:
    text = f'{bccd.METHODS[ours]} over {bccd.METHODS[other]}, {keep} % of the latency kept'
    return _pair('table3', text, bccd.pruned(ours, keep), bccd.pruned(other, keep), paper)


def _equal_time() -> list[Claim]:
    return _pair('table3', 'AdaSAP_L over exact allocation + SGD of twice the epochs, 40 % of the latency kept',
                 bccd.pruned('adasap-l', 40), bccd.pruned('exact-sgd', 40, 2), CONTROL)


def _half_ascent() -> list[Claim]:
    return [claim for label, other in (('exact allocation + SGD', 'exact-sgd'), ('AdaSAP_L', 'adasap-l'))
            for claim in _pair('table3', f'{HALF} over {label}, 40 % of the latency kept',
                               bccd.half_ascent(40), bccd.pruned(other, 40), CONTROL)]


def _time(label: str, keep: int, run: Run) -> Claim:
    return Claim(f'{label} at {keep} % of the latency takes no longer than dense SGD: time - 1', 'not claimed',
                 run.name, bccd.DENSE, 'cost', 'table3', lower=True, digits=2)


def _classification(size: int, ours: str, other: str, paper: tuple[str, ...]) -> list[Claim]:
    text = f'{cifar.METHODS[ours]} over {cifar.METHODS[other]}, {size} % kept'
    return _pair('table4', text, *(cifar.pruned(FIFTH, method, size) for method in (ours, other)), paper)


def _around_pruning(table: str, other: str, size: int, metrics: dict[str, str], paper: tuple[str, ...]) -> list[Claim]:
    ours, theirs = (cifar.pruned(FIFTH, method, size).name for method in ('adasap-p', other))
    return [Claim(f'AdaSAP_P under {cifar.METHODS[other]}, {size} % kept: {name}', number, ours, theirs, metric, table,
                  lower=True) for (name, metric), number in zip(metrics.items(), paper)]


def _warmup() -> list[Claim]:
    shortest, *_, longest = cifar.warmups(FIFTH, 20, WARMUPS).items()
    return _pair('table10', f'{shortest[0]} of warm-up over {longest[0]}', shortest[1], longest[1],
                 ('+0.0042', '+0.0061'))


def _third_step(other: str, paper: tuple[str, ...]) -> list[Claim]:
    runs = cifar.third_steps(FIFTH, 20)
    return _pair('table11', f'uniform over {other} perturbation in the third step', runs['uniform'], runs[other], paper)


ACCURACIES = {'clean': 'clean', 'corrupted': 'corrupted', 'R_C': 'relative'}
SHARPNESS = {'sharpness before pruning': 'sharpness_before', 'sharpness after pruning': 'sharpness_after'}
LOSSES = {'loss before pruning': 'loss_before', 'loss after pruning': 'loss_after', 'rise of the loss': 'loss_rise'}
CONTROL = ('not given', ) * 3
HALF = 'AdaSAP_L climbing on half of the batch'
# The paper's second budget is 20 %.
DETECTION = {40: ('+0.021', '+0.037', '+0.027'), 30: ('+0.023', '+0.036', '+0.023'), 60: CONTROL}
CLAIMS = [
    *(claim for keep, paper in DETECTION.items() for claim in _detection(keep, 'adasap-halp', 'halp-sgd', paper)),
    *(claim for keep in BUDGETS for ours, other in (
        ('adasap-l', 'exact-sgd'), ('adasap-l', 'halp-sgd'), ('exact-sgd', 'halp-sgd'))
      for claim in _detection(keep, ours, other, CONTROL)),
    *_equal_time(),
    *_half_ascent(),
    *(_time('AdaSAP_L', keep, bccd.pruned('adasap-l', keep)) for keep in BUDGETS),
    _time(HALF, 40, bccd.half_ascent(40)),
    *_classification(20, 'adasap-p', 'taylor-sgd', ('+0.0082', '+0.0193', '+0.02')),
    *_classification(20, 'adasap-p', 'taylor-sam', ('+0.0076', '+0.0137', '+0.01')),
    *_classification(20, 'taylor-sam', 'taylor-sgd', ('+0.0006', '+0.0056', '+0.01')),
    *_classification(20, 'adasap-p-asam', 'magnitude-asam', ('+0.0070', '+0.0064', '+0.00')),
    *_classification(20, 'adasap-p', 'magnitude-asam', CONTROL),
    *_classification(20, 'magnitude-asam', 'magnitude-sam', CONTROL),
    *_classification(20, 'adasap-p', 'magnitude-sgd', ('+0.0058', '+0.0059', '+0.00')),
    *_classification(20, 'adasap-p', 'magnitude-sam', CONTROL),
    *_classification(20, 'adasap-taylor', 'taylor-sgd', CONTROL),
    *_classification(20, 'adasap-taylor', 'taylor-sam', CONTROL),
    *_classification(20, 'adasap-p', 'adasap-taylor', CONTROL),
    *_classification(20, 'adasap-p', 'equal-climb', CONTROL),
    *_classification(20, 'adasap-p', 'mean-radius', CONTROL),
    *_classification(20, 'mean-radius', 'magnitude-sam', CONTROL),
    *_classification(50, 'adasap-p', 'taylor-sgd', ('+0.0118', '+0.0173', '+0.01')),
    *_classification(50, 'adasap-taylor', 'taylor-sgd', ('+0.0041', '+0.0023', '+0.00')),
    *_classification(50, 'adasap-p', 'adasap-taylor', ('+0.0067', '+0.0157', '+0.02')),
    *_classification(50, 'adasap-p', 'magnitude-sam', CONTROL),
    *_around_pruning('table7', 'taylor-sgd', 50, SHARPNESS, ('-0.002', '-0.005')),
    *_around_pruning('table7', 'taylor-sgd', 20, SHARPNESS, CONTROL),
    *_around_pruning('table7', 'equal-climb', 20, SHARPNESS, CONTROL),
    *_around_pruning('table9', 'magnitude-sam', 50, LOSSES, ('-0.076', '-0.102', '-0.026')),
    *_around_pruning('table9', 'magnitude-sam', 20, LOSSES, ('+0.038', '-0.054', '-0.092')),
    *_around_pruning('table9', 'equal-climb', 20, LOSSES, CONTROL),
    *_warmup(),
    *_third_step('none', ('+0.0041', '+0.0002')),
    *_third_step('adaptive', ('+0.0029', '+0.0014')),
]
