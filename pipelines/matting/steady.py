"""Mattes that change only where the person does: each is held against its neighbours in time, moved along."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

WEIGHT = 0.7                            # of a neighbour that fits perfectly, against 1 of the frame itself
SAME_COLOUR = 6.0                       # levels of 255: a neighbour's pixel this different counts 1/e
SHUTTER = 0.5                           # of the time between frames that a frame may be exposed for
STANDS_STILL_PX, MOST_BLUR_PX = 2.0, 40.0
LARGEST_FLOW_PIXELS = 500_000           # larger pictures are followed at half scale


def steadied(image: np.ndarray, alpha: np.ndarray, neighbours: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The alpha averaged with its neighbours' where the picture moved along shows the same.

    image       (H, W, 3) uint8
    alpha       (H, W) 0..1
    neighbours  images and alphas of the frames beside it
    returns     (H, W) float32
    """
    total, weight = alpha.astype(np.float32), np.ones(alpha.shape, np.float32)
    for other, its_alpha in neighbours:
        moved, fits = moved_along(image, other, its_alpha)
        total = total + WEIGHT * fits * moved
        weight = weight + WEIGHT * fits
    return total / weight


def moved_along(image: np.ndarray, other: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The other frame's alpha where `image` has the same thing, and how well it fits (0..1), both (H, W) float32."""
    import cv2

    flow = flow_between(image, other)
    rows, columns = np.mgrid[:image.shape[0], :image.shape[1]].astype(np.float32)
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    moved = cv2.remap(alpha.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shown = cv2.remap(other, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    off = cv2.blur(cv2.absdiff(image, shown).max(axis=2).astype(np.float32), (5, 5))
    return moved, np.exp(-np.square(off / SAME_COLOUR))


def blur_px(image: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(H, W) float32 pixels: how far each edge may be smeared, told by how fast things move to the next frame.

    Seen at a quarter of the size, and widened: a fast arm smears the wall beside it.
    """
    import cv2

    size = (max(16, image.shape[1] // 4), max(16, image.shape[0] // 4))
    flow = flow_between(*(cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (image, other)))
    speed = 4 * cv2.dilate(np.hypot(flow[..., 0], flow[..., 1]), np.ones((5, 5), np.uint8))
    return cv2.resize(np.clip(SHUTTER * (speed - STANDS_STILL_PX), 0, MOST_BLUR_PX), image.shape[1::-1])


def flow_between(image: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(H, W, 2) float32 pixels: where each pixel of `image` lies in `other`.

    source  Kroeger et al., Fast optical flow using dense inverse search, ECCV 2016 (OpenCV's)
    """
    import cv2

    grey = [cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in (image, other)]
    half = image.shape[0] * image.shape[1] > LARGEST_FLOW_PIXELS
    if half:
        size = (image.shape[1] // 2, image.shape[0] // 2)
        grey = [cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in grey]
    inverse_search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)  # type: ignore[attr-defined]
    flow: np.ndarray = inverse_search.calc(grey[0], grey[1], None)
    return 2 * cv2.resize(flow, image.shape[1::-1]) if half else flow


def doubt_of(alpha: np.ndarray, opinion: np.ndarray, blur_px: float) -> np.ndarray:
    """(H, W) float32 0..1: how far the matte and another opinion on it differ over more than a few pixels."""
    import cv2

    return np.abs(cv2.GaussianBlur(alpha.astype(np.float32) - opinion.astype(np.float32), (0, 0), blur_px))
