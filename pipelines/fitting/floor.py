"""The floor a person stands on, as the whole clip tells it, and which soles touch it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.body.model import Body
from pipelines.fitting.residuals import State

BODY_UP_RAD = np.radians(4.0)           # how far the body's usual up is from the floor's normal
CAMERA_UP_RAD = np.radians(6.0)         # and the picture's up: cameras are held about level
TILT_RAD = np.radians(3.0)              # how far the mean of the two is
TOUCH_ERROR_M = 0.03                    # of a sole that stands
HEIGHT_ERROR_M = 0.03                   # of the lower sole in one frame
TOUCHES_M = 0.05                        # a sole no higher than this above the floor, or the other sole, stands on it


def sole_points(body: Body) -> np.ndarray:
    """(2, 4) vertices under the left and the right foot: heel, toe, outside, inside."""
    names = list(body.joint_names)
    points = []
    for side in "LR":
        carried = (body.skin_weights * (body.skin_indices == names.index(f"foot.{side}"))).sum(axis=1) > 0.5
        foot = np.flatnonzero(carried)
        x, y, z = body.verts[foot].T
        low = y < y.min() + 0.02
        front = low & (z > np.quantile(z, 0.5))
        points.append([foot[np.where(low, z, np.inf).argmin()], foot[np.where(low, z, -np.inf).argmax()],
                       foot[np.where(front, x, -np.inf).argmax()], foot[np.where(front, x, np.inf).argmin()]])
    return np.array(points)


def find_floor(soles_m: np.ndarray, states: Sequence[State], trust: np.ndarray) -> np.ndarray | None:
    """(4,) unit normal and offset of the plane under the lower sole of each frame; None where no plane is told.

    soles_m  (F, 2, 4, 3) camera frame
    trust    (F,) 0..1
    """
    if trust.sum() < 8:
        return None
    up = np.median(np.array([state.turn[:, 1] for state in states])[trust > 0], axis=0)
    up = up / np.linalg.norm(up) / BODY_UP_RAD ** 2 + np.array([0.0, -1.0, 0.0]) / CAMERA_UP_RAD ** 2
    up /= np.linalg.norm(up)
    heights = (soles_m @ up).min(axis=2)                                   # (F, 2)
    lowest = heights.argmin(axis=1)
    points = np.array([soles_m[f, side, (soles_m[f, side] @ up).argmin()] for f, side in enumerate(lowest)])
    points = points[trust > 0]
    across = np.linalg.svd(up[None])[2][1:]                                # (2, 3) the plane's own axes
    middle = np.median(points, axis=0)
    flat, high = (points - middle) @ across.T, (points - middle) @ up
    weight, tilt, level = np.ones(len(points)), np.zeros(2), 0.0
    for _ in range(12):                 # high = level + flat @ tilt, robust, with a prior on the tilt
        A = np.column_stack([flat, np.ones(len(flat))])
        # neighbouring frames say the same: a second of them counts as a few readings
        rows = weight / HEIGHT_ERROR_M ** 2 / 4.0
        M = (A * rows[:, None]).T @ A + np.diag([TILT_RAD ** -2, TILT_RAD ** -2, 0.0])
        tilt_level = np.linalg.solve(M, (A * rows[:, None]).T @ high)
        tilt, level = tilt_level[:2], tilt_level[2]
        off = high - A @ tilt_level
        weight = 1.0 / (1.0 + (off / 0.04) ** 2) ** 2
    if weight.mean() < 0.3:
        return None                     # climbing, jumping, sitting: soles are nowhere long enough
    normal = up - tilt @ across
    normal /= np.linalg.norm(normal)
    return np.append(normal, -normal @ (middle + level * up))


def touching(soles_m: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """(2, 4) bool: which sole points (2, 4, 3) stand on the floor or are below it."""
    heights = soles_m @ floor[:3] + floor[3]
    lower = heights.min()
    return np.asarray((heights < 0.0) | ((heights < max(lower, 0.0) + TOUCHES_M / 2) & (lower < TOUCHES_M)))
