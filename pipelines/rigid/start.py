"""What an object's texture begins with: the colours its views show on each texel, coarse ones where few were seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.training.colours import average_colours
from pipelines.training.dataset import CroppedFrame

COARSEST = 8                            # texels of the smallest average
ENOUGH = 2.0                            # pixels of which a texel is the average
QUIET = 0.1                             # of the paper's start noise, in the channels without a colour


def colour_start(noise: np.ndarray, frames: Sequence[CroppedFrame]) -> np.ndarray:
    """(C, S, S) a start texture: mean colours in the first three channels, a little noise in the others.

    noise  (C, S, S) what everybody starts from. An object's network sees one texture alone, so it need not be large.
    """
    size = noise.shape[1]
    side = COARSEST
    colours, weight = average_colours(frames, side)
    filled = np.where((weight > 0)[..., None], colours, colours[weight > 0].mean(axis=0) if (weight > 0).any() else 0.0)
    while side < size:
        side *= 2
        colours, weight = average_colours(frames, side)
        share = np.minimum(weight / ENOUGH, 1.0)[..., None]
        filled = share * colours + (1.0 - share) * filled.repeat(2, axis=0).repeat(2, axis=1)
    start: np.ndarray = QUIET * noise
    start[:3] = np.moveaxis(filled, 2, 0)
    return start.astype(np.float32)
