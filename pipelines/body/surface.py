"""What lies on the body's surface: its regions, their texels in the UV atlas, and vertex normals."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pipelines.body.model import Body

REGION_NAMES: tuple[str, ...] = (
    "face", "scalp", "neck", "torso", "upper_arm_l", "upper_arm_r", "lower_arm_l", "lower_arm_r", "hand_l", "hand_r",
    "hips", "upper_leg_l", "upper_leg_r", "lower_leg_l", "lower_leg_r", "foot_l", "foot_r",
)
OUTSIDE = 255                   # region_map's value where no chart is near
GUTTER_TEXELS_AT_256 = 3        # how far charts are dilated into the space between them


def vertex_normals(verts: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3) unit normals, faces weighted by area; outward for faces counter-clockwise seen from outside.

    verts (V, 3), faces (T, 3)
    """
    from pipelines.body.kernels import area_normals

    return area_normals(np.ascontiguousarray(verts, np.float64), np.ascontiguousarray(faces))


def region_map(body: Body, size: int = 256) -> np.ndarray:
    """(size, size) uint8: which region each texel belongs to, an index into `body.region_names`.

    Charts are dilated by the atlas gutter, so a texel that sampling may touch has a region; 255 elsewhere.
    """
    return _region_map(body, size).copy()


def region_texels(body: Body, names: tuple[str, ...] | list[str], size: int = 256, soft_px: float = 2.0) -> np.ndarray:
    """(size, size) float32 weights 0..1: the named regions' texels, softened over about `soft_px` texels.

    Softening happens inside charts only: a texel's weight never comes from a neighbour chart across the gutter of
    the atlas, and borders against regions that lie in other charts stay where they are.
    Unknown names: ValueError listing the names there are.
    """
    unknown = [name for name in names if name not in body.region_names]
    if unknown:
        raise ValueError(f"no region named {', '.join(unknown)}; regions are {', '.join(body.region_names)}")
    regions = _region_map(body, size)
    chosen = np.isin(regions, [body.region_names.index(name) for name in names]).astype(np.float32)
    if soft_px <= 0:
        return chosen
    from scipy.ndimage import gaussian_filter

    charts = chart_map(body, size)
    soft = np.zeros_like(chosen)
    for chart in np.unique(charts[charts >= 0]):
        inside = charts == chart
        if not chosen[inside].any():
            continue
        rows, columns = _bounds(inside, int(3 * soft_px) + 1)
        here = inside[rows, columns].astype(np.float32)
        weight = gaussian_filter(here, soft_px)
        value = gaussian_filter(here * chosen[rows, columns], soft_px) / np.maximum(weight, 1e-6)
        soft[rows, columns] = np.where(inside[rows, columns], value, soft[rows, columns])
    return soft.clip(0, 1)


def face_charts(body: Body) -> np.ndarray:
    """(T,) int32: the atlas chart of each face; faces that share a uv vertex lie in one chart."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    starts, ends = body.face_uvs[:, [0, 1]].ravel(), body.face_uvs[:, [1, 2]].ravel()
    links = coo_matrix((np.ones(len(starts)), (starts, ends)), (len(body.uvs), len(body.uvs)))
    return connected_components(links, False)[1][body.face_uvs[:, 0]].astype(np.int32)


def chart_map(body: Body, size: int = 256) -> np.ndarray:
    """(size, size) int32: the chart of each texel, dilated as in `region_map`; -1 elsewhere."""
    texel_face = face_map(body, size)
    return np.where(texel_face >= 0, face_charts(body)[texel_face], -1)


def face_map(body: Body, size: int = 256) -> np.ndarray:
    """(size, size) int32: the face whose texel this is, dilated into the gutters by the nearest face; -1 elsewhere."""
    return _face_map(body, size).copy()


@lru_cache(maxsize=8)
def _region_map(body: Body, size: int) -> np.ndarray:
    texel_face = _face_map(body, size)
    return np.where(texel_face >= 0, body.face_region[texel_face], OUTSIDE).astype(np.uint8)


@lru_cache(maxsize=8)
def _face_map(body: Body, size: int) -> np.ndarray:
    from scipy.ndimage import distance_transform_edt

    from pipelines.body.kernels import draw_triangles

    drawn = draw_triangles(np.ascontiguousarray(body.uvs[body.face_uvs] * size, np.float64), size)
    distance, (rows, columns) = distance_transform_edt(drawn < 0, return_indices=True)
    return np.where(distance <= GUTTER_TEXELS_AT_256 * size / 256, drawn[rows, columns], -1)


def _bounds(inside: np.ndarray, margin: int) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    return (slice(max(rows[0] - margin, 0), rows[-1] + margin + 1),
            slice(max(columns[0] - margin, 0), columns[-1] + margin + 1))
