"""What a camera sees of a rigid mesh: coverage, texture coordinates, and normals or directions to the viewer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipelines.core.records import Camera, SurfaceMaps
from pipelines.geometry.cameras import box_around
from pipelines.rasterizers.cpu import surface_maps
from pipelines.rigid.mesh import ObjectMesh, atlas_uv

MARGIN = 0.07                           # of the mesh's height in the picture, around it
LEAST_MARGIN = 6                        # pixels
NORMALS, DIRECTIONS = "normals", "directions"


def object_maps(mesh: ObjectMesh, camera: Camera, shading: str = NORMALS,
                box: tuple[int, int, int, int] | None = None) -> SurfaceMaps:
    """The mesh's surface in a box; None = one around it.

    shading  what `normal` holds: "normals" in the camera's frame, or "directions" from the surface to the camera, unit
             vectors in the mesh's own frame (Thies et al., Deferred neural rendering, 2019, section 4.3)
    """
    corners = mesh.corner_uvs.reshape(-1, 2)
    rows = np.arange(len(corners), dtype=np.int32).reshape(-1, 3)
    maps = surface_maps(mesh.faces, corners, rows, mesh.verts, camera, box or object_box(mesh, camera))
    uv = atlas_uv(mesh, maps.face_index, maps.uv)
    if shading == NORMALS:
        return replace(maps, uv=uv)
    towards = view_directions(camera, maps.box) * maps.inside[..., None]
    return replace(maps, uv=uv, normal=towards.astype(np.float32))


def object_box(mesh: ObjectMesh, camera: Camera) -> tuple[int, int, int, int]:
    """Where the mesh lies in the picture, with a margin, within it."""
    x0, y0, x1, y1 = box_around(mesh.verts, camera, MARGIN)
    return (max(0, x0 - LEAST_MARGIN), max(0, y0 - LEAST_MARGIN), min(camera.width, x1 + LEAST_MARGIN),
            min(camera.height, y1 + LEAST_MARGIN))


def view_directions(camera: Camera, box: tuple[int, int, int, int]) -> np.ndarray:
    """(h, w, 3) unit vectors from what each pixel sees to the camera, in the world's frame."""
    x0, y0, x1, y1 = box
    v, u = np.mgrid[y0:y1, x0:x1] + 0.5
    rays = np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(camera.K).T @ camera.world_to_camera[:3, :3]
    return -rays / np.linalg.norm(rays, axis=-1, keepdims=True)

