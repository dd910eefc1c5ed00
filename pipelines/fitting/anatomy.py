"""Which joints the fit may turn and how far, and where MediaPipe's landmarks sit on our body.

Rest space: y up, the person faces +z, the person's left is +x. A turn about +x bends the spine forwards, the knee
backwards and the leg backwards at the hip.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from pipelines.body.model import Body, load_body, rest_body
from pipelines.body.surface import vertex_normals

if TYPE_CHECKING:
    from pipelines.fitting.posing import Points, Rig

# MediaPipe's landmarks by name, in its order.
LANDMARKS = ("nose", "eye_inner_l", "eye_l", "eye_outer_l", "eye_inner_r", "eye_r", "eye_outer_r", "ear_l", "ear_r",
             "mouth_l", "mouth_r", "shoulder_l", "shoulder_r", "elbow_l", "elbow_r", "wrist_l", "wrist_r", "pinky_l",
             "pinky_r", "index_l", "index_r", "thumb_l", "thumb_r", "hip_l", "hip_r", "knee_l", "knee_r", "ankle_l",
             "ankle_r", "heel_l", "heel_r", "toe_l", "toe_r")
LIMB_JOINTS = tuple(f"{name}.{side}" for side in "LR"
                    for name in ("upperarm01", "lowerarm01", "wrist", "upperleg01", "lowerleg01", "foot"))

# Expected error of each landmark in metres: definition, cloth, guesswork.
EXPECTED_M = {"nose": 0.012, "eye": 0.012, "ear": 0.014, "mouth": 0.013, "shoulder": 0.018, "elbow": 0.015,
              "wrist": 0.015, "pinky": 0.02, "index": 0.02, "thumb": 0.022, "hip": 0.016, "knee": 0.015, "ankle": 0.014,
              "heel": 0.022, "toe": 0.018}

# Limb directions compared with MediaPipe's world landmarks, and how far off they are (radians, standard deviation over
# the studio's tuning people): legs and shoulders are told well, swinging forearms hardly.
DIRECTIONS = (("shoulder_r", "shoulder_l", 0.10), ("hip_r", "hip_l", 0.13), ("hip_l", "shoulder_l", 0.20),
              ("hip_r", "shoulder_r", 0.20), ("shoulder_l", "elbow_l", 0.25), ("shoulder_r", "elbow_r", 0.25),
              ("elbow_l", "wrist_l", 0.33), ("elbow_r", "wrist_r", 0.33), ("hip_l", "knee_l", 0.16),
              ("hip_r", "knee_r", 0.16), ("knee_l", "ankle_l", 0.10), ("knee_r", "ankle_r", 0.10),
              ("ear_r", "ear_l", 0.25), ("ear_l", "nose", 0.3), ("ear_r", "nose", 0.3), ("heel_l", "toe_l", 0.8),
              ("heel_r", "toe_r", 0.8), ("pinky_l", "index_l", 0.7), ("pinky_r", "index_r", 0.7),
              ("wrist_l", "index_l", 0.5), ("wrist_r", "index_r", 0.5))


@dataclass(frozen=True)
class Handle:
    """One turn of the body: the joints that share it, its axes, how freely it moves."""

    joints: tuple[tuple[str, float], ...]
    axes: str                           # "xyz", "hinge" (bends the limb) or "twist" (turns the forearm along itself)
    spread_deg: tuple[float, ...]       # of the weak prior around `natural_deg`
    low_deg: tuple[float, ...]
    high_deg: tuple[float, ...]
    natural_deg: tuple[float, ...] = (0.0, 0.0, 0.0)


def _sides() -> list[Handle]:
    handles = []
    for side, s in (("L", 1.0), ("R", -1.0)):
        def mirrored(low: tuple[float, ...], high: tuple[float, ...], s: float = s) -> tuple[tuple[float, ...], ...]:
            """Turns about y and z change sign on the other side."""
            if s > 0:
                return low, high
            return (low[0], -high[1], -high[2]), (high[0], -low[1], -low[2])

        low, high = mirrored((-6, -25, -12), (6, 25, 35))
        handles.append(Handle(((f"clavicle.{side}", 0.6), (f"shoulder01.{side}", 0.4)), "xyz", (4, 10, 10), low, high))
        low, high = mirrored((-150, -130, -75), (110, 90, 150))
        handles.append(Handle(((f"upperarm01.{side}", 1.0),), "xyz", (60, 60, 60), low, high, (0, 0, -22 * s)))
        handles.append(Handle(((f"lowerarm01.{side}", 1.0),), "hinge", (60,), (-50,), (115,), (-10,)))
        handles.append(Handle(((f"lowerarm02.{side}", 1.0),), "twist", (35,), (-90,), (90,), (0,)))
        handles.append(Handle(((f"wrist.{side}", 1.0),), "xyz", (12, 15, 15), (-50, -50, -60), (50, 50, 60)))
        low, high = mirrored((-130, -55, -35), (40, 55, 65))
        handles.append(Handle(((f"upperleg01.{side}", 1.0),), "xyz", (25, 25, 30), low, high))
        handles.append(Handle(((f"lowerleg01.{side}", 1.0),), "hinge", (50,), (-6,), (145,), (8,)))
        low, high = mirrored((-40, -35, -25), (55, 35, 25))
        handles.append(Handle(((f"foot.{side}", 1.0),), "xyz", (20, 14, 10), low, high))
    return handles


HANDLES: tuple[Handle, ...] = (
    Handle((("spine05", 0.3), ("spine04", 0.35), ("spine03", 0.35)), "xyz", (6, 12, 10), (-30, -30, -28), (65, 30, 28)),
    Handle((("spine02", 0.5), ("spine01", 0.5)), "xyz", (6, 14, 9), (-22, -38, -24), (38, 38, 24)),
    Handle((("neck01", 0.35), ("neck02", 0.35), ("neck03", 0.3)), "xyz", (18, 22, 14), (-45, -60, -35), (45, 60, 35)),
    Handle((("head", 1.0),), "xyz", (14, 20, 12), (-35, -50, -30), (35, 50, 30)),
    *_sides(),
)


@dataclass(frozen=True, eq=False)
class Anatomy:
    """The body as the solver sees it, all shapes at once; `at` makes it one person's."""

    body: Body
    handle: np.ndarray                  # (J,) which handle moves the joint; -1 = none
    share: np.ndarray                   # (J,)
    first: np.ndarray                   # (N,)
    count: np.ndarray                   # (N,)
    basis: np.ndarray                   # (N, 3, 3)
    natural: np.ndarray                 # (Q,) radians
    spread: np.ndarray                  # (Q,)
    lowest: np.ndarray                  # (Q,)
    highest: np.ndarray                 # (Q,)
    mark_joint: np.ndarray              # (33, M)
    mark_weight: np.ndarray             # (33, M)
    mark_offset: np.ndarray             # (33, M, 3) on the mean body
    mark_dirs: np.ndarray               # (S, 33, M, 3)

    def first_angle(self, joint: str) -> int:
        """Which angle is the first of the handle that moves a joint: its bend, of limbs."""
        return int(self.first[self.handle[self.body.joint(joint)]])

    def at(self, betas: np.ndarray) -> tuple[Rig, Points, Points]:
        """The rig, the landmarks and the surface of a body with these betas."""
        from pipelines.fitting.posing import Points, Rig

        body = self.body
        verts, joints = rest_body(body, betas)
        rig = Rig(body.parents.astype(np.int64), np.ascontiguousarray(joints, float),
                  np.ascontiguousarray(body.joint_dirs, float), self.handle, self.share, self.first, self.count,
                  self.basis)
        marks = Points(self.mark_joint, self.mark_weight,
                       self.mark_offset + np.tensordot(betas, self.mark_dirs, axes=1), self.mark_dirs)
        which = body.skin_indices.astype(np.int64)
        skin = Points(which, body.skin_weights.astype(float), verts[:, None] - joints[which], _skin_dirs())
        return rig, marks, skin


