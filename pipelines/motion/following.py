"""How each of our joints stands in the world when it follows its counterpart in a file.

Every joint follows the *global* rotation its counterpart makes away from a reference pose of the file, after an
alignment that turns our rest pose into that reference: G(t) = W Q(t) Q(ref)^T A. Since a bone is rigid in its
joint's frame, a limb that is aligned once points where the source's limb points in every frame, whatever the
two rest poses are (copying local rotations is off by up to 59 degrees between an A-pose and a T-pose).
The reference decides only what directions cannot tell: twist, and where trunk, head and feet are neutral.
"""

from __future__ import annotations

import numpy as np

from pipelines.geometry.rotations import rotation_between, rotation_from_vector
from pipelines.motion.alignment import aligned, between, hinge_of, middles, recentred, rolled, twist_about
from pipelines.motion.bvh import BvhFile
from pipelines.motion.jointmap import SIDES, JointMap, bone_tip, descendants
from pipelines.motion.reference import Reference
from pipelines.motion.rig import Rig, unit
from pipelines.motion.source import Source

FOOT_AT_REST = np.array([0.0, -0.4, 0.916])     # ankle to ball on the mean body (toes are no joints of ours)
FOREARM_TWIST = (0.3, 0.7)              # share of the forearm's twist at the elbow and halfway to the wrist


def global_rotations(source: Source, reference: Reference, rig: Rig) -> np.ndarray:
    """(F, J, 3, 3): how each of our joints stands in the (y-up) world of the source."""
    joint_map, frame_count = source.joint_map, source.bvh.frame_count
    axes = reference.body_to_pose

    def turned(joint: int, alignment: np.ndarray) -> np.ndarray:
        """Our joint that follows the file's `joint`, standing as `alignment` in the reference."""
        return source.rotations[:, joint] @ reference.rotations[joint].T @ alignment

    G = np.broadcast_to(np.eye(3), (frame_count, len(rig.names), 3, 3)).copy()
    done: set[str] = set()

    def put(name: str, rotations: np.ndarray) -> None:
        G[:, rig.index(name)] = rotations
        done.add(name)

    trunk_axes = _trunk_axes(reference, rig, joint_map)
    pelvis = turned(joint_map.joints["hips"], trunk_axes)
    put("root", pelvis)
    _put_spine(put, rig, joint_map, pelvis, [turned(j, trunk_axes) for j in joint_map.spine], source)
    chest = turned(joint_map.spine[-1], trunk_axes)
    head_joint = source.joint("head")
    head = chest if head_joint is None else turned(head_joint, trunk_axes)
    if head_joint is not None and not reference.neutral:
        upright = turned(joint_map.spine[-1], axes)      # on the whole it looks ahead, not where a bent chest does
        head = upright @ recentred(np.swapaxes(upright, -1, -2) @ head)
    _put_neck(put, chest, [turned(j, trunk_axes) for j in joint_map.neck], head)
    for side in SIDES:
        _put_arm(put, turned, source, reference, rig, chest, side)
        _put_leg(put, turned, source, reference, rig, side)
    for j, parent in enumerate(rig.parents):             # twist bones, fingers: as their parent
        if rig.names[j] not in done and parent >= 0:
            G[:, j] = G[:, parent]
    return G


def _trunk_axes(reference: Reference, rig: Rig, joint_map: JointMap) -> np.ndarray:
    """(3, 3) how our trunk stands in the reference: upright in one that stands straight, else along the source's."""
    axes, at, joints = reference.body_to_pose, reference.positions, joint_map.joints
    if reference.upright:
        return axes
    ends = [(at[joints[f"{part}.L"]] + at[joints[f"{part}.R"]]) / 2 for part in ("hip", "shoulder")]
    ours = [(rig.rest[rig.index(f"{name}.L")] + rig.rest[rig.index(f"{name}.R")]) / 2
            for name in ("upperleg01", "upperarm01")]
    if np.linalg.norm(ends[1] - ends[0]) < 1e-9:
        return axes
    return aligned(axes, unit(ours[1] - ours[0]), ends[1] - ends[0])


def _put_spine(put, rig: Rig, joint_map: JointMap, pelvis: np.ndarray, source_spine: list[np.ndarray],
               source: Source) -> None:
    """Spreads the source's spine, of any number of joints, over our five by height."""
    names = ("spine05", "spine04", "spine03", "spine02", "spine01")
    heights = np.array([rig.rest[rig.index(name)][1] for name in (*names, "neck01")])
    ours = middles(heights - heights[0])
    lengths = [float(np.linalg.norm(source.bvh.offsets[j])) for j in joint_map.spine]
    top = source.joint("collar.L") or source.joint("shoulder.L")
    assert top is not None
    last = float(np.linalg.norm(source.bvh.offsets[top])) or lengths[-1] or 1.0
    theirs = middles(np.cumsum([0.0, *lengths[1:], last]))
    for name, at in zip(names, ours):
        put(name, between([0.0, *theirs], [pelvis, *source_spine], at))


def _put_neck(put, chest: np.ndarray, source_neck: list[np.ndarray], head: np.ndarray) -> None:
    knots = np.linspace(0.0, 1.0, len(source_neck) + 2)
    for k, name in enumerate(("neck01", "neck02", "neck03")):
        put(name, between(knots.tolist(), [chest, *source_neck, head], (k + 1) / 4))
    put("head", head)


