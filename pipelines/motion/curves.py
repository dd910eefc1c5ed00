"""Smooth curves between two moments of a motion, each with its velocities (cubic Hermite, in space and on rotations).

Velocities count per unit of the span: a span of one frame takes them per frame.
"""

from __future__ import annotations

import numpy as np

from pipelines.geometry.rotations import rotation_from_vector, vector_from_rotation


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


def _hermite(share: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights of the velocity at the start, the way between and the velocity at the end."""
    return share * (1 - share) ** 2, share**2 * (3 - 2 * share), share**2 * (share - 1)
