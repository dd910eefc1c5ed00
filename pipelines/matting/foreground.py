"""The person's own colours where the edge mixes them with the background."""

from __future__ import annotations

import numpy as np

from pipelines.matting.light import to_levels, to_light
from pipelines.matting.solvers import foreground_light
from pipelines.matting.trimap import around

MARGIN_PX = 8


def edge_colours(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 sRGB: the person's colours where 0 < alpha < 1, black elsewhere.

    image   (H, W, 3) uint8 sRGB
    alpha   (H, W) 0..1
    Estimated on light, which is what mixes.
    """
    if image.shape[:2] != alpha.shape or image.ndim != 3:
        raise ValueError(f"expected image (H, W, 3) and alpha (H, W), got {image.shape} and {alpha.shape}")
    colours = np.zeros_like(image)
    edge = (alpha > 0) & (alpha < 1)
    if not edge.any():
        return colours
    part = around(edge, MARGIN_PX)
    light = foreground_light(to_light(image[part]), alpha[part])
    colours[part][edge[part]] = to_levels(light[edge[part]])
    return colours


def person_colours(image: np.ndarray, alpha: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: the picture with the person's own colours at the edge, as `edge_colours` tells them.

    Composited by `alpha` on another background, nothing of the old one remains.
    """
    edge = (alpha > 0) & (alpha < 1)
    return np.where(edge[..., None], colours, image)
