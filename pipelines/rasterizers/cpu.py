"""The reference rasterizer: a z-buffer on the CPU, exact about which pixel belongs to which triangle.

Vertices are snapped to 1/256 pixel and edge functions are whole numbers, so two triangles that share an edge
neither overlap nor leave a gap (top-left rule), whatever their shape. Bands of rows are drawn on all cores; how many
there are changes nothing in the picture.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipelines.core.cores import available_cores, on_all_cores
from pipelines.core.records import Camera, SurfaceMaps
from pipelines.geometry.cameras import to_camera
from pipelines.rasterizers.kernels import draw_bands, interpolate_rows, map_bands, shade_rows
from pipelines.rasterizers.triangles import Triangles, ready_triangles

NEAR_M = 0.02                           # nothing nearer than this is drawn
BAND_ROWS = 32                          # a band's buffers stay in the processor's cache
FEW_PIXELS = 1 << 16                    # below this another thread costs more than it takes off

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
    triangles, (height, width) = _triangles(verts, faces, camera, box)
    face_index = np.empty((height, width), np.int32)
    bary = np.empty((height, width, 3), np.float32)
    depth_m = np.empty((height, width), np.float32)
    weak = camera.weak_depth_m is not None
    workers = _workers(height, width)
    on_all_cores(lambda first: draw_bands(triangles, weak, BAND_ROWS, first, workers, face_index, bary, depth_m),
                 workers)
    return face_index, bary, depth_m


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
    out = np.empty((*face_index.shape, attributes.shape[1]), np.float32)
    interpolate_rows(face_index, bary, _float32(attributes), _int32(face_attributes), out)
    return out


def surface_maps(body_faces: np.ndarray, uvs: np.ndarray, face_uvs: np.ndarray, verts: np.ndarray, camera: Camera,
                 box: Box | None = None, rasterize: Callable = rasterize, cores: int | None = None) -> SurfaceMaps:
    """What the camera sees of a posed body: face index, UV, smooth normal and depth (paper section 3.1).

    body_faces  (T, 3) into verts; face_uvs (T, 3) into uvs (U, 2)
    verts       (V, 3) metres, world frame
    rasterize   the rasterizer to use
    cores       how many to use; None = all. One where pictures are drawn side by side
    returns     maps of `box`; normals in the camera's frame (x right, y down, z forward)
    """
    from pipelines.body.surface import vertex_normals

    normals = _float32(vertex_normals(verts, body_faces) @ camera.world_to_camera[:3, :3].T)
    surface = _float32(uvs), _int32(face_uvs), normals, _int32(body_faces)
    box = box if box is not None else (0, 0, camera.width, camera.height)
    maps = SurfaceMaps.unwritten(box)
    height, width = maps.face_index.shape
    if rasterize is not _own:
        maps.face_index[:], bary, maps.depth_m[:] = rasterize(verts, body_faces, camera, box)
        everywhere = np.tile(np.array([0, width], np.int32), (height, 1))
        shade_rows(maps.face_index, bary, everywhere, surface, maps.uv, maps.normal)
        return maps
    triangles, _ = _triangles(verts, body_faces, camera, box)
    out = maps.face_index, maps.uv, maps.normal, maps.depth_m
    weak = camera.weak_depth_m is not None
    workers = _workers(height, width, cores)
    on_all_cores(lambda first: map_bands(triangles, weak, BAND_ROWS, first, workers, surface, out), workers)
    return maps


_own = rasterize


def _workers(height: int, width: int, cores: int | None = None) -> int:
    """How many draw a picture. Each takes every so many-th band: neighbouring ones see about equally much of a body."""
    return 1 if height * width < FEW_PIXELS else min(cores or available_cores(), -(-height // BAND_ROWS))


def _triangles(verts: np.ndarray, faces: np.ndarray, camera: Camera, box: Box | None) -> tuple[Triangles,
                                                                                             tuple[int, int]]:
    """Triangles to draw, and the height and width of the box."""
    if verts.ndim != 2 or verts.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise ValueError(f"expected verts (V, 3) and faces (T, 3), got {verts.shape} and {faces.shape}")
    x0, y0, x1, y1 = box if box is not None else (0, 0, camera.width, camera.height)
    if x1 <= x0 or y1 <= y0:
        raise ValueError(f"empty box {box}")
    seen = np.ascontiguousarray(to_camera(verts, camera), dtype=np.float64)
    weak = 0.0 if camera.weak_depth_m is None else float(camera.weak_depth_m)
    K = np.ascontiguousarray(camera.K, dtype=np.float64)
    return ready_triangles(seen, _int32(faces), K, weak, NEAR_M, (x0, y0, x1, y1)), (y1 - y0, x1 - x0)


def _float32(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, dtype=np.float32)


def _int32(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, dtype=np.int32)