@lru_cache(maxsize=1)
def _skin_dirs() -> np.ndarray:
    body = load_body()
    return np.ascontiguousarray(body.shape_dirs[:, :, None] - body.joint_dirs[:, body.skin_indices], float)


@lru_cache(maxsize=1)
def load_anatomy() -> Anatomy:
    """The anatomy of the body asset (cached)."""
    body = load_body()
    names = list(body.joint_names)
    handle, share = np.full(len(names), -1), np.zeros(len(names))
    first, count, basis = [], [], []
    columns: dict[str, list[float]] = {"natural": [], "spread": [], "lowest": [], "highest": []}
    for h, spec in enumerate(HANDLES):
        axes = _axes(body, spec)
        for name, part in spec.joints:
            handle[names.index(name)], share[names.index(name)] = h, part
        first.append(len(columns["spread"]))
        count.append(len(axes))
        basis.append(np.zeros((3, 3)))
        basis[-1][:, :len(axes)] = axes.T
        for key, values in (("natural", spec.natural_deg), ("spread", spec.spread_deg), ("lowest", spec.low_deg),
                            ("highest", spec.high_deg)):
            columns[key].extend(np.radians(values[:len(axes)]))
    marks = [_mark(body, name) for name in LANDMARKS]
    width = max(len(joints) for joints, *_ in marks)
    S = len(body.shape_dirs)
    mark_joint, mark_weight = np.zeros((len(marks), width), np.int64), np.zeros((len(marks), width))
    mark_offset, mark_dirs = np.zeros((len(marks), width, 3)), np.zeros((S, len(marks), width, 3))
    for n, (joints, weights, offsets, dirs) in enumerate(marks):
        m = len(joints)
        mark_joint[n, :m], mark_weight[n, :m], mark_offset[n, :m], mark_dirs[:, n, :m] = joints, weights, offsets, dirs
    angles = {key: np.array(values) for key, values in columns.items()}
    return Anatomy(body, handle, share, np.array(first), np.array(count), np.array(basis), **angles,
                   mark_joint=mark_joint, mark_weight=mark_weight, mark_offset=mark_offset, mark_dirs=mark_dirs)


