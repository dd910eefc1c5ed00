"""From a rough person mask to an alpha matte: trimap, then closed-form matting with the mask as a weak opinion.

Plain closed-form matting tears the outline on textured ground such as foliage. There the mask, held with a small
weight wherever it is sure of itself, keeps the outline whole, and the solver is faster for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BACKGROUND, UNKNOWN, FOREGROUND = 0, 128, 255
EPSILON = 1e-5                          # how far colours may stray from a line within 3x3 pixels
TRUST = 0.02                            # weight of the mask's opinion against the picture's
TOLERANCE = 1e-4                        # of the solver; 1e-7 changes no alpha by more than 0.002
LARGEST_UNKNOWN = 200_000               # pixels: above it the band is solved at half scale (0.3 s per 50,000)


# Colour differences from a still background, in levels of 255, from no evidence to full evidence
SAME_AS_GROUND = (14.0, 5.0)            # of being the background
UNLIKE_GROUND = (15.0, 40.0)            # of being the person
FEWEST_VIEWS = 5                        # of a background pixel, to know it


@dataclass(frozen=True, eq=False)
class Ground:
    """What lies behind the person, seen by a camera that stands still; a moving one leaves a large spread."""

    colour: np.ndarray                  # (H, W, 3) uint8
    spread: np.ndarray                  # (H, W) uint8 levels: how much it changes; 255 = never seen


def person_alpha(image: np.ndarray, mask: np.ndarray, band_px: float, core: np.ndarray | None = None,
                 possible: np.ndarray | None = None) -> np.ndarray:
    """The matte of one person.

    image     (H, W, 3) uint8 sRGB
    mask      (H, W) 0..1, how likely each pixel is the person
    band_px   how far the mask's outline may be wrong
    core      (H, W) bool, deep within the person by other evidence: foreground unless the mask objects
    possible  (H, W) bool, where the person can be at all; elsewhere is background
    returns   (H, W) float32 alpha 0..1
    """
    if image.shape[:2] != mask.shape or image.ndim != 3:
        raise ValueError(f"expected image (H, W, 3) and mask (H, W), got {image.shape} and {mask.shape}")
    opinion = mask.astype(np.float32)
    if possible is not None:
        opinion = np.where(possible, opinion, 0)
    trimap = make_trimap(opinion, band_px, core)
    if core is not None:                # where two sources disagree the picture decides
        opinion = np.where(core, np.maximum(opinion, 0.5), opinion)
    return closed_form_alpha(image, trimap, opinion)


def opinion_with_ground(image: np.ndarray, mask: np.ndarray, ground: Ground, zone_px: float,
                        near_body: np.ndarray) -> np.ndarray:
    """The mask (H, W) put right where the picture shows, or no longer shows, the still background.

    image      (H, W, 3) uint8
    zone_px    how far from the mask's outline it may be put right
    near_body  (H, W) bool: where pixels may become the person, unless the mask rules it out (3 %) or they look like
               a shadow (darker ground of the same hue)
    """
    import cv2

    seen, behind = image.astype(np.float32), ground.colour.astype(np.float32)
    spread = ground.spread.astype(np.float32)
    difference = cv2.blur(np.abs(seen - behind).max(axis=2), (3, 3))
    inside = (mask > 0.5).astype(np.uint8)
    if not inside.any():
        return mask
    zone = (cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3) <= zone_px) \
        & (cv2.distanceTransform(inside, cv2.DIST_L2, 3) <= zone_px) & (ground.spread < 255)
    shade = (seen * behind).sum(axis=2) / np.maximum((behind * behind).sum(axis=2), 1)
    off_hue = np.abs(seen - shade[..., None] * behind).max(axis=2)
    shadow = (shade > 0.3) & (shade < 1.02) & (off_hue < 16)
    is_ground = _ramp(difference + 2 * spread, *SAME_AS_GROUND) * zone
    is_person = _ramp(difference - 3 * spread, *UNLIKE_GROUND) * (zone & near_body & ~shadow & (mask > 0.03))
    return np.maximum(mask * (1 - is_ground), is_person).astype(np.float32)


def still_ground(images: np.ndarray, hidden: np.ndarray) -> Ground:
    """The median of frames (F, H, W, 3) uint8 where the person does not hide it, `hidden` (F, H, W) bool."""
    colour = np.zeros(images.shape[1:], np.uint8)
    spread = np.full(images.shape[1:3], 255, np.uint8)
    for row in range(images.shape[1]):              # row by row, for the memory
        values = np.sort(np.where(hidden[:, row, :, None], np.int16(300), images[:, row]), axis=0)
        views = (~hidden[:, row]).sum(axis=0)
        low, middle, high = (np.take_along_axis(values, np.maximum(views - 1, 0)[None, :, None] * part // 4, 0)[0]
                             for part in (1, 2, 3))
        known = views >= FEWEST_VIEWS
        colour[row][known] = middle[known]
        spread[row][known] = np.minimum((high - low).max(axis=1)[known], 254)
    return Ground(colour, spread)


def _ramp(values: np.ndarray, start: float, end: float) -> np.ndarray:
    """0 at `start`, 1 at `end` (which may be the lower one), smooth between."""
    x = np.clip((values - start) / (end - start), 0, 1)
    return x * x * (3 - 2 * x)


def make_trimap(mask: np.ndarray, band_px: float, core: np.ndarray | None = None) -> np.ndarray:
    """(H, W) uint8 of BACKGROUND, UNKNOWN, FOREGROUND from a soft mask.

    Sure are pixels farther than `band_px` from the mask's outline (its 0.5 level) and the core where the mask
    does not deny it (0.3); a core that the mask denies is unknown.
    """
    import cv2

    inside = (mask > 0.5).astype(np.uint8)
    if core is not None:
        inside |= (core & (mask > 0.3)).astype(np.uint8)
    # the picture's border is no outline: a person cut off by it is sure up to it
    depth_in = cv2.distanceTransform(np.pad(inside, 1, mode="edge"), cv2.DIST_L2, 3)[1:-1, 1:-1]
    depth_out = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3) if inside.any() else np.full(mask.shape, np.inf)
    trimap = np.full(mask.shape, UNKNOWN, np.uint8)
    trimap[depth_out > band_px] = BACKGROUND
    trimap[depth_in > band_px] = FOREGROUND
    if core is not None:
        trimap[core] = np.where(mask[core] > 0.3, FOREGROUND, UNKNOWN)
    return trimap


def closed_form_alpha(image: np.ndarray, trimap: np.ndarray, opinion: np.ndarray | None = None) -> np.ndarray:
    """Alpha (H, W) float32 that is 0 and 1 where the trimap is sure and follows the picture between.

    opinion  (H, W) 0..1: an alpha to lean to in the band, the more the farther it is from 0.5
    source   Levin, Lischinski and Weiss, A closed-form solution to natural image matting, PAMI 2008, eq. 12 to 14;
             the opinion is a second quadratic term
    """
    import cv2

    alpha = (trimap == FOREGROUND).astype(np.float32)
    unknown = trimap == UNKNOWN
    if not unknown.any() or unknown.all():
        return alpha if opinion is None or not unknown.any() else opinion.astype(np.float32)
    if unknown.sum() > LARGEST_UNKNOWN:
        half = (max(8, image.shape[1] // 2), max(8, image.shape[0] // 2))
        coarse = closed_form_alpha(cv2.resize(image, half, interpolation=cv2.INTER_AREA),
                                   cv2.resize(trimap, half, interpolation=cv2.INTER_NEAREST),
                                   None if opinion is None else cv2.resize(opinion, half, interpolation=cv2.INTER_AREA))
        fine = cv2.resize(coarse, image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
        return np.where(unknown, np.clip(fine, 0, 1), alpha)
    y0, y1, x0, x1 = _bounds(unknown, 2)
    part = np.s_[y0:y1, x0:x1]
    solved = _solve(image[part], unknown[part], alpha[part], None if opinion is None else opinion[part])
    alpha[unknown] = np.clip(solved, 0, 1)
    return alpha


def _solve(image: np.ndarray, unknown: np.ndarray, alpha: np.ndarray, opinion: np.ndarray | None) -> np.ndarray:
    """(N,) alpha of the N unknown pixels: the reduced linear system, by preconditioned conjugate gradients."""
    from pymatting import cf_laplacian, cg, ichol
    from scipy.sparse import diags

    rows = np.flatnonzero(unknown)
    laplacian = cf_laplacian(image.astype(np.float64) / 255, EPSILON, 1, is_known=~unknown.ravel())[rows]
    wanted = -laplacian @ alpha.ravel().astype(np.float64)
    system = laplacian[:, rows]
    if opinion is not None:
        lean = opinion.ravel()[rows].astype(np.float64)
        weight = TRUST * np.abs(2 * lean - 1)
        system = system + diags(weight)
        wanted = wanted + weight * lean
    system = system.tocsc()
    return cg(system, wanted, M=ichol(system), rtol=TOLERANCE, maxiter=2000)


def _bounds(inside: np.ndarray, margin: int) -> tuple[int, int, int, int]:
    """y0, y1, x0, x1 around the set pixels, `margin` wider, within the picture."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return (max(0, rows[0] - margin), min(inside.shape[0], rows[-1] + 1 + margin),
            max(0, columns[0] - margin), min(inside.shape[1], columns[-1] + 1 + margin))
