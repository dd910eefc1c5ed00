"""A motion file posed and turned upright: where its joints are and how they are turned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.motion.bvh import BvhFile, pose_skeleton
from pipelines.motion.jointmap import SIDES, JointMap, match_joints
from pipelines.motion.rig import unit


@dataclass(frozen=True, eq=False)
class Source:
    """The file's skeleton posed, turned so that y is up; lengths in file units."""

    bvh: BvhFile
    joint_map: JointMap
    positions: np.ndarray               # (F, J, 3)
    rotations: np.ndarray               # (F, J, 3, 3) global
    up_axis: str
    leg_length: float

    @classmethod
    def open(cls, bvh: BvhFile, mended: Mapping[str, str] | None) -> Source:
        joint_map = match_joints(bvh, mended)
        positions, rotations = pose_skeleton(bvh)
        axis = _up_axis(trunk_directions(positions, joint_map))
        to_y_up = {"x": np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]]), "y": np.eye(3),
                   "z": np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0.0]])}[axis]
        leg_length = _checked_leg_length(positions, bvh, joint_map)
        return cls(bvh, joint_map, positions @ to_y_up.T, to_y_up @ rotations, axis, leg_length)

    def joint(self, part: str) -> int | None:
        return self.joint_map.joints.get(part)


def trunk_directions(positions: np.ndarray, joint_map: JointMap) -> np.ndarray:
    """(F, 3) from between the ankles to between the shoulders."""
    joints = joint_map.joints
    feet = (positions[:, joints["ankle.L"]] + positions[:, joints["ankle.R"]]) / 2
    return (positions[:, joints["shoulder.L"]] + positions[:, joints["shoulder.R"]]) / 2 - feet


def _up_axis(directions: np.ndarray) -> str:
    """The axis that people stand along most of the time in this file."""
    typical = np.median(unit(directions), axis=0)
    if typical[1] > 0.5:
        return "y"
    return "xyz"[int(np.argmax(typical))]


def _checked_leg_length(positions: np.ndarray, bvh: BvhFile, joint_map: JointMap) -> float:
    """Thigh and shin together, file units; AnrError where a limb has no length or places are beyond all measure."""
    if not np.abs(positions).max() < 1e9:
        raise AnrError("Joints of this motion lie billions of units away.", hint="Export the motion again.")
    rest = positions_at_rest(bvh)
    lengths: dict[str, float] = {}
    for ends in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist")):
        for side in SIDES:
            a, b = (joint_map.joints[f"{part}.{side}"] for part in ends)
            moving = np.linalg.norm(positions[:, b] - positions[:, a], axis=1)
            lengths[f"{ends[0]}.{side}"] = float(np.median(moving))
            if not min(moving.min(), np.linalg.norm(rest[b] - rest[a])) > 1e-6 * max(1e-3, np.abs(rest).max()):
                limb = f"{bvh.joint_names[a]} to {bvh.joint_names[b]}"
                raise AnrError(f"The limb from {limb} has no length in this file.",
                               hint="Export the motion again with the skeleton's offsets.")
    return sum(lengths[f"{part}.{side}"] for part in ("hip", "knee") for side in SIDES) / 2


def positions_at_rest(zero: BvhFile) -> np.ndarray:
    """(J, 3) joints with all rotations zero: sums of offsets."""
    positions = np.zeros_like(zero.offsets)
    for j, parent in enumerate(zero.parents):
        if parent >= 0:
            positions[j] = positions[parent] + zero.offsets[j]
    return positions
