import os
import signal

import pytest

from mmadasap.corruption.processes import pool
from mmadasap.errors import UserError


def square(number):
    return number**2, os.getpid()


def die_of_three(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def refuse_three(number):
    if number == 3:
        raise UserError('3 is refused.')
    return number


@pytest.mark.parametrize('workers', [1, 2])
def test_results_are_those_of_map_and_come_from_processes_that_end(workers):
    with pool(workers) as run:
        results = list(run(square, range(10)))
    assert sorted(number for number, _ in results) == [n**2 for n in range(10)]
    here = {process for _, process in results} == {os.getpid()}
    assert here == (workers == 1)
    if not here:
        for _, process in results:
            with pytest.raises(ProcessLookupError):
                os.kill(process, 0)


@pytest.mark.parametrize('function, message', [
    (die_of_three, 'A process was ended from outside, perhaps for want of memory; take fewer --workers'),
    (refuse_three, '3 is refused')])
def test_a_process_that_fails_ends_the_job_with_the_reason(function, message):
    with pool(2) as run, pytest.raises(UserError, match=message):
        list(run(function, range(10)))
