"""The head's turn, from points of the face."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipelines.body.model import sequence_frames
from pipelines.core.records import BodyFit, Camera
from pipelines.fitting.anatomy import HANDLES, LANDMARKS, load_anatomy
from pipelines.fitting.posing import forward, place_points
from pipelines.geometry.rotations import rotation_from_vector, vector_from_rotation

# Points of the face that keypoints find, and the body's landmarks at the same places.
POINTS = {"nose_tip": "nose", "eye_outer_l": "eye_outer_l", "eye_inner_l": "eye_inner_l", "eye_inner_r": "eye_inner_r",
          "eye_outer_r": "eye_outer_r", "mouth_l": "mouth_l", "mouth_r": "mouth_r"}
SURE = 0.5                              # faces less sure are not used
SHARE = 0.5                             # of the way from the fitted head to the face: both err by some 8 degrees
SPREAD_S = 0.08                         # Gaussian over time
FARTHEST_RAD = np.radians(45.0)         # a face turned farther from the fitted head is mistaken


@dataclass(frozen=True, eq=False)
class Faces:
    """The face in every frame."""

    names: tuple[str, ...]              # K
    pixels: np.ndarray                  # (F, K, 2)
    confidence: np.ndarray              # (F,) 0 = not found


def turn_heads(fit: BodyFit, faces: Faces, times_s: np.ndarray, camera: Camera) -> BodyFit:
    """The fit with heads turned towards where the face looks, within the joint's limits; others as they are."""
    anatomy = load_anatomy()
    head = anatomy.body.joint("head")
    frames, _ = sequence_frames(anatomy.body, fit.betas, fit.joint_rotations, fit.root_translation)
    points = face_points(fit.betas)
    which = [faces.names.index(name) for name in POINTS]
    turns, sure = np.zeros((len(fit.ok), 3)), np.zeros(len(fit.ok))
    for row in np.flatnonzero((faces.confidence >= SURE) & fit.ok):
        found = looking(points, faces.pixels[row, which], camera, frames[row, head], fit.joints_m[row, head])
        turn = np.full(3, np.inf) if found is None else vector_from_rotation(found @ frames[row, head].T)
        if np.linalg.norm(turn) < FARTHEST_RAD:
            turns[row], sure[row] = turn, 1.0
    rotations = fit.joint_rotations.copy()
    low, high = (np.radians(next(getattr(h, name) for h in HANDLES if h.joints[0][0] == "head"))
                 for name in ("low_deg", "high_deg"))
    for row in np.flatnonzero(sure):
        near = np.abs(times_s - times_s[row]) < 3 * SPREAD_S
        weight = np.exp(-0.5 * ((times_s[near] - times_s[row]) / SPREAD_S) ** 2)
        # Frames without a face count as frames whose head stays: the correction fades in and out.
        turn = SHARE * (weight * sure[near]) @ turns[near] / weight.sum()
        neck = frames[row, head] @ fit.joint_rotations[row, head].T
        local = vector_from_rotation(neck.T @ rotation_from_vector(turn) @ frames[row, head])
        rotations[row, head] = rotation_from_vector(np.clip(local, low, high))
    _, joints_m = sequence_frames(anatomy.body, fit.betas, rotations, fit.root_translation)
    return replace(fit, joint_rotations=rotations, joints_m=joints_m)


def face_points(betas: np.ndarray) -> np.ndarray:
    """(7, 3) `POINTS` of a body at rest, from its head joint, metres."""
    anatomy = load_anatomy()
    rig, marks, _ = anatomy.at(betas)
    _, G, p, _ = forward(rig, np.zeros(len(anatomy.natural)), np.eye(3), rig.rest[0].copy())
    at = place_points(marks, G, p)[[LANDMARKS.index(name) for name in POINTS.values()]]
    return np.asarray(at - rig.rest[anatomy.body.joint("head")])


def looking(points: np.ndarray, pixels: np.ndarray, camera: Camera, turn: np.ndarray,
            place: np.ndarray) -> np.ndarray | None:
    """(3, 3) how the head is turned in the camera's frame, from the fitted turn and place on; None if none is found.

    points (N, 3) metres from the head joint at rest; pixels (N, 2)
    """
    import cv2

    vector = vector_from_rotation(turn).reshape(3, 1)
    where = np.array(place, float).reshape(3, 1)
    found, vector, where = cv2.solvePnP(points, np.ascontiguousarray(pixels, float), camera.K, np.zeros(4), vector,
                                        where, True, cv2.SOLVEPNP_ITERATIVE)
    return rotation_from_vector(np.asarray(vector)[:, 0]) if found and where[2, 0] > 0 else None
