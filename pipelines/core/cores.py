"""Sharing work out among the processor's cores."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache


def available_cores() -> int:
    """Cores this process may use, which a container or taskset makes fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def on_all_cores(work: Callable[[int], object], jobs: int, cores: int | None = None) -> None:
    """Calls `work(0)`, ..., `work(jobs - 1)`, each once, on this thread and on others; returns when all are done.

    work   lets other threads run while it works (compiled code that frees the GIL)
    cores  how many to use, None = all
    """
    helpers = min(cores or available_cores(), jobs) - 1
    waiting = iter(range(jobs))

    def take_turns() -> None:
        for job in waiting:
            work(job)

    others = [_pool(os.getpid()).submit(take_turns) for _ in range(helpers)]
    take_turns()
    for other in others:
        if not other.cancel():          # one that has not begun has nothing left to do
            other.result()


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """The helpers of this process (`process`: after a fork those of the parent are gone)."""
    return ThreadPoolExecutor(max(1, available_cores() - 1), thread_name_prefix="cores")
