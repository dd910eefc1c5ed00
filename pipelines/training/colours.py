"""Start textures that know the captured colours: the average of what the keyframes show on each texel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.training.dataset import CroppedFrame

SURE = 128                              # of 255: pixels whose matte is lower show the background as well


def average_colours(frames: Sequence[CroppedFrame], size: int) -> tuple[np.ndarray, np.ndarray]:
    """(size, size, 3) float colours in [-1, 1], and (size, size) how many pixels each is the average of.

    A pixel counts for the four texels it is sampled from, with their bilinear shares, if it shows the body.
    """
    total, weight = np.zeros((size * size, 3)), np.zeros(size * size)
    for frame in frames:
        shown = (frame.inside > 0) & (frame.alpha >= SURE)
        colour = frame.image[shown] / 127.5 - 1.0
        place = frame.uv[shown] / 65535.0 * size - 0.5
        first = np.floor(place).astype(int)
        part = place - first
        for dx in (0, 1):
            for dy in (0, 1):
                share = np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1])
                x, y = (np.clip(first[:, k] + d, 0, size - 1) for k, d in ((0, dx), (1, dy)))
                texel = y * size + x
                weight += np.bincount(texel, share, size * size)
                for channel in range(3):
                    total[:, channel] += np.bincount(texel, share * colour[:, channel], size * size)
    mean = total / np.maximum(weight, 1e-9)[:, None]
    return mean.reshape(size, size, 3), weight.reshape(size, size)


def coloured_start(start: np.ndarray, frames: Sequence[CroppedFrame], regions: np.ndarray) -> np.ndarray:
    """The start texture with the keyframes' colours in its first three channels.

    start    (C, S, S) what everybody starts from; its other channels stay
    regions  (S, S) the body region of each texel: texels no keyframe shows get their region's mean colour, those of
             regions never seen the person's
    """
    colours, weight = average_colours(frames, start.shape[1])
    seen = weight > 1e-3
    if not seen.any():
        return start
    filled = np.where(seen[..., None], colours, colours[seen].mean(0))
    for region in np.unique(regions):
        here = regions == region
        if (here & seen).any():
            filled[here & ~seen] = colours[here & seen].mean(0)
    coloured = start.copy()
    coloured[:3] = np.moveaxis(filled, 2, 0)
    return coloured
