"""A rough body from one frame's landmarks: which way it faces, how its limbs lie, which of its faces are seen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipelines.body.model import load_body, pose_body, rest_body
from pipelines.body.surface import vertex_normals
from pipelines.core.records import BodyPose, Camera, Landmarks
from pipelines.geometry.cameras import project
from pipelines.geometry.rotations import nearest_rotation, rotation_between
from pipelines.rasterizers.cpu import rasterize

DRAWN_PX_PER_M = 150.0                  # resolution of the visibility test: a face's middle falls on a pixel of 7 mm
FAR_M = 10.0                            # the rough body stands here before a weak-perspective camera
SKIN_DEEP_M = 0.02                      # a face's middle this far behind what is drawn there is hidden

# MediaPipe's numbers of the landmarks used here.
NOSE, EARS, SHOULDERS, HIPS = 0, (7, 8), (11, 12), (23, 24)
# joint that turns, landmark where the limb begins, landmark where it ends, joint where it ends
LIMBS = tuple((f"{joint}.{side}", start + k, end + k, f"{tip}.{side}")
              for joint, start, end, tip in (("upperarm01", 11, 13, "lowerarm01"), ("lowerarm01", 13, 15, "wrist"),
                                             ("upperleg01", 23, 25, "lowerleg01"), ("lowerleg01", 25, 27, "foot"))
              for k, side in enumerate("LR"))
MARKED = tuple((f"{joint}.{side}", mark + k) for joint, mark in (
    ("upperarm01", 11), ("lowerarm01", 13), ("wrist", 15), ("upperleg01", 23), ("lowerleg01", 25), ("foot", 27))
    for k, side in enumerate("LR"))


@dataclass(frozen=True, eq=False)
class Glance:
    """What one frame shows of the surface of the coarse body."""

    frontal: np.ndarray                 # (T,) float32: cosine between face and camera where it is seen, 0 where not
    tall_px: float                      # how tall the person would stand in the picture
    crown_px: np.ndarray                # (2,) where the top of the head is


def glance(landmarks: Landmarks, width: int, height: int) -> Glance:
    """The faces that one frame shows of a person: turned to the camera, before the rest of the body, in the picture.

    Limbs follow the world landmarks' directions on a body of mean shape; good to some ten degrees, which is what the
    question "which sides were seen?" needs. width, height  of the picture, pixels
    """
    body = load_body()
    verts, joints = pose_body(body, np.zeros(0), rough_pose(landmarks))
    seen_from = Camera(K=np.array([[DRAWN_PX_PER_M, 0, 0], [0, DRAWN_PX_PER_M, 0], [0, 0, 1.0]]), width=1, height=1,
                       weak_depth_m=1.0)
    points = verts + np.array([0.0, 0.0, FAR_M])
    drawn = project(points, seen_from)
    (x0, y0), (x1, y1) = np.floor(drawn.min(axis=0)).astype(int) - 1, np.ceil(drawn.max(axis=0)).astype(int) + 1
    _, _, depth_m = rasterize(points, body.faces, seen_from, (int(x0), int(y0), int(x1), int(y1)))
    corners = points[body.faces]
    middle = corners.mean(axis=1)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    cosine = -normal[:, 2] / np.maximum(np.linalg.norm(normal, axis=1), 1e-12)
    column, row = (project(middle, seen_from) - (x0, y0)).astype(int).T
    in_front = middle[:, 2] <= depth_m[row, column] + SKIN_DEEP_M

    scale, shift = _in_picture(joints, landmarks)
    spot = scale * middle[:, :2] + shift
    inside = ((spot >= 0) & (spot < (width, height))).all(axis=1)
    return Glance(np.where(in_front & inside, np.maximum(cosine, 0), 0).astype(np.float32),
                  scale * _standing_height_m(), scale * verts[_crown_vertex(), :2] + shift)


def rough_pose(landmarks: Landmarks) -> BodyPose:
    """The coarse body turned and bent as the world landmarks lie: camera axes, the root joint at the origin."""
    body = load_body()
    rest = body.rest_joints
    world = landmarks.world_m
    turns = {"root": _trunk(world)}
    turns["head"] = _head(world, turns["root"])
    for joint, start, end, tip in LIMBS:
        parent = turns[f"{_ABOVE[joint[:-2]]}{joint[-2:]}"] if joint[:-2] in _ABOVE else turns["root"]
        along = parent @ (rest[body.joint(tip)] - rest[body.joint(joint)])
        wanted = world[end] - world[start]
        turns[joint] = rotation_between(along, wanted) @ parent if np.linalg.norm(wanted) > 1e-6 else parent
    local = np.tile(np.eye(3), (len(rest), 1, 1))
    frames: list[np.ndarray] = []
    for j, (name, parent_index) in enumerate(zip(body.joint_names, body.parents)):
        above = np.eye(3) if parent_index < 0 else frames[parent_index]
        frame = turns.get(name, above)
        local[j] = above.T @ frame
        frames.append(frame)
    return BodyPose(local, np.zeros(3))


_ABOVE = {"lowerarm01": "upperarm01", "lowerleg01": "upperleg01"}


def yaw_deg(landmarks: Landmarks) -> float:
    """Which way the trunk faces, degrees: 0 to the camera, 90 its left side to the camera, 180 the back, 270 the right.

    The left side is seen when the person has turned to their own right.
    """
    forward = _trunk(landmarks.world_m) @ (0.0, 0.0, 1.0)
    return float(np.degrees(np.arctan2(-forward[0], -forward[2])) % 360)


def _trunk(world: np.ndarray) -> np.ndarray:
    """(3, 3) turn that lays the rest body's shoulders and hips on the landmarks' (Kabsch 1976)."""
    body = load_body()
    names = ("upperarm01.L", "upperarm01.R", "upperleg01.L", "upperleg01.R")
    rest = body.rest_joints[[body.joint(name) for name in names]]
    seen = world[[*SHOULDERS, *HIPS]]
    return nearest_rotation((seen - seen.mean(axis=0)).T @ (rest - rest.mean(axis=0)))


def _head(world: np.ndarray, trunk: np.ndarray) -> np.ndarray:
    """(3, 3) turn of the head from ears and nose; the trunk's where they fall together."""
    left, right = world[list(EARS)]
    across, forward = left - right, world[NOSE] - (left + right) / 2
    up = np.cross(forward, across)
    if np.linalg.norm(up) < 1e-6:
        return trunk
    x, y = across / np.linalg.norm(across), up / np.linalg.norm(up)
    return np.stack([x, y, np.cross(x, y)], axis=1)


