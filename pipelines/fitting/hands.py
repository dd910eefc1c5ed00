"""Hands: the turn of the wrist and the bend of every finger, from hand landmarks.

MediaPipe's hand landmarks: 0 the wrist, then four from knuckle to tip of thumb, index, middle, ring and little finger.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipelines.body.model import Body, rest_body, sequence_frames
from pipelines.core.records import BodyFit
from pipelines.fitting.anatomy import LANDMARKS
from pipelines.geometry.rotations import rotation_between, rotation_from_vector

SURE = 0.5                              # hands less sure are not used
PALM_RAD = 0.3                          # expected error of the palm's directions
LEAST_BENT_RAD = np.radians(-15.0)      # of one finger joint, backwards
MOST_BENT_RAD = np.radians(95.0)        # of one finger joint
MOST_SPREAD_RAD = np.radians(20.0)      # of a knuckle, sideways
EVENLY = 0.75                           # of a finger's bend is shared equally by its joints
SPREADING = 0.2                         # of the sideways turn that is seen: 8 degrees are real, 14 are noise
THUMB_SHARE = 0.5                       # likewise; its bones are seen worst
THUMB_BENT_RAD = np.radians(60.0)
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

    Seen from the palm, so an error of the wrist does not bend fingers. Four fingers have hinges, and a knuckle that
    spreads; the thumb's bones follow their landmarks half the way.
    world_m  (F, 2, 21, 3) camera axes; confidence (F, 2)
    """
    _, rest = rest_body(body, fit.betas)
    rotations = fit.joint_rotations.copy()
    for side, letter in enumerate(SIDES):
        joints = np.array([[body.joint(f"finger{finger}-{part}.{letter}") for part in (1, 2, 3)]
                           for finger in range(1, 6)])
        palm = _palm_of(rest[joints[[1, 2, 4], 0]], rest[body.joint(f"wrist.{letter}")])
        sure = np.where(confidence[:, side] >= SURE, confidence[:, side], 0.0)
        if not sure.any():
            continue
        along = np.zeros((len(sure), 15, 3))
        for row in np.flatnonzero(sure > 0):
            hand = world_m[row, side]
            seen = palm @ _palm_of(hand[[5, 9, 17]], hand[0]).T             # camera axes -> the hand at rest
            bones = np.diff(hand[1:].reshape(5, 4, 3), axis=1).reshape(15, 3)
            along[row] = (bones / np.linalg.norm(bones, axis=1, keepdims=True)) @ seen.T
        along, share = _calm(along, sure, times_s, max(smooth_s, 1e-3))
        ends = np.stack([rest[joints[:, 1]], rest[joints[:, 2]], 2 * rest[joints[:, 2]] - rest[joints[:, 1]]], axis=1)
        bones = ends - rest[joints]
        bones /= np.linalg.norm(bones, axis=-1, keepdims=True)              # (5, 3, 3) at rest
        # A turn about this axis closes the hand: the left palm's axes are the right one's mirror image.
        closing = -palm[:, 1] if letter == "L" else palm[:, 1]
        for row in np.flatnonzero(share > 0.02):
            seen = along[row].reshape(5, 3, 3)
            rotations[row, joints[0]] = thumb_turns(bones[0], seen[0], share[row])
            rotations[row, joints[1:]] = finger_turns(bones[1:], seen[1:], closing, share[row])
    _, joints_m = sequence_frames(body, fit.betas, rotations, fit.root_translation)
    return replace(fit, joint_rotations=rotations, joints_m=joints_m)


def finger_turns(rest: np.ndarray, seen: np.ndarray, closing: np.ndarray, share: float) -> np.ndarray:
    """(N, 3, 3, 3) rotations of fingers' joints, relative to the parent, within `LEAST_BENT_RAD` and `MOST_BENT_RAD`.

    The joints of a finger bend together: what they bend in sum is seen well (20 degrees), what each does is not (also
    20 degrees), so each gets `EVENLY` of an equal part.
    rest, seen  (N, 3, 3) unit directions of bones; closing (3,) unit, the hinges' axis; share 0..1 of the way
    """
    out = np.cross(closing, rest[:, 0])
    out /= np.linalg.norm(out, axis=-1, keepdims=True)
    ahead = np.cross(out, closing)
    there, here = (np.arctan2((bones * out[:, None]).sum(-1), (bones * ahead[:, None]).sum(-1))
                   for bones in (seen, rest))
    # A finger may curl by more than half a turn, and hardly bends backwards: angles are counted from -80 degrees.
    bends = np.diff(there - here, axis=1, prepend=0.0)
    bends = (bends + np.radians(80.0)) % (2 * np.pi) - np.radians(80.0)
    bends = EVENLY * bends.mean(axis=1, keepdims=True) + (1 - EVENLY) * bends
    bends = share * np.clip(bends, LEAST_BENT_RAD, MOST_BENT_RAD)
    aside = np.arcsin(np.clip(seen[:, 0] @ closing, -1, 1)) - np.arcsin(np.clip(rest[:, 0] @ closing, -1, 1))
    aside = share * np.clip(SPREADING * aside, -MOST_SPREAD_RAD, MOST_SPREAD_RAD)
    turns = np.array([[rotation_from_vector(bend * closing) for bend in finger] for finger in bends])
    for n, angle in enumerate(aside):
        turns[n, 0] = turns[n, 0] @ rotation_from_vector(-angle * out[n])
    return turns


def thumb_turns(rest: np.ndarray, seen: np.ndarray, share: float) -> np.ndarray:
    """(3, 3, 3) rotations of the thumb's joints, relative to the parent: each bone `THUMB_SHARE` of the way.

    rest, seen  (3, 3) unit directions of bones
    """
    turned, turns = np.eye(3), []
    for at_rest, wanted in zip(rest, seen):
        now = turned @ at_rest
        turn = rotation_between(now, _blend(now, wanted, THUMB_SHARE * share))
        turns.append(turned.T @ turn @ turned)
        turned = turn @ turned
    return np.array(turns)


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
    """(3,) unit direction `share` of the way from a to b, bent no further than a thumb goes."""
    angle = float(np.arccos(np.clip(a @ b, -1, 1)))
    if angle < 1e-6 or angle > np.pi - 1e-3:
        return a
    t = min(share * angle, THUMB_BENT_RAD) / angle
    return np.asarray((np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle))
