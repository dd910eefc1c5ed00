"""The inner loops of the CPU rasterizer, compiled by numba (cached; they release the GIL)."""

from __future__ import annotations

import numpy as np
from numba import njit

SUBPIXELS = 256                         # vertices are snapped to 1/256 pixel
FARTHEST = 2.0**21                      # pixels: keeps products of edge functions within 64 bits


@njit(cache=True, nogil=True, error_model="numpy")
def draw_triangles(seen, faces, K, weak_depth_m, near_m, x0, y0, x1, y1):  # type: ignore[no-untyped-def]
    """Z-buffer of triangles given in the camera's frame; `weak_depth_m` 0 = perspective. See `cpu.rasterize`."""
    height, width = y1 - y0, x1 - x0
    face_index = np.full((height, width), -1, dtype=np.int32)
    bary = np.zeros((height, width, 3), dtype=np.float32)
    nearness = np.full((height, width), -np.inf, dtype=np.float32)      # 1/z, or -z where that is linear

    vertex_count = len(seen)
    x = np.empty(vertex_count, dtype=np.int64)
    y = np.empty(vertex_count, dtype=np.int64)
    for v in range(vertex_count):
        if seen[v, 2] >= near_m:
            x[v], y[v] = _snapped(seen[v, 0], seen[v, 1], seen[v, 2], K, weak_depth_m, x0, y0)

    corner_xy = np.empty((3, 2), dtype=np.int64)
    corner_z = np.empty(3)
    corner_bary = np.empty((3, 3))
    polygon = np.empty((4, 3))
    polygon_bary = np.empty((4, 3))
    for t in range(len(faces)):
        in_front = 0
        finite = True
        for k in range(3):
            v = faces[t, k]
            finite = finite and np.isfinite(seen[v, 0] + seen[v, 1] + seen[v, 2])
            if seen[v, 2] >= near_m:
                in_front += 1
        if not finite or in_front == 0:
            continue
        if in_front == 3:
            for k in range(3):
                v = faces[t, k]
                corner_xy[k, 0], corner_xy[k, 1], corner_z[k] = x[v], y[v], seen[v, 2]
                for c in range(3):
                    corner_bary[k, c] = 1.0 if c == k else 0.0
            _draw(t, corner_xy, corner_z, corner_bary, weak_depth_m > 0, face_index, bary, nearness)
            continue
        corners = _cut_at_near_plane(seen, faces[t], near_m, polygon, polygon_bary)
        for fan in range(corners - 2):
            for k in range(3):
                p = 0 if k == 0 else fan + k
                corner_xy[k, 0], corner_xy[k, 1] = _snapped(polygon[p, 0], polygon[p, 1], polygon[p, 2], K,
                                                            weak_depth_m, x0, y0)
                corner_z[k] = polygon[p, 2]
                corner_bary[k] = polygon_bary[p]
            _draw(t, corner_xy, corner_z, corner_bary, weak_depth_m > 0, face_index, bary, nearness)
    depth_m = nearness
    for row in range(height):
        for column in range(width):
            if face_index[row, column] < 0:
                depth_m[row, column] = 0.0
            elif weak_depth_m > 0:
                depth_m[row, column] = -nearness[row, column]
            else:
                depth_m[row, column] = 1.0 / nearness[row, column]
    return face_index, bary, depth_m


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


