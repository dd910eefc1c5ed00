"""Feet: where they touch the floor, level where they stand, never turned into it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.body.model import Body, rest_body
from pipelines.geometry.rotations import (
    nearest_rotation,
    rotation_between,
    rotation_from_vector,
    vector_from_rotation,
)
from pipelines.motion.curves import faded
from pipelines.motion.rig import SIDES, UP, runs, unit

HEEL, TOES = 0, 1
POINTS = ("heel", "toes")
TILT_RAD = 0.35                         # the heel is what is lowest of a foot tilted back by this, the toes forwards
BALL = 0.62                             # of the way from the ankle to the toes' tip: beyond it are the toes
RESTING_SPEED = 0.3                     # m/s: an ankle slower than this, and lower than usual, may be standing
MOST_TILT_DEG = 25.0                    # a foot that stands steeper than this does so on purpose
MOST_UNKNOWN_DEG = 45.0                 # unless the file has no pose that says how feet rest
LEVEL_RAD = (0.05, 0.18)                # a foot on its heel is level below the one, as the actor's above the other
TOES_DOWN = 0.07                        # sine of the pitch from which a foot counts as standing on its toes


@dataclass(frozen=True, eq=False)
class Foot:
    """One foot of a body; points are given in the ankle joint's frame, where the foot is rigid."""

    side: str
    joint: int
    sole: np.ndarray                    # (N, 3) vertices that hang on the ankle alone
    points: np.ndarray                  # (2, 3) the heel and the tip of the toes, where they touch the floor

    def clearance(self, rotations: np.ndarray) -> np.ndarray:
        """(F,) height of the ankle when the foot, turned as (F, 3, 3), touches the floor with its lowest point."""
        return -(rotations[:, 1] @ self.sole.T).min(axis=1)

    def places(self, rotations: np.ndarray, ankle: np.ndarray) -> np.ndarray:
        """(F, 2, 3) where heel and toes are; rotations (F, 3, 3), ankle (F, 3)."""
        return ankle[:, None] + np.einsum("fab,pb->fpa", rotations, self.points)


def feet_of(body: Body, betas: np.ndarray) -> tuple[Foot, Foot]:
    """Both feet of a shape, left first."""
    verts, joints = rest_body(body, betas)
    found = []
    for side in SIDES:
        joint = body.joint(f"foot.{side}")
        sole = verts[_hanging_on(body, joint)] - joints[joint]
        tilts = [rotation_from_vector(np.array([angle, 0.0, 0.0])) for angle in (-TILT_RAD, TILT_RAD)]
        points = np.array([sole[(sole @ tilt.T)[:, 1].argmin()] for tilt in tilts])
        found.append(Foot(side, joint, sole, points))
    return found[0], found[1]


def toe_vertices(body: Body) -> np.ndarray:
    """(V,) bool: what lies before the ball of the foot, and bends in an actor's foot but not in ours."""
    toes = np.zeros(len(body.verts), bool)
    for side in SIDES:
        joint = body.joint(f"foot.{side}")
        foot = _hanging_on(body, joint)
        ahead = body.verts[:, 2] - body.rest_joints[joint, 2]
        toes |= foot & (ahead > BALL * ahead[foot].max())
    return toes


def resting_tilts(rotations: np.ndarray, ankles: np.ndarray, fps: float, known_rest: bool) -> np.ndarray:
    """(2, 3, 3) what turns each foot, in its own frame, so that it is level while it stands.

    rotations   (F, 2, 3, 3) of both feet, counted from the world; ankles (F, 2, 3)
    known_rest  whether the file has a pose that says how feet rest: then only what is left over is taken off, per
                foot; else the flatter foot of the whole motion is taken to be flat
    """
    speed = np.linalg.norm(np.gradient(ankles, axis=0), axis=-1) * fps if len(ankles) > 1 else np.zeros((1, 2))
    rests = (speed < RESTING_SPEED) & (ankles[..., 1] <= np.median(ankles[..., 1], axis=0))
    tilts = [_mean_tilt(rotations[rests[:, k], k]) for k in range(2)]
    angles = np.degrees([np.linalg.norm(vector_from_rotation(tilt)) for tilt in tilts])
    if known_rest:
        return np.stack([tilt if angle < MOST_TILT_DEG else np.eye(3) for tilt, angle in zip(tilts, angles)])
    seen = [k for k in range(2) if rests[:, k].any() and angles[k] < MOST_UNKNOWN_DEG]
    if not seen:
        return np.stack([np.eye(3)] * 2)
    flatter = tilts[min(seen, key=lambda k: angles[k])]
    pitch = np.array([vector_from_rotation(flatter)[0], 0.0, 0.0])
    return np.stack([rotation_from_vector(pitch)] * 2)


