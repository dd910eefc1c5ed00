"""Feet that stand still: where they are told by a whole stretch of frames, not by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.core.records import Landmarks
from pipelines.fitting.anatomy import LANDMARKS

FEET = tuple(tuple(LANDMARKS.index(f"{part}_{side}") for part in ("ankle", "heel", "toe")) for side in "lr")
STILL_SHARE = 0.012                     # of the person's height: how far a standing foot's landmarks wander
SHORTEST_S = 0.25
SAME_SHARE = 0.03                       # of the person's height: stretches so near each other are of one stand,
PAUSE_S = 0.2                           # when no more lies between: in a squat the landmarks creep

LATELY_SHARE = 0.014                    # likewise, frame by frame, from where it was in the last `SHORTEST_S`
LONGEST = 150                           # frames of a stand that are kept in mind


def standing_runs(landmarks: Sequence[Landmarks], found: np.ndarray, times_s: np.ndarray,
                  heights_px: np.ndarray) -> list[tuple[tuple[int, ...], int, int]]:
    """Stretches in which a foot stays where it is in the picture: (its landmarks, first frame, one past the last).

    heights_px  (F,) how tall the person is in the picture
    """
    runs: list[tuple[tuple[int, ...], int, int]] = []
    for foot in FEET:
        where = np.array([marks.pixels[list(foot)].mean(axis=0) for marks in landmarks])
        start = 0
        while start < len(where):
            end = start
            while end < len(where) and found[end]:
                stretch = where[start:end + 1]
                if np.linalg.norm(stretch - np.median(stretch, axis=0), axis=1).max() > STILL_SHARE * heights_px[start]:
                    break
                end += 1
            if end > start and times_s[end - 1] - times_s[start] >= SHORTEST_S:
                last = runs[-1] if runs else (foot, 0, 0)
                near = SAME_SHARE * heights_px[start]
                if (last[0] == foot and last[2] and times_s[start] - times_s[last[2] - 1] <= PAUSE_S
                        and _apart(where, last[1:], (start, end)) < near):
                    runs[-1] = (foot, last[1], end)
                else:
                    runs.append((foot, start, end))
            start = max(end, start + 1)
    return runs


def _apart(where: np.ndarray, a: tuple[int, int], b: tuple[int, int]) -> float:
    """How far two stretches of (F, 2) places lie apart, by their medians."""
    return float(np.linalg.norm(np.median(where[slice(*a)], axis=0) - np.median(where[slice(*b)], axis=0)))


def standing_depths(runs: Sequence[tuple[tuple[int, ...], int, int]], marks_m: np.ndarray,
                    sure: np.ndarray) -> np.ndarray:
    """(F, 33) depth at which each standing landmark stays (the median of its stretch); NaN where it moves.

    marks_m  (F, 33, 3) where the landmarks are now, camera frame
    sure     (F,) > 0, how much a frame counts: height tells how far away somebody stretched is, not somebody bent
    """
    depths = np.full(marks_m.shape[:2], np.nan)
    for foot, start, end in runs:
        for mark in foot:
            depths[start:end, mark] = weighted_median(marks_m[start:end, mark, 2], sure[start:end])
    return depths


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """Of values (N,): the least one that has half of the weight (N,) at or below it."""
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(below, 0.5 * below[-1])])


class Stands:
    """Where each foot stands as frames come in: how far away it was while the legs were stretched, it stays."""

    def __init__(self) -> None:
        self._runs: tuple[list[Footprint], ...] = tuple([] for _ in FEET)

    def depths(self, landmarks: Landmarks, tall_px: float, time_s: float) -> np.ndarray:
        """(33,) depth at which standing landmarks stay; NaN where a foot moves. A foot that has moved begins anew."""
        depths = np.full(len(LANDMARKS), np.nan)
        for foot, run in zip(FEET, self._runs):
            if not run:
                continue
            where, here = np.array([step.pixel for step in run]), landmarks.pixels[list(foot)].mean(axis=0)
            lately = where[[step.time_s > time_s - SHORTEST_S for step in run]]
            if (np.linalg.norm(here - np.median(where, axis=0)) > SAME_SHARE * tall_px
                    or len(lately) == 0 or np.linalg.norm(here - np.median(lately, axis=0)) > LATELY_SHARE * tall_px):
                run.clear()
            elif time_s - run[0].time_s >= SHORTEST_S:
                far, sure = np.array([step.depths_m for step in run]), np.array([step.sure for step in run])
                depths[list(foot)] = [weighted_median(each, sure) for each in far.T]
        return depths

    def add(self, landmarks: Landmarks, marks_m: np.ndarray, sure: float, time_s: float) -> None:
        """Keeps in mind where the landmarks (33, 3) were found; sure > 0, as in `standing_depths`."""
        for foot, run in zip(FEET, self._runs):
            run.append(Footprint(time_s, landmarks.pixels[list(foot)].mean(axis=0), marks_m[list(foot), 2], sure))
            del run[:-LONGEST]


@dataclass(frozen=True, eq=False)
class Footprint:
    """A foot in one frame."""

    time_s: float
    pixel: np.ndarray                   # (2,)
    depths_m: np.ndarray                # (3,) of its landmarks
    sure: float
