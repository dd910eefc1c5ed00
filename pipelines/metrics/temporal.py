"""Temporal stability: how a surface point's colour changes from frame to frame, in the rendering and in truth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

NEAR = 0.5 / 256                        # of uv: half a texel, the same surface point


class Change(NamedTuple):
    """Of one pair of consecutive frames; colours in 0..1."""

    error: float                        # mean |rendering's change - truth's change|, 0 for a perfect rendering
    rendering: float                    # mean |rendering's change|
    truth: float                        # mean |truth's change|
    points: int                         # surface points seen in both frames


def same_points(first: np.ndarray, second: np.ndarray, near: float = NEAR) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `first` and of `second` that see the same surface point.

    first, second  (N, 2) and (M, 2) uv of covered pixels
    near           farther apart is another point
    returns        (K,) and (K,): for each row of `second` its nearest in `first`, where that is near enough
    """
    from scipy.spatial import cKDTree

    if not len(first) or not len(second):
        return np.zeros(0, int), np.zeros(0, int)
    distance, row = cKDTree(first).query(second, distance_upper_bound=near)
    found = np.isfinite(distance)
    return row[found], np.flatnonzero(found)


def change(uvs: tuple[np.ndarray, np.ndarray], truths: tuple[np.ndarray, np.ndarray],
           renderings: tuple[np.ndarray, np.ndarray]) -> Change:
    """The changes of two consecutive frames, the first warped onto the second by the surface they show.

    uvs                 (N, 2) and (M, 2) of covered pixels of the first and the second frame
    truths, renderings  (N, 3) and (M, 3) their colours in 0..1
    """
    a, b = same_points(*uvs)
    if not len(a):
        return Change(0.0, 0.0, 0.0, 0)
    truth, rendering = (pair[1][b] - pair[0][a] for pair in (truths, renderings))
    return Change(float(np.abs(rendering - truth).mean()), float(np.abs(rendering).mean()),
                  float(np.abs(truth).mean()), len(a))
