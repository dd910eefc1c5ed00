"""What a frame shows of a person: the silhouette around the root joint, the surface in cells of texels, how sharply."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipelines.core.records import Camera, SurfaceMaps

CELLS, CELL_M = 64, 0.04                # person-centred grid of silhouettes, 2.56 m wide, the root joint in the middle
SURFACE = 64                            # cells along a side of the texture: 4 x 4 texels of 256
FACE_WEIGHT = 4.0                       # of the face's surface against its area
SURFACE_WEIGHT = 2.0                    # of the surface against the silhouettes, where both count
ODD_LEVELS = 40.0                       # of 255: so far from the usual colour, something else is in the way
USUAL_FROM = 400                        # at most so many frames, evenly spread, tell the usual colour
RIM = 0.008                             # of the person's height: so far inside the outline sharpness is measured
LEAST_TRUST = 0.2                       # a frame is never worth less than this
MEASURES = ("both", "silhouette", "surface")


@dataclass(frozen=True, eq=False)
class Glance:
    """What one frame shows."""

    silhouette: np.ndarray              # (CELLS * CELLS,) alpha around the root joint
    surface: np.ndarray                 # (SURFACE * SURFACE,) how squarely each cell of texels is seen; 0 = not
    colours: np.ndarray                 # (SURFACE * SURFACE, 3) float16 mean colour 0..255, NaN where not seen
    sharpness: float                    # edges in the picture of the person
    agreement: float                    # intersection over union of the matte and the fitted body


@dataclass(frozen=True, eq=False)
class Views:
    """What each candidate frame shows, 0..1."""

    silhouette: np.ndarray              # (N, CELLS * CELLS) alpha around the root joint
    surface: np.ndarray                 # (N, SURFACE * SURFACE) how squarely each cell of texels is seen
    trust: np.ndarray                   # (N,) how sharp, still and well fitted it is against the typical frame
    sharpness: np.ndarray               # (N,) edges in the picture of the person


def glance(image: np.ndarray, alpha: np.ndarray, maps: SurfaceMaps, camera: Camera, root_m: np.ndarray) -> Glance:
    """What a frame (H, W, 3) with matte (H, W) shows of a body whose root joint is at root_m (3,), camera frame."""
    from pipelines.geometry.cameras import project

    px_per_m = camera.K[1, 1] / max(root_m[2], 0.2)
    surface, colours = seen_cells(image, maps, camera)
    return Glance(centred_silhouette(alpha, project(root_m, camera), px_per_m).ravel(), surface,
                  colours.astype(np.float16), edge_strength(image, alpha), overlap(alpha, maps))


def together(glances: list[Glance], speed_m: np.ndarray) -> Views:
    """All candidates against each other; speed_m (N,) how fast the body moves at each, metres per frame."""
    silhouette, surface = np.stack([g.silhouette for g in glances]), np.stack([g.surface for g in glances])
    sharpness, agreement = (np.array([getattr(g, name) for g in glances]) for name in ("sharpness", "agreement"))
    hidden = odd_cells(np.stack([g.colours for g in glances]))
    hidden_share = (hidden * surface).sum(axis=1) / np.maximum(surface.sum(axis=1), 1e-9)
    trust = _against_typical(sharpness) * _against_typical(agreement)**2 * _against_typical(1 / (speed_m + 1e-3)) \
        * np.clip(1 - 4 * (hidden_share - hidden_share.min()), 0, 1)
    surface[hidden] = 0
    return Views(silhouette, surface, np.clip(trust, LEAST_TRUST, 1), sharpness)


def stacked(views: Views, measure: str = "both") -> tuple[np.ndarray, np.ndarray]:
    """Quality (N, E) and weights (E,) of silhouettes and surface together, each worth its share.

    measure  one of MEASURES: "silhouette" or "surface" leave the other one out
    """
    if measure not in MEASURES:
        raise ValueError(f"measure {measure!r} is none of {', '.join(MEASURES)}")
    parts = []
    if measure != "surface":
        worth = np.full(views.silhouette.shape[1], 1 / max(float(views.silhouette.max(axis=0).sum()), 1e-6))
        parts.append((views.silhouette, worth))
    if measure != "silhouette":
        parts.append((views.surface, (SURFACE_WEIGHT if measure == "both" else 1.0) * surface_weights()))
    quality = np.concatenate([shown for shown, _ in parts], axis=1) * views.trust[:, None]
    return quality.astype(np.float32), np.concatenate([worth for _, worth in parts]).astype(np.float32)


@lru_cache(maxsize=1)
def surface_weights() -> np.ndarray:
    """(SURFACE * SURFACE,) what seeing each cell of texels is worth: its area on the body, the face's more; the sum
    is 1."""
    from pipelines.body.model import load_body
    from pipelines.body.surface import face_map

    body = load_body()
    a, b, c = (body.verts[body.faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    area = area * np.where(body.face_region == body.region_names.index("face"), FACE_WEIGHT, 1.0)
    drawn = face_map(body, 4 * SURFACE, dilated=False)
    texels = np.bincount(drawn[drawn >= 0], minlength=len(area))
    worth = np.where(drawn >= 0, (area / np.maximum(texels, 1))[drawn], 0)
    cells = worth.reshape(SURFACE, 4, SURFACE, 4).sum(axis=(1, 3)).ravel()
    return cells / cells.sum()


def seen_cells(image: np.ndarray, maps: SurfaceMaps, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """How squarely a frame sees each cell of texels, and in which colour.

    returns  (SURFACE * SURFACE,) mean cosine of the angle between normal and line of sight, 0 where nothing is seen;
             (SURFACE * SURFACE, 3) mean colour in 0..255, NaN there
    """
    x0, y0, x1, y1 = maps.box
    rows, columns = np.nonzero(maps.inside)
    place = np.clip((maps.uv[rows, columns] * SURFACE).astype(int), 0, SURFACE - 1)
    cell = place[:, 1] * SURFACE + place[:, 0]
    sight = np.stack([(columns + x0 + 0.5 - camera.K[0, 2]) / camera.K[0, 0],
                      (rows + y0 + 0.5 - camera.K[1, 2]) / camera.K[1, 1], np.ones(len(rows))], axis=1)
    sight /= np.linalg.norm(sight, axis=1, keepdims=True)
    facing = np.clip(-(maps.normal[rows, columns] * sight).sum(axis=1), 0, 1)
    values = image[y0:y1, x0:x1][rows, columns]
    pixels = np.bincount(cell, minlength=SURFACE**2)
    sums = [np.bincount(cell, weights=values[:, c], minlength=SURFACE**2) for c in range(3)]
    squarely = np.bincount(cell, weights=facing, minlength=SURFACE**2) / np.maximum(pixels, 1)
    colours = np.stack(sums, axis=1) / np.maximum(pixels, 1)[:, None]
    return squarely.astype(np.float32), np.where(pixels[:, None] > 0, colours, np.nan)


def odd_cells(colours: np.ndarray) -> np.ndarray:
    """(N, E) bool: where a frame shows a cell in a colour far from its usual one; something else is in the way.

    colours  (N, E, 3) in 0..255, NaN where a frame does not show the cell
    """
    some = np.unique(np.linspace(0, len(colours) - 1, min(len(colours), USUAL_FROM)).round().astype(int))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)         # cells that no frame shows
        usual = np.nanmedian(colours[some].astype(np.float32), axis=0)
        difference = np.stack([np.abs(frame - usual).max(axis=1) for frame in colours])
        typical = np.nanmedian(difference[some], axis=0)
    return np.nan_to_num(difference, nan=0.0) > np.maximum(ODD_LEVELS, 4 * np.nan_to_num(typical))


def overlap(alpha: np.ndarray, maps: SurfaceMaps) -> float:
    """Intersection over union of the matte and the fitted body's silhouette."""
    x0, y0, x1, y1 = maps.box
    common = float(alpha[y0:y1, x0:x1][maps.inside].sum())
    return common / max(float(alpha.sum()) + float(maps.inside.sum()) - common, 1e-9)


