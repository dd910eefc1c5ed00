"""Triangles ready to be drawn: projected, cut at the near plane, snapped to whole subpixels (compiled by numba)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

SUBPIXELS = 256                         # corners are snapped to 1/256 pixel
FARTHEST = 2.0**21                      # pixels: keeps products of edge functions within 64 bits


class Triangles(NamedTuple):
    """N triangles that may touch the box, positively wound, in the order of their faces."""

    corners: np.ndarray                 # (N, 6) int64 subpixels of the box: ax, ay, bx, by, cx, cy
    nearness: np.ndarray                # (N, 3) linear across the picture: 1/z under perspective, else -z
    face: np.ndarray                    # (N,) int32
    order: np.ndarray                   # (N, 3) int32 which corner of the face a, b and c are; of the cut, where cut
    cut: np.ndarray                     # (N,) int32 row of cut_bary, -1 = a whole face
    cut_bary: np.ndarray                # (M, 3, 3) weights of the face's corners at each corner of a cut triangle
    rows: np.ndarray                    # (N, 2) int32 first and last row of pixel centres within its bounds
    columns: np.ndarray                 # (N, 2) int32 likewise


@njit(cache=True, nogil=True, error_model="numpy")
def ready_triangles(seen, faces, K, weak_depth_m, near_m, box):  # type: ignore[no-untyped-def]
    """`Triangles` of points (V, 3) in the camera's frame; `weak_depth_m` 0 = perspective.

    Left out: triangles with a NaN, wholly before the near plane, without area, or between pixel centres.
    """
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    state, crossing = _beside_the_near_plane(seen, faces, near_m)
    most = len(faces) + crossing        # a cut triangle may become two
    corners = np.empty((most, 6), dtype=np.int64)
    nearness = np.empty((most, 3))
    face = np.empty(most, dtype=np.int32)
    order = np.empty((most, 3), dtype=np.int32)
    cut = np.empty(most, dtype=np.int32)
    cut_bary = np.empty((2 * crossing, 3, 3))
    rows = np.empty((most, 2), dtype=np.int32)
    columns = np.empty((most, 2), dtype=np.int32)

    x = np.empty(len(seen), dtype=np.int64)
    y = np.empty(len(seen), dtype=np.int64)
    for v in range(len(seen)):
        if seen[v, 2] >= near_m and np.isfinite(seen[v, 0] + seen[v, 1] + seen[v, 2]):
            x[v], y[v] = _snapped(seen[v, 0], seen[v, 1], seen[v, 2], K, weak_depth_m, x0, y0)
    xy = np.empty((3, 2), dtype=np.int64)
    z = np.empty(3)
    polygon = np.empty((4, 3))
    polygon_bary = np.empty((4, 3))
    count, cuts = 0, 0
    for t in range(len(faces)):
        if state[t] == BEFORE:
            continue
        if state[t] == BEYOND:
            for k in range(3):
                v = faces[t, k]
                xy[k, 0], xy[k, 1], z[k] = x[v], y[v], seen[v, 2]
            if _add(count, xy, z, weak_depth_m, width, height, corners, nearness, order, rows, columns):
                face[count], cut[count] = t, -1
                count += 1
            continue
        found = _cut_at_near_plane(seen, faces[t], near_m, polygon, polygon_bary)
        for fan in range(found - 2):
            for k in range(3):
                p = 0 if k == 0 else fan + k
                xy[k, 0], xy[k, 1] = _snapped(polygon[p, 0], polygon[p, 1], polygon[p, 2], K, weak_depth_m, x0, y0)
                z[k] = polygon[p, 2]
                cut_bary[cuts, k] = polygon_bary[p]
            if _add(count, xy, z, weak_depth_m, width, height, corners, nearness, order, rows, columns):
                face[count], cut[count] = t, cuts
                count += 1
                cuts += 1
    return Triangles(corners[:count], nearness[:count], face[:count], order[:count], cut[:count], cut_bary,
                     rows[:count], columns[:count])


BEFORE, BEYOND, CROSSING = 0, 1, 2


@njit(cache=True, nogil=True, error_model="numpy")
def _beside_the_near_plane(seen, faces, near_m):  # type: ignore[no-untyped-def]
    """(T,) where each triangle lies; how many cross. One with a NaN or infinity counts as before the plane."""
    state = np.empty(len(faces), dtype=np.int8)
    crossing = 0
    for t in range(len(faces)):
        beyond = 0
        finite = True
        for k in range(3):
            v = faces[t, k]
            finite = finite and np.isfinite(seen[v, 0] + seen[v, 1] + seen[v, 2])
            if seen[v, 2] >= near_m:
                beyond += 1
        if not finite or beyond == 0:
            state[t] = BEFORE
        elif beyond == 3:
            state[t] = BEYOND
        else:
            state[t] = CROSSING
            crossing += 1
    return state, crossing


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _snapped(X, Y, Z, K, weak_depth_m, x0, y0):  # type: ignore[no-untyped-def]
    """Pixel position within the box, in whole subpixels."""
    spread = weak_depth_m if weak_depth_m > 0 else Z
    px = (K[0, 0] * X + K[0, 1] * Y) / spread + K[0, 2] - x0
    py = K[1, 1] * Y / spread + K[1, 2] - y0
    px = min(max(px, -FARTHEST), FARTHEST)
    py = min(max(py, -FARTHEST), FARTHEST)
    return np.int64(np.floor(px * SUBPIXELS + 0.5)), np.int64(np.floor(py * SUBPIXELS + 0.5))


@njit(cache=True, nogil=True, error_model="numpy")
def _add(n, xy, z, weak_depth_m, width, height, corners, nearness, order, rows, columns):  # type: ignore[no-untyped-def]
    """Fills row n of the arrays of `Triangles`; False, and nothing that counts, where no pixel centre can be inside."""
    area = (xy[1, 0] - xy[0, 0]) * (xy[2, 1] - xy[0, 1]) - (xy[1, 1] - xy[0, 1]) * (xy[2, 0] - xy[0, 0])
    if area == 0:
        return False
    low_x, high_x = min(xy[0, 0], xy[1, 0], xy[2, 0]), max(xy[0, 0], xy[1, 0], xy[2, 0])
    low_y, high_y = min(xy[0, 1], xy[1, 1], xy[2, 1]), max(xy[0, 1], xy[1, 1], xy[2, 1])
    half = SUBPIXELS // 2
    left = max(0, (low_x - half + SUBPIXELS - 1) // SUBPIXELS)
    right = min(width - 1, (high_x - half) // SUBPIXELS)
    top = max(0, (low_y - half + SUBPIXELS - 1) // SUBPIXELS)
    bottom = min(height - 1, (high_y - half) // SUBPIXELS)
    if left > right or top > bottom:
        return False
    rows[n, 0], rows[n, 1], columns[n, 0], columns[n, 1] = top, bottom, left, right
    for k in range(3):
        # seen from behind: two corners change places, so that inside is positive
        corner = k if area > 0 or k == 0 else 3 - k
        order[n, k] = corner
        corners[n, 2 * k], corners[n, 2 * k + 1] = xy[corner, 0], xy[corner, 1]
        nearness[n, k] = -z[corner] if weak_depth_m > 0 else 1.0 / z[corner]
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _cut_at_near_plane(seen, face, near_m, polygon, polygon_bary):  # type: ignore[no-untyped-def]
    """The part of a triangle beyond the near plane: fills a polygon of 3 or 4 corners, returns how many.

    A cut edge is always walked from its nearer vertex of lower depth order, so that neighbours get equal corners.
    """
    count = 0
    for k in range(3):
        a, b = face[k], face[(k + 1) % 3]
        if seen[a, 2] >= near_m:
            polygon[count] = seen[a]
            for c in range(3):
                polygon_bary[count, c] = 1.0 if c == k else 0.0
            count += 1
        if (seen[a, 2] >= near_m) != (seen[b, 2] >= near_m):
            front, back = (a, b) if seen[a, 2] >= near_m else (b, a)
            share = (near_m - seen[back, 2]) / (seen[front, 2] - seen[back, 2])      # of the front vertex
            for c in range(3):
                polygon[count, c] = seen[back, c] + share * (seen[front, c] - seen[back, c])
                polygon_bary[count, c] = 0.0
            polygon[count, 2] = near_m
            front_corner = k if front == a else (k + 1) % 3
            back_corner = k if back == a else (k + 1) % 3
            polygon_bary[count, front_corner] = share
            polygon_bary[count, back_corner] = 1.0 - share
            count += 1
    return count
