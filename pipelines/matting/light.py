"""sRGB levels and the light they stand for.

Where the person covers a share of a pixel, the pixel's light is a mixture; its sRGB levels are not. Solved on levels, a
matte is too small where the person is darker than the ground, and too large where lighter.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np


def to_light(image: np.ndarray) -> np.ndarray:
    """uint8 sRGB of any shape as float32 light in 0..1 (IEC 61966-2-1)."""
    if image.dtype != np.uint8:
        raise ValueError(f"expected uint8 levels, got {image.dtype}")
    return _light_of_level()[image]


def to_levels(light: np.ndarray) -> np.ndarray:
    """Light in 0..1 as uint8 sRGB; the inverse of `to_light`."""
    return _level_of_light()[np.clip(light * 4095.0 + 0.5, 0, 4095).astype(np.int32)]


@lru_cache(maxsize=1)
def _light_of_level() -> np.ndarray:
    level = np.arange(256) / 255.0
    return np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4).astype(np.float32)


@lru_cache(maxsize=1)
def _level_of_light() -> np.ndarray:
    light = np.arange(4096) / 4095.0
    level = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255.0 * level).astype(np.uint8)
