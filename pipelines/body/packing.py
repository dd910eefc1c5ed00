"""Packs flat charts into a square, by their texels. Used at bake time only."""

from __future__ import annotations

import numpy as np

from pipelines.body.kernels import draw_triangles

SIZE = 256                      # texels along a side of the square
GUTTER = 3                      # free texels between charts, and between charts and the square's edge
FINE = 4                        # charts are drawn this much finer to find every texel they touch
ORDERS = 20                     # how many orders of charts are tried
SEED = 0


def pack(charts: list[np.ndarray], faces: list[np.ndarray]) -> list[np.ndarray]:
    """uv positions 0..1 of flat charts, turned, moved and scaled by one common factor, as large as fits.

    charts   each (U, 2), one unit, faces each (T, 3); mirror images are never made
    returns  (U, 2) each
    """
    random = np.random.default_rng(SEED)
    areas = np.array([_area(chart, face) for chart, face in zip(charts, faces)])
    turned = [_turns(chart) for chart in charts]
    texels_per_unit = 0.55 * SIZE / np.sqrt(areas.sum())
    best = None
    for attempt in range(ORDERS):
        noise = 0 if attempt == 0 else random.normal(0, 0.35, len(areas))
        order = np.argsort(-np.log(areas) + noise)
        step = 0.12 if best is None else 0.02
        while step > 0.004:
            placed = _placed(turned, faces, order, texels_per_unit * (1 + step))
            if placed is None:
                if best is not None and step <= 0.02:
                    step /= 2 if best[0] == attempt else 100        # an order that gains nothing is left at once
                else:
                    step /= 2
            else:
                texels_per_unit *= 1 + step
                best = (attempt, placed)
    if best is None:
        raise ValueError("the charts do not fit the square at any scale tried")
    return [chart / SIZE for chart in best[1]]


def _placed(turned: list[list[np.ndarray]], faces: list[np.ndarray], order: np.ndarray,
            scale: float) -> list[np.ndarray] | None:
    """Charts in texels, each where it touches most of what is there; None if one finds no room."""
    from scipy.fft import irfft2, rfft2
    from scipy.ndimage import binary_dilation

    padded = (2 * SIZE, 2 * SIZE)
    blocked = np.ones((SIZE, SIZE), dtype=bool)
    blocked[GUTTER:-GUTTER, GUTTER:-GUTTER] = False
    square = np.ones((2 * GUTTER + 1, 2 * GUTTER + 1), dtype=bool)
    ring = np.ones((3, 3), dtype=bool)
    result: list[np.ndarray | None] = [None] * len(turned)
    for chart in order:
        spectrum = rfft2(blocked.astype(np.float32), padded)
        choice: tuple[float, int, int, np.ndarray | None, np.ndarray | None] = (-1.0, 0, 0, None, None)
        for positions in turned[chart]:
            texels = positions * scale
            texels = texels - texels.min(0)
            mask = _touched(texels, faces[chart])
            height, width = mask.shape
            if height > SIZE - 2 * GUTTER or width > SIZE - 2 * GUTTER:
                continue
            around = np.pad(mask, 1)
            around = (binary_dilation(around, ring) & ~around).astype(np.float32)
            overlap = irfft2(spectrum * np.conj(rfft2(mask.astype(np.float32), padded)), padded)
            contact = irfft2(spectrum * np.conj(rfft2(around, padded)), padded)
            rows, columns = SIZE - height - 1, SIZE - width - 1
            # position (r, c) of the mask is position (r - 1, c - 1) of the ring around it
            free = overlap[1:rows + 1, 1:columns + 1] < 0.5
            touching = np.where(free, contact[:rows, :columns], -1) / around.sum()
            touching -= 1e-4 * (np.arange(rows)[:, None] + np.arange(columns)) / SIZE
            at = np.unravel_index(touching.argmax(), touching.shape)
            if free[at] and touching[at] > choice[0]:
                choice = (float(touching[at]), int(at[0]) + 1, int(at[1]) + 1, texels, mask)
        _, row, column, best, shape = choice
        if best is None or shape is None:
            return None
        result[chart] = best + np.array([column, row])
        full = np.zeros_like(blocked)
        full[row:row + shape.shape[0], column:column + shape.shape[1]] = shape
        blocked |= binary_dilation(full, square)
    return [chart for chart in result if chart is not None]


def _touched(texels: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(h, w) bool: texels that the chart touches; texels (U, 2) start at (0, 0)."""
    width, height = np.floor(texels.max(0)).astype(int) + 1
    side = FINE * max(width, height)
    drawn = draw_triangles(np.ascontiguousarray(texels[faces] * FINE, np.float64), side) >= 0
    drawn = drawn[:FINE * height, :FINE * width]
    return drawn.reshape(height, FINE, width, FINE).any((1, 3))


def _turns(chart: np.ndarray) -> list[np.ndarray]:
    """The chart as it lies and in its tightest rectangle, each in four quarter turns."""
    angles = np.deg2rad(np.arange(0, 90, 2.0))
    areas = [np.prod(np.ptp(_rotated(chart, angle), axis=0)) for angle in angles]
    starts = {0.0, float(angles[int(np.argmin(areas))])}
    return [_rotated(chart, start + quarter * np.pi / 2) for start in sorted(starts) for quarter in range(4)]


def _rotated(chart: np.ndarray, angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return chart @ np.array([[c, s], [-s, c]])


def _area(chart: np.ndarray, faces: np.ndarray) -> float:
    first, second = chart[faces[:, 1]] - chart[faces[:, 0]], chart[faces[:, 2]] - chart[faces[:, 0]]
    return float(np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]).sum() / 2)
