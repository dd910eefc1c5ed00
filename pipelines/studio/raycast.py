"""Rays against upright boxes: what a camera sees of a room, what the light reaches, how open places are (numba)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from pipelines.studio.paint import GLOWING, paint

_FAST: Any = dict(cache=True, nogil=True, error_model="numpy")
_NEAR = 1e-4  # metres: a ray leaves the surface that it starts on
OPEN_RAYS, OPEN_REACH_M = 24, 1.2  # how far things count that close a place in


@njit(**_FAST)
def _hit(boxes, ox, oy, oz, dx, dy, dz, longest, first_caster):  # type: ignore[no-untyped-def]
    """Nearest box (T, -1 none), distance along the ray and the axis of the face; boxes from `first_caster` on.

    source  Kay and Kajiya, Ray tracing complex scenes, SIGGRAPH 1986 (slabs)
    """
    found, best, best_axis = -1, longest, 0
    ix = 1.0 / dx if dx != 0 else 1e30
    iy = 1.0 / dy if dy != 0 else 1e30
    iz = 1.0 / dz if dz != 0 else 1e30
    for k in range(first_caster, len(boxes)):
        a, b = (boxes[k, 0] - ox) * ix, (boxes[k, 3] - ox) * ix
        start, end, axis = min(a, b), max(a, b), 0
        a, b = (boxes[k, 1] - oy) * iy, (boxes[k, 4] - oy) * iy
        if min(a, b) > start:
            start, axis = min(a, b), 1
        end = min(end, max(a, b))
        a, b = (boxes[k, 2] - oz) * iz, (boxes[k, 5] - oz) * iz
        if min(a, b) > start:
            start, axis = min(a, b), 2
        end = min(end, max(a, b))
        if start < end and _NEAR < start < best:
            found, best, best_axis = k, start, axis
    return found, best, best_axis


@njit(**_FAST)
def room_depth(boxes, glowing_sky, turn, eye, K, out):  # type: ignore[no-untyped-def]
    """out (H, W) metres along the camera's axis of the nearest box; 0 for nothing and for the sky."""
    height, width = out.shape
    for row in range(height):
        for col in range(width):
            x, y = (col + 0.5 - K[0, 2]) / K[0, 0], (row + 0.5 - K[1, 2]) / K[1, 1]
            dx = turn[0, 0] * x + turn[1, 0] * y + turn[2, 0]
            dy = turn[0, 1] * x + turn[1, 1] * y + turn[2, 1]
            dz = turn[0, 2] * x + turn[1, 2] * y + turn[2, 2]
            box, t, _ = _hit(boxes, eye[0], eye[1], eye[2], dx, dy, dz, 1e9, 0)
            out[row, col] = t if box >= 0 and box != glowing_sky else 0.0


@njit(**_FAST)
def _face_place(boxes, k, axis, x, y, z):  # type: ignore[no-untyped-def]
    """Where on a box's face a point lies: u, v in 0..1, v down."""
    a, b = (2, 1) if axis == 0 else ((0, 2) if axis == 1 else (0, 1))
    p = (x, y, z)
    u = (p[a] - boxes[k, a]) / (boxes[k, a + 3] - boxes[k, a])
    v = (p[b] - boxes[k, b]) / (boxes[k, b + 3] - boxes[k, b])
    return u, (v if axis == 1 else 1 - v)