def _axes(body: Body, spec: Handle) -> np.ndarray:
    """(n, 3) unit axes of a handle in rest space."""
    if spec.axes == "xyz":
        return np.eye(3)
    name, side = spec.joints[0][0].split(".")

    def at(joint: str) -> np.ndarray:
        return body.rest_joints[body.joint(f"{joint}.{side}")]

    arm = name.startswith("lowerarm")
    upper, middle, lower = ("upperarm01", "lowerarm01", "wrist") if arm else ("upperleg01", "lowerleg01", "foot")
    along = at(lower) - at(middle)
    along /= np.linalg.norm(along)
    if spec.axes == "twist":
        return along[None]
    # The arm is bent at rest, so the plane of its bend is plain; the leg is straight and bends about its sideways axis.
    axis = np.cross(at(middle) - at(upper), along) if arm else np.array([1.0, 0, 0]) - along[0] * along
    return (axis / np.linalg.norm(axis))[None]


# Landmarks that sit at joints: the joints whose mean they are, and the joint whose turn carries them.
AT_JOINTS: dict[str, tuple[tuple[str, ...], str]] = {
    "shoulder": (("upperarm01",), "shoulder01"), "elbow": (("lowerarm01",), "lowerarm01"),
    "wrist": (("wrist",), "wrist"), "pinky": (("finger5-1",), "wrist"), "index": (("finger2-1",), "wrist"),
    "thumb": (("finger1-2", "finger1-3"), "wrist"),
    "hip": (("upperleg01",), "pelvis"), "knee": (("lowerleg01",), "lowerleg01"), "ankle": (("foot",), "lowerleg01"),
}

# Where MediaPipe sees each landmark, seen from our joint or vertex: x outwards, y up, z forwards in the rest pose of
# the joint that carries it, centimetres. The robust mean over the studio's ada, ben, cleo and dan walking, captured,
# squatting and dancing, in equal shares, whose joints and surface are known (tests/benchmarks/landmark_offsets.py).
# Fits of real people gave heads too high, since the table's own errors were in them.
SHIFT_CM: dict[str, tuple[float, float, float]] = {
    "shoulder": (-0.5, 1.4, 0.6),
    "elbow": (-0.6, 1.3, 0.3),
    "wrist": (-0.1, -0.2, 0.5),
    "hip": (-1.1, -0.2, 1.3),
    "knee": (1.0, -0.6, -2.0),
    "ankle": (-0.4, 1.7, 1.3),
    "heel": (-2.3, -0.5, 4.2),
    "toe": (1.2, 1.1, -2.6),
    "ear": (-2.3, 1.2, 4.1),
    "nose": (0.0, 1.2, -1.3),
    "eye": (0.1, 0.7, -0.9),
    "mouth": (0.0, 1.4, -0.6),
    "index": (-1.3, -0.3, -3.3),
    "pinky": (-2.5, 1.5, 0.2),
    "thumb": (3.0, -0.4, -2.6),
}


