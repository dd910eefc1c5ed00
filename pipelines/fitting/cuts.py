"""Cuts in a video: where one shot ends and the next begins, nothing of the motion goes on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pipelines.core.records import Landmarks
from pipelines.fitting.anatomy import LANDMARKS
from pipelines.fitting.swaps import SWAPS

LEAP_SHARE = 0.05                       # of the person's extent: what half of the landmarks move by, at least
SUDDEN = 3.0                            # and by so many times what they move in the frames before and after
BESIDE = 2                              # frames before and after that are looked at
LONGEST_S = 0.1                         # between two frames: in more time a person can be somewhere else
APART_S = 5.0                           # frames so far apart have nothing to do with each other
LIMBS = [LANDMARKS.index(f"{part}_{side}") for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
         for side in "lr"]
AS_SEEN = np.arange(len(LANDMARKS))


def cuts(landmarks: Sequence[Landmarks], found: np.ndarray, times_s: np.ndarray) -> list[int]:
    """Frames that begin a new shot: all landmarks leap there at once, and hardly move before and after.

    On 16 clips of synthetic walks, squats and dances and 5 of real people no frame moves half of the landmarks by 2.5 %
    of the extent and 1.5 times as far as beside it, but for a moving camera and a juggler's leap (less than twice); the
    cut in a sixth by 9 % and seven times as far. Left and right exchanged is no leap.
    found, times_s  (F,)
    """
    rows = np.flatnonzero(found)
    if len(rows) < 2:
        return []
    pixels = np.array([landmarks[row].pixels for row in rows])
    extent = np.ptp(pixels, axis=1).max(axis=1)
    extent = np.maximum(np.maximum(extent[1:], extent[:-1]), 1.0)
    readings = [pixels[1:, order] for order in (AS_SEEN, *SWAPS.values())]
    leap = np.min([np.median(np.linalg.norm((seen - pixels[:-1])[:, LIMBS], axis=2), axis=1) for seen in readings],
                  axis=0) / extent
    begin = []
    for at in np.flatnonzero((leap > LEAP_SHARE) & (np.diff(times_s[rows]) <= LONGEST_S)):
        before, after = leap[max(0, at - BESIDE):at], leap[at + 1:at + 1 + BESIDE]
        if len(before) and len(after) and leap[at] > SUDDEN * max(before.max(), after.max()):
            begin.append(int(rows[at + 1]))
    return begin


def parted(times_s: np.ndarray, begin: Sequence[int]) -> np.ndarray:
    """(F,) the times with a long pause before every frame that begins a new shot."""
    later = np.zeros(len(times_s))
    later[list(begin)] = 2 * APART_S
    return times_s + np.cumsum(later) if begin else times_s


def shots(times_s: np.ndarray) -> list[slice]:
    """The stretches of frames between pauses as long as `parted` makes them."""
    begin = [0, *(np.flatnonzero(np.diff(times_s) > APART_S) + 1), len(times_s)]
    return [slice(int(a), int(b)) for a, b in pairwise(begin)]
