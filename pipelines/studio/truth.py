"""What is known of a synthetic recording: the coarse body under the clothes, and its surface maps."""

from __future__ import annotations

import numpy as np

from pipelines.core.records import Camera, SurfaceMaps
from pipelines.studio.actors import Actor, posed_joints


def coarse_vertices(actor: Actor, joint_rotations: np.ndarray, root_translation: np.ndarray) -> np.ndarray:
    """Vertices (F, V, 3) float32 of the true coarse body, in the frame that the poses live in.

    joint_rotations (F, J, 3, 3), root_translation (F, 3)
    """
    from pipelines.body.kernels import skinned
    from pipelines.body.model import load_body
    from pipelines.core.records import BodyPose

    body = load_body()
    verts = np.ascontiguousarray(actor.coarse_verts, float)
    out = np.empty((len(joint_rotations), len(verts), 3), np.float32)
    for row, pose in enumerate(map(BodyPose, joint_rotations, root_translation)):
        turns, places = posed_joints(actor.rest_joints, actor.parents, pose)
        out[row] = skinned(verts, actor.rest_joints, turns, places, body.skin_indices, body.skin_weights)
    return out


def true_maps(vertices_m: np.ndarray, camera: Camera) -> SurfaceMaps:
    """What `anr raster` would draw of the true body: face, UV, normal and depth of each pixel it covers.

    vertices_m  (V, 3) a row of `vertices_m` in a synthetic recording's truth.npz
    camera      of the recording
    """
    from pipelines.body.model import load_body
    from pipelines.geometry.cameras import box_around
    from pipelines.rasterizers.cpu import surface_maps

    body = load_body()
    if vertices_m.shape != body.verts.shape:
        raise ValueError(f"expected vertices_m {body.verts.shape}, got {vertices_m.shape}")
    box = box_around(vertices_m, camera, 0.02)
    return surface_maps(body.faces, body.uvs, body.face_uvs, vertices_m.astype(float), camera, box)
