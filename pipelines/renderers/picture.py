"""A rendered person put into a picture: over the captured background as in training, over others in linear light."""

from __future__ import annotations

import numpy as np

HAZE = 0.03                             # what the network leaves in empty places and takes from full ones
SOLID = 0.9                             # from this alpha on a pixel shows the person alone
INNER_PX = 2                            # within the person, nothing so near has much less than full alpha:
INNER = (0.5, 0.7)                      # ... not yet with the first, surely with the second
BLEED_PX = 3.0                          # how far a solid pixel's colour reaches into the soft border
BEYOND_PX = 4                           # how far colours go on beyond the person in a picture with alpha

Box = tuple[int, int, int, int]         # x0, y0, x1, y1 in picture pixels


def over_captured(background: np.ndarray, rgb: np.ndarray, alpha: np.ndarray, box: Box) -> np.ndarray:
    """The person over the captured background: I' = M I + (1 - M) B of the paper, in sRGB as it was trained.

    background  (H, W, 3) uint8
    rgb, alpha  (h, w, 3) and (h, w) float32 in 0..1, of the box, which may reach beyond the picture
    returns     (H, W, 3) uint8
    """
    picture = background.copy()
    window, part = _clipped(box, (background.shape[0], background.shape[1]))
    if window is None:
        return picture
    cover = alpha[part][..., None]
    behind = background[window].astype(np.float32)
    blended = behind + cover * (np.float32(255.0) * rgb[part] - behind)
    picture[window] = np.clip(np.rint(blended), 0, 255).astype(np.uint8)
    return picture


def over_other(background: np.ndarray, rgb: np.ndarray, alpha: np.ndarray, box: Box) -> np.ndarray:
    """The person over a background they were not filmed before: own colours at the border, blended in linear light.

    Arguments and result as in `over_captured`. What the network learnt of the old background at hair and hems
    would shine as a halo, so the border takes its colour from the solid pixels beside it.
    """
    picture = background.copy()
    window, part = _clipped(box, (background.shape[0], background.shape[1]))
    if window is None:
        return picture
    cover = without_haze(alpha[part])
    person = np.rint(rgb[part] * 255.0).clip(0, 255).astype(np.uint8)
    seen = np.where((cover >= 1.0)[..., None], person, background[window])
    soft = (cover > 0.0) & (cover < 1.0)                # only the border is blended: the powers of light are slow
    share = cover[soft][:, None]
    own, other = to_linear(foreground(rgb, alpha)[part][soft]), _LINEAR_OF_BYTE[background[window][soft]]
    light = share * own + (1 - share) * other
    seen[soft] = np.clip(np.rint(to_srgb(light) * 255.0), 0, 255).astype(np.uint8)
    picture[window] = seen
    return picture


def cut_out(height: int, width: int, rgb: np.ndarray, alpha: np.ndarray, box: Box) -> np.ndarray:
    """(H, W, 4) uint8 with straight alpha: the person alone.

    Colours go on for a few pixels where alpha is 0 already: video codecs average colours over neighbours.
    """
    import cv2

    picture = np.zeros((height, width, 4), np.uint8)
    window, part = _clipped(box, (height, width))
    if window is not None:
        cover = without_haze(alpha)
        near = cv2.dilate((cover > 0).astype(np.uint8), np.ones((2 * BEYOND_PX + 1, 2 * BEYOND_PX + 1), np.uint8)) > 0
        colours = np.where(near[..., None], foreground(rgb, alpha), 0.0)
        picture[window][..., :3] = np.clip(np.rint(colours[part] * 255.0), 0, 255)
        picture[window][..., 3] = np.clip(np.rint(cover[part] * 255.0), 0, 255)
    return picture


def foreground(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(h, w, 3) the person's own colours: solid pixels as they are, soft ones from the solid ones around them."""
    import cv2

    weight = np.where(alpha >= SOLID, 1.0, 0.02 * alpha).astype(np.float32)
    spread = cv2.GaussianBlur(rgb * weight[..., None], (0, 0), BLEED_PX)
    total = cv2.GaussianBlur(weight, (0, 0), BLEED_PX)[..., None]
    near = np.where(total > 1e-4, spread / np.maximum(total, 1e-4), rgb)
    keep = np.clip((alpha - 0.6) / (SOLID - 0.6), 0.0, 1.0)[..., None]
    return keep * rgb + (1.0 - keep) * near


def without_haze(alpha: np.ndarray) -> np.ndarray:
    """Alpha with its last few percent at either end cut off and the rest stretched to 0..1; full away from borders.

    Before a dark background a network may leave dark clothes a little transparent at no loss; before a white one, in
    linear light, 15 % of it would make them grey. So where nothing nearby is much less than full, alpha is full.
    """
    import cv2

    stretched = np.clip((alpha - HAZE) / (1.0 - 2 * HAZE), 0.0, 1.0)
    least = cv2.erode(stretched, np.ones((2 * INNER_PX + 1, 2 * INNER_PX + 1), np.uint8))
    within = np.clip((least - INNER[0]) / (INNER[1] - INNER[0]), 0.0, 1.0)
    return stretched + (1.0 - stretched) * within


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """Light from sRGB values in 0..1 (IEC 61966-2-1)."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """The inverse of `to_linear`."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


_LINEAR_OF_BYTE = to_linear(np.arange(256) / 255.0).astype(np.float32)


def _clipped(box: Box, size: tuple[int, int]) -> tuple[tuple[slice, slice] | None, tuple[slice, slice]]:
    """The part of a box inside a picture of (height, width): in the picture and in the box's own pixels."""
    x0, y0, x1, y1 = box
    left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, size[1]), min(y1, size[0])
    part = (slice(top - y0, bottom - y0), slice(left - x0, right - x0))
    if left >= right or top >= bottom:
        return None, part
    return (slice(top, bottom), slice(left, right)), part
