"""Which surface point belongs to a depth reading or to a point of the mask's border, compiled."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def associate(readings, reading_normals, skin, skin_normals, gate):
    """For each depth reading the surface point beside it that faces the camera; -1 = none within `gate` metres.

    A loose gate glues hanging arms to the torso, from where they never come back.
    """
    C, V = readings.shape[0], skin.shape[0]
    near = np.full(C, -1)
    facing = np.zeros(V, np.int64)
    count = 0
    for v in range(V):
        towards = skin[v, 0] * skin_normals[v, 0] + skin[v, 1] * skin_normals[v, 1] + skin[v, 2] * skin_normals[v, 2]
        if towards < 0.0:
            facing[count] = v
            count += 1
    for c in range(C):
        best = gate * gate
        for f in range(count):
            v = facing[f]
            dx = skin[v, 0] - readings[c, 0]
            if dx * dx >= best:
                continue
            dy, dz = skin[v, 1] - readings[c, 1], skin[v, 2] - readings[c, 2]
            d = dx * dx + dy * dy + dz * dz
            if d < best:
                alike = (skin_normals[v, 0] * reading_normals[c, 0] + skin_normals[v, 1] * reading_normals[c, 1]
                         + skin_normals[v, 2] * reading_normals[c, 2])
                if alike > 0.3:
                    best = d
                    near[c] = v
    return near


@njit(cache=True, nogil=True, error_model="numpy")
def associate_outline(points, point_normals, skin, skin_normals, usable, K, gate_px):
    """For each border point of the mask the rim point of the surface beside it that faces the same way; -1 = none."""
    V = skin.shape[0]
    rim, at, out = np.zeros(V, np.int64), np.zeros((V, 2)), np.zeros((V, 2))
    count = 0
    for v in range(V):
        x, y, z = skin[v]
        if not usable[v] or z < 0.1:
            continue
        towards = (x * skin_normals[v, 0] + y * skin_normals[v, 1] + z * skin_normals[v, 2])
        towards /= np.sqrt(x * x + y * y + z * z)
        length = np.sqrt(skin_normals[v, 0] ** 2 + skin_normals[v, 1] ** 2)
        if abs(towards) > 0.4 or length < 0.3:
            continue
        rim[count] = v
        at[count, 0], at[count, 1] = K[0, 0] * x / z + K[0, 2], K[1, 1] * y / z + K[1, 2]
        out[count, 0], out[count, 1] = skin_normals[v, 0] / length, skin_normals[v, 1] / length
        count += 1
    near = np.full(points.shape[0], -1)
    for b in range(points.shape[0]):
        best = gate_px * gate_px
        for r in range(count):
            if out[r, 0] * point_normals[b, 0] + out[r, 1] * point_normals[b, 1] < 0.6:
                continue
            dx, dy = at[r, 0] - points[b, 0], at[r, 1] - points[b, 1]
            d = dx * dx + dy * dy
            if d < best:
                best = d
                near[b] = rim[r]
    return near
