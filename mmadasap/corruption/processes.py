"""Processes that work on parts of one job."""
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cv2


@contextmanager
def pool(workers: int) -> Iterator[Callable]:
    """A function like map that yields results as they come, over processes that end with this one."""
    if workers == 1:
        yield map
        return
    # Not by fork: a process that has used OpenCV's threads leaves its children locks that nobody opens.
    with multiprocessing.get_context('spawn').Pool(workers, _start_worker, (os.getpid(), )) as processes:
        yield processes.imap_unordered


def _start_worker(parent: int) -> None:
    """One thread a process; and an end when the parent was killed, or it would wait for work for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    cv2.setNumThreads(1)