def _in_picture(joints: np.ndarray, landmarks: Landmarks) -> tuple[float, np.ndarray]:
    """Pixels per metre, and where the root joint lies (2,): the weighted least-squares scaling of joints to pixels."""
    body = load_body()
    flat = joints[[body.joint(name) for name, _ in MARKED], :2]
    marks = [mark for _, mark in MARKED]
    pixels, weight = landmarks.pixels[marks], np.clip(landmarks.confidence[marks], 0.05, 1.0)[:, None]
    middle, centre = (weight * flat).sum(0) / weight.sum(), (weight * pixels).sum(0) / weight.sum()
    spread = (weight * (flat - middle) ** 2).sum()
    scale = float((weight * (flat - middle) * (pixels - centre)).sum() / max(spread, 1e-9))
    return max(scale, 1e-3), centre - scale * middle


@lru_cache(maxsize=1)
def _standing_height_m() -> float:
    y = rest_body(load_body(), np.zeros(0))[0][:, 1]
    return float(y.max() - y.min())


@lru_cache(maxsize=1)
def _crown_vertex() -> int:
    return int(rest_body(load_body(), np.zeros(0))[0][:, 1].argmax())


@lru_cache(maxsize=1)
def face_areas() -> np.ndarray:
    """(T,) square metres, of the mean body."""
    body = load_body()
    a, b, c = (body.verts[body.faces[:, k]] for k in range(3))
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2


@lru_cache(maxsize=1)
def face_normals() -> np.ndarray:
    """(T, 3) of the mean body at rest (y up, facing +z, left = +x), smoothed over the corners."""
    body = load_body()
    normal = vertex_normals(body.verts, body.faces)[body.faces].mean(axis=1)
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)
