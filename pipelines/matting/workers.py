"""Work on many frames at the same time, in order and with the same result."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

PROCESSES = 2

Each = Callable[[Callable[[Any], dict[str, float]], Iterable[Any]], Iterator[dict[str, float]]]


@contextmanager
def workers(several: bool) -> Iterator[Each]:
    """What maps a function over tasks, in order: in this process, or in two (their start takes about 4 s).

    On an interruption what has not begun is dropped.
    """
    if not several:
        yield map
        return
    # fork would copy locks that mediapipe's and numba's threads hold
    pool = ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn"), initializer=_start)
    try:
        yield lambda work, tasks: pool.map(work, tasks, chunksize=2)
    finally:
        pool.shutdown(cancel_futures=True)


def _start() -> None:
    """One thread each, and the parent alone answers Ctrl-C."""
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import cv2

    cv2.setNumThreads(1)
