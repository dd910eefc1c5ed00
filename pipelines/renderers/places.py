"""Where a posed body's joints lie in a picture: what a renderer sees of the pose without the surface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np

from pipelines.body.model import Body, load_body, pose_body
from pipelines.core.records import BodyFit, BodyPose, Camera
from pipelines.geometry.cameras import camera_for_maps, project, to_camera

ENDS = ("crown", "nose", "toe.L", "toe.R")     # of the body, where no joint is: they tell how head and feet are turned
NEAREST_M = 0.1                         # joints closer to the camera, or behind it, are drawn as if they were here


def place_names(body: Body) -> tuple[str, ...]:
    """(J,) what each row of `picture_joints` is: the body's joints, then its `ENDS`."""
    return (*body.joint_names, *ENDS)


def places_of(verts: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """(J, 3) metres: the joints of a posed body and its `ENDS`, which are vertices of its surface."""
    return np.concatenate([joints, verts[list(_end_verts())]])


def picture_joints(places_m: np.ndarray, camera: Camera) -> np.ndarray:
    """Where places (J, 3) of `places_of` lie in a camera's picture.

    camera   the one the surface maps are drawn with (`camera_for_maps`: perspective, or one depth for the whole body)
    returns  (J, 3) float32, always finite: x, y in pixels, and metres farther from the camera than the root joint
    """
    seen = to_camera(places_m, camera)
    ahead = np.concatenate([seen[:, :2], np.maximum(seen[:, 2:], NEAREST_M)], 1)
    pixels = project(ahead, replace(camera, world_to_camera=np.eye(4)))
    return np.concatenate([pixels, seen[:, 2:] - seen[:1, 2:]], 1).astype(np.float32)


def captured_joints(fit: BodyFit, camera: Camera, projection: str) -> Callable[[int], np.ndarray]:
    """What gives the joints (J, 3) of `picture_joints` of a capture frame, in pixels of the captured picture.

    projection  of the surface maps: "perspective" or "weak"
    """
    row_of = {int(index): row for row, index in enumerate(fit.frame_index)}
    return lambda index: posed_joints(fit.betas, fit.pose(row_of[index]), camera, projection)


def posed_joints(betas: np.ndarray, pose: BodyPose, camera: Camera, projection: str) -> np.ndarray:
    """`picture_joints` of a body shape in a pose, seen by a camera that draws maps with that projection."""
    verts, joints = pose_body(load_body(), betas, pose)
    return picture_joints(places_of(verts, joints), camera_for_maps(camera, verts, projection))


@cache
def _end_verts() -> tuple[int, ...]:
    """The vertices of the mean body at rest, which looks along +z, that are the `ENDS`."""
    body = load_body()
    face = np.zeros(len(body.verts), bool)
    face[body.faces[body.face_region == body.region_names.index("face")]] = True
    low = body.verts[:, 1] < 0.1 * body.verts[:, 1].max()
    left, forward = body.verts[:, 0] > 0, body.verts[:, 2]
    chosen = (body.verts[:, 1], np.where(face, forward, -np.inf), np.where(low & left, forward, -np.inf),
              np.where(low & ~left, forward, -np.inf))
    return tuple(int(np.argmax(each)) for each in chosen)
