"""The inner loops of the depth-to-colour warp, compiled by numba (cached; they release the GIL).

`points` is (h, w, 3) float32: column and row in the colour picture, and 1 / depth there (0 = no reading). 1 / depth,
not depth, is linear across the picture of a plane.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# Neighbours further apart than 6 mm + 3 mm per square metre belong together only where the surface goes on rising on
# both sides; what is above that may be SLOPE_RATIO times the lesser rise. Time of flight varies by 1-3 mm; disparity
# sensors count in steps that grow so (Kinect v1: 2.9 mm per m^2).
STEP_M, STEP_PER_M2 = 0.006, 0.003
SLOPE_RATIO = 2.0
SLACK = np.float32(1e-4)                # of a triangle: neighbours overlap by that much, so no pixel falls between
BENT_PX = np.float32(0.06)              # cells closer than that to a parallelogram are filled as one
FAST = {"nnan", "ninf", "nsz", "arcp", "contract"}      # no NaN gets past `place_points`
RIGHT, BELOW, FULL = 1, 2, 3            # bits of `links`


@njit(cache=True, nogil=True, error_model="numpy")         # a NaN must stay one here
def place_points(depth_m, rays, offset, K, lens, fold2, points):  # type: ignore[no-untyped-def]
    """Depth readings in the colour picture. rays (h, w, 3) turned into the colour camera, NaN = none; fold2 = the
    square of the radius at which the lens's polynomial folds over; lens = 8 coefficients."""
    bent = np.any(lens != 0)
    ox, oy, oz = offset
    fx, skew, cx, fy, cy = K[0, 0], K[0, 1], K[0, 2], K[1, 1], K[1, 2]
    for i in range(depth_m.shape[0]):
        for j in range(depth_m.shape[1]):
            z = depth_m[i, j]
            zc = rays[i, j, 2] * z + oz
            points[i, j, 2] = 0
            if not (z > 0 and zc > 0.01):                # also where the ray is NaN
                continue
            w = np.float32(1) / zc
            x, y = (rays[i, j, 0] * z + ox) * w, (rays[i, j, 1] * z + oy) * w
            if bent:
                r2 = x * x + y * y
                if r2 >= fold2:
                    continue
                x, y = _bent(x, y, r2, lens)
            points[i, j, 0], points[i, j, 1], points[i, j, 2] = fx * x + skew * y + cx, fy * y + cy, w


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _bent(x, y, r2, lens):  # type: ignore[no-untyped-def]
    """As `lenses.distort`."""
    k1, k2, p1, p2, k3, k4, k5, k6 = lens
    radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    return (x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _step(w):  # type: ignore[no-untyped-def]
    """How far apart in 1 / depth neighbours on one surface may be by noise and curvature alone."""
    return np.float32(STEP_M) * w * w + np.float32(STEP_PER_M2)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _one_surface(before, a, b, after):  # type: ignore[no-untyped-def]
    """Whether neighbouring readings a and b (1 / depth) lie on one surface, told by the next ones on the same line.

    A slanted plane rises by equal amounts from pixel to pixel; an edge is a single big step, and a flying pixel between
    two surfaces makes two steps with nothing like them beyond.
    """
    if not (a > 0 and b > 0):
        return False
    excess = abs(b - a) - _step(max(a, b))
    if excess <= 0:
        return True
    if not (before > 0 and after > 0):
        return False
    rise = min((a - before) * np.sign(b - a), (after - b) * np.sign(b - a))
    return excess <= np.float32(SLOPE_RATIO) * rise


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def link_neighbours(points, links):  # type: ignore[no-untyped-def]
    """links (h, w) uint8: bit RIGHT = on one surface with the right neighbour, bit BELOW = with the lower one."""
    h, width = links.shape
    w = points[:, :, 2]
    zero = np.float32(0)
    for i in range(h):
        for j in range(width):
            here = w[i, j]
            bits = 0
            if here > 0:
                if j + 1 < width and _one_surface(w[i, j - 1] if j > 0 else zero, here, w[i, j + 1],
                                                  w[i, j + 2] if j + 2 < width else zero):
                    bits = RIGHT
                if i + 1 < h and _one_surface(w[i - 1, j] if i > 0 else zero, here, w[i + 1, j],
                                              w[i + 2, j] if i + 2 < h else zero):
                    bits |= BELOW
            links[i, j] = bits


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _triangle(au, av, aw, bu, bv, bw, cu, cv, cw, both_sides, nearest):  # type: ignore[no-untyped-def]
    """Draws one triangle into `nearest` (H, W), which keeps the largest 1 / depth."""
    half, zero = np.float32(0.5), np.float32(0)
    bu, bv, cu, cv = bu - au, bv - av, cu - au, cv - av
    area = bu * cv - cu * bv
    # A surface whose orientation is turned over is seen from behind: the colour camera cannot see it.
    if area == 0 or (area < 0 and not both_sides):
        return
    x0 = max(0, int(np.ceil(au + min(zero, min(bu, cu)) - half)))
    x1 = min(nearest.shape[1] - 1, int(np.floor(au + max(zero, max(bu, cu)) - half)))
    y0 = max(0, int(np.ceil(av + min(zero, min(bv, cv)) - half)))
    y1 = min(nearest.shape[0] - 1, int(np.floor(av + max(zero, max(bv, cv)) - half)))
    inverse = np.float32(1) / area
    by_b, by_c = (bw - aw) * inverse, (cw - aw) * inverse
    slack = SLACK * abs(area)
    sign = np.float32(1) if area > 0 else np.float32(-1)
    for y in range(y0, y1 + 1):
        py = np.float32(y) + half - av
        for x in range(x0, x1 + 1):
            px = np.float32(x) + half - au
            share_b, share_c = px * cv - cu * py, bu * py - px * bv
            if share_b * sign >= -slack and share_c * sign >= -slack and (share_b + share_c - area) * sign <= slack:
                value = aw + share_b * by_b + share_c * by_c
                if value > nearest[y, x]:
                    nearest[y, x] = value


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def draw_surfaces(points, links, nearest):  # type: ignore[no-untyped-def]
    """Two triangles between four neighbours on one surface; one for each corner whose two links hold elsewhere.

    Almost every cell is nearly a parallelogram and a pixel or two large: those are filled in one go, a little larger
    than they are (`BENT_PX`) so that no pixel falls between two of them.
    """
    zero, half, one = np.float32(0), np.float32(0.5), np.float32(1)
    low, high = np.float32(-0.5 * BENT_PX), np.float32(1 + 0.5 * BENT_PX)
    height, width = nearest.shape
    for i in range(links.shape[0] - 1):
        for j in range(links.shape[1] - 1):
            top, left = links[i, j] & RIGHT, links[i, j] & BELOW
            bottom, right = links[i + 1, j] & RIGHT, links[i, j + 1] & BELOW
            if not (top or bottom):                      # a triangle needs one of either direction
                continue
            au, av, aw = points[i, j, 0], points[i, j, 1], points[i, j, 2]
            bu, bv, bw = points[i, j + 1, 0], points[i, j + 1, 1], points[i, j + 1, 2]
            cu, cv, cw = points[i + 1, j, 0], points[i + 1, j, 1], points[i + 1, j, 2]
            du, dv, dw = points[i + 1, j + 1, 0], points[i + 1, j + 1, 1], points[i + 1, j + 1, 2]
            if top and left and bottom and right:
                su, sv, tu, tv = bu - au, bv - av, cu - au, cv - av
                area = su * tv - tu * sv
                if abs(bu + cu - au - du) < BENT_PX and abs(bv + cv - av - dv) < BENT_PX and area > half:
                    x0 = max(0, np.int32(np.ceil(au + (min(zero, su) + min(zero, tu)) - half)))
                    x1 = min(width - 1, np.int32(np.floor(au + (max(zero, su) + max(zero, tu)) - half)))
                    y0 = max(0, np.int32(np.ceil(av + (min(zero, sv) + min(zero, tv)) - half)))
                    y1 = min(height - 1, np.int32(np.floor(av + (max(zero, sv) + max(zero, tv)) - half)))
                    inverse = one / area
                    sw, tw, stw = bw - aw, cw - aw, aw + dw - bw - cw
                    for y in range(y0, y1 + 1):
                        py = (np.float32(y) + half - av) * inverse
                        for x in range(x0, x1 + 1):
                            px = (np.float32(x) + half - au) * inverse
                            s, t = px * tv - tu * py, su * py - px * sv
                            if s >= low and s <= high and t >= low and t <= high:
                                value = aw + s * sw + t * (tw + s * stw)
                                if value > nearest[y, x]:
                                    nearest[y, x] = value
                elif abs(aw - dw) < abs(bw - cw):
                    _triangle(au, av, aw, bu, bv, bw, du, dv, dw, False, nearest)
                    _triangle(au, av, aw, du, dv, dw, cu, cv, cw, False, nearest)
                else:
                    _triangle(au, av, aw, bu, bv, bw, cu, cv, cw, False, nearest)
                    _triangle(bu, bv, bw, du, dv, dw, cu, cv, cw, False, nearest)
                continue
            if top and left:
                _triangle(au, av, aw, bu, bv, bw, cu, cv, cw, False, nearest)
            if top and right:
                _triangle(au, av, aw, bu, bv, bw, du, dv, dw, False, nearest)
            if bottom and left:
                _triangle(au, av, aw, du, dv, dw, cu, cv, cw, False, nearest)
            if bottom and right:
                _triangle(bu, bv, bw, du, dv, dw, cu, cv, cw, False, nearest)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def draw_hidden(points, links, reach, hiding):  # type: ignore[no-untyped-def]
    """What may hide a reading: `hiding` (H, W) keeps the largest 1 / depth of it.

    Two things: the curtain that an edge hangs from its rim to the next thing behind, beyond which the depth camera saw
    nothing; and a pixel's own footprint out to where the next reading would be (at least `reach` colour pixels): a
    rim lies up to one depth pixel further out than the last reading on it.
    """
    h, width = links.shape
    for i in range(h - 1):
        for j in range(width - 1):
            if links[i, j] == FULL and links[i + 1, j] & RIGHT and links[i, j + 1] & BELOW:
                continue
            au, av, aw = points[i, j, 0], points[i, j, 1], points[i, j, 2]
            bu, bv, bw = points[i, j + 1, 0], points[i, j + 1, 1], points[i, j + 1, 2]
            cu, cv, cw = points[i + 1, j, 0], points[i + 1, j, 1], points[i + 1, j, 2]
            du, dv, dw = points[i + 1, j + 1, 0], points[i + 1, j + 1, 1], points[i + 1, j + 1, 2]
            if aw > 0 and bw > 0 and cw > 0 and dw > 0:
                _triangle(au, av, aw, bu, bv, bw, cu, cv, cw, True, hiding)
                _triangle(bu, bv, bw, du, dv, dw, cu, cv, cw, True, hiding)
    for i in range(h):
        for j in range(width):
            w = points[i, j, 2]
            if not w > 0:
                continue
            left, right = j > 0 and links[i, j - 1] & RIGHT, links[i, j] & RIGHT
            above, below = i > 0 and links[i - 1, j] & BELOW, links[i, j] & BELOW
            if left and right and above and below:
                continue
            if ((j > 0 and not left and points[i, j - 1, 2] < w)
                    or (j + 1 < width and not right and points[i, j + 1, 2] < w)
                    or (i > 0 and not above and points[i - 1, j, 2] < w)
                    or (i + 1 < h and not below and points[i + 1, j, 2] < w)):
                across, wide = _slope(points, i, j, 0, 1, left, right, reach)
                down, high = _slope(points, i, j, 1, 0, above, below, reach)
                _footprint(points[i, j, 0], points[i, j, 1], w, across, down, wide, high, hiding)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _slope(points, i, j, di, dj, before, after, reach):  # type: ignore[no-untyped-def]
    """Change of 1 / depth per colour pixel along a line of the depth picture, and colour pixels from one reading to the
    next, told by a linked neighbour; without one 0 and `reach`."""
    if before:
        oi, oj = i - di, j - dj
    elif after:
        oi, oj = i + di, j + dj
    else:
        return np.float32(0), reach
    apart = points[i, j, di] - points[oi, oj, di]        # columns for a horizontal neighbour, rows for a vertical one
    if abs(apart) < 0.1 * reach:
        return np.float32(0), reach
    return (points[i, j, 2] - points[oi, oj, 2]) / apart, max(abs(apart), reach)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _footprint(u, v, w, across, down, wide, high, hiding):  # type: ignore[no-untyped-def]
    """Draws u - wide .. u + wide, v - high .. v + high, slanted as told."""
    half = np.float32(0.5)
    x0, x1 = int(np.ceil(u - wide - half)), int(np.floor(u + wide - half))
    y0, y1 = int(np.ceil(v - high - half)), int(np.floor(v + high - half))
    for y in range(max(0, y0), min(hiding.shape[0] - 1, y1) + 1):
        for x in range(max(0, x0), min(hiding.shape[1] - 1, x1) + 1):
            value = w + across * (x + half - u) + down * (y + half - v)
            if value > hiding[y, x]:
                hiding[y, x] = value


@njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def keep_unhidden(nearest, hiding):  # type: ignore[no-untyped-def]
    """Turns 1 / depth in `nearest` into metres; 0 where nothing was drawn or something nearer hides it."""
    for y in range(nearest.shape[0]):
        for x in range(nearest.shape[1]):
            w = nearest[y, x]
            if w > 0:
                hidden = hiding[y, x] > w + _step(w)
                nearest[y, x] = np.float32(0) if hidden else np.float32(1) / w
