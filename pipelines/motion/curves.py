"""Smooth curves between two moments of a motion, each with its velocities (cubic Hermite, in space and on rotations).

Velocities count per unit of the span: a span of one frame takes them per frame.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from pipelines.geometry.rotations import rotation_from_vector, vector_from_rotation
from pipelines.motion.rig import runs

FADE_S = 0.25                           # a correction is gone this long after what asked for it
RUNS_OUT_S = 0.1


def velocities(rotations: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turning (F, J, 3) and moving (F, 3) per frame, from the neighbours on both sides; one side at the ends.

    Turning is in the joint's own frame: R(t + 1) is about R(t) exp(turning). One frame has none of either.
    """
    count = len(rotations)
    if count < 2:
        return np.zeros(rotations.shape[:-1]), np.zeros(places.shape)
    steps = vector_from_rotation(np.swapaxes(rotations[:-1], -1, -2) @ rotations[1:])
    turning = np.concatenate([steps[:1], (steps[:-1] + steps[1:]) / 2, steps[-1:]])
    return turning, np.gradient(places, axis=0)


def curved_rotations(start: np.ndarray, end: np.ndarray, turning_start: np.ndarray, turning_end: np.ndarray,
                     share: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) from `start` (share 0) to `end` (share 1) that leave and arrive with the given turning.

    start, end      (..., 3, 3)
    turning_*       (..., 3) in each rotation's own frame, radians per span
    share           (...)
    source          the Hermite basis on exponentials; exact for a steady turn about one axis
    """
    first, way, last = (weight[..., None] for weight in _hermite(np.asarray(share, float)))
    between = vector_from_rotation(np.swapaxes(start, -1, -2) @ end)
    return (start @ rotation_from_vector(first * turning_start) @ rotation_from_vector(way * between)
            @ rotation_from_vector(last * turning_end))


def curved_places(start: np.ndarray, end: np.ndarray, moving_start: np.ndarray, moving_end: np.ndarray,
                  share: np.ndarray) -> np.ndarray:
    """The same for places (..., 3) in straight lines."""
    first, way, last = (weight[..., None] for weight in _hermite(np.asarray(share, float)))
    return start + first * moving_start + way * (end - start) + last * moving_end


def faded(values: np.ndarray, known: np.ndarray, fps: float) -> np.ndarray:
    """Values (F, C) where known (F,), leading smoothly from one known stretch to the next elsewhere.

    A gap shorter than two fades is crossed in one go; in a longer one the values fade to zero and come again.
    The velocity that values have at the edge of a stretch runs out within `RUNS_OUT_S`.
    """
    filled = np.where(known[:, None], values, 0.0)
    stretches = runs(known)
    if not stretches:
        return filled
    fade = max(2, round(FADE_S * fps))
    first, last = stretches[0][0], stretches[-1][1] - 1
    crossings = [(first - fade, first), (last, last + fade)]
    for (_, before), (after, _) in pairwise(stretches):
        if after - before <= 2 * fade:
            crossings.append((before - 1, after))
        else:
            crossings += [(before - 1, before - 1 + fade), (after - fade, after)]
    for start, stop in crossings:
        _cross(filled, values, known, (start, stop), RUNS_OUT_S * fps)
    return filled


def covering(track: np.ndarray, sigma: float) -> np.ndarray:
    """(F,) a smooth curve that is nowhere below the track: its widened maximum, smoothed."""
    if not track.any():
        return track
    reach = max(1, round(2 * sigma))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(track, 2 * reach, mode="edge"), 2 * reach + 1)
    weights = np.hanning(2 * reach + 3)[1:-1]
    return np.convolve(windows.max(axis=1), weights / weights.sum(), mode="valid")


def _cross(filled: np.ndarray, values: np.ndarray, known: np.ndarray, gap: tuple[int, int], reach: float) -> None:
    """Fills the frames strictly between the two of `gap`; what lies beyond the ends, or is not known, is 0.

    reach  frames in which a velocity runs out
    """
    start, stop = gap
    count, none = len(filled), np.zeros(filled.shape[1])

    def at(frame: int) -> np.ndarray:
        return values[frame] if 0 <= frame < count and known[frame] else none

    inside = np.arange(max(0, start + 1), min(count, stop))
    filled[inside] = curved_places(at(start), at(stop), none, none, (inside - start) / (stop - start))
    reach = min(reach, stop - start)
    for edge, step in ((start, 1), (stop, -1)):
        since = (inside - edge) * step
        share = np.minimum(since / reach, 1.0)
        velocity = _slope(values, known, edge, -step)
        filled[inside] += curved_places(none, none, step * reach * velocity, none, share)


def _slope(values: np.ndarray, known: np.ndarray, at: int, step: int) -> np.ndarray:
    """Change per frame at the edge of a known stretch, from its inner neighbour; 0 for a stretch of one frame."""
    inner = at + step
    if not (0 <= inner < len(values) and 0 <= at < len(values) and known[inner] and known[at]):
        return np.zeros(values.shape[1])
    return (values[inner] - values[at]) * step


def _hermite(share: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights of the velocity at the start, the way between and the velocity at the end."""
    return share * (1 - share) ** 2, share**2 * (3 - 2 * share), share**2 * (share - 1)
