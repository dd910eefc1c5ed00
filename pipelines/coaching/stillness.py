"""Whether the camera stood still: what the background does between frames that the coach looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.coaching.looking import Look

POINTS = 200                            # corners followed from one picture to the next
FEWEST_POINTS = 25                      # with fewer nothing is said: a plain wall
NARROW_SHARE = 0.06                     # of the picture: corners on one line (a skirting board) slide along it freely
STILL_PX = 0.6                          # in small pictures: compression and flicker move corners by less
STILL_SHARE = 0.35                      # of the corners: so many at rest, and whatever else moves, the camera does not
TOGETHER_PX, TOGETHER_SHARE = 1.0, 0.4  # so many corners moving as one are the background; fewer are noise or leaves
MOVED_PX = 1.0                          # and they moved by this: shadows that wander on a plain wall pull less
BACK_PX = 0.5                           # a corner followed there and back ends up this near to where it began
STEP_S = 0.5                            # between the two pictures: a slow pan does not show in less
DRIFT_STEPS = 10                        # a camera that sinks slowly shows over so many steps


@dataclass(frozen=True)
class Step:
    """The background between two looks."""

    first: int                          # row of the look it starts at
    last: int                           # and ends at
    moved: bool | None                  # None = cannot be told


def camera_steps(looks: Sequence[Look], times_s: np.ndarray) -> list[Step]:
    """What the camera did from each look to one at least half a second later, and over ten times that.

    A camera that moves takes the whole background along. Where a good part of it rests, people, cars and leaves may
    move as they like. times_s (N,) of the looks
    source  corners: Shi and Tomasi, Good features to track, 1994; following: Lucas and Kanade 1981 on pyramids; one
            movement for all: RANSAC (Fischler and Bolles 1981) over turn, scale and shift
    """
    if len(looks) < 2:
        return []
    stride = min(max(1, round(STEP_S / max(float(np.median(np.diff(times_s))), 1e-6))), len(looks) - 1)
    pairs = [(k, k + stride) for k in range(len(looks) - stride)]
    long = DRIFT_STEPS * stride
    pairs += [(k, k + long) for k in range(0, len(looks) - long, stride)]
    return [Step(a, b, moved_between(looks[a], looks[b])) for a, b in pairs]


def moved_rows(steps: Sequence[Step], count: int) -> np.ndarray:
    """(count,) bool: looks during which the camera moved, as half of the short steps over them say.

    Slow drifts, which belong to no look, are not among them.
    """
    moved, all_steps = np.zeros(count), np.zeros(count)
    shortest = min((step.last - step.first for step in steps), default=0)
    for step in steps:
        if step.last - step.first == shortest:
            moved[step.first:step.last + 1] += bool(step.moved)
            all_steps[step.first:step.last + 1] += 1
    return (moved > 0) & (moved >= 0.5 * all_steps)


def drifts(steps: Sequence[Step]) -> bool:
    """Whether the camera is elsewhere after a while, however slowly it went there."""
    shortest = min((step.last - step.first for step in steps), default=0)
    long = [step.moved for step in steps if step.last - step.first > shortest and step.moved is not None]
    return len(long) > 0 and sum(long) > 0.5 * len(long)


def moved_between(a: Look, b: Look) -> bool | None:
    """Whether the camera moved from one picture to another; None where the background is too plain to tell."""
    import cv2

    if a.grey.shape != b.grey.shape:
        return None
    free = (~(a.person | b.person)).astype(np.uint8)
    # Dithered and noisy walls have corners of their own in every picture: smoothed, they have none.
    before, after = (cv2.GaussianBlur(each.grey, (0, 0), 1.0) for each in (a, b))
    corners = cv2.goodFeaturesToTrack(before, POINTS, 0.02, 7, mask=free)
    if corners is None:
        return None
    there, ok_there = _followed(before, after, corners)
    back, ok_back = _followed(after, before, there)
    start, end = corners[:, 0], there[:, 0]
    good = ok_there & ok_back & (np.linalg.norm(back[:, 0] - start, axis=1) < BACK_PX)
    at = np.round(end).astype(int)
    good &= (at >= 0).all(axis=1) & (at < a.grey.shape[::-1]).all(axis=1)
    if good.sum() < FEWEST_POINTS:
        return None
    if (np.linalg.norm((end - start)[good], axis=1) < STILL_PX).mean() >= STILL_SHARE:
        return False
    _, together = cv2.estimateAffinePartial2D(start[good], end[good], method=cv2.RANSAC,
                                              ransacReprojThreshold=TOGETHER_PX)
    if together is None or together.mean() < TOGETHER_SHARE:
        return None
    start, end = (each[good][together[:, 0] > 0] for each in (start, end))
    if np.sqrt(np.linalg.eigvalsh(np.cov(start.T))[0]) < NARROW_SHARE * max(a.grey.shape):
        return None
    return bool(np.median(np.linalg.norm(end - start, axis=1)) > MOVED_PX)


def _followed(before: np.ndarray, after: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where corners (N, 1, 2) are in the other picture, and (N,) bool: which were found again."""
    import cv2

    there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, np.zeros_like(corners), winSize=(15, 15),
                                               maxLevel=4)
    return np.asarray(there), np.asarray(found)[:, 0] > 0
