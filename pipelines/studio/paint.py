"""What the rooms are painted with: the linear colour of any point of a floor, wall, sofa or sky (numba)."""

from __future__ import annotations

import math
from typing import Any

from numba import njit

from pipelines.studio.cloth import noise

_FAST: Any = dict(cache=True, nogil=True, error_model="numpy", fastmath=True)
PLAIN, PLASTER, BOARDS, WEAVE, RUG, BOOKS, PAINTING, WINDOW, COURT, CONCRETE, HEDGE, SKY, METAL = range(13)
GLOWING = (WINDOW, SKY)  # shine by themselves


@njit(**_FAST)
def _fade(low, high, x):  # type: ignore[no-untyped-def]
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3 - 2 * t)


@njit(**_FAST)
def _line(x, at, half_width):  # type: ignore[no-untyped-def]
    return 1.0 if abs(x - at) < half_width else 0.0


@njit(**_FAST)
def paint(kind, x, y, z, u, v, colour):  # type: ignore[no-untyped-def]
    """Linear r, g, b.

    x, y, z  world; u, v  0..1 across the box's face (v down); colour (3,) linear, what the thing is mostly
    """
    r, g, b = colour[0], colour[1], colour[2]
    shade = 1.0
    if kind == PLASTER:
        shade = 1 + 0.025 * noise(x * 14, y * 14, z * 14) + 0.02 * noise(x * 60, y * 60, z * 60)
        shade *= 1 + 0.03 * noise(x * 2.2, y * 2.2, z * 2.2 + 7)
    elif kind == BOARDS:
        shade = _boards(x, z)
    elif kind == WEAVE:
        shade = 1 + 0.10 * noise(x * 190, y * 190, z * 190) + 0.06 * noise(x * 11, y * 11, z * 11)
    elif kind == METAL:
        shade = 0.9 + 0.2 * noise(x * 40, y * 6, z * 40)
    elif kind == CONCRETE:
        shade = 1 + 0.08 * noise(x * 25, y * 25, z * 25) + 0.10 * noise(x * 3, y * 3, z * 3)
        shade *= 1 - 0.25 * _line(x / 1.2 - math.floor(x / 1.2), 0.0, 0.008)
    elif kind == RUG:
        return _rug(x, z, u, v, r, g, b)
    elif kind == BOOKS:
        return _books(x, y, u, v)
    elif kind == PAINTING:
        return _painting(u, v, r, g, b)
    elif kind == WINDOW:
        return _outside(u, v)
    elif kind == COURT:
        return _court(x, z, r, g, b)
    elif kind == HEDGE:
        leaf = noise(x * 24, y * 24, z * 24) + 0.7 * noise(x * 60, y * 60, z * 60 + 3)
        shade = max(0.25, 0.75 + 0.42 * leaf) * (0.75 + 0.15 * noise(x * 1.7, y * 1.7, 2.0))
        yellow = 0.12 * max(0.0, leaf)
        return r * shade + yellow * 0.05, g * shade + yellow * 0.04, b * shade
    elif kind == SKY:
        return _sky(x, y)
    return r * shade, g * shade, b * shade


@njit(**_FAST)
def _boards(x, z):  # type: ignore[no-untyped-def]
    """Boards along x, 14 cm wide, with grain, joints and a tone of their own."""
    board = math.floor(z / 0.14)
    piece = math.floor((x + 0.73 * board) / 1.1)
    tone = 1 + 0.13 * noise(board * 7.3 + 0.5, piece * 5.1 + 0.5, 0.5)
    grain = 1 + 0.07 * noise(x * 9 + board * 3.7, 0.3, z * 110) + 0.05 * noise(x * 3, 0.7, z * 30)
    within = z / 0.14 - board
    end = (x + 0.73 * board) / 1.1 - piece
    joint = 0.35 * _line(min(within, 1 - within), 0.0, 0.022)
    joint = max(joint, 0.30 * _line(min(end, 1 - end), 0.0, 0.003))
    return tone * grain * (1 - joint)


@njit(**_FAST)
def _rug(x, z, u, v, r, g, b):  # type: ignore[no-untyped-def]
    """A woven border, and diamonds inside."""
    pile = 1 + 0.12 * noise(x * 220, 0.5, z * 220) + 0.07 * noise(x * 9, 1.5, z * 9)
    edge = min(min(u, 1 - u) * 2.5, min(v, 1 - v) * 1.8)
    light = 0.0
    if 0.07 < edge < 0.10 or 0.15 < edge < 0.17:
        light = 1.0
    elif edge >= 0.2:
        a = abs((x + z) / 0.34 - math.floor((x + z) / 0.34) - 0.5)
        c = abs((x - z) / 0.34 - math.floor((x - z) / 0.34) - 0.5)
        light = 0.75 if min(a, c) < 0.05 else (0.35 if max(a, c) < 0.16 else 0.0)
    return (
        (r * (1 - light) + 0.58 * light) * pile,
        (g * (1 - light) + 0.50 * light) * pile,
        (b * (1 - light) + 0.38 * light) * pile,
    )


