"""Figures of many trainings: means and spread over seeds, ratios, rIPFIP, and which runs count as failed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.benchmarking.rows import Row
from pipelines.metrics.ripfip import ripfip

# A run has collapsed where its picture of held-out frames says no more than an empty one would: its mask covers less
# than half of what the matte and it cover together, or its PSNR is not above that of painting nothing at all.
LEAST_MASK_IOU = 0.5
FINE, COLLAPSED, DIVERGED = "fine", "collapsed", "diverged"
METRICS = ("ssim", "psnr", "flip", "lpips", "mfid", "mask_iou", "face_lpips", "temporal_error")


@dataclass(frozen=True)
class Run:
    """One training of one row, examined on held-out frames."""

    seed: int
    avatar: str
    state: str                                  # FINE, COLLAPSED or DIVERGED
    figures: Mapping[str, float] = field(default_factory=dict)      # of `anr eval`; empty where it diverged
    images: int = 0
    seconds: float = 0.0                        # of training
    parameters: int = 0                         # that the network learns
    why: str = ""                               # what a diverged training said


@dataclass(frozen=True)
class Line:
    """A row with its runs."""

    row: Row
    runs: tuple[Run, ...]
    images: int = 0                             # asked for; 0 = whatever fits the minutes

    def values(self, figure: str) -> list[float]:
        """A figure of every run that has it and did not fail, in the order of the seeds."""
        return [run.figures[figure] for run in self.runs if run.state == FINE and figure in run.figures]

    def count(self, state: str) -> int:
        return sum(run.state == state for run in self.runs)


def state_of(figures: Mapping[str, float]) -> str:
    """FINE or COLLAPSED, by the figures of `anr eval`."""
    empty = figures["psnr"] <= figures["blank_psnr"]
    return COLLAPSED if empty or figures["mask_iou"] < LEAST_MASK_IOU else FINE


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and the standard deviation over seeds (n - 1); NaN where there are too few."""
    mean = statistics.fmean(values) if values else math.nan
    return mean, statistics.stdev(values) if len(values) > 1 else math.nan


def ratio(one: Line, other: Line, figure: str = "lpips") -> tuple[float, float]:
    """Mean and spread of one's figure over the other's, seed by seed; seeds that only one of them has do not count."""
    of = [{run.seed: run.figures[figure] for run in line.runs if run.state == FINE and figure in run.figures}
          for line in (one, other)]
    return mean_and_spread([of[0][seed] / of[1][seed] for seed in of[0] if of[1].get(seed)])


def efficiency(line: Line, v2v: Line | None) -> float:
    """rIPFIP of a row's means; NaN where there is no vid2vid to compare with, and for vid2vid itself."""
    if v2v is None or line.row.name == v2v.row.name:
        return math.nan
    own, its = mean_and_spread(line.values("lpips"))[0], mean_and_spread(v2v.values("lpips"))[0]
    if not (math.isfinite(own) and math.isfinite(its)):
        return math.nan
    return ripfip(own, parameters_of(line), its, parameters_of(v2v))


def parameters_of(line: Line) -> int:
    """What the network of a row learns; 0 where every run diverged."""
    return max((run.parameters for run in line.runs), default=0)


def times_faster(seen: Sequence[float], first: Sequence[float], second: Sequence[float]) -> float:
    """With how many times fewer images the first curve is as good as the second at its end.

    seen     (N,) images at which both were looked at, rising
    first    (N,) a figure that falls, such as LPIPS; read between two looks along a line over log(images)
    returns  above 1 where the first is faster; NaN where it never gets there
    """
    wanted = second[-1]
    for k, value in enumerate(first):
        if value > wanted:
            continue
        if k == 0:
            return seen[-1] / seen[0]           # at least
        share = (first[k - 1] - wanted) / (first[k - 1] - value)
        there = math.exp(math.log(seen[k - 1]) + share * (math.log(seen[k]) - math.log(seen[k - 1])))
        return seen[-1] / there
    return math.nan
