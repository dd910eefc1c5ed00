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
LARGEST_UNKNOWN = 200_000               # pixels: above it the band is solved at half scale (0.3 s per 50,000)


def person_alpha(image: np.ndarray, mask: np.ndarray, band_px: float, core: np.ndarray | None = None,
                 possible: np.ndarray | None = None, coarse: bool = False) -> np.ndarray:
    """The matte of one person.

    image     (H, W, 3) uint8 sRGB
    mask      (H, W) 0..1, how likely each pixel is the person
    band_px   how far the mask's outline may be wrong
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
    return closed_form_alpha(to_light(image), trimap, opinion, 0 if coarse else LARGEST_UNKNOWN)


def closed_form_alpha(light: np.ndarray, trimap: np.ndarray, opinion: np.ndarray | None = None,
                      largest: int = LARGEST_UNKNOWN) -> np.ndarray:
    """Alpha (H, W) float32 that is 0 and 1 where the trimap is sure and follows the picture between.

    light    (H, W, 3) 0..1, linear
    opinion  (H, W) 0..1: an alpha to lean to in the band, the more the farther it is from 0.5
    largest  number of unknown pixels above which they are solved at half scale
    source   Levin, Lischinski and Weiss, A closed-form solution to natural image matting, PAMI 2008, eq. 12 to 14;
             the opinion is a second quadratic term
    """
    import cv2

    alpha = (trimap == FOREGROUND).astype(np.float32)
    unknown = trimap == UNKNOWN
    if not unknown.any() or unknown.all():
        return alpha if opinion is None or not unknown.any() else opinion.astype(np.float32)
    part = around(unknown, 2)
    light, leaning = light[part], None if opinion is None else opinion[part]
    if unknown.sum() > largest:
        half = (max(8, light.shape[1] // 2), max(8, light.shape[0] // 2))
        coarse = closed_form_alpha(cv2.resize(light, half, interpolation=cv2.INTER_AREA),
                                   cv2.resize(trimap[part], half, interpolation=cv2.INTER_NEAREST),
                                   None if leaning is None else cv2.resize(leaning, half, interpolation=cv2.INTER_AREA),
                                   4 * LARGEST_UNKNOWN)
        solved = cv2.resize(coarse, light.shape[1::-1], interpolation=cv2.INTER_CUBIC)[unknown[part]]
    else:
        lean = np.full(light.shape[:2], 0.5, np.float32) if leaning is None else leaning
        solved = solve_band(light, unknown[part], alpha[part], lean, TRUST * np.abs(2 * lean - 1))
    alpha[unknown] = np.clip(solved, 0, 1)
    return alpha