def _mark(body: Body, landmark: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What a landmark hangs on: joints (M,), weights (M,), offsets (M, 3), their shape directions (S, M, 3)."""
    part, _, side = landmark.rpartition("_")
    part = part or landmark
    names = list(body.joint_names)
    sideways = np.array([0.0 if part == "nose" else -1.0 if side == "r" else 1.0, 1, 1])
    shift = np.array(SHIFT_CM[part.split("_")[0]]) / 100.0 * sideways
    if part in AT_JOINTS:
        at, carrier = AT_JOINTS[part]
        where = [names.index(f"{name}.{side.upper()}") for name in at]
        by = names.index(f"{carrier}.{side.upper()}")
        offset = body.rest_joints[where].mean(axis=0) - body.rest_joints[by] + shift
        dirs = body.joint_dirs[:, where].mean(axis=1) - body.joint_dirs[:, by]
        return np.array([by]), np.ones(1), offset[None], dirs[:, None]
    verts, shares = _on_surface(body, part, side)
    # Vertices collapse into one offset per joint: sum_v c_v w_vk (x_v - rest_k), exactly as skinning has it.
    which = np.unique(body.skin_indices[verts])
    carried = shares[:, None] * body.skin_weights[verts]
    weights = np.array([(carried * (body.skin_indices[verts] == k)).sum() for k in which])
    keep = np.argsort(-weights)[:4]
    which, weights = which[keep][weights[keep] > 1e-3], weights[keep][weights[keep] > 1e-3]
    offsets, dirs = [], []
    for k in which:
        c = (carried * (body.skin_indices[verts] == k)).sum(axis=1)
        c = c / c.sum()
        offsets.append(c @ (body.verts[verts] - body.rest_joints[k]) + shift)
        dirs.append(np.einsum("v,svc->sc", c, body.shape_dirs[:, verts] - body.joint_dirs[:, k][:, None]))
    return which, weights / weights.sum(), np.array(offsets), np.stack(dirs, axis=1)


def _on_surface(body: Body, part: str, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and shares (summing to 1) that make a landmark of the face or the foot."""
    names = list(body.joint_names)
    s = -1.0 if side == "r" else 1.0
    verts, normals = body.verts, vertex_normals(body.verts, body.faces)

    def carried_by(*joints: str) -> np.ndarray:
        wanted = [names.index(j) for j in joints]
        return (body.skin_weights * np.isin(body.skin_indices, wanted)).sum(axis=1) > 0.5

    if part in ("heel", "toe"):
        foot = np.flatnonzero(carried_by(f"foot.{side.upper()}"))
        sole = verts[foot, 1].min()
        low = foot[verts[foot, 1] < sole + (0.06 if part == "heel" else 0.045)]
        ends = low[np.argsort(verts[low, 2] * (1 if part == "heel" else -1))[:3]]
        return ends, np.full(len(ends), 1.0 / len(ends))
    head = np.flatnonzero(carried_by("head"))
    middle = head[np.abs(verts[head, 0]) < 0.012]
    nose = middle[np.argmax(verts[middle, 2])]
    if part == "nose":
        return np.array([nose]), np.ones(1)
    at = verts[nose]
    if part == "ear":
        level = head[(np.abs(verts[head, 1] - at[1] - 0.015) < 0.03) & (verts[head, 2] < at[2] - 0.06)]
        ends = level[np.argsort(-s * verts[level, 0])[:3]]
        return ends, np.full(len(ends), 1.0 / len(ends))
    aim = {"eye_inner": (0.017, 0.036), "eye": (0.031, 0.037), "eye_outer": (0.045, 0.036),
           "mouth": (0.024, -0.042)}[part]
    front = head[normals[head, 2] > 0.1]
    away = np.linalg.norm(verts[front, :2] - (s * aim[0], at[1] + aim[1]), axis=1)
    near = np.argsort(away)[:3]
    shares = 1.0 / (away[near] + 0.003)
    return front[near], shares / shares.sum()
