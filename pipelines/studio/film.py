"""From samples to pictures: the person's shadow on the room, the samples filtered over it, the film (numba)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

_FAST: Any = dict(cache=True, nogil=True, error_model="numpy", fastmath=True)

_ONE_SURFACE_M = 0.03


@njit(**_FAST)
def shadow_on_room(  # type: ignore[no-untyped-def]
    cells, room_points, taken, hidden, step, feet, out
):
    """out (H, W) 0..1: how much light reaches floor and walls, which lie behind the person for the lamp.

    cells   (H, W, 2) column and row in the lamp's map; room_points (H, W, 3) world
    taken   (H, W) what share of a place's light the lamp gives
    hidden  (h, w) 0..1 float32: where the lamp sees the person, blurred, `step` cells each
    feet    (N, 3) metres, y = height above the floor
    """
    height, width = out.shape
    h, w = hidden.shape
    for row in range(height):
        for col in range(width):
            value = 1.0
            x, y = cells[row, col, 0] / step - 0.5, cells[row, col, 1] / step - 0.5
            if x > 0 and y > 0 and x < w - 1 and y < h - 1:
                i, j = int(x), int(y)
                fx, fy = x - i, y - j
                dark = (hidden[j, i] * (1 - fx) + hidden[j, i + 1] * fx) * (1 - fy) + (
                    hidden[j + 1, i] * (1 - fx) + hidden[j + 1, i + 1] * fx
                ) * fy
                value -= taken[row, col] * dark
            if room_points[row, col, 1] < 0.02:
                for k in range(len(feet)):
                    dx, dz = room_points[row, col, 0] - feet[k, 0], room_points[row, col, 2] - feet[k, 2]
                    reach = 0.010 + 0.5 * feet[k, 1] * feet[k, 1]
                    distance = (dx * dx + dz * dz) / reach
                    if distance < 9.0:
                        value *= 1 - 0.55 * math.exp(-distance - 6.0 * feet[k, 1])
            out[row, col] = value


@njit(**_FAST)
def _mean_depth(face_index, nearness, top, left, near):  # type: ignore[no-untyped-def]
    """Mean depth of those of two by two samples that lie within `_ONE_SURFACE_M` of the nearest."""
    total, count = 0.0, 0
    for y in range(max(top, 0), min(top + 2, face_index.shape[0])):
        for x in range(max(left, 0), min(left + 2, face_index.shape[1])):
            if face_index[y, x] >= 0 and 1 / nearness[y, x] - 1 / near < _ONE_SURFACE_M:
                total += 1 / nearness[y, x]
                count += 1
    return total / count


@njit(**_FAST)
def composite(  # type: ignore[no-untyped-def]
    colour, face_index, nearness, x0, y0, room, room_depth, shadow, out, alpha, depth_out
):
    """Samples twice as fine, filtered (1 3 3 1)/8 each way, over the room; all colours linear.

    colour, face_index, nearness  of the window that starts at fine pixel x0, y0
    out (H, W, 3) float32, alpha (H, W), depth_out (H, W): of a pixel's four samples that see the person,
                              two at least, the mean of those on the nearest surface
    """
    height, width = alpha.shape
    fine_h, fine_w = face_index.shape
    taps = (0.125, 0.375, 0.375, 0.125)
    for row in range(height):
        top = 2 * row - 1 - y0
        for col in range(width):
            left = 2 * col - 1 - x0
            cover, r, g, b = 0.0, 0.0, 0.0, 0.0
            near, inside = 0.0, 0
            if top > -4 and left > -4 and top < fine_h and left < fine_w:
                for dy in range(max(0, -top), min(4, fine_h - top)):
                    y = top + dy
                    for dx in range(max(0, -left), min(4, fine_w - left)):
                        x = left + dx
                        if face_index[y, x] < 0:
                            continue
                        w = taps[dy] * taps[dx]
                        cover += w
                        r += w * colour[y, x, 0]
                        g += w * colour[y, x, 1]
                        b += w * colour[y, x, 2]
                        if 1 <= dy <= 2 and 1 <= dx <= 2:
                            inside += 1
                            near = max(near, nearness[y, x])
            alpha[row, col] = min(cover, 1.0)
            depth_out[row, col] = room_depth[row, col]
            if inside >= 2:
                depth_out[row, col] = _mean_depth(face_index, nearness, top + 1, left + 1, near)
            s = shadow[row, col] * (1 - min(cover, 1.0))
            out[row, col, 0] = r + room[row, col, 0] * s
            out[row, col, 1] = g + room[row, col, 1] * s
            out[row, col, 2] = b + room[row, col, 2] * s


@njit(**_FAST)
def develop(linear, to_srgb, grain, shift_y, shift_x, image):  # type: ignore[no-untyped-def]
    """image (H, W, 3) uint8 of linear light (H, W, 3), with a film grain (H, W) in grey levels rolled by the shifts.

    to_srgb  (4096,) grey levels of light 0..1
    """
    height, width = image.shape[0], image.shape[1]
    for row in range(height):
        y = (row + shift_y) % height
        for col in range(width):
            n = grain[y, (col + shift_x) % width]
            for k in range(3):
                level = to_srgb[min(max(int(linear[row, col, k] * 4095.0), 0), 4095)] + n
                image[row, col, k] = np.uint8(min(max(level, 0.0), 255.0))
