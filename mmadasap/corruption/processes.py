"""Processes that work on parts of one job."""
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import Any

import cv2

from mmadasap.errors import UserError


@contextmanager
def pool(workers: int) -> Iterator[Callable]:
    """A function like map that yields results as they come, over processes that end with this one.

    Raises:
        UserError: From that function, when a process was ended from outside.
    """
    if workers == 1:
        yield map
        return
    # Not by fork: a process that has used OpenCV's threads leaves its children locks that nobody opens.
    processes = ProcessPoolExecutor(workers, multiprocessing.get_context('spawn'), _start_worker, (os.getpid(), ))
    try:
        yield partial(_map, processes)
    finally:
        processes.shutdown(cancel_futures=True)


def _map(processes: ProcessPoolExecutor, function: Callable, parts: Iterable) -> Iterator[Any]:
    # multiprocessing.Pool would replace a process that was killed, and wait for its part for ever.
    try:
        for result in as_completed([processes.submit(function, part) for part in parts]):
            yield result.result()
    except BrokenProcessPool:
        raise UserError('A process was ended from outside, perhaps for want of memory; take fewer --workers and run '
                        'again: what is done stays.') from None


def _start_worker(parent: int) -> None:
    """One thread a process; and an end when the parent was killed, or it would wait for work for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    # Ctrl-C reaches all; without this a process would first finish what it has been given.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    cv2.setNumThreads(1)
