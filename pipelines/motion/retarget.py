"""A motion-capture file driving our body: limb directions are the actor's, proportions are ours.

Every joint follows the *global* rotation its counterpart makes away from a reference pose of the file, after an
alignment that turns our rest pose into that reference: G(t) = W Q(t) Q(ref)^T A. Since a bone is rigid in its
joint's frame, a limb that is aligned once points where the source's limb points in every frame, whatever the
two rest poses are (copying local rotations is off by up to 59 degrees between an A-pose and a T-pose).
The reference decides only what directions cannot tell: twist, and where trunk, head and feet are neutral.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipelines.body.model import Body, rest_body
from pipelines.core.errors import AnrError
from pipelines.core.records import Motion
from pipelines.geometry.rotations import rotation_between, rotation_from_vector, slerp, vector_from_rotation
from pipelines.motion.bvh import CM_PER_M, BvhFile, has_rotations, local_rotations, pose_skeleton
from pipelines.motion.grounding import stand_on_floor
from pipelines.motion.jointmap import SIDES, JointMap, bone_tip, descendants, match_joints

UP = np.array([0.0, 1.0, 0.0])
CANDIDATES = 400                        # frames looked at for a reference pose
NEUTRAL_DEG = 60.0                      # total bend up to which a pose counts as standing straight
JUMP_DEG = 12.0                         # a first frame this far from the second is a calibration pose, not motion
HINGE_BEND_DEG = 25.0                   # elbows and knees bent more than this tell where their axis is
FOOT_AT_REST = np.array([0.0, -0.4, 0.916])     # ankle to ball on the mean body (toes are no joints of ours)
FOREARM_TWIST = (0.3, 0.7)              # share of the forearm's twist at the elbow and halfway to the wrist


@dataclass(frozen=True, eq=False)
class Retargeted:
    """A motion on our body, with what it was made from, in the same world."""

    motion: Motion
    joint_map: JointMap
    source_joints: np.ndarray           # (F, J', 3) the file's skeleton in our world, scaled to our legs
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
    source = _Source.open(bvh, mended)
    _, rest_joints = rest_body(body, betas)
    rig = _Rig(body.joint_names, body.parents, rest_joints)
    ours = _is_our_skeleton(bvh, body)
    if ours:
        described = "our own skeleton"
        rotations = source.rotations[:, [bvh.joint_names.index(name) for name in body.joint_names]]
    else:
        reference = _choose_reference(source)
        described = reference.described
        rotations = _global_rotations(source, reference, rig)
    first = 1 if not ours and _starts_with_calibration(source) else 0
    rotations, positions = rotations[first:], source.positions[first:]

    heading = _heading(rotations, rig, bvh.fps, keep_below_deg=30.0 if ours else 0.0)
    rotations = heading @ rotations
    positions = positions @ heading.T
    scale = _leg_length(rig) / source.leg_length
    positions = (positions - _hip_middle(source, positions)[:1] * [1, 0, 1]) * scale
    hips = rest_joints[[rig.index("upperleg01.L"), rig.index("upperleg01.R")]].mean(axis=0) - rest_joints[0]
    root = _hip_middle(source, positions) - rotations[:, 0] @ hips
    motion = Motion(_relative(rotations, body.parents), root, bvh.fps)
    # A motion of this very body already stands where it should.
    stands = ours and abs(scale * CM_PER_M - 1.0) < 1e-4
    grounded = motion if stands else stand_on_floor(motion, body, betas)
    moved = grounded.root_translation - root - grounded.root_translation[0] * [1, 0, 1]
    grounded = Motion(grounded.joint_rotations, root + moved, grounded.fps)
    return Retargeted(grounded, source.joint_map, positions + moved[:, None], described, source.up_axis, scale)


def limb_errors_deg(result: Retargeted, body: Body, joints: np.ndarray) -> dict[str, np.ndarray]:
    """Angle (F,) between each limb of ours and the source's.

    joints  (F, J, 3) of our posed body, as `pose_sequence` gives them
    """
    errors = {}
    for limb, (ours, theirs) in _LIMBS.items():
        for side in SIDES:
            a, b = (body.joint_names.index(f"{name}.{side}") for name in ours)
            c, d = (result.joint_map.joints[f"{name}.{side}"] for name in theirs)
            mine = _unit(joints[:, b] - joints[:, a])
            wanted = _unit(result.source_joints[:, d] - result.source_joints[:, c])
            cosine = np.clip(np.einsum("fa,fa->f", mine, wanted), -1, 1)
            errors[f"{limb}.{side}"] = np.degrees(np.arccos(cosine))
    return errors


_LIMBS = {
    "upper arm": (("upperarm01", "lowerarm01"), ("shoulder", "elbow")),
    "forearm": (("lowerarm01", "wrist"), ("elbow", "wrist")),
    "thigh": (("upperleg01", "lowerleg01"), ("hip", "knee")),
    "shin": (("lowerleg01", "foot"), ("knee", "ankle")),
}


@dataclass(frozen=True, eq=False)
class _Source:
    """The file's skeleton posed, turned so that y is up; lengths in file units."""

    bvh: BvhFile
    joint_map: JointMap
    positions: np.ndarray               # (F, J, 3)
    rotations: np.ndarray               # (F, J, 3, 3) global
    up_axis: str
    leg_length: float

    @classmethod
    def open(cls, bvh: BvhFile, mended: Mapping[str, str] | None) -> _Source:
        joint_map = match_joints(bvh, mended)
        positions, rotations = pose_skeleton(bvh)
        axis = _up_axis(_trunk_directions(positions, joint_map))
        to_y_up = {"x": np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]]), "y": np.eye(3),
                   "z": np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0.0]])}[axis]
        leg_length = _checked_leg_length(positions, bvh, joint_map)
        return cls(bvh, joint_map, positions @ to_y_up.T, to_y_up @ rotations, axis, leg_length)

    def joint(self, part: str) -> int | None:
        return self.joint_map.joints.get(part)