@njit(**_FAST)
def picture_of_boxes(boxes, kinds, colours, casters, turn, eye, K, light, soft, key, reached, depth, points, seen):  # type: ignore[no-untyped-def]
    """The room as the camera sees it, four rays a pixel.

    boxes    (N, 6) low and high corners; from `casters` on they cast shadows
    kinds    (N,) of `paint`; colours (N, 3) linear
    light    (5, 3): towards the key light, its colour, sky, ground, (how far its beam reaches, its size in radians, 0)
    soft     (H, W, 3) out: what the sky's light makes of it; key (H, W, 3) out: what the key light
             adds where nothing hides it; reached (H, W) out: how much of it gets there
    depth    (H, W) out, metres along the axis; points (H, W, 3) out, world; seen (H, W) out: box and face, -1 nothing
    """
    height, width = depth.shape
    dim = (light[2, 0] + light[2, 1] + light[2, 2]) / 1.6  # how bright outside is
    for row in range(height):
        for col in range(width):
            soft[row, col], key[row, col], reached[row, col] = 0.0, 0.0, 0.0
            turned = 6.2831853 * _scattered(row, col)
            for q in range(5):
                sub_x, sub_y = (0.5, 0.5) if q == 4 else (0.25 + 0.5 * (q % 2), 0.25 + 0.5 * (q // 2))
                x, y = (col + sub_x - K[0, 2]) / K[0, 0], (row + sub_y - K[1, 2]) / K[1, 1]
                dx = turn[0, 0] * x + turn[1, 0] * y + turn[2, 0]
                dy = turn[0, 1] * x + turn[1, 1] * y + turn[2, 1]
                dz = turn[0, 2] * x + turn[1, 2] * y + turn[2, 2]
                k, t, axis = _hit(boxes, eye[0], eye[1], eye[2], dx, dy, dz, 1e9, 0)
                if k < 0:
                    seen[row, col] = -1
                    continue
                px, py, pz = eye[0] + t * dx, eye[1] + t * dy, eye[2] + t * dz
                if q == 4:
                    depth[row, col], seen[row, col] = t, 3 * k + axis
                    points[row, col, 0], points[row, col, 1], points[row, col, 2] = px, py, pz
                    continue
                u, v = _face_place(boxes, k, axis, px, py, pz)
                colour = paint(kinds[k], px, py, pz, u, v, colours[k])
                if kinds[k] in GLOWING:
                    for c in range(3):
                        soft[row, col, c] += 0.25 * colour[c] * dim
                    continue
                n = (dx, dy, dz)[axis]
                side = -1.0 if n > 0 else 1.0
                lambert = side * light[0, axis]
                up = 0.5 + 0.5 * side if axis == 1 else 0.5
                away = (px * px + (py - 1) * (py - 1) + pz * pz) / (light[4, 0] * light[4, 0])
                lambert = max(lambert, 0.0) / (1 + away)
                wide, angle = light[4, 1] * math.sqrt((q + 0.5) / 4), turned + 2.399963 * q
                lx, ly = light[0, 0] + wide * math.cos(angle), light[0, 1] + wide * math.sin(angle)
                hidden, _, _ = _hit(boxes, px, py, pz, lx, ly, light[0, 2], 1e9, casters)
                reached[row, col] += 0.25 if hidden < 0 else 0.0
                for c in range(3):
                    soft[row, col, c] += 0.25 * colour[c] * (light[2, c] * up + light[3, c] * (1 - up))
                    key[row, col, c] += 0.25 * colour[c] * light[1, c] * lambert


@njit(**_FAST)
def _scattered(row, col):  # type: ignore[no-untyped-def]
    """0..1, another one for every pixel, always the same."""
    h = np.uint32(row) * np.uint32(73856093) ^ np.uint32(col) * np.uint32(19349663)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(1274126177)
    return np.float64((h ^ (h >> np.uint32(16))) & np.uint32(0xFFFF)) / 65536.0


@njit(**_FAST)
def openness(boxes, points, seen, out):  # type: ignore[no-untyped-def]
    """out (H, W) 0..1: share of the half space before each point within reach that is empty, weighted by the cosine."""
    height, width = seen.shape
    for row in range(height):
        for col in range(width):
            if seen[row, col] < 0:
                out[row, col] = 1.0
                continue
            box, axis = seen[row, col] // 3, seen[row, col] % 3
            ox, oy, oz = points[row, col, 0], points[row, col, 1], points[row, col, 2]
            middle = 0.5 * (boxes[box, axis] + boxes[box, axis + 3])
            side = 1.0 if (ox, oy, oz)[axis] > middle else -1.0
            shift = _scattered(row, col)
            total = 0.0
            for k in range(OPEN_RAYS):
                height_share = (k + shift) / OPEN_RAYS
                angle = 2.399963 * k + 6.2831853 * shift
                a = math.sqrt(1 - height_share) * math.cos(angle)
                b = math.sqrt(1 - height_share) * math.sin(angle)
                n = side * math.sqrt(height_share)
                dx, dy, dz = (n, a, b) if axis == 0 else ((a, n, b) if axis == 1 else (a, b, n))
                hit, t, _ = _hit(boxes, ox, oy, oz, dx, dy, dz, OPEN_REACH_M, 0)
                total += 1.0 if hit < 0 else (t / OPEN_REACH_M) ** 0.7
            out[row, col] = total / OPEN_RAYS


@njit(**_FAST)
def smooth_alike(values, seen, reach, out):  # type: ignore[no-untyped-def]
    """out (H, W): values averaged over a window of the same face."""
    height, width = values.shape
    for row in range(height):
        for col in range(width):
            total, count = 0.0, 0
            for y in range(max(0, row - reach), min(height, row + reach + 1)):
                for x in range(max(0, col - reach), min(width, col + reach + 1)):
                    if seen[y, x] == seen[row, col]:
                        total += values[y, x]
                        count += 1
            out[row, col] = total / count
