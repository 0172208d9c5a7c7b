import os

import pytest

from mmadasap.corruption.processes import pool


def square(number):
    return number**2, os.getpid()


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
