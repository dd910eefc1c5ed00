"""What lies behind the person, seen by a camera that stands still."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FEWEST_VIEWS = 5                        # of a background pixel, to know it
NEVER_SEEN = 255
SPARE_LEVELS = 4.0                      # added before ratios are taken: dark levels are noise
LEAST_GROUND = 500                      # pixels that tell how bright this frame is


@dataclass(frozen=True, eq=False)
class Ground:
    """The background; a camera that moves leaves a large spread."""

    colour: np.ndarray                  # (H, W, 3) uint8
    spread: np.ndarray                  # (H, W) uint8 levels: how much it changes; 255 = never seen

    def cut(self, part: tuple[slice, slice]) -> Ground:
        return Ground(self.colour[part], self.spread[part])

    @property
    def known(self) -> np.ndarray:
        """(H, W) bool."""
        return self.spread < NEVER_SEEN


def still_ground(images: np.ndarray, hidden: np.ndarray) -> Ground:
    """The median of frames (F, H, W, 3) uint8 where the person does not hide it, `hidden` (F, H, W) bool."""
    if images.shape[:3] != hidden.shape:
        raise ValueError(f"expected as many masks as images, got {images.shape} and {hidden.shape}")
    colour = np.zeros(images.shape[1:], np.uint8)
    spread = np.full(images.shape[1:3], NEVER_SEEN, np.uint8)
    for row in range(images.shape[1]):              # row by row, for the memory
        values = np.sort(np.where(hidden[:, row, :, None], np.int16(300), images[:, row]), axis=0)
        views = (~hidden[:, row]).sum(axis=0)
        low, middle, high = (np.take_along_axis(values, np.maximum(views - 1, 0)[None, :, None] * part // 4, 0)[0]
                             for part in (1, 2, 3))
        known = views >= FEWEST_VIEWS
        colour[row][known] = middle[known]
        spread[row][known] = np.minimum((high - low).max(axis=1)[known], NEVER_SEEN - 1)
    return Ground(colour, spread)


def as_bright_as(ground: Ground, image: np.ndarray, free: np.ndarray) -> np.ndarray:
    """(H, W, 3) float32: the ground in this frame's exposure, told by pixels `free` (H, W) bool of the person."""
    told = free & (ground.spread < 30)
    if told.sum() < LEAST_GROUND:
        return ground.colour.astype(np.float32)
    gain = np.median((image[told] + SPARE_LEVELS) / (ground.colour[told] + SPARE_LEVELS), axis=0)
    return np.minimum(ground.colour * gain.astype(np.float32), 255)
