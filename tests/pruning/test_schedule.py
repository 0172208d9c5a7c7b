import math

import pytest

from mmadasap.errors import UserError
from mmadasap.pruning import PruningSchedule


def test_steps_end_with_the_phase():
    schedule = PruningSchedule(begin=10, end=42, interval=10)
    assert schedule.steps == 3
    assert [i for i in range(1, 60) if schedule.step_at(i)] == [22, 32, 42]
    assert [schedule.step_at(i) for i in (22, 32, 42)] == [1, 2, 3]
    assert not schedule.is_over(41) and schedule.is_over(42)


def test_budgets_fall_exponentially_and_meet_the_target():
    schedule = PruningSchedule(begin=0, end=4, interval=1)
    budgets = [schedule.budget_at(i, dense=1000.0, target=81.0) for i in (1, 2, 3, 4)]
    ratio = (81 / 1000)**0.25
    assert budgets == pytest.approx([1000 * ratio**i for i in (1, 2, 3, 4)])
    assert budgets[-1] == 81.0


def test_after_several_iterations_the_last_step_among_them_counts():
    schedule = PruningSchedule(2, 8, 3)
    assert schedule.budget_within(0, 4, 100, 25) is None and schedule.budget_within(5, 5, 100, 25) is None
    assert schedule.budget_within(3, 6, 100, 25) == schedule.budget_at(5, 100, 25) == pytest.approx(50)
    assert schedule.budget_within(4, 9, 100, 25) == 25


def test_budget_is_the_papers_formula():
    # k_r = exp(a log(k m) + (1 - a) log m) with m = 500, k = 0.2, a = 1 / 2.
    schedule = PruningSchedule(0, 20, 10)
    assert schedule.budget_at(10, 500, 100) == pytest.approx(math.exp(0.5 * math.log(100) + 0.5 * math.log(500)))
    assert schedule.budget_at(11, 500, 100) is None


def test_epochs():
    schedule = PruningSchedule.of_epochs(begin=1, end=3, interval=5, epoch_length=7, max_epochs=3)
    assert schedule == PruningSchedule(7, 21, 5)


@pytest.mark.parametrize('make, message', [
    (lambda: PruningSchedule(5, 5, 1), 'begin=5 and end=5'),
    (lambda: PruningSchedule(-1, 5, 1), 'begin=-1'),
    (lambda: PruningSchedule(0, 5, 0), 'interval=0'),
    (lambda: PruningSchedule(0, 5, 6), 'interval=6'),
    (lambda: PruningSchedule.of_epochs(1, 9, 1, 10, 8), 'ends after epoch 9, but training has only 8'),
    (lambda: PruningSchedule.of_iterations(1, 9, 1, 8), 'ends after iteration 9, but training has only 8'),
])
def test_phases_that_do_not_fit_are_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_where_all_is_kept_no_step_asks_for_less():
    # exp(log(x)) of these lies below x.
    schedule = PruningSchedule(0, 41, 1)
    for dense in (385.3e6, 0.1, 3.0):
        assert all(schedule.budget_at(i, dense, dense) >= dense for i in range(1, 42))
