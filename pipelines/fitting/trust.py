"""Which frames of a fit to believe: limbs that miss what was seen, limbs nobody saw, gaps too wild to bridge."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from pipelines.body.model import body_height_m, load_body
from pipelines.core.records import BodyFit, Camera, Landmarks
from pipelines.fitting.anatomy import LANDMARKS
from pipelines.geometry.cameras import project
from pipelines.geometry.rotations import vector_from_rotation

# Landmarks that sit at joints, and the joints.
AT = {f"{part}_{side.lower()}": f"{joint}.{side}" for side in "LR" for part, joint in (
    ("shoulder", "upperarm01"), ("elbow", "lowerarm01"), ("wrist", "wrist"), ("hip", "upperleg01"),
    ("knee", "lowerleg01"), ("ankle", "foot"))}
# Limbs, and pairs of ends: their landmarks, and the largest miss over the person's height. On clips watched frame by
# frame right limbs miss by 1 to 3 %, hidden or swapped ones by 6 to 20 %.
GROUPS = {"the left arm is off": (("elbow_l", "wrist_l"), 0.08), "the right arm is off": (("elbow_r", "wrist_r"), 0.08),
          "the left leg is off": (("knee_l", "ankle_l"), 0.08), "the right leg is off": (("knee_r", "ankle_r"), 0.08),
          "both wrists are off": (("wrist_l", "wrist_r"), 0.06), "both ankles are off": (("ankle_l", "ankle_r"), 0.06)}
# Mean confidence of both limbs' middle and end below which both are guesses. One alone may be behind the body; two
# are not: legs of a couple that hugs still have 0.35 on average, made up ones less than 0.25.
HALVES = {"the legs": (("knee", "ankle"), 0.28), "the arms": (("elbow", "wrist"), 0.12)}
HIDDEN_S = 0.5                          # over which that confidence is averaged
WHOLE_SHARE = 0.04                      # mean miss of all joints over the person's height; right frames: 0.005 to 0.025
HARDLY = 0.2                            # summed confidence of a group below which it cannot miss anything
LOST_SHARE = 0.10                       # error over the person's height from which the neighbours tell a frame
NONSENSE_S = 0.15                       # for so long the neighbours are believed against what was seen
BRIDGED_TURN_RAD = np.radians(75.0)     # the most a body may turn unseen
BRIDGED_MOVE_M = 0.7                    # the most a joint may move unseen, seen from the root


def with_doubts(fit: BodyFit, landmarks: Sequence[Landmarks], found: np.ndarray, times_s: np.ndarray,
                camera: Camera, guessed: Collection[str] = ()) -> tuple[BodyFit, dict[str, np.ndarray]]:
    """The fit with `ok` only where its limbs can be believed, and (F,) bool by reason where they cannot.

    found    (F,) bool; a frame that was not `ok` before stays so
    guessed  landmarks (`knee_l`) that are never seen, which the user takes as they come out
    """
    doubts = missed(fit, landmarks, found, camera)
    doubts["the body is off"] = found & (fit.residual_px > WHOLE_SHARE * heights_px(fit, camera))
    told = nonsense(fit, found & ~np.any(list(doubts.values()), axis=0), times_s, camera)
    taken = {name for name, (parts, _) in GROUPS.items() if {*parts} & {*guessed}}
    doubts = {name: flags & fit.ok & ~told for name, flags in doubts.items() if name not in taken}
    doubts |= {f"{name} are hidden": flags & fit.ok for name, flags in hidden(landmarks, found, times_s).items()
               if not any(mark.startswith(HALVES[name][0]) for mark in guessed)}
    doubts["too much happens unseen"] = wild_gaps(fit, found & ~told) & fit.ok
    doubts |= {"nobody is found": ~found & ~fit.ok, "what is seen is no body": found & ~fit.ok}
    doubts = {name: flags for name, flags in doubts.items() if flags.any()}
    doubtful = np.any([np.zeros(len(fit.ok), bool), *doubts.values()], axis=0)
    return replace(fit, ok=fit.ok & ~doubtful), doubts


def missed(fit: BodyFit, landmarks: Sequence[Landmarks], found: np.ndarray, camera: Camera) -> dict[str, np.ndarray]:
    """(F,) bool for each of `GROUPS`: the joints miss their landmarks, weighted by confidence, by too much."""
    names = [str(name) for name in fit.joint_names]
    pixels = np.array([seen.pixels for seen in landmarks])
    sure = np.clip([seen.confidence for seen in landmarks], 0, 1)
    tall = heights_px(fit, camera)
    flags = {}
    for group, (parts, most) in GROUPS.items():
        joints, marks = [names.index(AT[part]) for part in parts], [LANDMARKS.index(part) for part in parts]
        away = np.linalg.norm(project(fit.joints_m[:, joints], camera) - pixels[:, marks], axis=-1)
        weight = sure[:, marks]
        miss = (np.nan_to_num(away) * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), HARDLY)
        flags[group] = found & (miss > most * tall)
    return flags


def hidden(landmarks: Sequence[Landmarks], found: np.ndarray, times_s: np.ndarray) -> dict[str, np.ndarray]:
    """(F,) bool for arms and legs: both of them have been guesses for about `HIDDEN_S`."""
    sure = np.array([seen.confidence for seen in landmarks])
    start, stop = (np.searchsorted(times_s, times_s + away) for away in (-HIDDEN_S / 2 - 1e-9, HIDDEN_S / 2 + 1e-9))
    rows = np.concatenate([[0], np.cumsum(found)])
    count = np.maximum(rows[stop] - rows[start], 1)
    flags = {}
    for name, (parts, least) in HALVES.items():
        marks = [LANDMARKS.index(f"{part}_{side}") for part in parts for side in "lr"]
        total = np.concatenate([[0.0], np.cumsum(sure[:, marks].mean(axis=1) * found)])
        flags[name] = found & ((total[stop] - total[start]) / count < least)
    return flags


def nonsense(fit: BodyFit, believed: np.ndarray, times_s: np.ndarray, camera: Camera) -> np.ndarray:
    """(F,) bool: what was seen fits no body, but so briefly that the believed frames (F,) around it may tell it."""
    off = fit.residual_px > LOST_SHARE * heights_px(fit, camera)
    told = np.zeros(len(off), bool)
    for a, b in pairwise(np.flatnonzero(believed)):
        told[a + 1:b] = times_s[b] - times_s[a] <= NONSENSE_S + 1e-9
    return told & off


def wild_gaps(fit: BodyFit, seen: np.ndarray) -> np.ndarray:
    """(F,) bool: frames between two that were seen, across which the body turns or a limb moves too far to be told."""
    wild = np.zeros(len(seen), bool)
    beside_root = fit.joints_m - fit.root_translation[:, None]
    for a, b in pairwise(np.flatnonzero(seen)):
        if b == a + 1:
            continue
        turned = np.linalg.norm(vector_from_rotation(fit.joint_rotations[b, 0] @ fit.joint_rotations[a, 0].T))
        moved = np.linalg.norm(beside_root[b] - beside_root[a], axis=1).max()
        wild[a + 1:b] = turned > BRIDGED_TURN_RAD or moved > BRIDGED_MOVE_M
    return wild


def heights_px(fit: BodyFit, camera: Camera) -> np.ndarray:
    """(F,) how tall the standing person would be in the picture."""
    return np.asarray(body_height_m(load_body(), fit.betas) * camera.K[1, 1]
                      / np.maximum(fit.root_translation[:, 2], 0.2))