def centred_silhouette(alpha: np.ndarray, root_px: np.ndarray, px_per_m: float) -> np.ndarray:
    """(CELLS, CELLS) float32: the matte on a grid of CELL_M cells with the root joint in its middle."""
    import cv2

    step = CELL_M * px_per_m            # pixels per cell
    if not np.isfinite(root_px).all() or step <= 0:
        return np.zeros((CELLS, CELLS), np.float32)
    if step > 1:
        alpha = cv2.blur(alpha, (round(step) // 2 * 2 + 1,) * 2)     # odd, so that nothing moves
    corner = np.asarray(root_px) - CELLS / 2 * step
    # cell (i, j) has its centre at corner + (j + 0.5, i + 0.5) * step; OpenCV counts from pixel centres
    to_picture = np.array([[step, 0, corner[0] + step / 2 - 0.5], [0, step, corner[1] + step / 2 - 0.5]])
    return cv2.warpAffine(alpha, to_picture, (CELLS, CELLS), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def edge_strength(image: np.ndarray, alpha: np.ndarray) -> float:
    """How sharp the person is: mean absolute Laplacian of the grey picture where the matte is solid."""
    import cv2

    rows, columns = np.flatnonzero((alpha > 0.95).any(axis=1)), np.flatnonzero((alpha > 0.95).any(axis=0))
    if not len(rows):
        return 0.0
    part = np.s_[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    grey = cv2.cvtColor(np.ascontiguousarray(image[part]), cv2.COLOR_RGB2GRAY).astype(np.float32)
    smooth = cv2.GaussianBlur(grey, (0, 0), 1)  # coding noise is not sharpness
    rim = min(3, round(RIM * len(grey)))        # the outline's own edge says nothing of sharpness
    solid = cv2.erode((alpha[part] > 0.95).astype(np.uint8), np.ones((2 * rim + 1,) * 2, np.uint8)) > 0
    return float(np.abs(cv2.Laplacian(smooth, cv2.CV_32F))[solid].mean()) if solid.any() else 0.0


def _against_typical(values: np.ndarray) -> np.ndarray:
    """Each value over the median, at most 1."""
    return np.clip(values / max(float(np.median(values)), 1e-9), 0, 1)
