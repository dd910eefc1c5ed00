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

    material  number from materials.py plus 32 times the garment
    x, y, z   the point at rest, metres; side: z of the rest normal, > 0 in front
    cut       (garments, 18) and leg (4,) where patterns sit, see wardrobe.pattern_lengths
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
    if kind == 9:
        return _jersey(x, y, z, side, cut[garment], colours[garment], front, back)
    if kind == 10:
        return _checks(x, y, z, side, cut[garment], colours[garment])
    if kind == 11:
        return _flowers(x, y, z, cut[garment], colours[garment])
    if kind == 12:
        return _jacket(x, y, z, side, cut[garment], colours[garment])
    if kind == 13:
        return _stretch(x, y, z, leg, colours[garment])
    if kind == 14:
        return _linen(x, y, z, side, cut[garment], colours[garment])
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
    period = cut[13]
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


@njit(**_FAST)
def _below_neckline(x, y, z, cut):  # type: ignore[no-untyped-def]
    """Metres from the edge of the neckline down the cloth, about."""
    dz = z - cut[16]
    dy = min(y - cut[10], 0.0)
    front = min(max(dz / 0.08, 0.0), 1.0)
    return math.sqrt(0.7225 * x * x + dy * dy + dz * dz) - cut[14] - cut[15] * front


@njit(**_FAST)
def _round(x, z):  # type: ignore[no-untyped-def]
    """Metres around the trunk from the middle of the front, or of the back; seams at the sides."""
    far = math.sqrt(x * x + z * z)
    return math.atan2(x, z) * far if z > 0.0 else 10.0 + math.atan2(x, -z) * far


@njit(**_FAST)
def _buttons(x, y, z, nz, cut):  # type: ignore[no-untyped-def]
    """How dark the edges of a placket are, and how much of a button a point shows."""
    if nz < 0.2 or abs(x) > 0.03 or z < cut[16]:
        return 0.0, 0.0
    edge = _line(abs(x), 0.017, 0.0018, 0.0012)
    v = (cut[10] - 0.045 - y) / 0.085
    dv = (v - math.floor(v) - 0.5) * 0.085
    return edge, 1.0 - _step(0.0045, 0.0065, math.sqrt(x * x + dv * dv))


@njit(**_FAST)
def _jersey(x, y, z, nz, cut, colours, front, back):  # type: ignore[no-untyped-def]
    """A T-shirt or vest: fine knit, ribbed neck, stitched hems, prints on chest and back."""
    along = _along_arm(x, y, z, cut)
    knit = 1.0 + 0.05 * noise(x * 240, y * 100, z * 240) + 0.03 * noise(x * 22, y * 14, z * 22)
    dark, mark = 0.0, 0.0
    if cut[11] > 0.0:
        dark = max(dark, _line(along, 0.012, 0.0020, 0.0012))
    if along > 0.012 and cut[11] > 0.0:
        dark = max(dark, 0.8 * _line(cut[11] - along, 0.020, 0.0016, 0.0012))
    else:
        dark = max(dark, 0.8 * _line(y - cut[12], 0.022, 0.0016, 0.0012))
        neck = _below_neckline(x, y, z, cut)
        if neck < 0.018:
            knit *= 0.90 + 0.06 * math.sin(math.atan2(x, z - cut[16]) * 110)
        dark = max(dark, _line(neck, 0.018, 0.0018, 0.0012))
        if nz > 0.0:
            mark = _mask_at(front, 0.5 + x / 0.27, (cut[10] - 0.130 - y) / 0.105)
        else:
            mark = _mask_at(back, 0.5 - x / 0.25, (cut[10] - 0.110 - y) / 0.25)
    shade = knit * (1 - 0.35 * dark)
    mark *= 0.90 + 0.10 * noise(x * 150, y * 150, z * 50)
    r = colours[0, 0] * shade * (1 - mark) + colours[1, 0] * mark
    g = colours[0, 1] * shade * (1 - mark) + colours[1, 1] * mark
    b = colours[0, 2] * shade * (1 - mark) + colours[1, 2] * mark
    return r, g, b


