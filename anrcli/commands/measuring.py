"""What every bench is made of: a name for what it measures, and timings that can be compared."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipelines.core.cores import available_cores
from pipelines.core.stage import Progress

RUNS = 3                                # each figure is the median over so many runs
CPU_INFO = Path("/proc/cpuinfo")

Figures = dict[str, float]


@dataclass(frozen=True)
class Bench:
    """One thing that can be measured; a figure's name ends with its unit where it has one of `UNITS`."""

    measures: str
    run: Callable[[Progress], Figures]


UNITS = {"fps": "frames/s", "ms": "ms", "s": "s", "mb": "MB", "gb": "GB", "px": "px", "mm": "mm", "deg": "degrees",
         "percent": "%", "texels": "texels"}


def in_words(figure: str, value: float) -> tuple[str, str]:
    """What a figure is called and its value with the unit: `maps_ms`, 2 -> "maps", "2 ms"."""
    quantity, _, unit = figure.rpartition("_")
    if not quantity or unit not in UNITS:
        return figure.replace("_", " "), f"{value:.4g}"
    return quantity.replace("_", " "), f"{value:.4g} {UNITS[unit]}"


def machine() -> str:
    """This machine in words: "2 cores of AMD EPYC, Linux"."""
    cores = available_cores()
    return f"{cores} core{'s' if cores > 1 else ''} of {_processor()}, {platform.system()}"


def _processor() -> str:
    if CPU_INFO.exists():
        for line in CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "an unknown processor"


@dataclass(frozen=True)
class Timing:
    """How long one item took: by the clock, and on all cores together."""

    wall_s: float
    cpu_s: float


def timing(work: Callable[..., object], items: int, runs: int = RUNS,
           prepare: Callable[[], object] | None = None) -> Timing:
    """Medians over runs of `work`, which handles `items` items; call it once before where the first call compiles.

    prepare  called before each run, its time not counted; `work` gets its answer
    """
    walls, cpus = [], []
    for _ in range(runs):
        given = () if prepare is None else (prepare(),)
        wall, cpu = time.perf_counter(), time.process_time()
        work(*given)
        walls.append((time.perf_counter() - wall) / items)
        cpus.append((time.process_time() - cpu) / items)
    return Timing(statistics.median(walls), statistics.median(cpus))
