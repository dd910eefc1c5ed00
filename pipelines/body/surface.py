"""What lies on the body's surface: its regions, their texels in the UV atlas, and vertex normals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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


def face_neighbours(faces: np.ndarray) -> np.ndarray:
    """(T, 3) the face across the edge (k, k+1) of each face of a closed mesh."""
    edges = np.stack([faces, np.roll(faces, -1, axis=1)], axis=2).reshape(-1, 2)
    count = faces.max() + 1
    forward = edges[:, 0].astype(np.int64) * count + edges[:, 1]
    backward = edges[:, 1].astype(np.int64) * count + edges[:, 0]
    order = np.argsort(forward)
    return (order[np.searchsorted(forward[order], backward)] // 3).reshape(-1, 3)


def region_map(body: Body, size: int = 256) -> np.ndarray:
    """(size, size) uint8: which region each texel belongs to, an index into `body.region_names`.

    Charts are dilated by the atlas gutter, so a texel that sampling may touch has a region; 255 elsewhere.
    """
    return _region_map(body, size).copy()


def region_texels(body: Body, names: tuple[str, ...] | list[str], size: int = 256, soft_px: float = 2.0) -> np.ndarray:
    """(size, size) float32 weights 0..1: the named regions' texels, with a soft edge where they meet other regions.

    On the border the weight is 0.5; it reaches 1 inside and 0 outside within `soft_px` texels, also where the border
    is a seam and its two sides lie in charts apart: gutters hold what lies across the seam, so bilinear samples of
    either side agree there. Seams within the named regions stay at 1. 0 far from charts.
    Unknown names: ValueError listing the names there are.
    """
    unknown = [name for name in names if name not in body.region_names]
    if unknown:
        raise ValueError(f"no region named {', '.join(unknown)}; regions are {', '.join(body.region_names)}")
    numbers = [body.region_names.index(name) for name in names]
    chosen = np.isin(_region_map(body, size), numbers)
    if soft_px <= 0:
        return chosen.astype(np.float32)
    from pipelines.body.kernels import smallest_distances
    from pipelines.body.seams import across_seams, tied

    points, point_chart = _border_points(body, np.isin(body.face_region, numbers), size)
    drawn, nearest, near = _texels(body, size)
    chart_of = np.where(drawn >= 0, face_charts(body)[drawn], -1)
    weights = chosen.astype(np.float32)
    for chart in np.unique(point_chart):
        rows, columns = np.nonzero(chart_of == chart)
        distance = smallest_distances(np.stack([columns + 0.5, rows + 0.5], axis=1), points[point_chart == chart])
        share = 0.5 + 0.5 * np.minimum(distance / soft_px, 1)
        weights[rows, columns] = np.where(chosen[rows, columns], share, 1 - share)
    weights = tied(weights[nearest][None], across_seams(body, size))[0]
    return np.where(near, np.clip(weights, 0, 1), 0).astype(np.float32)


def region_shares(body: Body, groups: Mapping[str, Sequence[str]], size: int = 256,
                  soft_px: float = 2.0) -> dict[str, np.ndarray]:
    """{group: (size, size) float32}: whose each texel is when regions are shared out, with soft borders.

    groups   name -> regions; no region twice (ValueError). What no group names is shared out as one more, "".
    returns  weights 0..1 that sum to one over the groups at every texel of the region map, also where three of them
             meet; each is `region_texels` where two do
    """
    named = [region for regions in groups.values() for region in regions]
    twice = sorted({region for region in named if named.count(region) > 1})
    if twice or "" in groups:
        raise ValueError(f"regions of more than one group: {', '.join(twice)}" if twice else "a group has no name")
    rest = [region for region in body.region_names if region not in named]
    weights = {name: region_texels(body, tuple(regions), size, soft_px)
               for name, regions in {**groups, "": rest}.items()}
    together = np.sum(list(weights.values()), axis=0)
    return {name: weight / np.where(together > 0, together, 1) for name, weight in weights.items()}


def texel_positions(body: Body, size: int = 256) -> np.ndarray:
    """(size, size, 3) metres: where on the mean body in rest pose each texel lies; NaN far from charts.

    In the gutters the nearest face's plane goes on.
    """
    texel_face = face_map(body, size)
    rows, columns = np.nonzero(texel_face >= 0)
    faces = texel_face[rows, columns]
    a, b, c = (body.uvs[body.face_uvs[faces, corner]] * size for corner in range(3))
    texel = np.stack([columns + 0.5, rows + 0.5], axis=1)
    u, v, w = b - a, c - a, texel - a
    area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    second = (w[:, 0] * v[:, 1] - w[:, 1] * v[:, 0]) / area
    third = (u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]) / area
    bary = np.stack([1 - second - third, second, third], axis=1)
    positions = np.full((size, size, 3), np.nan)
    positions[rows, columns] = np.einsum("nk,nkc->nc", bary, body.verts[body.faces[faces]])
    return positions


def face_charts(body: Body) -> np.ndarray:
    """(T,) int32: the atlas chart of each face; faces that share a uv vertex lie in one chart."""
    from pipelines.body.kernels import connected_labels

    return connected_labels(np.ascontiguousarray(body.face_uvs), len(body.uvs))[body.face_uvs[:, 0]]


def chart_map(body: Body, size: int = 256) -> np.ndarray:
    """(size, size) int32: the chart of each texel, dilated as in `region_map`; -1 elsewhere."""
    texel_face = face_map(body, size)
    return np.where(texel_face >= 0, face_charts(body)[texel_face], -1)


def face_map(body: Body, size: int = 256, dilated: bool = True) -> np.ndarray:
    """(size, size) int32: the face whose texel this is, -1 where none is.

    dilated  whether the gutters belong to the nearest face as well, else only texels whose centre lies in a face
    """
    drawn, nearest, near = _texels(body, size)
    return np.where(near, drawn[nearest], -1) if dilated else drawn.copy()


@lru_cache(maxsize=8)
def _region_map(body: Body, size: int) -> np.ndarray:
    texel_face = face_map(body, size)
    return np.where(texel_face >= 0, body.face_region[texel_face], OUTSIDE).astype(np.uint8)


@lru_cache(maxsize=8)
def _texels(body: Body, size: int) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], np.ndarray]:
    """The face over each texel's centre (-1 none); the nearest texel with a face; whether one is near."""
    from pipelines.body.kernels import draw_triangles, nearest_drawn

    drawn = draw_triangles(np.ascontiguousarray(body.uvs[body.face_uvs] * size, np.float64), size)
    rows, columns, near = nearest_drawn(drawn, GUTTER_TEXELS_AT_256 * size / 256)
    # a thin tip of a chart may end farther from the last texel whose centre it covers
    for chart, texels in _read_at_borders(body, size):
        row, column = np.divmod(texels[~near.ravel()[texels]], size)
        if len(row):
            own = np.argwhere((drawn >= 0) & (face_charts(body)[drawn] == chart))
            closest = own[((own[:, None] - np.stack([row, column], axis=1)) ** 2).sum(2).argmin(0)]
            rows[row, column], columns[row, column] = closest.T
            near[row, column] = True
    return drawn, (rows, columns), near


