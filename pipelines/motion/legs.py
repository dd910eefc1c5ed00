"""Two-bone legs: an ankle put where it should be, the knee kept in its plane and bending forwards."""

from __future__ import annotations

import numpy as np

from pipelines.geometry.rotations import rotation_between
from pipelines.motion.rig import Rig, dot, unit

STRETCH = 0.998                         # of thigh and shin: how far a leg reaches that carries
HINGE = np.array([1.0, 0.0, 0.0])       # about which a knee bends, in the thigh's frame at rest
NEARLY_STRAIGHT = 0.03                  # sine of the bend up to which the thigh's own hinge decides the knee's plane
THIGH, SHIN = ("upperleg01", "upperleg02"), ("lowerleg01", "lowerleg02")


def reach_of(hip: np.ndarray, ankle: np.ndarray, rig: Rig, side: str, carries: np.ndarray) -> np.ndarray:
    """(F,) how far from the hip the ankle may be: almost the whole leg, or as far as it is where it carries nothing.

    hip, ankle  (F, 3) as they were before anything was moved
    carries     (F,) 0..1; near full stretch a knee would jerk with every millimetre that the foot is held
    """
    whole = np.linalg.norm(rig.between(f"upperleg01.{side}", f"lowerleg01.{side}"))
    whole = whole + np.linalg.norm(rig.between(f"lowerleg01.{side}", f"foot.{side}"))
    beyond = np.clip(np.linalg.norm(ankle - hip, axis=1), STRETCH * whole, 0.9999 * whole) - STRETCH * whole
    return STRETCH * whole + (1 - carries) * beyond


def lowering(hip: np.ndarray, ankle: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """(F,) how far the hips must come down for the ankle (F, 3) to be within reach (F,); 0 where it is."""
    away = hip - ankle
    level = np.sum(away[:, [0, 2]] ** 2, axis=1)
    height = np.sqrt(np.maximum(reach**2 - level, 0.0))
    return np.maximum(0.0, away[:, 1] - height)


def put_ankle(rotations: np.ndarray, places: np.ndarray, target: np.ndarray, reach: np.ndarray, rig: Rig,
              side: str) -> np.ndarray:
    """Global rotations (F, J, 3, 3) with one ankle at `target` (F, 3), or as near to it as the leg reaches.

    rotations, places  global frames (F, J, 3, 3) and joints (F, J, 3)
    source             the law of cosines in the plane of hip, knee and ankle, which is turned with the leg (its pole)
    """
    hip, knee, ankle = (places[:, rig.index(f"{name}.{side}")] for name in ("upperleg01", "lowerleg01", "foot"))
    upper, lower = knee - hip, ankle - knee
    length_upper, length_lower = np.linalg.norm(upper[0]), np.linalg.norm(lower[0])
    along, wanted = unit(ankle - hip), unit(target - hip)
    hinge = _hinge(rotations[:, rig.index(f"upperleg01.{side}")], unit(upper), unit(lower))
    hinge = unit(hinge - along * dot(hinge, along))

    distance = np.minimum(np.linalg.norm(target - hip, axis=1), reach)
    distance = np.maximum(distance, abs(length_upper - length_lower) + 1e-3)[:, None]
    cosine = (length_upper**2 + distance**2 - length_lower**2) / (2 * length_upper * distance)
    cosine = np.clip(cosine, -1.0, 1.0)
    hinge_then = np.einsum("fab,fb->fa", rotation_between(along, wanted), hinge)
    ahead = np.cross(wanted, hinge_then)
    upper_then = cosine * wanted + np.sqrt(1 - cosine**2) * ahead
    lower_then = unit(distance * wanted - length_upper * upper_then)

    turned = rotations.copy()
    for names, before, after in ((THIGH, unit(upper), upper_then), (SHIN, unit(lower), lower_then)):
        turn = _frame(after, hinge_then) @ np.swapaxes(_frame(before, hinge), -1, -2)
        for name in names:
            turned[:, rig.index(f"{name}.{side}")] = turn @ rotations[:, rig.index(f"{name}.{side}")]
    return turned


def _hinge(thigh: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """(F, 3) about which the knee bends; a straight or backward knee bends as the thigh lies."""
    own = thigh @ HINGE
    bend = np.cross(upper, lower)
    backwards = dot(bend, own) < 0
    bend = np.where(backwards, bend - 2 * own * dot(bend, own), bend)
    size = np.linalg.norm(bend, axis=1, keepdims=True)
    return unit(unit(bend) * np.minimum(size / NEARLY_STRAIGHT, 1.0)
                + own * np.maximum(1.0 - size / NEARLY_STRAIGHT, 0.0))


def _frame(direction: np.ndarray, hinge: np.ndarray) -> np.ndarray:
    """(F, 3, 3) with the direction and the part of the hinge across it as its first two columns."""
    across = unit(hinge - direction * dot(hinge, direction))
    return np.stack([direction, across, np.cross(direction, across)], axis=-1)
