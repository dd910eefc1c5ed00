"""Small plots drawn without a plotting library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

HEIGHT, WIDTH = 300, 960                # pixels
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 36, 36
INKS = ((30, 90, 170), (200, 95, 20), (40, 130, 60), (130, 60, 150))
GRID, TEXT, SHADE, LIMIT = (225, 225, 225), (60, 60, 60), (255, 215, 205), (200, 60, 60)


@dataclass(frozen=True, eq=False)
class Backdrop:
    """What lies behind curves: time instead of counts, stretches that are shaded, a line at a limit."""

    times_s: np.ndarray                 # (N,) where the values belong
    shaded: np.ndarray                  # (N,) bool
    limit: float = float("nan")         # NaN = none


def curves(lines: Mapping[str, np.ndarray], title: str, backdrop: Backdrop | None = None) -> np.ndarray:
    """Several curves with a legend, over 1, 2, ... or over the time of a backdrop.

    lines    name -> (N,) values from 0 up; values that are not finite are left out
    returns  (300, 960, 3) uint8
    """
    import cv2

    if not lines or any(np.ndim(values) != 1 or not len(values) for values in lines.values()):
        raise ValueError(f"expected named (N,) values, got {({k: np.shape(v) for k, v in lines.items()})}")
    panel = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    count = max(len(values) for values in lines.values())
    limit = backdrop.limit if backdrop is not None and np.isfinite(backdrop.limit) else 0.0
    highest = max(max((float(v) for v in values if np.isfinite(v)), default=0.0) for values in lines.values())
    top = 1.08 * max(highest, limit) or 1.0
    where = np.arange(1.0, count + 1) if backdrop is None else np.asarray(backdrop.times_s, float)
    span = max(float(where[-1] - where[0]), 1e-9)

    def at(x: float, value: float) -> tuple[int, int]:
        across = (x - where[0]) / span
        return int(LEFT + (WIDTH - LEFT - RIGHT) * across), int(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top)

    half = span / max(count - 1, 1) / 2
    for x in () if backdrop is None else where[backdrop.shaded]:
        cv2.rectangle(panel, (at(x - half, 0)[0], TOP), (at(x + half, 0)[0], HEIGHT - BOTTOM), SHADE, -1)
    for tick in range(5):
        height = at(where[0], top * tick / 4)[1]
        cv2.line(panel, (LEFT, height), (WIDTH - RIGHT, height), GRID, 1)
        _write(panel, f"{top * tick / 4:.3g}", (8, height + 4))
        x = where[0] + span * tick / 4
        n = round(x)
        _write(panel, f"{n}" if backdrop is None else f"{x:.1f} s",
               (at(n, 0)[0] - 4 if backdrop is None else min(at(x, 0)[0] - 16, WIDTH - 52), HEIGHT - 12))
    if limit:
        cv2.line(panel, at(where[0], limit), at(where[-1], limit), LIMIT, 1)
    _write(panel, title, (LEFT, 22))
    for k, (name, values) in enumerate(lines.items()):
        ink = INKS[k % len(INKS)]
        points = [at(x, float(v)) for x, v in zip(where, values) if np.isfinite(v)]
        cv2.polylines(panel, [np.array(points, np.int32).reshape(-1, 1, 2)], False, ink, 2, cv2.LINE_AA)
        for point in points if count <= 60 else ():
            cv2.circle(panel, point, 3, ink, -1, cv2.LINE_AA)
        if len(lines) > 1 or backdrop is None:
            _write(panel, name, (WIDTH - 150, HEIGHT - BOTTOM - 12 - 20 * (len(lines) - 1 - k)), ink)
    return panel


def _write(panel: np.ndarray, text: str, at: tuple[int, int], ink: tuple[int, int, int] = TEXT) -> None:
    import cv2

    cv2.putText(panel, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, ink, 1, cv2.LINE_AA)