@njit(**_FAST)
def _checks(x, y, z, nz, cut, colours):  # type: ignore[no-untyped-def]
    """A woven shirt: broad bands both ways, darker where they cross, a fine pale line beside each."""
    along = _along_arm(x, y, z, cut)
    sleeve = along > 0.012
    s = along if sleeve else y
    t = z - cut[2] + 0.4 * (y - cut[1]) if sleeve else _round(x, z - cut[16])
    u, v = s / cut[13] - math.floor(s / cut[13]), t / cut[13] - math.floor(t / cut[13])
    band = 0.5 * (1 - _step(0.44, 0.48, abs(u - 0.5) + 0.20)) + 0.5 * (1 - _step(0.44, 0.48, abs(v - 0.5) + 0.20))
    fine = max(_line(u, 0.03, 0.022, 0.012), _line(v, 0.03, 0.022, 0.012))
    weave = 1.0 + 0.06 * noise(x * 330, y * 330, z * 330)
    dark = _line(along, 0.012, 0.0022, 0.0012)
    button = 0.0
    if not sleeve:
        edge, button = _buttons(x, y, z, nz, cut)
        dark = max(dark, edge)
        if nz > 0.3 and x > 0.0:
            px, py = abs(x - 0.085) - 0.048, abs(y - cut[10] + 0.205) - 0.055
            dark = max(dark, _line(max(px, py), 0.0, 0.0022, 0.0012))
    else:
        dark = max(dark, _line(cut[11] - along, 0.030, 0.0022, 0.0012))
    shade = weave * (1 - 0.45 * dark) * (1 - 0.62 * band)
    r = (colours[0, 0] * (1 - fine) + colours[1, 0] * fine) * shade * (1 - button) + 0.75 * button
    g = (colours[0, 1] * (1 - fine) + colours[1, 1] * fine) * shade * (1 - button) + 0.72 * button
    b = (colours[0, 2] * (1 - fine) + colours[1, 2] * fine) * shade * (1 - button) + 0.66 * button
    return r, g, b


@njit(**_FAST)
def _flowers(x, y, z, cut, colours):  # type: ignore[no-untyped-def]
    """A printed dress: five-petalled flowers, one in each cell of a grid, and small leaves; a belt at the waist."""
    along = _along_arm(x, y, z, cut)
    sleeve = along > 0.012
    s = along if sleeve else y
    t = z - cut[2] + 0.4 * (y - cut[1]) if sleeve else _round(x, z - cut[16])
    row = math.floor(s / cut[13])
    v = s / cut[13] - row - 0.5
    u = t / cut[13] + 0.5 * (row - 2 * math.floor(row / 2))
    column = math.floor(u)
    u = u - column - 0.5
    i, j = np.int32(row), np.int32(column)
    turn = _hash(i, j, np.int32(5))
    u, v = u - 0.13 * _hash(i, j, np.int32(1)), v - 0.13 * _hash(i, j, np.int32(2))
    d, angle = math.sqrt(u * u + v * v), math.atan2(v, u)
    petal = (0.24 + 0.05 * turn) * (0.70 + 0.30 * math.cos(5 * angle + 3 * turn))
    flower = 1.0 - _step(petal - 0.03, petal + 0.03, d)
    heart = 1.0 - _step(0.05, 0.08, d)
    leaf = _line(d, 0.36, 0.05, 0.03) * _step(0.6, 0.85, math.cos(2 * angle + 4 * turn))
    weave = 1.0 + 0.05 * noise(x * 260, y * 260, z * 260)
    belt = 0.0 if sleeve else 1.0 - _step(0.015, 0.018, abs(y - cut[12]))
    shade = weave * (1 - 0.45 * leaf) * (1 - 0.30 * _line(along, 0.012, 0.0022, 0.0012))
    r = (colours[0, 0] * (1 - flower) + colours[1, 0] * flower) * shade * (1 - 0.55 * heart)
    g = (colours[0, 1] * (1 - flower) + colours[1, 1] * flower) * shade * (1 - 0.75 * heart)
    b = (colours[0, 2] * (1 - flower) + colours[1, 2] * flower) * shade * (1 - 0.85 * heart)
    return r * (1 - belt) + 0.11 * belt, g * (1 - belt) + 0.055 * belt, b * (1 - belt) + 0.03 * belt