@dataclass(frozen=True, eq=False)
class _Reference:
    """One pose of the source that our rest pose is aligned with."""

    described: str
    positions: np.ndarray               # (J, 3)
    rotations: np.ndarray               # (J, 3, 3) global, in the same frame as positions
    body_to_pose: np.ndarray            # (3, 3) our left, up and front as they lie in it
    neutral: bool                       # stands straight: trunk, head and feet may be taken as at rest


@dataclass(frozen=True, eq=False)
class _Rig:
    """Our skeleton at rest."""

    names: tuple[str, ...]
    parents: np.ndarray
    rest: np.ndarray                    # (J, 3)

    def index(self, name: str) -> int:
        return self.names.index(name)

    def direction(self, start: str, end: str) -> np.ndarray:
        return _unit(self.rest[self.index(end)] - self.rest[self.index(start)])


# ---- the file's axes and its reference pose


def _trunk_directions(positions: np.ndarray, joint_map: JointMap) -> np.ndarray:
    """(F, 3) from between the ankles to between the shoulders."""
    joints = joint_map.joints
    feet = (positions[:, joints["ankle.L"]] + positions[:, joints["ankle.R"]]) / 2
    return (positions[:, joints["shoulder.L"]] + positions[:, joints["shoulder.R"]]) / 2 - feet


def _up_axis(directions: np.ndarray) -> str:
    """The axis that people stand along most of the time in this file."""
    typical = np.median(_unit(directions), axis=0)
    if typical[1] > 0.5:
        return "y"
    return "xyz"[int(np.argmax(typical))]


def _checked_leg_length(positions: np.ndarray, bvh: BvhFile, joint_map: JointMap) -> float:
    """Thigh and shin together, file units; AnrError where a limb has no length or places are beyond all measure."""
    if not np.abs(positions).max() < 1e9:
        raise AnrError("Joints of this motion lie billions of units away.", hint="Export the motion again.")
    rest = _positions_at_rest(bvh)
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


