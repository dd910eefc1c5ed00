"""From a trimap to an alpha: closed-form matting, with what else is known as a weak opinion.

Plain closed-form matting tears the outline on textured ground such as foliage. There the mask, held with a small
weight wherever it is sure of itself, keeps the outline whole, and the solver is faster for it.
"""

from __future__ import annotations

import numpy as np

from pipelines.matting.light import to_light
from pipelines.matting.solvers import solve_band
from pipelines.matting.trimap import FOREGROUND, UNKNOWN, around, make_trimap

TRUST = 0.005                           # weight of the opinion against the picture's
LARGEST_UNKNOWN = 30_000                # pixels: above it half scale tells first where alpha is not 0 or 1
NEARLY = 0.02                           # an alpha this near to 0 or 1 at half scale is 0 or 1


def person_alpha(image: np.ndarray, mask: np.ndarray, band_px: float | np.ndarray, core: np.ndarray | None = None,
                 possible: np.ndarray | None = None, coarse: bool = False) -> np.ndarray:
    """The matte of one person.

    image     (H, W, 3) uint8 sRGB
    mask      (H, W) 0..1, how likely each pixel is the person
    band_px   how far the mask's outline may be wrong, one number or (H, W)
    core      (H, W) bool, deep within the person by other evidence: foreground unless the mask objects
    possible  (H, W) bool, where the person can be at all; elsewhere is background
    coarse    solve at half scale, whatever the size
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
    return closed_form_alpha(to_light(image), trimap, opinion, coarse)


def closed_form_alpha(light: np.ndarray, trimap: np.ndarray, opinion: np.ndarray | None = None,
                      coarse: bool = False) -> np.ndarray:
    """Alpha (H, W) float32 that is 0 and 1 where the trimap is sure and follows the picture between.

    light    (H, W, 3) 0..1, linear
    opinion  (H, W) 0..1: an alpha to lean to in the band, the more the farther it is from 0.5
    coarse   solve at half scale only
    source   Levin, Lischinski and Weiss, A closed-form solution to natural image matting, PAMI 2008, eq. 12 to 14;
             the opinion is a second quadratic term
    """
    alpha = (trimap == FOREGROUND).astype(np.float32)
    unknown = trimap == UNKNOWN
    if not unknown.any() or unknown.all():
        return alpha if opinion is None or not unknown.any() else opinion.astype(np.float32)
    part = around(unknown, 2)
    light, open_, leaning = light[part], unknown[part], None if opinion is None else opinion[part]
    if coarse or open_.sum() > LARGEST_UNKNOWN:
        rough = _at_half_scale(light, trimap[part], leaning)
        alpha[unknown] = rough[open_]
        open_ = np.zeros(open_.shape, bool) if coarse else open_ & _undecided(rough)
    if open_.any():
        lean = np.full(open_.shape, 0.5, np.float32) if leaning is None else leaning
        solved = solve_band(light, open_, np.where(open_, 0, alpha[part]), lean, TRUST * np.abs(2 * lean - 1))
        alpha[part][open_] = np.clip(solved, 0, 1)
    return alpha


def _at_half_scale(light: np.ndarray, trimap: np.ndarray, opinion: np.ndarray | None) -> np.ndarray:
    """(H, W) float32 alpha: solved at half the size, 0 and 1 where it is nearly that."""
    import cv2

    half = (max(8, light.shape[1] // 2), max(8, light.shape[0] // 2))
    smaller = closed_form_alpha(cv2.resize(light, half, interpolation=cv2.INTER_AREA),
                                cv2.resize(trimap, half, interpolation=cv2.INTER_NEAREST),
                                None if opinion is None else cv2.resize(opinion, half, interpolation=cv2.INTER_AREA))
    larger = np.clip(cv2.resize(smaller, light.shape[1::-1], interpolation=cv2.INTER_CUBIC), 0, 1)
    return np.where(larger < NEARLY, 0, np.where(larger > 1 - NEARLY, 1, larger))


def _undecided(alpha: np.ndarray) -> np.ndarray:
    """(H, W) bool: neither 0 nor 1, or beside such a pixel, or where one borders on the other."""
    import cv2

    kernel = np.ones((5, 5), np.uint8)
    return cv2.dilate(alpha, kernel) - cv2.erode(alpha, kernel) > NEARLY