def levelled(rotations: np.ndarray, ankle: np.ndarray, foot: Foot, stands: np.ndarray, fps: float) -> np.ndarray:
    """One foot (F, 3, 3) turned so that it touches the floor with its ankle at the height it has.

    It points one way as long as it stands flat, and is tilted less than the actor's where its stiff toes would go
    through the floor.

    ankle (F, 3); stands (F, 2) bool, of heel and toes
    """
    flat, carries = stands.all(axis=1), stands.any(axis=1)
    own = heading_of(rotations)
    yaw = np.zeros((len(rotations), 1))
    for start, stop in runs(flat):
        mean = np.angle(np.exp(1j * own[start:stop]).mean())
        yaw[start:stop, 0] = np.angle(np.exp(1j * (mean - own[start:stop])))
    rotations = rotation_from_vector(faded(yaw, flat, fps) * UP) @ rotations
    tilts = np.zeros((len(rotations), 3))
    tilts[carries] = _fitting_tilts(rotations[carries], ankle[carries, 1], foot)
    rotations = rotation_from_vector(faded(tilts, carries, fps)) @ rotations
    through = foot.clearance(rotations) > ankle[:, 1] + 1e-4
    rotations[through] = rotation_from_vector(_fitting_tilts(rotations[through], ankle[through, 1], foot)) \
        @ rotations[through]
    return rotations


def heading_of(rotations: np.ndarray) -> np.ndarray:
    """(F,) angle about the vertical in which feet (F, 3, 3) point."""
    return np.arctan2(rotations[:, 0, 2], rotations[:, 2, 2])


def _fitting_tilts(rotations: np.ndarray, height: np.ndarray, foot: Foot) -> np.ndarray:
    """(N, 3) turns towards level that let each foot touch the floor with its ankle at `height` (N,).

    One with its toes down is turned as far as they need. One on its heel keeps its tilt, since its height hardly
    depends on it, but for the last degrees, over which it becomes level.
    """
    to_level = vector_from_rotation(rotation_between(rotations[:, :, 1], UP))       # the foot's up back to the world's
    low, high = np.zeros(len(rotations)), np.ones(len(rotations))                   # shares of its own tilt
    for _ in range(24):
        share = (low + high) / 2
        above = foot.clearance(rotation_from_vector((1 - share)[:, None] * to_level) @ rotations) > height
        low, high = np.where(above, low, share), np.where(above, share, high)
    on_heel = _eased(np.linalg.norm(to_level, axis=1), *LEVEL_RAD)
    on_toes = _eased(-rotations[:, 1, 2], 0.0, TOES_DOWN)
    return (1 - (on_toes * low + (1 - on_toes) * on_heel))[:, None] * to_level


def _eased(values: np.ndarray, start: float, stop: float) -> np.ndarray:
    """From 0 at `start` to 1 at `stop`, smoothly."""
    share = np.clip((values - start) / (stop - start), 0.0, 1.0)
    return share**2 * (3 - 2 * share)


def _mean_tilt(rotations: np.ndarray) -> np.ndarray:
    """(3, 3) what turns feet (N, 3, 3) level on the average, in their own frame; the identity for none."""
    if not len(rotations):
        return np.eye(3)
    up = np.median(rotations[:, 1], axis=0)             # the world's up as it lies in the feet
    return nearest_rotation(rotation_between(UP, unit(up)))


def _hanging_on(body: Body, joint: int) -> np.ndarray:
    """(V,) bool: vertices that follow one joint alone."""
    return np.where(body.skin_indices == joint, body.skin_weights, 0.0).sum(axis=1) > 0.999
