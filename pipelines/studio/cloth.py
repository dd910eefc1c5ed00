"""What cloth looks like up close: patterns that live in rest space, so they need no seams and no pictures (numba)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

_FAST: Any = dict(cache=True, nogil=True, error_model="numpy", fastmath=True)


@njit(**_FAST)
def cloth_colour(material, x, y, z, side, cut, leg, colours, front, back):  # type: ignore[no-untyped-def]
    """Linear r, g, b of one point of a garment.

    material  number from materials.py plus 32 times the garment: 0 top, 1 bottom, 2 what is worn over the top
    x, y, z   the point at rest, metres; side: z of the rest normal, > 0 in front
    cut       (garments, 13) and leg (4,) where patterns sit, see wardrobe.pattern_lengths
    colours   (garments, 2, 3) linear: the cloth and what is woven or printed into it
    front     (h, w) and back (h, w) uint8: prints
    """
    kind, garment = material & 31, material >> 5
    if kind == 5:
        return _stripes(x, y, z, side, cut[garment], colours[garment])
    if kind == 6:
        return _fleece(x, y, z, side, cut[garment], colours[garment], front, back)
    if kind == 7:
        return _denim(x, y, z, side, leg, colours[garment])
    return _canvas(x, y, z, side, leg, colours[garment])


@njit(**_FAST)
def _hash(x, y, z):  # type: ignore[no-untyped-def]
    h = np.uint32(x) * np.uint32(73856093) ^ np.uint32(y) * np.uint32(19349663) ^ np.uint32(z) * np.uint32(83492791)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(1274126177)
    h ^= h >> np.uint32(16)
    return np.float32(h & np.uint32(0xFFFF)) * np.float32(2.0 / 65535.0) - np.float32(1.0)


@njit(**_FAST)
def noise(x, y, z):  # type: ignore[no-untyped-def]
    """Smooth noise in -1..1 with one feature per unit."""
    fx, fy, fz = math.floor(x), math.floor(y), math.floor(z)
    i, j, k = np.int32(fx), np.int32(fy), np.int32(fz)
    u, v, w = x - fx, y - fy, z - fz
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    a = _hash(i, j, k) * (1 - u) + _hash(i + 1, j, k) * u
    b = _hash(i, j + 1, k) * (1 - u) + _hash(i + 1, j + 1, k) * u
    c = _hash(i, j, k + 1) * (1 - u) + _hash(i + 1, j, k + 1) * u
    d = _hash(i, j + 1, k + 1) * (1 - u) + _hash(i + 1, j + 1, k + 1) * u
    return (a * (1 - v) + b * v) * (1 - w) + (c * (1 - v) + d * v) * w


@njit(**_FAST)
def _step(low, high, x):  # type: ignore[no-untyped-def]
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3 - 2 * t)


@njit(**_FAST)
def _line(x, at, half_width, soft):  # type: ignore[no-untyped-def]
    """1 on a line, 0 off it."""
    return 1.0 - _step(half_width - soft, half_width + soft, abs(x - at))


@njit(**_FAST)
def _along_arm(x, y, z, cut):  # type: ignore[no-untyped-def]
    """Metres down the sleeve (negative on the trunk), with the left arm standing for both."""
    ax = abs(x) - cut[0]
    ay, az = y - cut[1], z - cut[2]
    armhole = 0.97 * ax + 0.24 * ay
    if armhole < 0.0:
        return armhole
    upper = ax * cut[3] + ay * cut[4] + az * cut[5]
    if upper < cut[9]:
        return upper
    ex, ey, ez = ax - cut[3] * cut[9], ay - cut[4] * cut[9], az - cut[5] * cut[9]
    return cut[9] + ex * cut[6] + ey * cut[7] + ez * cut[8]


@njit(**_FAST)
def _stripes(x, y, z, nz, cut, colours):  # type: ignore[no-untyped-def]
    """Jersey with woven stripes: level on the trunk, round the sleeves."""
    along = _along_arm(x, y, z, cut)
    sleeve = along > 0.012
    s = along if sleeve else y + 0.004 * noise(x * 9, y * 3, z * 9)
    period = 0.040
    phase = s / period - math.floor(s / period)
    ink = _step(0.0, 0.06, phase) * (1 - _step(0.42, 0.48, phase))
    if not sleeve and y > cut[10] - 0.055:
        ink = 0.0  # a plain yoke
    knit = 1.0 + 0.05 * noise(x * 260, y * 90, z * 260)
    seam = _line(along, 0.012, 0.0022, 0.0012)
    shade = knit * (1 - 0.25 * seam)
    r = (colours[0, 0] * (1 - ink) + colours[1, 0] * ink) * shade
    g = (colours[0, 1] * (1 - ink) + colours[1, 1] * ink) * shade
    b = (colours[0, 2] * (1 - ink) + colours[1, 2] * ink) * shade
    return r, g, b


@njit(**_FAST)
def _mask_at(mask, u, v):  # type: ignore[no-untyped-def]
    """Bilinear value of a (H, W) picture at u, v in 0..1; 0 outside."""
    h, w = mask.shape
    px, py = u * w - 0.5, v * h - 0.5
    if px < 0 or py < 0 or px >= w - 1 or py >= h - 1:
        return 0.0
    i, j = int(px), int(py)
    fx, fy = px - i, py - j
    return (
        (mask[j, i] * (1 - fx) + mask[j, i + 1] * fx) * (1 - fy)
        + (mask[j + 1, i] * (1 - fx) + mask[j + 1, i + 1] * fx) * fy
    ) / 255.0


@njit(**_FAST)
def _fleece(x, y, z, nz, cut, colours, front, back):  # type: ignore[no-untyped-def]
    """A hoodie: heather, ribbed hem and cuffs, pouch pocket, cords, a print on the chest and a number on the back."""
    along = _along_arm(x, y, z, cut)
    heather = 1.0 + 0.10 * noise(x * 170, y * 60, z * 170) + 0.06 * noise(x * 30, y * 12, z * 30)
    mark, dark = 0.0, 0.0
    if along > 0.012:
        cuff = cut[11] - along
        if cuff < 0.055:
            heather *= 0.80 + 0.10 * math.sin(math.atan2(y - cut[1] + 0.5 * along, z - cut[2]) * 40)
        dark = max(dark, _line(cuff, 0.055, 0.003, 0.0015))
    else:
        above_hem = y - cut[12]
        if above_hem < 0.060:
            heather *= 0.80 + 0.08 * math.sin(x * 520)
        dark = max(dark, _line(above_hem, 0.060, 0.003, 0.0015))
        if nz > 0.0:
            px, py = abs(x), y - cut[12] - 0.075
            edge = 0.150 - 0.065 * _step(0.03, 0.15, py)
            if py < 0.175:
                side = _line(px, edge, 0.0028, 0.0014) * (1 if py > 0 else 0)
                dark = max(dark, side)
                if px < edge:
                    dark = max(dark, _line(py, 0.172, 0.0028, 0.0014))
            cord = _line(px, 0.030 + 0.05 * (cut[10] - y) * (cut[10] - y), 0.0042, 0.0015)
            if y > cut[10] - 0.185 and y < cut[10] + 0.1:
                mark = max(mark, cord)
            mark = max(mark, _mask_at(front, 0.5 + x / 0.25, (cut[10] - 0.205 - y) / 0.080))
        else:
            mark = max(mark, _mask_at(back, 0.5 - x / 0.25, (cut[10] - 0.125 - y) / 0.25))
    dark = max(dark, _line(along, 0.012, 0.0028, 0.0014))
    shade = heather * (1 - 0.45 * dark)
    mark *= 0.93 + 0.07 * noise(x * 120, y * 120, z * 40)
    r = colours[0, 0] * shade * (1 - mark) + colours[1, 0] * mark
    g = colours[0, 1] * shade * (1 - mark) + colours[1, 1] * mark
    b = colours[0, 2] * shade * (1 - mark) + colours[1, 2] * mark
    return r, g, b


@njit(**_FAST)
def _denim(x, y, z, nz, leg, colours):  # type: ignore[no-untyped-def]
    """Jeans: slanting grain, worn thighs, knees and seat, seams, pockets."""
    px = abs(x) - leg[0]
    grain = 1.0 + 0.10 * noise((x + y) * 320, (x - y) * 60, z * 60) + 0.08 * noise(x * 40, y * 10, z * 40)
    front = _step(-0.2, 0.7, nz)
    thigh = math.exp(-(((y - leg[2] - 0.14) / 0.16) ** 2)) * front
    knee = math.exp(-(((y - leg[2] + 0.01) / 0.07) ** 2)) * front
    seat = math.exp(-(((y - leg[1] - 0.04) / 0.09) ** 2)) * _step(0.0, -0.8, nz)
    worn = min(1.0, (0.60 * thigh + 0.45 * knee + 0.45 * seat) * (0.85 + 0.18 * noise(x * 70, y * 30, z * 70)))
    worn = max(0.0, worn * math.exp(-((px / 0.075) ** 2)))
    dark, stitch = 0.0, 0.0
    seam = leg[3] + 0.10 * (leg[1] - y) * 0.0
    if px > 0.0:
        dark = max(dark, _line(z, seam, 0.0035, 0.0015))
    if y > leg[1] - 0.02 and px > -0.04 and nz < -0.25:
        u, v = abs(x) - 0.085, y - leg[1] - 0.055
        inside = max(abs(u) - 0.055, abs(v) - 0.065 + 0.25 * max(0.0, -v - 0.03))
        stitch = max(stitch, _line(inside, 0.0, 0.003, 0.0015))
    if nz > 0.3 and y > leg[1] + 0.02:
        stitch = max(stitch, _line(abs(x) * 0.75 + y, leg[1] + 0.17, 0.003, 0.0015) * (1 if abs(x) > 0.06 else 0))
        dark = max(dark, _line(x, 0.0, 0.003, 0.0015))
    shade = grain * (1 - 0.40 * dark)
    r = (colours[0, 0] * (1 - worn) + colours[1, 0] * worn) * shade
    g = (colours[0, 1] * (1 - worn) + colours[1, 1] * worn) * shade
    b = (colours[0, 2] * (1 - worn) + colours[1, 2] * worn) * shade
    return r * (1 - stitch) + 0.42 * stitch, g * (1 - stitch) + 0.24 * stitch, b * (1 - stitch) + 0.09 * stitch


@njit(**_FAST)
def _canvas(x, y, z, nz, leg, colours):  # type: ignore[no-untyped-def]
    """Trousers of one colour with side seams, slanted pockets and a front crease."""
    px = abs(x) - leg[0]
    grain = 1.0 + 0.05 * noise(x * 200, y * 60, z * 200) + 0.05 * noise(x * 25, y * 8, z * 25)
    dark = 0.0
    if px > 0.0:
        dark = max(dark, _line(z, leg[3], 0.003, 0.0015))
    if nz > 0.2 and y > leg[1] + 0.02:
        dark = max(dark, _line(abs(x) * 0.75 + y, leg[1] + 0.17, 0.003, 0.0015) * (1 if abs(x) > 0.06 else 0))
        dark = max(dark, 0.6 * _line(x, 0.0, 0.003, 0.0015))
    if nz < -0.3 and y > leg[1] + 0.05:
        dark = max(dark, _line(y, leg[1] + 0.11, 0.003, 0.0015) * (1 if abs(abs(x) - 0.085) < 0.05 else 0))
    shade = grain * (1 - 0.4 * dark)
    return colours[0, 0] * shade, colours[0, 1] * shade, colours[0, 2] * shade