def _put_arm(put, turned, source: Source, reference: Reference, rig: Rig, chest: np.ndarray, side: str) -> None:
    joints, at = source.joint_map.joints, reference.positions
    shoulder, elbow, wrist = (joints[f"{part}.{side}"] for part in ("shoulder", "elbow", "wrist"))
    collar = source.joint(f"collar.{side}")
    trunk_axes = _trunk_axes(reference, rig, source.joint_map)
    clavicle = chest if collar is None else turned(collar, trunk_axes)
    put(f"clavicle.{side}", clavicle)
    put(f"shoulder01.{side}", clavicle)

    upper_at_rest = rig.direction(f"upperarm01.{side}", f"lowerarm01.{side}")
    fore_at_rest = rig.direction(f"lowerarm01.{side}", f"wrist.{side}")
    upper = aligned(reference.body_to_pose, upper_at_rest, at[elbow] - at[shoulder])
    hinge = hinge_of(source, reference, shoulder, elbow, wrist)
    if hinge is not None:
        upper = rolled(upper, upper_at_rest, np.cross(upper_at_rest, fore_at_rest), hinge, 90.0)
    fore = aligned(upper, fore_at_rest, at[wrist] - at[elbow])
    hand = _hand(source, reference, rig, fore, wrist, side)

    upper_t, fore_t, hand_t = turned(shoulder, upper), turned(elbow, fore), turned(wrist, hand)
    put(f"upperarm01.{side}", upper_t)
    put(f"upperarm02.{side}", upper_t)
    # The forearm's twist, from the elbow's hinge to the hand, is spread over its two bones and the wrist.
    bent = rotation_between(upper_t @ fore_at_rest, fore_t @ fore_at_rest) @ upper_t
    untwisted = np.swapaxes(bent, -1, -2) @ hand_t
    twist = np.unwrap(twist_about(untwisted, fore_at_rest))
    for name, share in zip(("lowerarm01", "lowerarm02"), FOREARM_TWIST):
        put(f"{name}.{side}", bent @ rotation_from_vector(share * twist[:, None] * fore_at_rest))
    put(f"wrist.{side}", hand_t)


def _hand(source: Source, reference: Reference, rig: Rig, fore: np.ndarray, wrist: int, side: str) -> np.ndarray:
    """How our hand stands in the reference: along the source's hand, thumb towards its thumb where it has one."""
    tip = _hand_tip(source.bvh, wrist)
    if tip is None:
        return fore
    along = rig.direction(f"wrist.{side}", f"finger3-1.{side}")
    return aligned(fore, along, reference.rotations[wrist] @ tip)


def hand_directions(source: Source) -> dict[str, np.ndarray]:
    """Per side (F, 3) where the source's hand points, left out where it has none."""
    found = {}
    for side in SIDES:
        wrist = source.joint_map.joints[f"wrist.{side}"]
        tip = _hand_tip(source.bvh, wrist)
        if tip is not None:
            found[side] = unit(source.rotations[:, wrist] @ tip)
    return found


def _hand_tip(bvh: BvhFile, wrist: int) -> np.ndarray | None:
    """Where the hand ends, in the wrist's frame."""
    tips = (bone_tip(bvh, j) for j in _middle_finger_first(bvh, wrist))
    return next((offset for offset in tips if offset is not None), None)


def _middle_finger_first(bvh: BvhFile, wrist: int) -> list[int]:
    """The wrist's joint when it has one bone, else its fingers' zero-length bases, thumbs left out."""
    children = [j for j in descendants(bvh, wrist) if bvh.parents[j] == wrist]
    fingers = [j for j in children if "thumb" not in bvh.joint_names[j].lower()]
    if len(children) <= 1:
        return [wrist, *fingers]
    middle = sorted(fingers, key=lambda j: "mid" not in bvh.joint_names[j].lower())
    zero_length = [j for j in middle if np.linalg.norm(bvh.offsets[j]) < 1e-6]
    return zero_length or [wrist]


def _put_leg(put, turned, source: Source, reference: Reference, rig: Rig, side: str) -> None:
    joints, at, axes = source.joint_map.joints, reference.positions, reference.body_to_pose
    hip, knee, ankle = (joints[f"{part}.{side}"] for part in ("hip", "knee", "ankle"))
    thigh_at_rest = rig.direction(f"upperleg01.{side}", f"lowerleg01.{side}")
    shin_at_rest = rig.direction(f"lowerleg01.{side}", f"foot.{side}")
    thigh = aligned(axes, thigh_at_rest, at[knee] - at[hip])
    hinge = hinge_of(source, reference, hip, knee, ankle)
    if hinge is not None:
        thigh = rolled(thigh, thigh_at_rest, np.array([1.0, 0.0, 0.0]), hinge, 30.0)
    shin = aligned(thigh, shin_at_rest, at[ankle] - at[knee])
    foot = shin
    tip = _toe(source, ankle, side)
    if tip is not None:
        ahead = reference.rotations[ankle] @ tip
        if reference.neutral:                            # it stands: soles are level, only the heading differs
            up = axes[:, 1]
            ours, theirs = axes @ (FOOT_AT_REST * [1, 0, 1]), unit(ahead) - up * (unit(ahead) @ up)
            # A foot bone that points straight down (some rigs) has no heading.
            foot = rotation_between(ours, theirs) @ axes if np.linalg.norm(theirs) > 0.3 else axes
        else:
            foot = aligned(shin, FOOT_AT_REST, ahead)
    for name in ("upperleg01", "upperleg02"):
        put(f"{name}.{side}", turned(hip, thigh))
    for name in ("lowerleg01", "lowerleg02"):
        put(f"{name}.{side}", turned(knee, shin))
    put(f"foot.{side}", turned(ankle, foot))


def _toe(source: Source, ankle: int, side: str) -> np.ndarray | None:
    """The ball of the foot in the ankle joint's frame."""
    toe = source.joint(f"toe.{side}")
    if toe is not None and source.bvh.parents[toe] == ankle and np.linalg.norm(source.bvh.offsets[toe]) > 0:
        return source.bvh.offsets[toe]
    return bone_tip(source.bvh, ankle)
