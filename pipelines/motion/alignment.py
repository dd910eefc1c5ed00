"""Bones aligned with bones: directions, hinges and twists of single limbs."""

from __future__ import annotations

import numpy as np

from pipelines.geometry.rotations import (
    nearest_rotation,
    rotation_between,
    rotation_from_vector,
    slerp,
    vector_from_rotation,
)
from pipelines.motion.reference import Reference
from pipelines.motion.rig import unit
from pipelines.motion.source import Source

HINGE_BEND_DEG = 25.0                   # elbows and knees bent more than this tell where their axis is


def hinge_of(source: Source, reference: Reference, a: int, b: int, c: int) -> np.ndarray | None:
    """(3,) the axis about which joint b bends, as it stands in the reference; None when it hardly ever bends.

    a, b, c  the source's joints of one limb: the axis is cross(ab, bc), averaged in a's own frame over the motion
    """
    upper = unit(source.positions[:, b] - source.positions[:, a])
    lower = unit(source.positions[:, c] - source.positions[:, b])
    axis = np.cross(upper, lower)
    bent = np.linalg.norm(axis, axis=1) > np.sin(np.radians(HINGE_BEND_DEG))
    if bent.sum() < 3:
        return None
    local = np.einsum("fba,fb->fa", source.rotations[bent, a], unit(axis[bent]))
    mean = local.mean(axis=0)
    return reference.rotations[a] @ unit(mean) if np.linalg.norm(mean) > 0.8 else None


def aligned(start: np.ndarray, direction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """`start` turned the least so that our rest `direction` points to `target`; unturned for one that has no length."""
    if not np.linalg.norm(unit(target)) > 0.5:
        return start
    return rotation_between(start @ direction, unit(target)) @ start


def rolled(alignment: np.ndarray, along: np.ndarray, axis_at_rest: np.ndarray, wanted: np.ndarray,
           most_deg: float) -> np.ndarray:
    """`alignment` turned about the limb until our joint axis matches the source's, at most `most_deg`."""
    limb = alignment @ along
    ours = alignment @ axis_at_rest
    ours, wanted = unit(ours - limb * (ours @ limb)), unit(wanted - limb * (wanted @ limb))
    angle = float(np.arctan2(np.cross(ours, wanted) @ limb, ours @ wanted))
    angle = float(np.clip(angle, -np.radians(most_deg), np.radians(most_deg)))
    return rotation_from_vector(angle * limb) @ alignment


def twist_about(rotations: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """(F,) signed angle by which rotations (F, 3, 3) turn about a unit axis (swing-twist decomposition)."""
    swung = rotations @ axis
    untwisted = np.swapaxes(rotation_between(np.broadcast_to(axis, swung.shape), swung), -1, -2) @ rotations
    return vector_from_rotation(untwisted) @ axis


def recentred(relative: np.ndarray) -> np.ndarray:
    """Rotations (F, 3, 3) with their mean taken as neutral: a head looks straight ahead on the whole."""
    return relative @ nearest_rotation(relative.mean(axis=0)).T


def between(knots: list[float], rotations: list[np.ndarray], at: float) -> np.ndarray:
    """Rotations (F, 3, 3) interpolated over increasing knots; constant beyond the ends."""
    if at <= knots[0]:
        return rotations[0]
    for k in range(1, len(knots)):
        if at <= knots[k]:
            share = (at - knots[k - 1]) / max(1e-9, knots[k] - knots[k - 1])
            return slerp(rotations[k - 1], rotations[k], share)
    return rotations[-1]


def middles(edges: np.ndarray) -> np.ndarray:
    """Middles of consecutive stretches, as shares of the whole."""
    edges = np.asarray(edges, float)
    return (edges[1:] + edges[:-1]) / 2 / max(1e-9, edges[-1])
