"""Planted feet made to stand: heels and toes at rest while they carry, legs following.

Corrections are known while a foot stands; between contacts they fade with the velocities they had (Hermite), so that
nothing pops. Hips come down where a leg would overstretch. Compare Kovar, Schreiner and Gleicher, Footskate Cleanup
for Motion Capture Editing, SCA 2002.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipelines.motion.curves import covering, faded
from pipelines.motion.legs import lowering, put_ankle, reach_of
from pipelines.motion.rig import UP, Rig, runs
from pipelines.motion.soles import HEEL, TOES, Foot

HOVER_M = 0.004                         # this far above the floor a foot may stay: a straight leg would bend for it
LOWERING_S = 0.1                        # how smoothly hips come down
DEEPEST_M = 0.15                        # and how far at most


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A motion of our skeleton with rotations counted from the world."""

    rotations: np.ndarray               # (F, J, 3, 3)
    places: np.ndarray                  # (F, J, 3) metres, y up, floor at 0


def locked(skeleton: Skeleton, feet: tuple[Foot, ...], stands: np.ndarray, rig: Rig,
           fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Standing heels and toes stay where they are, soles on the floor.

    returns  rotations (F, J, 3, 3) counted from the world, and (F,) how far the hips came down
    """
    places = skeleton.places
    targets, reaches = [], []
    down = np.zeros(len(places))
    for k, foot in enumerate(feet):
        ankle, turned = places[:, foot.joint], skeleton.rotations[:, foot.joint]
        carries = stands[:, k].any(axis=1)
        target = ankle + faded(_corrections(ankle, turned, foot, stands[:, k]), carries, fps)
        target[:, 1] = np.maximum(target[:, 1], foot.clearance(turned))
        hip = places[:, rig.index(f"upperleg01.{foot.side}")]
        reach = reach_of(hip, ankle, rig, foot.side, faded(carries[:, None] * 1.0, carries, fps)[:, 0])
        targets.append(target)
        reaches.append(reach)
        down = np.maximum(down, lowering(hip, target, reach))
    down = covering(np.minimum(down, DEEPEST_M), LOWERING_S * fps)
    lowered = places - down[:, None, None] * UP
    rotations = skeleton.rotations
    for foot, target, reach in zip(feet, targets, reaches):
        rotations = put_ankle(rotations, lowered, target, reach, rig, foot.side)
    return rotations, down


def _corrections(ankle: np.ndarray, turned: np.ndarray, foot: Foot, stands: np.ndarray) -> np.ndarray:
    """(F, 3) how far the ankle must move for what stands to stay; 0 in frames where nothing does."""
    points = foot.places(turned, ankle)
    moved = np.zeros_like(ankle)
    for start, stop in runs(stands.any(axis=1)):
        _anchor(moved, points, stands, start, stop)
    carried = stands.any(axis=1)
    rise = (foot.clearance(turned) - ankle[:, 1])[carried]
    moved[carried, 1] = np.where(rise < 0, rise + HOVER_M * np.tanh(-rise / HOVER_M), rise)
    return moved


def _anchor(moved: np.ndarray, points: np.ndarray, stands: np.ndarray, start: int, stop: int) -> None:
    """Fills x and z of `moved` (F, 3) for one stance, from its steadiest part to both sides.

    A stance is a run of parts: on the heel, flat, on the toes. What stands in two neighbouring parts stays put over
    both; where the weight changes from one point to the other, the other stays where it then is.
    """
    parts = _parts(stands, start, stop)
    longest = max(range(len(parts)), key=lambda k: (stands[parts[k][0]].all(), parts[k][1] - parts[k][0]))
    first, last = parts[longest]
    point = TOES if stands[first, TOES] else HEEL
    held = points[first:last, point].mean(axis=0)
    moved[first:last, ::2] = (held - points[first:last, point])[:, ::2]
    for step, there in ((1, parts[longest + 1:]), (-1, parts[:longest][::-1])):
        at = last - 1 if step > 0 else first
        for begin, end in there:
            point = TOES if stands[begin, TOES] else HEEL
            if stands[begin].all() and not stands[at, point]:
                point = 1 - point
            held = points[at, point] + moved[at]
            moved[begin:end, ::2] = (held - points[begin:end, point])[:, ::2]
            at = end - 1 if step > 0 else begin


def _parts(stands: np.ndarray, start: int, stop: int) -> list[tuple[int, int]]:
    """Stretches of one stance in which the same points stand."""
    changes = start + 1 + np.flatnonzero((stands[start + 1:stop] != stands[start:stop - 1]).any(axis=1))
    edges = [start, *changes.tolist(), stop]
    return list(pairwise(edges))
