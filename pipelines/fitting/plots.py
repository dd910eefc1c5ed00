"""The residuals of a fit over time, as a picture."""

from __future__ import annotations

import numpy as np

from pipelines.core.records import BodyFit


def residual_plot(fit: BodyFit, tall_px: np.ndarray, times_s: np.ndarray, limit_share: float) -> np.ndarray:
    """(H, 960, 3) uint8: residuals over time; landmarks in percent of the person's height, depth in mm.

    Untrusted frames are shaded.
    tall_px (F,) the person's height in the picture; limit_share the gate's bound on landmarks, over the height
    """
    curves = [("landmarks, % of height", 100.0 * fit.residual_px / tall_px, 100.0 * limit_share)]
    if np.isfinite(fit.residual_mm).any():
        curves.append(("depth, mm", fit.residual_mm, np.nan))
    return np.concatenate([_panel(*curve, ok=fit.ok, times_s=times_s) for curve in curves])


def _panel(title: str, values: np.ndarray, limit: float, ok: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """(300, 960, 3) uint8: one curve over time."""
    import cv2

    height, width, left, right, top, bottom = 300, 960, 60, 20, 36, 36
    panel = np.full((height, width, 3), 255, np.uint8)
    high = max(float(np.nanmax(values)), limit if np.isfinite(limit) else 0.0, 1e-6) * 1.08
    span = max(float(times_s[-1] - times_s[0]), 1e-6)

    def at(t: float, value: float) -> tuple[int, int]:
        return (int(left + (width - left - right) * (t - times_s[0]) / span),
                int(height - bottom - (height - top - bottom) * value / high))

    for row in np.flatnonzero(~ok):
        x = at(times_s[row], 0)[0]
        cv2.rectangle(panel, (x - 1, top), (x + 1, height - bottom), (255, 215, 205), -1)
    for tick in range(5):
        value = high * tick / 4
        y = at(times_s[0], value)[1]
        cv2.line(panel, (left, y), (width - right, y), (225, 225, 225), 1)
        cv2.putText(panel, f"{value:.1f}", (8, y + 4), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (90, 90, 90), 1, cv2.LINE_AA)
        x = at(times_s[0] + span * tick / 4, 0)[0]
        cv2.putText(panel, f"{times_s[0] + span * tick / 4:.1f} s", (min(x, width - 60), height - 12),
                    cv2.FONT_HERSHEY_SIMPLEX, 0.42, (90, 90, 90), 1, cv2.LINE_AA)
    if np.isfinite(limit):
        cv2.line(panel, at(times_s[0], limit), at(times_s[-1], limit), (200, 60, 60), 1, cv2.LINE_AA)
    points = np.array([at(t, v) for t, v in zip(times_s, values) if np.isfinite(v)], np.int32)
    cv2.polylines(panel, [points], False, (30, 90, 170), 2, cv2.LINE_AA)
    cv2.putText(panel, f"{title}   (median {np.nanmedian(values):.2f}; shaded: not to be trusted; red: the gate)",
                (left, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (30, 30, 30), 1, cv2.LINE_AA)
    return panel
