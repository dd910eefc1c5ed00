"""The residuals of a fit over time, as a picture."""

from __future__ import annotations

import numpy as np

from pipelines.core.records import BodyFit
from pipelines.media.plots import Backdrop, curves


def residual_plot(fit: BodyFit, tall_px: np.ndarray, times_s: np.ndarray, limit_share: float) -> np.ndarray:
    """(300 or 600, 960, 3) uint8: residuals over time; landmarks in percent of the person's height, depth in mm below.

    Untrusted frames are shaded.
    tall_px (F,) the person's height in the picture; limit_share the gate's bound on landmarks, over the height
    """
    share, untold = 100.0 * fit.residual_px / tall_px, ~fit.ok
    panels = [curves({"": share}, f"landmarks, % of height; median {np.nanmedian(share):.2f}, red: the most it may be; "
                     "shaded: not to be trusted", Backdrop(times_s, untold, 100.0 * limit_share))]
    if np.isfinite(fit.residual_mm).any():
        panels.append(curves({"": fit.residual_mm}, f"depth, mm; median {np.nanmedian(fit.residual_mm):.1f}",
                             Backdrop(times_s, untold)))
    return np.concatenate(panels)