def _choose_reference(source: _Source) -> _Reference:
    """The straightest standing pose there is: the skeleton with all angles zero, or some frame of the motion.

    The first and last frame and the zero pose are preferred on nearly equal terms: calibration poses stand there.
    """
    bvh = source.bvh
    zero = BvhFile(bvh.joint_names, bvh.parents, bvh.offsets, bvh.channels, bvh.end_sites,
                   np.zeros((1, bvh.values.shape[1])), bvh.frame_time_s)
    zero_positions = _positions_at_rest(zero)
    frames = np.unique(np.linspace(0, bvh.frame_count - 1, min(CANDIDATES, bvh.frame_count)).astype(int))
    best: tuple[float, _Reference] | None = None
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
            reference = _Reference(name, positions, rotations, body_to_pose, bend <= NEUTRAL_DEG)
            best = (bend + handicap, reference)
    assert best is not None
    return best[1]


def _positions_at_rest(zero: BvhFile) -> np.ndarray:
    """(J, 3) joints with all rotations zero: sums of offsets."""
    positions = np.zeros_like(zero.offsets)
    for j, parent in enumerate(zero.parents):
        if parent >= 0:
            positions[j] = positions[parent] + zero.offsets[j]
    return positions


def _body_axes(positions: np.ndarray, joint_map: JointMap, snap: bool) -> np.ndarray:
    """(3, 3) columns: the person's left, up and front in a standing pose.

    snap  up is whichever axis of the file the trunk is nearest to (a zero pose may lie on its back)
    """
    joints = joint_map.joints
    up = UP
    if snap:
        trunk = _trunk_directions(positions[None], joint_map)[0]
        axis = int(np.argmax(np.abs(trunk)))
        up = np.eye(3)[axis] * np.sign(trunk[axis] or 1.0)
    across = positions[joints["hip.L"]] - positions[joints["hip.R"]]
    across = across + positions[joints["shoulder.L"]] - positions[joints["shoulder.R"]]
    left = across - up * (across @ up)
    if np.linalg.norm(left) < 1e-6 * max(1e-9, float(np.linalg.norm(across))):
        left = np.roll(up, 1)
    left = _unit(left)
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
        forward = np.degrees(np.arcsin(np.clip(_unit(upper)[2], -1, 1)))
        bend += 0.5 * abs(forward)                       # arms in the frontal plane: up, out or down, not ahead
        if f"toe.{side}" in at:
            toe = at[f"toe.{side}"] - at[f"ankle.{side}"]
            bend += 0.3 * _angle_deg(toe * [1, 0, 1], np.array([0, 0, 1.0]))
    lifted = abs(at["ankle.L"][1] - at["ankle.R"][1]) / max(1e-9, float(np.linalg.norm(at["ankle.L"] - at["hip.L"])))
    return float(bend + 200.0 * lifted)


def _starts_with_calibration(source: _Source) -> bool:
    """Whether frame 0 is a pose for calibration that the motion then jumps away from."""
    if source.bvh.frame_count < 3:
        return False
    turns = local_rotations(source.bvh)[:3]
    steps = np.degrees(np.linalg.norm(vector_from_rotation(np.swapaxes(turns[:-1], -1, -2) @ turns[1:]), axis=-1))
    return bool(steps[0].max() > JUMP_DEG and steps[0].mean() > 5 * steps[1].mean())


# ---- our body's global rotations


def _global_rotations(source: _Source, reference: _Reference, rig: _Rig) -> np.ndarray:
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

    pelvis = turned(joint_map.joints["hips"], axes)
    put("root", pelvis)
    _put_spine(put, rig, joint_map, pelvis, [turned(j, axes) for j in joint_map.spine], source)
    chest = turned(joint_map.spine[-1], axes)
    head_joint = source.joint("head")
    head = chest if head_joint is None else turned(head_joint, axes)
    if head_joint is not None and not reference.neutral:
        head = chest @ _recentred(np.swapaxes(chest, -1, -2) @ head)
    _put_neck(put, chest, [turned(j, axes) for j in joint_map.neck], head)
    for side in SIDES:
        _put_arm(put, turned, source, reference, rig, chest, side)
        _put_leg(put, turned, source, reference, rig, side)
    for j, parent in enumerate(rig.parents):             # twist bones, fingers: as their parent
        if rig.names[j] not in done and parent >= 0:
            G[:, j] = G[:, parent]
    return G


