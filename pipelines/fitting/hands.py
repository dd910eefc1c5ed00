"""Hands: the turn of the wrist and the bend of every finger, from hand landmarks.

MediaPipe's hand landmarks: 0 the wrist, then four from knuckle to tip of thumb, index, middle, ring and little finger.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipelines.body.model import Body, rest_body, sequence_frames
from pipelines.core.records import BodyFit
from pipelines.fitting.anatomy import LANDMARKS
from pipelines.geometry.rotations import rotation_between

SURE = 0.5                              # hands less sure are not used
PALM_RAD = 0.3                          # expected error of the palm's directions
MOST_BENT_RAD = np.radians(100.0)       # of one finger joint
REST_S = 0.5                            # without a hand for that long the fingers are back at rest
SIDES = "LR"                            # the person's, as keypoints.npz orders them


@dataclass(frozen=True, eq=False)
class Hands:
    """The hands of one frame."""

    world_m: np.ndarray                 # (2, 21, 3) left, right; camera axes, any origin
    confidence: np.ndarray              # (2,) 0 = not found


def palm_directions(hands: Hands) -> tuple[np.ndarray, np.ndarray]:
    """What hands say about the body's landmarks: pairs (N, 2) and unit directions (N, 3); none without sure hands."""
    pairs, directions = [], []
    for side, world, confidence in zip("lr", hands.world_m, hands.confidence):
        if confidence < SURE:
            continue
        for a, b, start, end in (("pinky", "index", 17, 5), ("wrist", "index", 0, 5), ("wrist", "pinky", 0, 17)):
            along = world[end] - world[start]
            length = float(np.linalg.norm(along))
            if length > 1e-4:
                pairs.append((LANDMARKS.index(f"{a}_{side}"), LANDMARKS.index(f"{b}_{side}")))
                directions.append(along / length)
    return np.array(pairs, np.int64).reshape(-1, 2), np.array(directions).reshape(-1, 3)


def bend_fingers(body: Body, fit: BodyFit, world_m: np.ndarray, confidence: np.ndarray, times_s: np.ndarray,
                 smooth_s: float) -> BodyFit:
    """The fit with fingers as the hand landmarks show them, calm over time; at rest where no hand is seen.

    Each bone takes the direction of its landmarks by the smallest turn from its parent, seen from the palm, so an
    error of the wrist does not bend fingers.
    world_m  (F, 2, 21, 3) camera axes; confidence (F, 2)
    """
    _, rest = rest_body(body, fit.betas)
    rotations = fit.joint_rotations.copy()
    for side, letter in enumerate(SIDES):
        bones = [(finger, part, body.joint(f"finger{finger + 1}-{part + 1}.{letter}"))
                 for finger in range(5) for part in range(3)]
        palm = _palm_of(np.array([rest[body.joint(f"finger{n}-1.{letter}")] for n in (2, 3, 5)]),
                        rest[body.joint(f"wrist.{letter}")])
        sure = np.where(confidence[:, side] >= SURE, confidence[:, side], 0.0)
        if not sure.any():
            continue
        along = np.zeros((len(sure), 15, 3))
        for row in np.flatnonzero(sure > 0):
            hand = world_m[row, side]
            seen = palm @ _palm_of(hand[[5, 9, 17]], hand[0]).T             # camera axes -> the hand at rest
            steps = hand[1:].reshape(5, 4, 3)[:, 1:] - hand[1:].reshape(5, 4, 3)[:, :-1]
            along[row] = (steps.reshape(15, 3) / np.linalg.norm(steps.reshape(15, 3), axis=1, keepdims=True)) @ seen.T
        along, share = _calm(along, sure, times_s, max(smooth_s, 1e-3))
        for row in np.flatnonzero(share > 0.02):
            turned = np.eye(3)
            for k, (_, part, joint) in enumerate(bones):
                turned = np.eye(3) if part == 0 else turned
                child = joint + 1 if part < 2 else joint
                at_rest = rest[child] - rest[joint] if part < 2 else rest[joint] - rest[joint - 1]
                now = turned @ (at_rest / np.linalg.norm(at_rest))
                wanted = _blend(now, along[row, k], share[row])
                turn = rotation_between(now, wanted)
                rotations[row, joint] = turned.T @ turn @ turned
                turned = turn @ turned
    _, joints_m = sequence_frames(body, fit.betas, rotations, fit.root_translation)
    return replace(fit, joint_rotations=rotations, joints_m=joints_m)


def _palm_of(knuckles: np.ndarray, wrist: np.ndarray) -> np.ndarray:
    """(3, 3) columns: towards the middle knuckle, across, out of the palm; knuckles (3, 3) index, middle, little."""
    ahead = knuckles[1] - wrist
    ahead = ahead / np.linalg.norm(ahead)
    across = knuckles[0] - knuckles[2]
    across = across - ahead * (across @ ahead)
    across = across / np.linalg.norm(across)
    return np.stack([ahead, across, np.cross(ahead, across)], axis=1)


def _calm(values: np.ndarray, sure: np.ndarray, times_s: np.ndarray, sigma_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian mean over sure frames, unit length, and (F,) 0..1: how near a sure frame is."""
    away = times_s[:, None] - times_s
    weight = np.exp(-0.5 * (away / sigma_s) ** 2) * sure
    nearest = np.where(sure > 0, np.abs(away), np.inf).min(axis=1)
    lonely = weight.sum(axis=1) < 1e-6
    weight[lonely] = (np.where(sure > 0, np.abs(away), np.inf) == nearest[:, None])[lonely]
    mean = np.einsum("fg,gkc->fkc", weight / weight.sum(axis=1, keepdims=True), values)
    mean /= np.maximum(np.linalg.norm(mean, axis=-1, keepdims=True), 1e-9)
    return mean, np.clip(1.0 - nearest / REST_S, 0.0, 1.0)


def _blend(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    """(3,) unit direction `share` of the way from a to b, bent no further than a finger goes."""
    angle = float(np.arccos(np.clip(a @ b, -1, 1)))
    if angle < 1e-6 or angle > np.pi - 1e-3:
        return a
    t = min(share * angle, MOST_BENT_RAD) / angle
    return np.asarray((np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle))