def _read_at_borders(body: Body, size: int) -> Iterator[tuple[int, np.ndarray]]:
    """Each chart with the texels (N,), row * size + column, that bilinear samples on its border read."""
    from pipelines.body.seams import bilinear_texels, cut_edges

    face, side = np.nonzero(cut_edges(body))
    start = body.uvs[body.face_uvs[face, side]].astype(np.float64) * size
    end = body.uvs[body.face_uvs[face, (side + 1) % 3]].astype(np.float64) * size
    points = start + np.linspace(0, 1, 33)[:, None, None] * (end - start)
    charts = face_charts(body)[face]
    for chart in np.unique(charts):
        texels, shares = bilinear_texels(points[:, charts == chart].reshape(-1, 2), size)
        yield int(chart), np.unique(texels[shares > 0])


def _border_points(body: Body, chosen: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 2) in texels on the edges between chosen faces (T,) and others, in both charts; their charts (N,)."""
    face, side = np.nonzero(chosen[:, None] != chosen[face_neighbours(body.faces)])
    start = body.uvs[body.face_uvs[face, side]].astype(np.float64) * size
    end = body.uvs[body.face_uvs[face, (side + 1) % 3]].astype(np.float64) * size
    shares = np.linspace(0, 1, 33)[:, None, None]
    points = start + shares * (end - start)
    return points.reshape(-1, 2), np.tile(face_charts(body)[face], len(shares))