def _put_spine(put, rig: _Rig, joint_map: JointMap, pelvis: np.ndarray, source_spine: list[np.ndarray],
               source: _Source) -> None:
    """Spreads the source's spine, of any number of joints, over our five by height."""
    names = ("spine05", "spine04", "spine03", "spine02", "spine01")
    heights = np.array([rig.rest[rig.index(name)][1] for name in (*names, "neck01")])
    ours = _middles(heights - heights[0])
    lengths = [float(np.linalg.norm(source.bvh.offsets[j])) for j in joint_map.spine]
    top = source.joint("collar.L") or source.joint("shoulder.L")
    assert top is not None
    last = float(np.linalg.norm(source.bvh.offsets[top])) or lengths[-1] or 1.0
    theirs = _middles(np.cumsum([0.0, *lengths[1:], last]))
    for name, at in zip(names, ours):
        put(name, _between([0.0, *theirs], [pelvis, *source_spine], at))


def _put_neck(put, chest: np.ndarray, source_neck: list[np.ndarray], head: np.ndarray) -> None:
    knots = np.linspace(0.0, 1.0, len(source_neck) + 2)
    for k, name in enumerate(("neck01", "neck02", "neck03")):
        put(name, _between(knots.tolist(), [chest, *source_neck, head], (k + 1) / 4))
    put("head", head)


def _put_arm(put, turned, source: _Source, reference: _Reference, rig: _Rig, chest: np.ndarray, side: str) -> None:
    joints, at = source.joint_map.joints, reference.positions
    shoulder, elbow, wrist = (joints[f"{part}.{side}"] for part in ("shoulder", "elbow", "wrist"))
    collar = source.joint(f"collar.{side}")
    clavicle = chest if collar is None else turned(collar, reference.body_to_pose)
    put(f"clavicle.{side}", clavicle)
    put(f"shoulder01.{side}", clavicle)

    upper_at_rest = rig.direction(f"upperarm01.{side}", f"lowerarm01.{side}")
    fore_at_rest = rig.direction(f"lowerarm01.{side}", f"wrist.{side}")
    upper = _aligned(reference.body_to_pose, upper_at_rest, at[elbow] - at[shoulder])
    hinge = _hinge(source, reference, shoulder, elbow, wrist)
    if hinge is not None:
        upper = _rolled(upper, upper_at_rest, np.cross(upper_at_rest, fore_at_rest), hinge, 90.0)
    fore = _aligned(upper, fore_at_rest, at[wrist] - at[elbow])
    hand = _hand(source, reference, rig, fore, wrist, side)

    upper_t, fore_t, hand_t = turned(shoulder, upper), turned(elbow, fore), turned(wrist, hand)
    put(f"upperarm01.{side}", upper_t)
    put(f"upperarm02.{side}", upper_t)
    # The forearm's twist, from the elbow's hinge to the hand, is spread over its two bones and the wrist.
    bent = rotation_between(upper_t @ fore_at_rest, fore_t @ fore_at_rest) @ upper_t
    untwisted = np.swapaxes(bent, -1, -2) @ hand_t
    twist = np.unwrap(_twist_about(untwisted, fore_at_rest))
    for name, share in zip(("lowerarm01", "lowerarm02"), FOREARM_TWIST):
        put(f"{name}.{side}", bent @ rotation_from_vector(share * twist[:, None] * fore_at_rest))
    put(f"wrist.{side}", hand_t)


def _hand(source: _Source, reference: _Reference, rig: _Rig, fore: np.ndarray, wrist: int, side: str) -> np.ndarray:
    """How our hand stands in the reference: along the source's hand, thumb towards its thumb where it has one."""
    tip = next((offset for offset in (bone_tip(source.bvh, j) for j in _middle_finger_first(source.bvh, wrist))
                if offset is not None), None)
    if tip is None:
        return fore
    along = rig.direction(f"wrist.{side}", f"finger3-1.{side}")
    return _aligned(fore, along, reference.rotations[wrist] @ tip)