@njit(cache=True, nogil=True, error_model="numpy")
def _draw(t, xy, z, corner_bary, weak, face_index, bary, nearness):  # type: ignore[no-untyped-def]
    """One triangle, corners in subpixels of the box."""
    ax, ay, bx, by, cx, cy = xy[0, 0], xy[0, 1], xy[1, 0], xy[1, 1], xy[2, 0], xy[2, 1]
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    if area == 0:
        return
    i, j = 1, 2
    if area < 0:                        # seen from behind: swap two corners so that inside is positive
        bx, by, cx, cy = cx, cy, bx, by
        i, j = 2, 1
        area = -area
    height, width = face_index.shape
    half = SUBPIXELS // 2
    # pixels whose centre (at half a pixel) lies within the corners' bounds
    left = max(0, (min(ax, bx, cx) - half + SUBPIXELS - 1) // SUBPIXELS)
    right = min(width - 1, (max(ax, bx, cx) - half) // SUBPIXELS)
    top = max(0, (min(ay, by, cy) - half + SUBPIXELS - 1) // SUBPIXELS)
    bottom = min(height - 1, (max(ay, by, cy) - half) // SUBPIXELS)
    if left > right or top > bottom:
        return

    # edge opposite to each corner; a centre on an edge belongs to the triangle to the right of or below it
    dxa, dya = cx - bx, cy - by
    dxb, dyb = ax - cx, ay - cy
    dxc, dyc = bx - ax, by - ay
    limit_a = 0 if dya < 0 or (dya == 0 and dxa > 0) else 1
    limit_b = 0 if dyb < 0 or (dyb == 0 and dxb > 0) else 1
    limit_c = 0 if dyc < 0 or (dyc == 0 and dxc > 0) else 1
    px, py = left * SUBPIXELS + half, top * SUBPIXELS + half
    row_a = dxa * (py - by) - dya * (px - bx)
    row_b = dxb * (py - cy) - dyb * (px - cx)
    row_c = dxc * (py - ay) - dyc * (px - ax)
    step_xa, step_xb, step_xc = -dya * SUBPIXELS, -dyb * SUBPIXELS, -dyc * SUBPIXELS
    step_ya, step_yb, step_yc = dxa * SUBPIXELS, dxb * SUBPIXELS, dxc * SUBPIXELS

    # depth is linear in the picture as 1/z under perspective, as z under weak perspective
    if weak:
        wa, wb, wc = -z[0], -z[i], -z[j]
    else:
        wa, wb, wc = 1.0 / z[0], 1.0 / z[i], 1.0 / z[j]
    per_area = 1.0 / area
    for row in range(top, bottom + 1):
        ea, eb, ec = row_a, row_b, row_c
        for column in range(left, right + 1):
            if ea >= limit_a and eb >= limit_b and ec >= limit_c:
                near = np.float32((ea * wa + eb * wb + ec * wc) * per_area)
                if near > nearness[row, column]:
                    nearness[row, column] = near
                    face_index[row, column] = t
                    if weak:
                        sa, sb, sc = ea * per_area, eb * per_area, ec * per_area
                    else:
                        sa, sb, sc = ea * wa, eb * wb, ec * wc
                        scale = 1.0 / (sa + sb + sc)
                        sa, sb, sc = sa * scale, sb * scale, sc * scale
                    for c in range(3):
                        bary[row, column, c] = (sa * corner_bary[0, c] + sb * corner_bary[i, c]
                                                + sc * corner_bary[j, c])
            ea += step_xa
            eb += step_xb
            ec += step_xc
        row_a += step_ya
        row_b += step_yb
        row_c += step_yc


@njit(cache=True, nogil=True, error_model="numpy")
def interpolate_corners(face_index, bary, attributes, face_attributes):  # type: ignore[no-untyped-def]
    """(h, w, C) float32; see `cpu.interpolate`."""
    height, width = face_index.shape
    channels = attributes.shape[1]
    out = np.zeros((height, width, channels), dtype=np.float32)
    for row in range(height):
        for column in range(width):
            t = face_index[row, column]
            if t < 0:
                continue
            a, b, c = face_attributes[t, 0], face_attributes[t, 1], face_attributes[t, 2]
            u, v, w = bary[row, column, 0], bary[row, column, 1], bary[row, column, 2]
            for k in range(channels):
                out[row, column, k] = u * attributes[a, k] + v * attributes[b, k] + w * attributes[c, k]
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def normalise_inside(normal, face_index):  # type: ignore[no-untyped-def]
    """Makes (h, w, 3) vectors unit length in place where there is a surface; a vanishing one faces the camera."""
    height, width = face_index.shape
    for row in range(height):
        for column in range(width):
            if face_index[row, column] < 0:
                continue
            x, y, z = normal[row, column, 0], normal[row, column, 1], normal[row, column, 2]
            length = np.sqrt(x * x + y * y + z * z)
            if length < 1e-12:
                normal[row, column, 2] = -1.0
                continue
            normal[row, column, 0] = x / length
            normal[row, column, 1] = y / length
            normal[row, column, 2] = z / length