@njit(**_FAST)
def _books(x, y, u, v):  # type: ignore[no-untyped-def]
    """Spines of books, 2 to 5 cm thick, of many heights."""
    slot = math.floor(x / 0.036)
    tone, hue, tall = noise(slot * 3.3, 0.5, 0.5), noise(slot * 5.7, 9.5, 0.5), noise(slot * 2.9, 4.5, 3.5)
    if v < 0.16 + 0.14 * tall:
        return 0.03, 0.026, 0.022
    within = x / 0.036 - slot
    shade = (0.55 + 0.45 * tone) * (1 - 0.55 * _line(min(within, 1 - within), 0.0, 0.06))
    if abs(v - 0.45) < 0.06 and tone > 0.0:
        return 0.55 * shade + 0.1, 0.5 * shade + 0.1, 0.35 * shade
    return (
        shade * (0.30 + 0.26 * hue) + 0.03,
        shade * (0.24 + 0.10 * math.sin(hue * 5)) + 0.03,
        shade * (0.24 - 0.20 * hue) + 0.03,
    )


@njit(**_FAST)
def _painting(u, v, r, g, b):  # type: ignore[no-untyped-def]
    """A landscape in a white mount inside a dark frame."""
    edge = min(min(u, 1 - u), min(v, 1 - v))
    if edge < 0.05:
        return 0.035, 0.028, 0.022
    if edge < 0.15:
        return 0.70, 0.69, 0.65
    hills = 0.55 + 0.10 * noise(u * 4 + r * 20, 0.5, 0.5) + 0.04 * noise(u * 11, 1.5, 0.5)
    brush = 1 + 0.25 * noise(u * 60, v * 14, r * 9)
    if v > hills:
        deep = (v - hills) / (1 - hills)
        return r * brush * (1 - 0.4 * deep), g * brush * (1 - 0.3 * deep), b * brush * (1 - 0.5 * deep)
    sun = math.exp(-((u - 0.62) ** 2 + (v - 0.38) ** 2) / 0.006)
    return (0.42 + 0.4 * v + 0.3 * sun) * brush, (0.42 + 0.15 * v + 0.2 * sun) * brush, 0.50 - 0.2 * v


@njit(**_FAST)
def _outside(u, v):  # type: ignore[no-untyped-def]
    """What a window shows: bright sky, trees far away, a blind drawn a little."""
    trees = 0.72 + 0.07 * noise(u * 9, 3.5, 0.5) + 0.03 * noise(u * 31, 5.5, 0.5)
    if v > trees:
        leaf = 0.75 + 0.35 * noise(u * 40, v * 40, 0.5)
        return 0.20 * leaf, 0.30 * leaf, 0.14 * leaf
    return 0.80 + 0.12 * v, 0.90 + 0.05 * v, 1.0


@njit(**_FAST)
def _court(x, z, r, g, b):  # type: ignore[no-untyped-def]
    """A painted hard court: white lines, worn places, red beyond the sideline."""
    grit = 1 + 0.09 * noise(x * 160, 0.5, z * 160) + 0.06 * noise(x * 14, 1.5, z * 14)
    grit *= 1 + 0.06 * noise(x * 1.4, 2.5, z * 1.4)
    circle = abs(math.sqrt(x * x + (z + 0.4) * (z + 0.4)) - 1.8)
    line = _line(z, -3.6, 0.03)
    line = max(line, _line(circle, 0.0, 0.026))
    line = max(line, _line(x, -2.9, 0.026) if z > -3.6 else 0.0)
    if z < -3.63 or x < -2.93:
        r, g, b = 0.30, 0.085, 0.055
    if line > 0 and noise(x * 50, 3.5, z * 50) > -0.72:
        r, g, b = 0.72, 0.72, 0.69
    return r * grit, g * grit, b * grit


@njit(**_FAST)
def _sky(x, y):  # type: ignore[no-untyped-def]
    """Pale blue with thin clouds over a line of trees; x, y as on a wall 30 m away."""
    trees = 5.2 + 1.3 * noise(x * 0.16, 0.5, 0.5) + 0.5 * noise(x * 0.7, 1.5, 0.5) + 0.25 * noise(x * 3, y * 2, 0.5)
    if y < trees:
        leaf = 0.8 + 0.3 * noise(x * 3.1, y * 3.1, 4.5) + 0.2 * noise(x * 9, y * 9, 1.5)
        return 0.055 * leaf, 0.10 * leaf, 0.045 * leaf
    cloud = noise(x * 0.11, y * 0.34, 0.5) + 0.5 * noise(x * 0.33, y * 0.9, 1.5) + 0.25 * noise(x, y * 2.4, 2.5)
    white = 0.75 * _fade(0.0, 1.1, cloud)
    high = min(1.0, y / 18)
    return (
        (0.50 - 0.22 * high) * (1 - white) + 0.86 * white,
        (0.66 - 0.18 * high) * (1 - white) + 0.87 * white,
        0.88 * (1 - white) + 0.90 * white,
    )
