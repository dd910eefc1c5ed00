"""What is sure and what is not, from a soft mask."""

from __future__ import annotations

import numpy as np

BACKGROUND, UNKNOWN, FOREGROUND = 0, 128, 255
DENIED = 0.3                            # below it the mask says that a pixel is not the person


def make_trimap(mask: np.ndarray, band_px: float | np.ndarray, core: np.ndarray | None = None) -> np.ndarray:
    """(H, W) uint8 of BACKGROUND, UNKNOWN, FOREGROUND from a soft mask (H, W).

    Sure are pixels farther than `band_px` (one number, or (H, W)) from the mask's outline (its 0.5 level), and the core
    (H, W) bool where the mask does not deny it; a core that the mask denies is unknown.
    """
    import cv2

    inside = (mask > 0.5).astype(np.uint8)
    if core is not None:
        inside |= (core & (mask > DENIED)).astype(np.uint8)
    # the picture's border is no outline: a person cut off by it is sure up to it
    depth_in = cv2.distanceTransform(np.pad(inside, 1, mode="edge"), cv2.DIST_L2, 3)[1:-1, 1:-1]
    depth_out = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3) if inside.any() else np.full(mask.shape, np.inf)
    trimap = np.full(mask.shape, UNKNOWN, np.uint8)
    trimap[depth_out > band_px] = BACKGROUND
    trimap[depth_in > band_px] = FOREGROUND
    if core is not None:
        trimap[core] = np.where(mask[core] > DENIED, FOREGROUND, UNKNOWN)
    return trimap


def around(inside: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Rows and columns around the set pixels, `margin` wider, within the picture; all of it where none is set."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        return slice(0, inside.shape[0]), slice(0, inside.shape[1])
    return (slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
            slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin))
