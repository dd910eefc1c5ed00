"""The studio's z-buffer: many tiny triangles, all before the camera, nothing but which one is nearest (numba).

`rasterizers.cpu` is the reference; this one leaves out what the studio does not need (cutting at the near plane,
weights per pixel, fixed-point edges) and takes a third of the time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_FAST: Any = dict(cache=True, nogil=True, error_model="numpy", fastmath=True)
_SLACK = np.float32(-1e-6)  # pixels on an edge belong to both triangles; the nearer one wins


@njit(**_FAST)
def project_points(points, world_to_camera, fx, fy, cx, cy, out):  # type: ignore[no-untyped-def]
    """out (V, 3) float32: column, row and nearness 1/z of points (V, 3); nearness 0 for those not before the camera."""
    m = world_to_camera
    for v in range(len(points)):
        x, y, z = points[v, 0], points[v, 1], points[v, 2]
        depth = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
        if depth < 0.05:
            out[v, 0], out[v, 1], out[v, 2] = 0.0, 0.0, 0.0
            continue
        out[v, 0] = fx * (m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]) / depth + cx
        out[v, 1] = fy * (m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]) / depth + cy
        out[v, 2] = 1.0 / depth


@njit(**_FAST)
def project_parallel(points, rows, out):  # type: ignore[no-untyped-def]
    """out (V, 3) float32: column, row and nearness (100 less the depth) of points seen without perspective."""
    for v in range(len(points)):
        x, y, z = points[v, 0], points[v, 1], points[v, 2]
        for k in range(3):
            out[v, k] = rows[k, 0] * x + rows[k, 1] * y + rows[k, 2] * z + rows[k, 3]
        out[v, 2] = 100.0 - out[v, 2]


@njit(**_FAST)
def bounds(seen):  # type: ignore[no-untyped-def]
    """Least column and row, largest column and row of points before the camera; the least are larger for none."""
    low_x, low_y, high_x, high_y = 1e9, 1e9, -1e9, -1e9
    for v in range(len(seen)):
        if seen[v, 2] > 0:
            low_x, high_x = min(low_x, seen[v, 0]), max(high_x, seen[v, 0])
            low_y, high_y = min(low_y, seen[v, 1]), max(high_y, seen[v, 1])
    return low_x, low_y, high_x, high_y


@njit(**_FAST)
def draw_nearest(seen, faces, x0, y0, face_index, nearness):  # type: ignore[no-untyped-def]
    """Fills face_index (h, w), -1 = nothing, and nearness (h, w), 0 = nothing, of the window that starts at x0, y0.

    seen  (V, 3) float32 column, row, nearness; nearness is linear across the picture, larger is nearer
    """
    height, width = face_index.shape
    face_index[:] = -1
    nearness[:] = 0.0
    shift_x, shift_y, half = np.float32(x0), np.float32(y0), np.float32(0.5)
    for t in range(len(faces)):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        na, nb, nc = seen[a, 2], seen[b, 2], seen[c, 2]
        if na <= 0 or nb <= 0 or nc <= 0:
            continue
        ax, bx, cx = seen[a, 0] - shift_x, seen[b, 0] - shift_x, seen[c, 0] - shift_x
        left, right = max(int(min(ax, bx, cx) + half), 0), min(int(max(ax, bx, cx) + half), width)
        if left >= right:
            continue
        ay, by, cy = seen[a, 1] - shift_y, seen[b, 1] - shift_y, seen[c, 1] - shift_y
        top, bottom = max(int(min(ay, by, cy) + half), 0), min(int(max(ay, by, cy) + half), height)
        if top >= bottom:
            continue
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0:
            continue
        scale = np.float32(1.0) / area
        wb_x, wc_x = (cy - ay) * scale, (ay - by) * scale
        wb_y, wc_y = (ax - cx) * scale, (bx - ax) * scale
        for row in range(top, bottom):
            dy, dx = np.float32(row) + half - ay, np.float32(left) + half - ax
            wb = wb_x * dx + wb_y * dy
            wc = wc_x * dx + wc_y * dy
            for col in range(left, right):
                wa = np.float32(1.0) - wb - wc
                if wa >= _SLACK and wb >= _SLACK and wc >= _SLACK:
                    near = wa * na + wb * nb + wc * nc
                    if near > nearness[row, col]:
                        nearness[row, col] = near
                        face_index[row, col] = t
                wb += wb_x
                wc += wc_x


@njit(**_FAST)
def draw_depth_only(seen, faces, nearness):  # type: ignore[no-untyped-def]
    """`draw_nearest` for a light's map: nearness (h, w) only."""
    height, width = nearness.shape
    nearness[:] = 0.0
    half = np.float32(0.5)
    for t in range(len(faces)):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        ax, ay, na = seen[a, 0], seen[a, 1], seen[a, 2]
        bx, by, nb = seen[b, 0], seen[b, 1], seen[b, 2]
        cx, cy, nc = seen[c, 0], seen[c, 1], seen[c, 2]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area >= 0:  # of a closed body, the half that looks away from the light is hidden anyway
            continue
        left, right = max(int(min(ax, bx, cx) + half), 0), min(int(max(ax, bx, cx) + half), width)
        top, bottom = max(int(min(ay, by, cy) + half), 0), min(int(max(ay, by, cy) + half), height)
        if left >= right or top >= bottom:
            continue
        scale = np.float32(1.0) / area
        wb_x, wc_x = (cy - ay) * scale, (ay - by) * scale
        wb_y, wc_y = (ax - cx) * scale, (bx - ax) * scale
        for row in range(top, bottom):
            dy, dx = np.float32(row) + half - ay, np.float32(left) + half - ax
            wb = wb_x * dx + wb_y * dy
            wc = wc_x * dx + wc_y * dy
            for col in range(left, right):
                wa = np.float32(1.0) - wb - wc
                if wa >= _SLACK and wb >= _SLACK and wc >= _SLACK:
                    nearness[row, col] = max(nearness[row, col], wa * na + wb * nb + wc * nc)
                wb += wb_x
                wc += wc_x
