"""Sharing the rows of a picture out among the cores."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

BAND_ROWS = 32                          # a band's buffers stay in the processor's cache
FEW_PIXELS = 1 << 16                    # below this another thread costs more than it takes off


def available_cores() -> int:
    """Cores this process may use, which a container or taskset makes fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def on_all_cores(draw: Callable[[int, int], object], height: int, width: int, cores: int | None = None) -> None:
    """Calls `draw(first, step)`, which handles bands first, first + step, ..., so that all bands are drawn once.

    Neighbouring bands go to different cores: they see about equally much of a body. `draw` must release the GIL.
    """
    bands = -(-height // BAND_ROWS)
    workers = 1 if height * width < FEW_PIXELS else min(cores or available_cores(), bands)
    if workers == 1:
        draw(0, 1)
        return
    others = [_pool(os.getpid()).submit(draw, first, workers) for first in range(1, workers)]
    draw(0, workers)
    for other in others:
        other.result()


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """The threads of this process (`process`: after a fork those of the parent are gone)."""
    return ThreadPoolExecutor(max(1, available_cores() - 1), thread_name_prefix="bands")
