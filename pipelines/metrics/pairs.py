"""What is measured of a truth and its rendering, and the crop that is measured: of people and of objects alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipelines.core.stage import Progress

PSNR_CEILING_DB = 99.0                  # equal pictures have an infinite PSNR, which JSON cannot say
LEAST_SIDE = 48                         # pixels of a crop; LPIPS needs 32

Measures = dict[str, Callable[[np.ndarray, np.ndarray], float]]
Box = tuple[int, int, int, int]         # x0, y0, x1, y1


def measures_for(weights: str, progress: Progress) -> Measures:
    """The metrics that can be computed here, of two pictures (h, w, 3) in 0..1; a missing one is said with its remedy.

    weights  folder with pretrained weights, or ""
    """
    from pipelines.metrics.flip import flip
    from pipelines.metrics.lpips import load_lpips
    from pipelines.metrics.psnr import psnr
    from pipelines.metrics.ssim import ssim
    from pipelines.metrics.weights import fetch_weights, find_weights, remedy

    found: Measures = {"psnr": lambda a, b: min(psnr(a, b), PSNR_CEILING_DB), "ssim": ssim}
    backbone = find_weights("squeezenet1_1", weights or None) or fetch_weights("squeezenet1_1")
    if backbone is None:
        progress.warn("No LPIPS: SqueezeNet's weights are not here. " + remedy("squeezenet1_1"))
    else:
        found["lpips"] = load_lpips(backbone)
    return {**found, "flip": flip}


def box_around(shown: np.ndarray, border: int) -> Box:
    """The box of what is True in (H, W) with a border in pixels, within the picture, `LEAST_SIDE` or more each way."""
    ys, xs = np.nonzero(shown)
    sides = []
    for low, high, whole in ((xs.min(), xs.max() + 1, shown.shape[1]), (ys.min(), ys.max() + 1, shown.shape[0])):
        wanted = max(int(high - low) + 2 * border, LEAST_SIDE)
        start = min(max(0, int(low + high - wanted) // 2), max(0, whole - wanted))
        sides.append((start, min(whole, start + wanted)))
    return sides[0][0], sides[1][0], sides[0][1], sides[1][1]
