"""The reference rasterizer: a z-buffer on the CPU, exact about which pixel belongs to which triangle.

Vertices are snapped to 1/256 pixel and edge functions are whole numbers, so two triangles that share an edge
neither overlap nor leave a gap (top-left rule), whatever their shape.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipelines.core.records import Camera, SurfaceMaps
from pipelines.geometry.cameras import to_camera
from pipelines.rasterizers.kernels import draw_triangles, interpolate_corners, normalise_inside

NEAR_M = 0.02                           # nothing nearer than this is drawn

Box = tuple[int, int, int, int]         # x0, y0, x1, y1 in picture pixels


def check() -> None:
    """Runs everywhere."""


def rasterize(verts: np.ndarray, faces: np.ndarray, camera: Camera,
              box: Box | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest triangle at every pixel centre; both sides of a triangle are seen.

    verts    (V, 3) metres, world frame; triangles that cross the near plane are cut, ones with a NaN left out
    faces    (T, 3)
    box      x0, y0, x1, y1: the part of the picture to draw (it may reach beyond); None = all of it
    returns  face_index (h, w) int32, -1 = background; bary (h, w, 3) float32, perspective correct, 0 on background;
             depth_m (h, w) float32, 0 on background
    source   Pineda, A parallel algorithm for polygon rasterization, SIGGRAPH 1988
    """
    if verts.ndim != 2 or verts.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise ValueError(f"expected verts (V, 3) and faces (T, 3), got {verts.shape} and {faces.shape}")
    x0, y0, x1, y1 = box if box is not None else (0, 0, camera.width, camera.height)
    if x1 <= x0 or y1 <= y0:
        raise ValueError(f"empty box {box}")
    seen = np.ascontiguousarray(to_camera(verts, camera), dtype=np.float64)
    weak = 0.0 if camera.weak_depth_m is None else float(camera.weak_depth_m)
    K = np.ascontiguousarray(camera.K, dtype=np.float64)
    return draw_triangles(seen, np.ascontiguousarray(faces, dtype=np.int32), K, weak, NEAR_M, x0, y0, x1, y1)


def interpolate(face_index: np.ndarray, bary: np.ndarray, attributes: np.ndarray,
                face_attributes: np.ndarray) -> np.ndarray:
    """Attributes of the triangles' corners at every pixel, 0 on background.

    face_index, bary  (h, w) and (h, w, 3) from `rasterize`
    attributes        (A, C)
    face_attributes   (T, 3) which row of `attributes` each corner has
    returns           (h, w, C) float32
    """
    if attributes.ndim != 2 or face_attributes.ndim != 2 or face_attributes.shape[1] != 3:
        raise ValueError(f"expected attributes (A, C) and face_attributes (T, 3), got {attributes.shape} and "
                         f"{face_attributes.shape}")
    return interpolate_corners(face_index, bary, np.ascontiguousarray(attributes, dtype=np.float32),
                               np.ascontiguousarray(face_attributes, dtype=np.int32))


def surface_maps(body_faces: np.ndarray, uvs: np.ndarray, face_uvs: np.ndarray, verts: np.ndarray, camera: Camera,
                 box: Box | None = None, rasterize: Callable = rasterize) -> SurfaceMaps:
    """What the camera sees of a posed body: face index, UV, smooth normal and depth (paper section 3.1).

    body_faces  (T, 3) into verts; face_uvs (T, 3) into uvs (U, 2)
    verts       (V, 3) metres, world frame
    rasterize   the rasterizer to use
    returns     maps of `box`; normals in the camera's frame (x right, y down, z forward)
    """
    from pipelines.body.surface import vertex_normals

    box = box if box is not None else (0, 0, camera.width, camera.height)
    face_index, bary, depth_m = rasterize(verts, body_faces, camera, box)
    normals = vertex_normals(verts, body_faces) @ camera.world_to_camera[:3, :3].T
    normal = interpolate(face_index, bary, normals, body_faces)
    normalise_inside(normal, face_index)
    return SurfaceMaps(face_index, interpolate(face_index, bary, uvs, face_uvs), normal, depth_m, box)
