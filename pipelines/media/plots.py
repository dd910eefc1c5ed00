"""Small plots drawn without a plotting library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

HEIGHT, WIDTH = 300, 960                # pixels
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 36, 36
INKS = ((30, 90, 170), (200, 95, 20), (40, 130, 60), (130, 60, 150))
GRID, TEXT, SHADE, LIMIT = (225, 225, 225), (60, 60, 60), (255, 215, 205), (200, 60, 60)


@dataclass(frozen=True, eq=False)
class Backdrop:
    """What lies behind curves: time or another scale instead of counts, shaded stretches, a line at a limit."""

    times_s: np.ndarray                 # (N,) where the values belong
    shaded: np.ndarray                  # (N,) bool
    limit: float = float("nan")         # NaN = none
    called: Callable[[float], str] = "{:.1f} s".format     # what a place on the scale is called


def curves(lines: Mapping[str, np.ndarray], title: str, backdrop: Backdrop | None = None,
           beside: Mapping[str, np.ndarray] | None = None) -> np.ndarray:
    """Several curves with a legend, over 1, 2, ... or over the time of a backdrop.

    lines    name -> (N,) values from 0 up; values that are not finite are left out
    beside   the same, drawn thin to compare with: the first in the ink of the first line, and so on
    returns  (300, 960, 3) uint8
    """
    beside = beside or {}
    if not lines or any(np.ndim(values) != 1 or not len(values) for values in (*lines.values(), *beside.values())):
        shapes = {k: np.shape(v) for k, v in {**lines, **beside}.items()}
        raise ValueError(f"expected named (N,) values, got {shapes}")
    panel = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    frame = _frame([*lines.values(), *beside.values()], backdrop)
    _draw_grid(panel, frame, backdrop)
    _write(panel, title, (LEFT, 22))
    legend = []
    for thin, group in ((True, beside), (False, lines)):
        for k, (name, values) in enumerate(group.items()):
            ink = INKS[k % len(INKS)]
            _draw_line(panel, frame, np.asarray(values, float), ink, thin)
            legend += [] if thin else [(name, ink)]
    if len(legend) > 1 or backdrop is None:
        _write_legend(panel, legend)
    return panel


def nice_ticks(top: float, most: int = 5) -> np.ndarray:
    """Round numbers from 0 to at most `top`, no more than `most`: a step of 1, 2 or 5 times a power of ten."""
    if not top > 0 or most < 2:
        raise ValueError(f"no {most} ticks up to {top}")
    smallest = top / (most - 1)
    power = 10.0 ** np.floor(np.log10(smallest))
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if int(top / (power * factor) + 1e-9) < most)
    return step * np.arange(int(top / step + 1e-9) + 1)


@dataclass(frozen=True, eq=False)
class _Frame:
    """Where values lie in the panel."""

    where: np.ndarray                   # (N,) 1, 2, ... or seconds
    top: float                          # the value at the upper edge

    @property
    def span(self) -> float:
        return max(float(self.where[-1] - self.where[0]), 1e-9)

    def at(self, x: float, value: float) -> tuple[int, int]:
        across = (x - self.where[0]) / self.span
        return (int(LEFT + (WIDTH - LEFT - RIGHT) * across),
                int(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / self.top))


def _frame(many: list[np.ndarray], backdrop: Backdrop | None) -> _Frame:
    limit = backdrop.limit if backdrop is not None and np.isfinite(backdrop.limit) else 0.0
    highest = max(max((float(v) for v in values if np.isfinite(v)), default=0.0) for values in many)
    count = max(len(values) for values in many)
    where = np.arange(1.0, count + 1) if backdrop is None else np.asarray(backdrop.times_s, float)
    return _Frame(where, 1.08 * max(highest, limit) or 1.0)


def _draw_grid(panel: np.ndarray, frame: _Frame, backdrop: Backdrop | None) -> None:
    """Shades, grid, ticks and the limit."""
    import cv2

    where, bottom = frame.where, HEIGHT - BOTTOM
    half = frame.span / max(len(where) - 1, 1) / 2
    for x in () if backdrop is None else where[backdrop.shaded]:
        cv2.rectangle(panel, (frame.at(x - half, 0)[0], TOP), (frame.at(x + half, 0)[0], bottom), SHADE, -1)
    for value in nice_ticks(frame.top):
        height = frame.at(where[0], value)[1]
        cv2.line(panel, (LEFT, height), (WIDTH - RIGHT, height), GRID, 1)
        _write(panel, f"{value:.3g}", (8, height + 4))
    if backdrop is None:
        ticks = nice_ticks(where[-1], 11)
        for n in sorted({1, *(int(n) for n in ticks if n >= 1 and n == int(n))}):
            _write(panel, f"{n}", (frame.at(n, 0)[0] - 4, HEIGHT - 12))
    else:
        for x in where[0] + frame.span * np.arange(5) / 4:
            _write(panel, backdrop.called(x), (min(frame.at(x, 0)[0] - 16, WIDTH - 52), HEIGHT - 12))
        if np.isfinite(backdrop.limit) and backdrop.limit:
            cv2.line(panel, frame.at(where[0], backdrop.limit), frame.at(where[-1], backdrop.limit), LIMIT, 1)


def _draw_line(panel: np.ndarray, frame: _Frame, values: np.ndarray, ink: tuple[int, int, int], thin: bool) -> None:
    import cv2

    points = [frame.at(x, float(v)) for x, v in zip(frame.where, values) if np.isfinite(v)]
    cv2.polylines(panel, [np.array(points, np.int32).reshape(-1, 1, 2)], False, ink, 1 if thin else 2, cv2.LINE_AA)
    for point in points if len(frame.where) <= 60 and not thin else ():
        cv2.circle(panel, point, 3, ink, -1, cv2.LINE_AA)


def _write_legend(panel: np.ndarray, legend: list[tuple[str, tuple[int, int, int]]]) -> None:
    """Names in their inks, in the lower right corner."""
    import cv2

    widest = max(cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)[0][0] for name, _ in legend)
    for k, (name, ink) in enumerate(legend):
        _write(panel, name, (WIDTH - RIGHT - widest - 8, HEIGHT - BOTTOM - 12 - 20 * (len(legend) - 1 - k)), ink)


def _write(panel: np.ndarray, text: str, at: tuple[int, int], ink: tuple[int, int, int] = TEXT) -> None:
    import cv2

    cv2.putText(panel, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, ink, 1, cv2.LINE_AA)