@njit(**_FAST)
def _jacket(x, y, z, nz, cut, colours):  # type: ignore[no-untyped-def]
    """A bomber jacket: ribbed hem and cuffs, a zip along both edges of the opening, slanted pockets, a yoke."""
    along = _along_arm(x, y, z, cut)
    cloth = 1.0 + 0.04 * noise(x * 120, y * 120, z * 120) + 0.07 * noise(x * 18, y * 11, z * 18)
    dark, zip_ = _line(along, 0.012, 0.0030, 0.0015), 0.0
    if along > 0.012:
        cuff = cut[11] - along
        if cuff < 0.055:
            cloth *= 0.72 + 0.14 * math.sin(math.atan2(y - cut[1] + 0.5 * along, z - cut[2]) * 44)
        dark = max(dark, _line(cuff, 0.055, 0.003, 0.0015))
    else:
        above = y - cut[12]
        if above < 0.055:
            cloth *= 0.72 + 0.14 * math.sin(_round(x, z - cut[16]) * 480)
        dark = max(dark, _line(above, 0.055, 0.003, 0.0015))
        if z > cut[16] + 0.015:
            down = min(max((cut[10] - y) / (cut[10] - cut[12]), 0.0), 1.0)
            beside = abs(x) - cut[17] * (0.45 + 0.75 * down) - 0.012 * down
            zip_ = 1.0 - _step(0.010, 0.013, beside)
            dark = max(dark, _line(beside, 0.026, 0.0022, 0.0012))
            dark = max(dark, _line(abs(x) - 0.6 * (above - 0.09), 0.088, 0.0032, 0.0015) *
                       (1 if above > 0.085 and above < 0.215 else 0))
        else:
            dark = max(dark, _line(y, cut[10] - 0.105, 0.0025, 0.0013))
    teeth = 0.65 + 0.35 * math.sin(y * 1400)
    shade = cloth * (1 - 0.5 * dark)
    r = colours[0, 0] * shade * (1 - zip_) + colours[1, 0] * teeth * zip_
    g = colours[0, 1] * shade * (1 - zip_) + colours[1, 1] * teeth * zip_
    b = colours[0, 2] * shade * (1 - zip_) + colours[1, 2] * teeth * zip_
    return r, g, b


@njit(**_FAST)
def _stretch(x, y, z, leg, colours):  # type: ignore[no-untyped-def]
    """Sports tights: a stripe down the side, a panel behind the knee, seams."""
    px = abs(x) - leg[0]
    knit = 1.0 + 0.05 * noise(x * 200, y * 200, z * 200)
    mark, dark = 0.0, 0.0
    if px > 0.0:
        mark = _line(z, leg[3] + 0.10 * (y - leg[2]) * (1 if y < leg[2] else 0), 0.011, 0.002)
        dark = _line(abs(z - leg[3]), 0.016, 0.0016, 0.001)
    dark = max(dark, _line(y + 0.35 * z, leg[2] + 0.10, 0.0022, 0.0012))
    shade = knit * (1 - 0.45 * dark)
    r = colours[0, 0] * shade * (1 - mark) + colours[1, 0] * mark
    g = colours[0, 1] * shade * (1 - mark) + colours[1, 1] * mark
    b = colours[0, 2] * shade * (1 - mark) + colours[1, 2] * mark
    return r, g, b


@njit(**_FAST)
def _linen(x, y, z, nz, cut, colours):  # type: ignore[no-untyped-def]
    """Loosely woven cloth with thick and thin threads; a shirt of it has a placket with buttons."""
    slub = 1.0 + 0.07 * noise(x * 24, y * 420, z * 24) + 0.06 * noise(x * 380, y * 20, z * 380)
    dark, button = 0.0, 0.0
    if cut[11] > 0.0:
        along = _along_arm(x, y, z, cut)
        dark = _line(along, 0.012, 0.0022, 0.0012)
        if along < 0.012:
            edge, button = _buttons(x, y, z, nz, cut)
            dark = max(dark, edge)
            dark = max(dark, 0.7 * _line(y - cut[12], 0.018, 0.0018, 0.0012))
        else:
            dark = max(dark, _line(cut[11] - along, 0.035, 0.0020, 0.0012))
    elif nz > 0.0:
        dark = 0.6 * _line(x, 0.0, 0.003, 0.0015)
    shade = slub * (1 - 0.40 * dark) * (1 - button)
    return (
        colours[0, 0] * shade + colours[1, 0] * button,
        colours[0, 1] * shade + colours[1, 1] * button,
        colours[0, 2] * shade + colours[1, 2] * button,
    )
