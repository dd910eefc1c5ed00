"""A motion-capture file driving our body: limb directions are the actor's, proportions are ours, feet stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipelines.body.model import Body, pose_sequence
from pipelines.core.errors import AnrError
from pipelines.core.records import Motion
from pipelines.geometry.rotations import rotation_from_vector
from pipelines.motion.bvh import CM_PER_M, BvhFile, has_rotations
from pipelines.motion.contacts import Contact
from pipelines.motion.following import global_rotations, hand_directions
from pipelines.motion.grounding import contact_figures, planted, stand_on_floor
from pipelines.motion.jointmap import SIDES, JointMap
from pipelines.motion.reference import choose_reference, starts_with_calibration
from pipelines.motion.rig import UP, Rig, relative, unit
from pipelines.motion.soles import resting_tilts
from pipelines.motion.source import Source, positions_at_rest

MOST_FRAMES = 100_000                   # an hour at 30 frames per second; some GB while it is taken over


@dataclass(frozen=True, eq=False)
class Retargeted:
    """A motion on our body, with what it was made from, in the same world."""

    motion: Motion
    free: Motion                        # the same before feet were locked: every limb points as the actor's
    contacts: tuple[Contact, ...]       # heels and toes that stand in `motion`; none were looked for in one of our own
    own_body: bool                      # the file was written from this very body: it is played as it is
    joint_map: JointMap
    source_joints: np.ndarray           # (F, J', 3) the file's skeleton in our world, scaled to our legs
    source_hands: dict[str, np.ndarray]     # per side (F, 3) where the file's hand points, for those it has
    reference: str                      # which pose of the file the rest pose was aligned with
    up_axis: str                        # of the file: "x", "y" or "z"
    metres_per_unit: float              # ours to the file's legs; 0.01 would be a person of our size in centimetres


def retarget(bvh: BvhFile, body: Body, betas: np.ndarray) -> Motion:
    """The file's motion on our body: y up, floor at 0, starting at x = z = 0 and facing +z.

    AnrError when the file has no rotations or lacks arms or legs.
    """
    return retarget_fully(bvh, body, betas).motion


def retarget_fully(bvh: BvhFile, body: Body, betas: np.ndarray, mended: Mapping[str, str] | None = None) -> Retargeted:
    """The same, with the joint map and the source skeleton for looking at.

    mended  what a joint map file says, as `read_joint_map` gives it
    """
    if not has_rotations(bvh):
        raise AnrError("This BVH file has positions but no rotations, so it moves nothing.",
                       hint="Export it again with rotation channels.")
    if bvh.frame_count > MOST_FRAMES:
        raise AnrError(f"A motion of {bvh.frame_count} frames is too long; {MOST_FRAMES} can be taken over at once.",
                       hint="Cut it into parts, or export it at a lower frame rate.")
    source, rig = Source.open(bvh, mended), Rig.of(body, betas)
    ours = _is_our_skeleton(bvh, body)
    if ours:
        described = "our own skeleton"
        rotations = source.rotations[:, [bvh.joint_names.index(name) for name in body.joint_names]]
    else:
        reference = choose_reference(source)
        described = reference.described
        rotations = global_rotations(source, reference, rig)
        _level_feet(rotations, source, rig, reference.neutral)
    first = 1 if not ours and starts_with_calibration(source) else 0
    heading = _heading(rotations[first:], rig, bvh.fps, keep_below_deg=30.0 if ours else 0.0)
    rotations = heading @ rotations[first:]
    positions = source.positions[first:] @ heading.T
    scale = rig.leg_length() / (_leg_at_rest(source) if ours else source.leg_length)
    positions = (positions - _hip_middle(source, positions)[:1] * [1, 0, 1]) * scale
    hips = rig.rest[[rig.index("upperleg01.L"), rig.index("upperleg01.R")]].mean(axis=0) - rig.rest[0]
    root = _hip_middle(source, positions) - rotations[:, 0] @ hips
    free = Motion(relative(rotations, body.parents), root - root[0] * [1, 0, 1], bvh.fps)
    motion, contacts = free, tuple[Contact, ...]()
    own_body = ours and _is_this_body(bvh, rig)          # which already stands where it should
    if not own_body:
        free = stand_on_floor(free, body, betas)
        stood = planted(free, body, betas)
        motion, contacts = stood.motion, stood.contacts
    moved = motion.root_translation - root
    hands = {side: pointing[first:] @ heading.T for side, pointing in hand_directions(source).items()}
    return Retargeted(motion, free, contacts, own_body, source.joint_map, positions + moved[:, None], hands, described,
                      source.up_axis, scale)


def limb_errors_deg(result: Retargeted, body: Body, joints: np.ndarray) -> dict[str, np.ndarray]:
    """Angle (F,) between each limb of ours and the source's; hands only where the file has them.

    joints  (F, J, 3) of our posed body, as `pose_sequence` gives them
    """
    errors = {}
    for side in SIDES:
        for limb, (ours, theirs) in _LIMBS.items():
            mine = _bone(joints, *(body.joint(f"{name}.{side}") for name in ours))
            wanted = _bone(result.source_joints, *(result.joint_map.joints[f"{name}.{side}"] for name in theirs))
            errors[f"{limb}.{side}"] = _angles_deg(mine, wanted)
        if side in result.source_hands:
            mine = _bone(joints, body.joint(f"wrist.{side}"), body.joint(f"finger3-1.{side}"))
            errors[f"hand.{side}"] = _angles_deg(mine, result.source_hands[side])
    return errors


def figures_of(result: Retargeted, body: Body, betas: np.ndarray) -> dict[str, float]:
    """How well a motion was taken over: limb errors before and after feet were locked, contacts and how they skate."""
    limbs = {}
    for name, motion in (("free", result.free), ("locked", result.motion)):
        joints = pose_sequence(body, betas, motion.joint_rotations, motion.root_translation)
        errors = limb_errors_deg(result, body, joints)
        limbs[name] = np.concatenate([each for limb, each in errors.items() if not limb.startswith("hand")])
        if name == "free":
            hands = [each for limb, each in errors.items() if limb.startswith("hand")]
    return {"limb_error_deg": float(limbs["free"].max()), "hand_error_deg": float(np.max(hands)) if hands else 0.0,
            "limb_error_locked_mean_deg": float(limbs["locked"].mean()),
            "limb_error_locked_deg": float(limbs["locked"].max()), **contact_figures(result.contacts)}


_LIMBS = {
    "upper arm": (("upperarm01", "lowerarm01"), ("shoulder", "elbow")),
    "forearm": (("lowerarm01", "wrist"), ("elbow", "wrist")),
    "thigh": (("upperleg01", "lowerleg01"), ("hip", "knee")),
    "shin": (("lowerleg01", "foot"), ("knee", "ankle")),
}


def _heading(rotations: np.ndarray, rig: Rig, fps: float, keep_below_deg: float) -> np.ndarray:
    """(3, 3) turn about y that makes the start of a motion face +z.

    Pelvis and chest together over the first moments: in a walk they swing against each other, so that either alone
    would send it off to the side. A turn smaller than `keep_below_deg` is left out.
    """
    early = rotations[:max(1, round(0.3 * fps))]
    facing = early[:, [0, rig.index("spine01")], :, 2].mean(axis=(0, 1))
    angle = float(np.arctan2(facing[0], facing[2]))
    if np.hypot(facing[0], facing[2]) < 0.2 or abs(angle) < np.radians(keep_below_deg):
        return np.eye(3)
    return rotation_from_vector(-angle * UP)


def _level_feet(rotations: np.ndarray, source: Source, rig: Rig, known_rest: bool) -> None:
    """Turns our feet in `rotations` (F, J, 3, 3) by what keeps them from being level while they stand."""
    ankles = np.stack([source.positions[:, source.joint_map.joints[f"ankle.{side}"]] for side in SIDES], axis=1)
    scale = rig.leg_length() / source.leg_length
    feet = [rig.index(f"foot.{side}") for side in SIDES]
    rotations[:, feet] = rotations[:, feet] @ resting_tilts(rotations[:, feet], ankles * scale, source.bvh.fps,
                                                            known_rest)


def _is_our_skeleton(bvh: BvhFile, body: Body) -> bool:
    """Whether the file was written from our skeleton, so that its angles can be taken as they are."""
    if not set(body.joint_names) <= set(bvh.joint_names):
        return False
    above = {name: bvh.joint_names[parent] if parent >= 0 else "" for name, parent in zip(bvh.joint_names, bvh.parents)}
    return all(above[name] == body.joint_names[parent] for name, parent in zip(body.joint_names, body.parents)
               if parent >= 0)


def _is_this_body(bvh: BvhFile, rig: Rig) -> bool:
    """Whether a file on our skeleton has this very shape, in centimetres, so that nothing needs to be fitted."""
    for name, offset in zip(bvh.joint_names, bvh.offsets):
        if name in rig.names and rig.parents[rig.index(name)] >= 0:
            wanted = rig.between(rig.names[rig.parents[rig.index(name)]], name)
            if np.abs(offset / CM_PER_M - wanted).max() > 1e-4:
                return False
    return True


def _leg_at_rest(source: Source) -> float:
    """Thigh and shin of the file's rest pose, mean of both sides: ours have joints within, which may bend."""
    rest, joints = positions_at_rest(source.bvh), source.joint_map.joints
    return float(np.mean([np.linalg.norm(rest[joints[f"knee.{s}"]] - rest[joints[f"hip.{s}"]])
                          + np.linalg.norm(rest[joints[f"ankle.{s}"]] - rest[joints[f"knee.{s}"]]) for s in SIDES]))


def _hip_middle(source: Source, positions: np.ndarray) -> np.ndarray:
    joints = source.joint_map.joints
    return (positions[:, joints["hip.L"]] + positions[:, joints["hip.R"]]) / 2


def _bone(joints: np.ndarray, start: int, end: int) -> np.ndarray:
    return unit(joints[:, end] - joints[:, start])


def _angles_deg(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(F,) between unit vectors (F, 3); exact for small angles too."""
    return np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(a - b, axis=1) / 2, 0, 1)))
