"""When to prune, and to what budget."""
import math
from dataclasses import dataclass
from typing import Optional

from mmadasap.errors import UserError


@dataclass(frozen=True)
class PruningSchedule:
    """All begin, interval and end arithmetic of the pruning phase, in optimizer iterations counted from 1.

    Prunes after iterations ``end - (steps - 1) * interval, ..., end - interval, end``; the last step and the end of the
    phase coincide.

    Args:
        begin: Iterations of warm-up before the phase.
        end: Last iteration of the phase.
        interval: Iterations between two pruning steps.

    Raises:
        UserError: The numbers leave no room for a pruning step.
    """
    begin: int
    end: int
    interval: int

    def __post_init__(self):
        self.check_phase(self.begin, self.end, self.interval)
        if not 1 <= self.interval <= self.end - self.begin:
            raise UserError(f'interval={self.interval} leaves no pruning step in a phase of {self.end - self.begin} '
                             f'iterations; choose 1 to {self.end - self.begin}.')

    @staticmethod
    def check_phase(begin: int, end: int, interval: int) -> None:
        """Refuses a phase of no length, in whatever unit, or with steps at no whole iterations.

        Raises:
            UserError: Naming the values.
        """
        if not isinstance(interval, int) or interval < 1:
            raise UserError(f'interval={interval!r} must be a whole number of iterations, at least 1.')
        if not all(isinstance(value, int) for value in (begin, end)) or not 0 <= begin < end:
            raise UserError(f'The pruning phase must end after it begins, at whole numbers from 0, but begin={begin!r} '
                             f'and end={end!r}; move one of them.')

    @classmethod
    def of_iterations(cls, begin: int, end: int, interval: int, max_iters: int) -> 'PruningSchedule':
        """A phase after iteration ``begin`` up to iteration ``end``.

        Raises:
            UserError: The phase does not fit into ``max_iters``.
        """
        if end > max_iters:
            raise UserError(f'The pruning phase ends after iteration {end}, but training has only {max_iters} '
                             'iterations; train longer or lower end.')
        return cls(begin, end, interval)

    @classmethod
    def of_epochs(cls, begin: int, end: int, interval: int, epoch_length: int, max_epochs: int) -> 'PruningSchedule':
        """A phase from the start of epoch ``begin`` to the end of epoch ``end - 1``, both counted from 0.

        Raises:
            UserError: The phase does not fit into ``max_epochs``.
        """
        if end > max_epochs:
            raise UserError(f'The pruning phase ends after epoch {end}, but training has only {max_epochs} epochs; '
                             'raise max_epochs or lower end.')
        return cls(begin * epoch_length, end * epoch_length, interval)

    @property
    def steps(self) -> int:
        """Number of pruning steps R."""
        return (self.end - self.begin) // self.interval

    def step_at(self, iteration: int) -> Optional[int]:
        """Which pruning step r (1 to R) follows ``iteration``; None where none does."""
        ahead, rest = divmod(self.end - iteration, self.interval)
        return self.steps - ahead if rest == 0 and 0 <= ahead < self.steps else None

    def budget_at(self, iteration: int, dense: float, target: float) -> Optional[float]:
        """Cost to prune down to after ``iteration``: ``exp(a log(target) + (1 - a) log(dense))``, a = r / R.

        Args:
            iteration: Optimizer iterations done.
            dense: Cost of the network before pruning.
            target: Cost wanted at the end, in the same unit.

        Returns:
            The budget, or None where no pruning step follows.
        """
        step = self.step_at(iteration)
        if step is None:
            return None
        if step == self.steps:
            return target
        done = step / self.steps
        # Rounding must not take a channel where all are to be kept.
        return max(target, math.exp(done * math.log(target) + (1 - done) * math.log(dense)))

    def budget_within(self, before: int, done: int, dense: float, target: float) -> Optional[float]:
        """Cost to prune down to after iterations ``before + 1`` to ``done``: that of the last pruning step among them.

        Args:
            before: Iterations done when last asked.
            done: Iterations done now.
            dense: As for :meth:`budget_at`.
            target: As for :meth:`budget_at`.

        Returns:
            The budget, or None where no pruning step follows any of them.
        """
        budgets = (self.budget_at(iteration, dense, target) for iteration in range(done, before, -1))
        return next((budget for budget in budgets if budget is not None), None)

    def is_over(self, iteration: int) -> bool:
        """Whether the phase has ended after ``iteration``."""
        return iteration >= self.end
