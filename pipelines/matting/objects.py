"""What covers the body for a moment and is no part of it: a ball before the legs, a cup before the chest.

Over the whole clip every place of the body has a colour (its median over frames). Where a frame shows something there
that is unlike that place, unlike all places near it, and unlike what moves about in front of a body by itself (arms,
hands, head; feet near the feet), and it is large enough, it is an object. What somebody wears, or carries all the time,
is part of those colours and stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from pipelines.core.records import SurfaceMaps
from pipelines.matting.body import NO_REGION, nearest_of, region_names
from pipelines.matting.evidence import View

TEXELS = 96                             # along a side of the body's texture
UNSEEN = 999                            # sorts behind every level
FEWEST_VIEWS = 5                        # of a place, to know its colour
NEAR_M = 0.05                           # colours of places this near count as the place's own: the fit is not exact
SURE, ALIKE = 40.0, 22.0                # levels of 255 out of the range of colours: is an object, belongs to one
ENOUGH_PX_PER_M = 120.0                 # larger pictures are looked at so small
LIKELY = 0.2                            # opinion below which a pixel is not taken for the person anyway
BESIDE_M = 0.03                         # how far beside the body an object may begin
THINNEST_M = 0.035                      # half the width of the narrowest object that is told
SMALLEST_M2 = 0.008                     # its area
GROWS_M = 0.12                          # how far what belongs to an object reaches from its sure part
RIM_M = 0.04                            # beside an object the picture decides, not the body
FEET_NEAR_M = 0.10
BINS = 12                               # of a colour channel
SHARE_OF_BIN = 0.004                    # of a part's texels, for a colour to be the part's
MOVING_PARTS = ("face", "scalp", "neck", "upper_arm", "lower_arm", "hand")


@dataclass(frozen=True, eq=False)
class Looks:
    """The colours of one person over a clip."""

    texture: np.ndarray                 # (TEXELS, TEXELS, 3) uint8, row v, column u
    known: np.ndarray                   # (TEXELS, TEXELS) bool
    moving: np.ndarray                  # (BINS, BINS, BINS) bool: colours of head, arms and hands
    feet: np.ndarray                    # (BINS, BINS, BINS) bool


def looks_of(views: Iterable[tuple[np.ndarray, SurfaceMaps, np.ndarray]], face_region: np.ndarray) -> Looks:
    """
    views        of some frames the picture (H, W, 3) u8, the fitted body, and the mask (H, W)
    face_region  (T,) region of each triangle
    """
    rows = [np.full((TEXELS * TEXELS, 3), UNSEEN, np.int16)]
    region = np.full(TEXELS * TEXELS, NO_REGION, np.uint8)
    for image, maps, mask in views:
        x0, y0, x1, y1 = maps.box
        shown = maps.inside & (mask[y0:y1, x0:x1] > 0.5)
        texel = texels(maps.uv[shown])
        rows.append(np.full((TEXELS * TEXELS, 3), UNSEEN, np.int16))
        rows[-1][texel] = image[y0:y1, x0:x1][shown]
        region[texel] = face_region[maps.face_index[shown]]
    seen = np.stack(rows)
    count = (seen[..., 0] < UNSEEN).sum(axis=0)
    ordered = np.sort(seen, axis=0)
    middle = np.take_along_axis(ordered, (np.maximum(count - 1, 0) // 2)[None, :, None], 0)[0]
    known = count >= FEWEST_VIEWS
    texture = np.where(known[:, None], middle, 0).astype(np.uint8)
    parts = [name.removesuffix("_l").removesuffix("_r") for name in region_names()]
    part = np.array([*parts, *[""] * (256 - len(parts))])[region]
    return Looks(texture.reshape(TEXELS, TEXELS, 3), known.reshape(TEXELS, TEXELS),
                 palette(texture[known & np.isin(part, MOVING_PARTS)]), palette(texture[known & (part == "foot")]))


def objects_in(view: View, opinion: np.ndarray, maps: SurfaceMaps, place: tuple[slice, slice],
               looks: Looks) -> np.ndarray:
    """(h, w) bool: what covers the body at least in part, is taken for the person, and is not.

    opinion  (h, w) what is taken for the person
    maps     the fitted body in the whole picture, of which the view is the part `place`
    """
    import cv2

    expected, told = expected_colours(maps, place, opinion.shape, looks)
    step = max(1, round(view.px_per_m / ENOUGH_PX_PER_M))
    size = (-(-opinion.shape[1] // step), -(-opinion.shape[0] // step))
    small = replace(view, image=cv2.resize(view.image, size, interpolation=cv2.INTER_AREA),
                    regions=cv2.resize(view.regions, size, interpolation=cv2.INTER_NEAREST),
                    px_per_m=view.px_per_m / step)
    objects = unlike_body(small, cv2.resize(opinion, size, interpolation=cv2.INTER_AREA), expected[::step, ::step],
                          told[::step, ::step], looks)
    return cv2.resize(objects.astype(np.uint8), opinion.shape[::-1], interpolation=cv2.INTER_LINEAR) > 0


def taken_out(view: View, opinion: np.ndarray, objects: np.ndarray) -> tuple[View, np.ndarray]:
    """View and opinion (h, w) without objects (h, w) bool; beside them nothing is sure, else a ball leaves its rim."""
    import cv2

    beside = cv2.dilate(objects.astype(np.uint8), disc(RIM_M * view.px_per_m)) > 0
    return replace(view, core=view.core & ~beside), np.where(objects, np.float32(0), opinion)


def unlike_body(view: View, opinion: np.ndarray, expected: np.ndarray, told: np.ndarray, looks: Looks) -> np.ndarray:
    """(h, w) bool: objects; `expected` colours (h, w, 3) u8 of the body where they are `told` (h, w)."""
    import cv2

    px_per_m, regions = view.px_per_m, view.regions
    if not told.any():
        return np.zeros(told.shape, bool)
    _, row, column = nearest_of(told)
    kernel = np.ones((2 * max(1, round(NEAR_M * px_per_m)) + 1,) * 2, np.uint8)
    low = cv2.erode(expected[row, column], kernel).astype(np.int16)
    high = cv2.dilate(expected[row, column], kernel).astype(np.int16)
    seen = cv2.blur(view.image, (3, 3)).astype(np.int16)
    off = np.maximum(low - seen, seen - high).max(axis=2)
    own = in_palette(seen, looks.moving)
    feet = np.isin(regions, [k for k, name in enumerate(region_names()) if name.startswith("foot")])
    if feet.any():
        own |= in_palette(seen, looks.feet) & (nearest_of(feet)[0] <= FEET_NEAR_M * px_per_m)
    own |= opinion < LIKELY
    unlike = (off > ALIKE) & ~own
    thick = disc(THINNEST_M * px_per_m)
    # beyond the body's outline nobody knows what a skirt should look like: there objects only go on
    near_body = cv2.dilate(told.astype(np.uint8), disc(BESIDE_M * px_per_m)) > 0
    sure = cv2.morphologyEx(((off > SURE) & ~own & near_body).astype(np.uint8), cv2.MORPH_OPEN, thick)
    near = cv2.dilate(sure, disc(GROWS_M * px_per_m)) > 0
    return large_pieces(cv2.morphologyEx((unlike & near).astype(np.uint8), cv2.MORPH_CLOSE, thick), sure > 0,
                        SMALLEST_M2 * px_per_m ** 2)


def expected_colours(maps: SurfaceMaps, place: tuple[slice, slice], shape: tuple[int, ...],
                     looks: Looks) -> tuple[np.ndarray, np.ndarray]:
    """What the body should look like (h, w, 3) uint8, and where that is known (h, w) bool, in a part of the picture."""
    x0, y0, x1, y1 = maps.box
    colours, told = np.zeros((y1 - y0, x1 - x0, 3), np.uint8), np.zeros((y1 - y0, x1 - x0), bool)
    texel = texels(maps.uv[maps.inside])
    colours[maps.inside] = looks.texture.reshape(-1, 3)[texel]
    told[maps.inside] = looks.known.ravel()[texel]
    expected, known = np.zeros((*shape[:2], 3), np.uint8), np.zeros(shape[:2], bool)
    top, left = place[0].start, place[1].start
    a, b = max(y0, top), min(y1, top + shape[0])
    c, d = max(x0, left), min(x1, left + shape[1])
    if a < b and c < d:
        expected[a - top:b - top, c - left:d - left] = colours[a - y0:b - y0, c - x0:d - x0]
        known[a - top:b - top, c - left:d - left] = told[a - y0:b - y0, c - x0:d - x0]
    return expected, known


def large_pieces(mask: np.ndarray, sure: np.ndarray, least: float) -> np.ndarray:
    """(h, w) bool: connected pieces of the mask (h, w) uint8 that hold something sure and have `least` pixels."""
    import cv2

    _, piece, stats, _ = cv2.connectedComponentsWithStats(mask)
    kept = stats[:, cv2.CC_STAT_AREA] >= least
    kept[0] = False
    holds = np.zeros(len(kept), bool)
    holds[np.unique(piece[sure])] = True
    return (kept & holds)[piece]


def texels(uv: np.ndarray) -> np.ndarray:
    """(N,) index into the flat texture of uv (N, 2) in 0..1."""
    column, row = np.clip((uv * TEXELS).astype(int), 0, TEXELS - 1).T
    return row * TEXELS + column


def palette(colours: np.ndarray) -> np.ndarray:
    """(BINS, BINS, BINS) bool: bins that a good share of colours (N, 3) uint8 falls into, and those beside them."""
    import cv2

    if not len(colours):
        return np.zeros((BINS,) * 3, bool)
    counts = np.zeros(BINS ** 3, int)
    np.add.at(counts, bins(colours.astype(np.int16)), 1)
    taken = (counts >= SHARE_OF_BIN * len(colours)).reshape(BINS, BINS, BINS).astype(np.uint8)
    wider = cv2.dilate(taken.reshape(BINS, BINS * BINS), np.ones((3, 1), np.uint8)).reshape(taken.shape)
    return np.stack([cv2.dilate(layer, np.ones((3, 3), np.uint8)) for layer in wider]) > 0


def in_palette(seen: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """(h, w) bool: whether levels (h, w, 3) are among the colours."""
    return colours.ravel()[bins(seen)]


def bins(levels: np.ndarray) -> np.ndarray:
    """(...) index of the bin of levels (..., 3) int16."""
    step = levels.astype(np.int32) * BINS // 256
    return (step[..., 0] * BINS + step[..., 1]) * BINS + step[..., 2]


def disc(radius_px: float) -> np.ndarray:
    import cv2

    side = 2 * max(1, round(radius_px)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
