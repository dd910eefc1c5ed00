"""Small plots drawn without a plotting library."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

HEIGHT, WIDTH = 300, 960                # pixels
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 36, 36
INKS = ((30, 90, 170), (200, 95, 20), (40, 130, 60), (130, 60, 150))
GRID, TEXT = (225, 225, 225), (60, 60, 60)


def curves(lines: Mapping[str, np.ndarray], title: str) -> np.ndarray:
    """Several curves over 1, 2, ... with a legend.

    lines    name -> (N,) values from 0 up; values that are not finite are left out
    returns  (300, 960, 3) uint8
    """
    import cv2

    if not lines or any(np.ndim(values) != 1 or not len(values) for values in lines.values()):
        raise ValueError(f"expected named (N,) values, got {({k: np.shape(v) for k, v in lines.items()})}")
    panel = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    count = max(len(values) for values in lines.values())
    top = 1.08 * max(max((float(v) for v in values if np.isfinite(v)), default=0.0) for values in lines.values())
    top = top or 1.0

    def at(n: float, value: float) -> tuple[int, int]:
        across = (n - 1) / max(count - 1, 1)
        return int(LEFT + (WIDTH - LEFT - RIGHT) * across), int(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top)

    for tick in range(5):
        height = at(1, top * tick / 4)[1]
        cv2.line(panel, (LEFT, height), (WIDTH - RIGHT, height), GRID, 1)
        _write(panel, f"{top * tick / 4:.3g}", (8, height + 4))
        n = round(1 + (count - 1) * tick / 4)
        _write(panel, f"{n}", (at(n, 0)[0] - 4, HEIGHT - 12))
    _write(panel, title, (LEFT, 22))
    for k, (name, values) in enumerate(lines.items()):
        ink = INKS[k % len(INKS)]
        points = [at(n, float(v)) for n, v in enumerate(values, 1) if np.isfinite(v)]
        cv2.polylines(panel, [np.array(points, np.int32).reshape(-1, 1, 2)], False, ink, 2, cv2.LINE_AA)
        for point in points if count <= 60 else ():
            cv2.circle(panel, point, 3, ink, -1, cv2.LINE_AA)
        _write(panel, name, (WIDTH - 150, HEIGHT - BOTTOM - 12 - 20 * (len(lines) - 1 - k)), ink)
    return panel


def _write(panel: np.ndarray, text: str, at: tuple[int, int], ink: tuple[int, int, int] = TEXT) -> None:
    import cv2

    cv2.putText(panel, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, ink, 1, cv2.LINE_AA)
