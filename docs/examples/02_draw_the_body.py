"""Poses the body and draws its normals and UVs from a camera of your own.

Run it: python 02_draw_the_body.py    (writes body.png)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines.body.model import load_body, pose_body
from pipelines.core.records import BodyPose
from pipelines.geometry.cameras import camera_from_fov
from pipelines.geometry.rotations import rotation_from_vector
from pipelines.media.images import write_image
from pipelines.rasterizers.cpu import surface_maps

body = load_body()
rotations = np.tile(np.eye(3), (len(body.joint_names), 1, 1))
rotations[body.joint("lowerarm01.L")] = rotation_from_vector(np.array([0.0, -1.2, 0.0]))
# From the body's space (y up, facing +z) into the camera's (y down, looking along +z), 2.4 metres away.
rotations[0] = np.diag([1.0, -1.0, -1.0])
pose = BodyPose(rotations, root_translation=np.array([0.0, 0.0, 2.4]))
verts, joints = pose_body(body, np.zeros(len(body.shape_dirs)), pose)

camera = camera_from_fov(width=480, height=640, fov_deg=45)
maps = surface_maps(body.faces, body.uvs, body.face_uvs, verts, camera, (0, 0, 480, 640))
normals = np.where(maps.inside[..., None], 0.5 - 0.5 * maps.normal, 1.0)
uvs = np.where(maps.inside[..., None], np.dstack([maps.uv, np.zeros(maps.inside.shape)]), 1.0)
write_image(Path("body.png"), np.round(255 * np.hstack([normals, uvs])).astype(np.uint8))
print(f"{maps.inside.sum()} pixels see the body; body.png shows normals and UVs")