def _middle_finger_first(bvh: BvhFile, wrist: int) -> list[int]:
    """The wrist's joint when it has one bone, else its fingers' zero-length bases, thumbs left out."""
    children = [j for j in descendants(bvh, wrist) if bvh.parents[j] == wrist]
    fingers = [j for j in children if "thumb" not in bvh.joint_names[j].lower()]
    if len(children) <= 1:
        return [wrist, *fingers]
    middle = sorted(fingers, key=lambda j: "mid" not in bvh.joint_names[j].lower())
    zero_length = [j for j in middle if np.linalg.norm(bvh.offsets[j]) < 1e-6]
    return zero_length or [wrist]


def _put_leg(put, turned, source: _Source, reference: _Reference, rig: _Rig, side: str) -> None:
    joints, at, axes = source.joint_map.joints, reference.positions, reference.body_to_pose
    hip, knee, ankle = (joints[f"{part}.{side}"] for part in ("hip", "knee", "ankle"))
    thigh_at_rest = rig.direction(f"upperleg01.{side}", f"lowerleg01.{side}")
    shin_at_rest = rig.direction(f"lowerleg01.{side}", f"foot.{side}")
    thigh = _aligned(axes, thigh_at_rest, at[knee] - at[hip])
    hinge = _hinge(source, reference, hip, knee, ankle)
    if hinge is not None:
        thigh = _rolled(thigh, thigh_at_rest, np.array([1.0, 0.0, 0.0]), hinge, 30.0)
    shin = _aligned(thigh, shin_at_rest, at[ankle] - at[knee])
    foot = shin
    tip = _toe(source, ankle, side)
    if tip is not None:
        ahead = reference.rotations[ankle] @ tip
        if reference.neutral:                            # it stands: soles are level, only the heading differs
            up = axes[:, 1]
            ours, theirs = axes @ (FOOT_AT_REST * [1, 0, 1]), _unit(ahead) - up * (_unit(ahead) @ up)
            # A foot bone that points straight down (some rigs) has no heading.
            foot = rotation_between(ours, theirs) @ axes if np.linalg.norm(theirs) > 0.3 else axes
        else:
            foot = _aligned(shin, FOOT_AT_REST, ahead)
    for name in ("upperleg01", "upperleg02"):
        put(f"{name}.{side}", turned(hip, thigh))
    for name in ("lowerleg01", "lowerleg02"):
        put(f"{name}.{side}", turned(knee, shin))
    put(f"foot.{side}", turned(ankle, foot))


def _toe(source: _Source, ankle: int, side: str) -> np.ndarray | None:
    """The ball of the foot in the ankle joint's frame."""
    toe = source.joint(f"toe.{side}")
    if toe is not None and source.bvh.parents[toe] == ankle and np.linalg.norm(source.bvh.offsets[toe]) > 0:
        return source.bvh.offsets[toe]
    return bone_tip(source.bvh, ankle)


def _hinge(source: _Source, reference: _Reference, a: int, b: int, c: int) -> np.ndarray | None:
    """(3,) the axis about which joint b bends, as it stands in the reference; None when it hardly ever bends.

    a, b, c  the source's joints of one limb: the axis is cross(ab, bc), averaged in a's own frame over the motion
    """
    upper = _unit(source.positions[:, b] - source.positions[:, a])
    lower = _unit(source.positions[:, c] - source.positions[:, b])
    axis = np.cross(upper, lower)
    bent = np.linalg.norm(axis, axis=1) > np.sin(np.radians(HINGE_BEND_DEG))
    if bent.sum() < 3:
        return None
    local = np.einsum("fba,fb->fa", source.rotations[bent, a], _unit(axis[bent]))
    mean = local.mean(axis=0)
    return reference.rotations[a] @ _unit(mean) if np.linalg.norm(mean) > 0.8 else None


