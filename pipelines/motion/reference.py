"""The pose of a file that our rest pose is aligned with: standing, arms out or down, knees straight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.geometry.rotations import vector_from_rotation
from pipelines.motion.bvh import BvhFile, local_rotations
from pipelines.motion.jointmap import SIDES, JointMap
from pipelines.motion.rig import UP, unit
from pipelines.motion.source import Source, positions_at_rest, trunk_directions

CANDIDATES = 400                        # frames looked at for a reference pose
NEUTRAL_DEG = 60.0                      # total bend up to which a pose counts as standing straight
JUMP_DEG = 12.0                         # a first frame this far from the second is a calibration pose, not motion


@dataclass(frozen=True, eq=False)
class Reference:
    """One pose of the source that our rest pose is aligned with."""

    described: str
    positions: np.ndarray               # (J, 3)
    rotations: np.ndarray               # (J, 3, 3) global, in the same frame as positions
    body_to_pose: np.ndarray            # (3, 3) our left, up and front as they lie in it
    neutral: bool                       # stands straight: head and feet may be taken as at rest
    upright: bool                       # so does the trunk: it stands straight, or is how the skeleton was built


def choose_reference(source: Source) -> Reference:
    """The straightest standing pose there is: the skeleton with all angles zero, or some frame of the motion.

    The first and last frame and the zero pose are preferred on nearly equal terms: calibration poses stand there.
    """
    bvh = source.bvh
    zero = BvhFile(bvh.joint_names, bvh.parents, bvh.offsets, bvh.channels, bvh.end_sites,
                   np.zeros((1, bvh.values.shape[1])), bvh.frame_time_s)
    zero_positions = positions_at_rest(zero)
    frames = np.unique(np.linspace(0, bvh.frame_count - 1, min(CANDIDATES, bvh.frame_count)).astype(int))
    best: tuple[float, Reference] | None = None
    for frame in (-1, *frames.tolist()):
        if frame < 0:
            positions = zero_positions
            rotations = np.broadcast_to(np.eye(3), (len(zero_positions), 3, 3))
            name, handicap = "its zero pose", 0.0
        else:
            positions, rotations = source.positions[frame], source.rotations[frame]
            name, handicap = f"frame {frame}", 0.0 if frame in (0, bvh.frame_count - 1) else 10.0
        body_to_pose = _body_axes(positions, source.joint_map, snap=frame < 0)
        bend = _bend_deg(positions @ body_to_pose, source.joint_map)
        if best is None or bend + handicap < best[0]:
            neutral = bend <= NEUTRAL_DEG
            reference = Reference(name, positions, rotations, body_to_pose, neutral, neutral or frame < 0)
            best = (bend + handicap, reference)
    assert best is not None
    return best[1]


def _body_axes(positions: np.ndarray, joint_map: JointMap, snap: bool) -> np.ndarray:
    """(3, 3) columns: the person's left, up and front in a standing pose.

    snap  up is whichever axis of the file the trunk is nearest to (a zero pose may lie on its back)
    """
    joints = joint_map.joints
    up = UP
    if snap:
        trunk = trunk_directions(positions[None], joint_map)[0]
        axis = int(np.argmax(np.abs(trunk)))
        up = np.eye(3)[axis] * np.sign(trunk[axis] or 1.0)
    across = positions[joints["hip.L"]] - positions[joints["hip.R"]]
    across = across + positions[joints["shoulder.L"]] - positions[joints["shoulder.R"]]
    left = across - up * (across @ up)
    if np.linalg.norm(left) < 1e-6 * max(1e-9, float(np.linalg.norm(across))):
        left = np.roll(up, 1)
    left = unit(left)
    return np.stack([left, up, np.cross(left, up)], axis=1)


def _bend_deg(positions: np.ndarray, joint_map: JointMap) -> float:
    """How far from standing straight, in summed degrees; positions in the person's own axes (left, up, front)."""
    at = {part: positions[j] for part, j in joint_map.joints.items()}
    hips, chest = (at["hip.L"] + at["hip.R"]) / 2, (at["shoulder.L"] + at["shoulder.R"]) / 2
    bend = 1.5 * _angle_deg(chest - hips, UP)
    for side in SIDES:
        thigh, shin = at[f"knee.{side}"] - at[f"hip.{side}"], at[f"ankle.{side}"] - at[f"knee.{side}"]
        upper, fore = at[f"elbow.{side}"] - at[f"shoulder.{side}"], at[f"wrist.{side}"] - at[f"elbow.{side}"]
        bend += _angle_deg(thigh, -UP) + _angle_deg(shin, -UP) + 0.5 * _angle_deg(upper, fore)
        forward = np.degrees(np.arcsin(np.clip(unit(upper)[2], -1, 1)))
        bend += 0.5 * abs(forward)                       # arms in the frontal plane: up, out or down, not ahead
        if f"toe.{side}" in at:
            toe = at[f"toe.{side}"] - at[f"ankle.{side}"]
            bend += 0.3 * _angle_deg(toe * [1, 0, 1], np.array([0, 0, 1.0]))
    lifted = abs(at["ankle.L"][1] - at["ankle.R"][1]) / max(1e-9, float(np.linalg.norm(at["ankle.L"] - at["hip.L"])))
    return float(bend + 200.0 * lifted)


def starts_with_calibration(source: Source) -> bool:
    """Whether frame 0 is a pose for calibration that the motion then jumps away from."""
    if source.bvh.frame_count < 3:
        return False
    turns = local_rotations(source.bvh)[:3]
    steps = np.degrees(np.linalg.norm(vector_from_rotation(np.swapaxes(turns[:-1], -1, -2) @ turns[1:]), axis=-1))
    return bool(steps[0].max() > JUMP_DEG and steps[0].mean() > 5 * steps[1].mean())


def _angle_deg(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(unit(a) @ unit(b), -1, 1))))
