"""How good a UV atlas is: stretch, gutters, how many texels each region gets. The bake refuses one that is not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipelines.body.flatten import stretches
from pipelines.body.model import Body
from pipelines.body.seams import cut_edges
from pipelines.body.surface import face_charts

STRETCH = (0.5, 2.0)                    # of a chart's own scale, both ways across a face ...
WELL_MAPPED = 0.99                      # ... on this share of the body's area
SIZE = 256                              # texels a side that distances are told at
UV_ERROR_TEXELS = 0.125                 # what the map cache may move a uv by
FOOTPRINT_TEXELS = 2.0                  # two samples so far apart (in either direction) have no texel in common


@dataclass(frozen=True)
class AtlasQuality:
    """Figures of one atlas."""

    charts: int
    flipped: int                        # faces turned over
    used: float                         # share of the square that charts cover
    well_mapped: float                  # share of the area with both stretches within STRETCH
    most_stretch: tuple[float, float]   # smallest and largest stretch of any face
    gap_texels: float                   # between the two charts that come closest, at SIZE; the larger of x and y
    edge_texels: float                  # from the square's edge to the nearest chart, at SIZE
    texels_per_m: dict[str, float]      # region -> texels per metre of surface, at SIZE

    @property
    def smallest_texture(self) -> int:
        """The smallest size of texture, a side, at which no bilinear sample mixes charts."""
        between = (FOOTPRINT_TEXELS + 2 * UV_ERROR_TEXELS) / self.gap_texels
        outside = (FOOTPRINT_TEXELS / 2 + UV_ERROR_TEXELS) / self.edge_texels
        return math.ceil(SIZE * max(between, outside))

    @property
    def noise_texels(self) -> float:
        """How far samples may stray at SIZE, either way, before any two charts share a texel."""
        return (self.gap_texels - FOOTPRINT_TEXELS) / 2


def atlas_quality(body: Body) -> AtlasQuality:
    """Measures the atlas of a body on its mean shape."""
    charts, uvs = face_charts(body), body.uvs.astype(np.float64)
    stretch, surface, flat = face_stretches(body)
    low, high = stretch.min(1), stretch.max(1)
    well = (low >= STRETCH[0]) & (high <= STRETCH[1])
    regions = {name: body.face_region == number for number, name in enumerate(body.region_names)}
    return AtlasQuality(
        charts=int(charts.max()) + 1, flipped=int((flat <= 0).sum()), used=float(flat.sum()),
        well_mapped=float(surface[well].sum() / surface.sum()), most_stretch=(float(low.min()), float(high.max())),
        gap_texels=SIZE * chart_gaps(body).min(), edge_texels=SIZE * float(min(uvs.min(), 1 - uvs.max())),
        texels_per_m={name: SIZE * float(np.sqrt(np.abs(flat[here]).sum() / surface[here].sum()))
                      for name, here in regions.items()})


def refuse_poor(quality: AtlasQuality, size: int = SIZE) -> None:
    """ValueError for an atlas that turns faces over, stretches too much, or mixes charts in textures of `size`."""
    if quality.flipped:
        raise ValueError(f"the atlas turns {quality.flipped} faces over")
    if quality.well_mapped < WELL_MAPPED:
        raise ValueError(f"only {100 * quality.well_mapped:.1f} % of the surface is stretched within {STRETCH}, "
                         f"expected {100 * WELL_MAPPED:.0f} %")
    if quality.smallest_texture > size:
        raise ValueError(f"charts come within {quality.gap_texels:.2f} texels of each other: a texture of {size} mixes "
                         f"them, the smallest that does not has {quality.smallest_texture}")


def face_stretches(body: Body) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(T, 2) singular values of each face's map from surface to atlas over its chart's mean scale, larger one first;
    areas on the surface (T,) in square metres; areas in the atlas (T,), negative where a face is turned over."""
    corners, flat = body.verts[body.faces], body.uvs.astype(np.float64)[body.face_uvs] * [1, -1]
    surface = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    first, second = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    mapped = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2
    charts = face_charts(body)
    scale = np.sqrt(np.bincount(charts, np.abs(mapped)) / np.bincount(charts, surface))[charts]
    alone = np.arange(3 * len(corners)).reshape(-1, 3)
    return stretches(corners.reshape(-1, 3), alone, flat.reshape(-1, 2)) / scale[:, None], surface, mapped


def chart_gaps(body: Body) -> np.ndarray:
    """(N,) for each corner on a chart's border, how far the nearest other chart is: the larger of x and y, in uv.

    Bilinear reading reaches as far in x as in y, so two charts are apart when they are apart in either. The nearest
    points of two outlines that do not cross include a corner of one of them, whatever the norm.
    """
    face, side = np.nonzero(cut_edges(body))
    uvs, charts = body.uvs.astype(np.float64), face_charts(body)[face]
    start, end = uvs[body.face_uvs[face, side]], uvs[body.face_uvs[face, (side + 1) % 3]]
    gaps = np.full(len(face), np.inf)
    for row in range(len(face)):
        others = charts != charts[row]
        gaps[row] = _largest_offset_to_segments(start[row], start[others], end[others]).min()
    return gaps


def _largest_offset_to_segments(point: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(N,) distance of a point (2,) from segments in the maximum norm, which is least at an end or at a kink of it."""
    away, edge = point - start, end - start
    kinks = [(away[:, 0], edge[:, 0]), (away[:, 1], edge[:, 1]),
             (away[:, 0] - away[:, 1], edge[:, 0] - edge[:, 1]), (away[:, 0] + away[:, 1], edge[:, 0] + edge[:, 1])]
    shares = [np.zeros(len(start)), np.ones(len(start))]
    shares += [np.clip(a / np.where(e == 0, 1, e), 0, 1) for a, e in kinks]
    along = np.stack(shares)[..., None]                         # (6, N, 1)
    return np.abs(away - along * edge).max(axis=2).min(axis=0)