def _aligned(start: np.ndarray, direction: np.ndarray, target: np.ndarray) -> np.ndarray:
    """`start` turned the least so that our rest `direction` points to `target`."""
    return rotation_between(start @ direction, _unit(target)) @ start


def _rolled(alignment: np.ndarray, along: np.ndarray, axis_at_rest: np.ndarray, wanted: np.ndarray,
            most_deg: float) -> np.ndarray:
    """`alignment` turned about the limb until our joint axis matches the source's, at most `most_deg`."""
    limb = alignment @ along
    ours = alignment @ axis_at_rest
    ours, wanted = _unit(ours - limb * (ours @ limb)), _unit(wanted - limb * (wanted @ limb))
    angle = float(np.arctan2(np.cross(ours, wanted) @ limb, ours @ wanted))
    angle = float(np.clip(angle, -np.radians(most_deg), np.radians(most_deg)))
    return rotation_from_vector(angle * limb) @ alignment


def _twist_about(rotations: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """(F,) signed angle by which rotations (F, 3, 3) turn about a unit axis (swing-twist decomposition)."""
    swung = rotations @ axis
    untwisted = np.swapaxes(rotation_between(np.broadcast_to(axis, swung.shape), swung), -1, -2) @ rotations
    return vector_from_rotation(untwisted) @ axis


def _recentred(relative: np.ndarray) -> np.ndarray:
    """Rotations (F, 3, 3) with their mean taken as neutral: a head looks straight ahead on the whole."""
    u, _, vt = np.linalg.svd(relative.mean(axis=0))
    mean = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
    return relative @ mean.T


def _between(knots: list[float], rotations: list[np.ndarray], at: float) -> np.ndarray:
    """Rotations (F, 3, 3) interpolated over increasing knots; constant beyond the ends."""
    if at <= knots[0]:
        return rotations[0]
    for k in range(1, len(knots)):
        if at <= knots[k]:
            share = (at - knots[k - 1]) / max(1e-9, knots[k] - knots[k - 1])
            return slerp(rotations[k - 1], rotations[k], share)
    return rotations[-1]


def _middles(edges: np.ndarray) -> np.ndarray:
    """Middles of consecutive stretches, as shares of the whole."""
    edges = np.asarray(edges, float)
    return (edges[1:] + edges[:-1]) / 2 / max(1e-9, edges[-1])


def _relative(rotations: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """Global rotations (F, J, 3, 3) to ones relative to the parent."""
    relative = rotations.copy()
    for j, parent in enumerate(parents):
        if parent >= 0:
            relative[:, j] = np.swapaxes(rotations[:, parent], -1, -2) @ rotations[:, j]
    return relative


def _heading(rotations: np.ndarray, rig: _Rig, fps: float, keep_below_deg: float) -> np.ndarray:
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


def _is_our_skeleton(bvh: BvhFile, body: Body) -> bool:
    """Whether the file was written from our skeleton, so that its angles can be taken as they are."""
    if not set(body.joint_names) <= set(bvh.joint_names):
        return False
    above = {name: bvh.joint_names[parent] if parent >= 0 else "" for name, parent in zip(bvh.joint_names, bvh.parents)}
    return all(above[name] == body.joint_names[parent] for name, parent in zip(body.joint_names, body.parents)
               if parent >= 0)


def _hip_middle(source: _Source, positions: np.ndarray) -> np.ndarray:
    joints = source.joint_map.joints
    return (positions[:, joints["hip.L"]] + positions[:, joints["hip.R"]]) / 2


def _leg_length(rig: _Rig) -> float:
    """Thigh and shin together, mean of both sides."""

    def between(start: str, end: str) -> float:
        return float(np.linalg.norm(rig.rest[rig.index(end)] - rig.rest[rig.index(start)]))

    return float(np.mean([between(f"upperleg01.{s}", f"lowerleg01.{s}") + between(f"lowerleg01.{s}", f"foot.{s}")
                          for s in SIDES]))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _angle_deg(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(_unit(a) @ _unit(b), -1, 1))))
