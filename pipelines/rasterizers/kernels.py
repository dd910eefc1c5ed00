"""The inner loops of the CPU rasterizer, compiled by numba (cached; they release the GIL).

They work on bands of rows. What a pixel sees depends on the triangles alone, never on the band it lies in, so the
same picture comes out whoever draws which band.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from pipelines.rasterizers.triangles import SUBPIXELS

HALF = SUBPIXELS // 2
NEAREST_NOTHING = -np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def draw_bands(triangles, weak, band_rows, first, step, face_index, bary, depth_m):  # type: ignore[no-untyped-def]
    """Draws bands `first`, `first + step`, ... of `band_rows` rows each; see `cpu.rasterize`."""
    height, width = face_index.shape
    nearness = np.empty((band_rows, width), dtype=np.float32)
    owner = np.empty((band_rows, width), dtype=np.int32)
    reach = np.empty((band_rows, 2), dtype=np.int32)
    for top in range(first * band_rows, height, step * band_rows):
        bottom = min(top + band_rows, height)
        find_nearest(triangles, top, bottom, nearness, owner, reach)
        resolve(triangles, weak, top, owner, reach, face_index[top:bottom], bary[top:bottom], depth_m[top:bottom])


@njit(cache=True, nogil=True, error_model="numpy")
def map_bands(triangles, weak, band_rows, first, step, surface, maps):  # type: ignore[no-untyped-def]
    """The same, and interpolates UV and normals at once, so that the weights never leave the processor's cache.

    surface  uvs (U, 2), face_uvs (T, 3), normals (V, 3), faces (T, 3)
    maps     face_index (h, w), uv (h, w, 2), normal (h, w, 3), depth_m (h, w), all of them filled
    """
    face_index, uv, normal, depth_m = maps
    height, width = face_index.shape
    nearness = np.empty((band_rows, width), dtype=np.float32)
    owner = np.empty((band_rows, width), dtype=np.int32)
    reach = np.empty((band_rows, 2), dtype=np.int32)
    bary = np.empty((band_rows, width, 3), dtype=np.float32)
    for top in range(first * band_rows, height, step * band_rows):
        bottom = min(top + band_rows, height)
        find_nearest(triangles, top, bottom, nearness, owner, reach)
        resolve(triangles, weak, top, owner, reach, face_index[top:bottom], bary, depth_m[top:bottom])
        shade_rows(face_index[top:bottom], bary, reach, surface, uv[top:bottom], normal[top:bottom])


@njit(cache=True, nogil=True, error_model="numpy")
def find_nearest(triangles, top, bottom, nearness, owner, reach):  # type: ignore[no-untyped-def]
    """The nearest triangle at each pixel centre of rows top to bottom: its number plus one in `owner`, 0 = none.

    reach (rows, 2) becomes the first column that may be covered in each row and the one after the last.
    Edge functions are whole numbers; a centre on an edge belongs to the triangle to the right of or below it.
    Of equally near ones the first in order is kept.
    """
    owner[:bottom - top] = 0
    nearness[:bottom - top] = NEAREST_NOTHING
    reach[:bottom - top, 0] = owner.shape[1]
    reach[:bottom - top, 1] = 0
    corners = triangles.corners
    for n in range(len(corners)):
        first, last = max(triangles.rows[n, 0], top), min(triangles.rows[n, 1], bottom - 1)
        if first > last:
            continue
        left, right = triangles.columns[n, 0], triangles.columns[n, 1]
        ax, ay, bx, by = corners[n, 0], corners[n, 1], corners[n, 2], corners[n, 3]
        cx, cy = corners[n, 4], corners[n, 5]
        dxa, dya, dxb, dyb, dxc, dyc = cx - bx, cy - by, ax - cx, ay - cy, bx - ax, by - ay
        px, py = left * SUBPIXELS + HALF, first * SUBPIXELS + HALF
        edge_a = dxa * (py - by) - dya * (px - bx)
        edge_b = dxb * (py - cy) - dyb * (px - cx)
        edge_c = dxc * (py - ay) - dyc * (px - ax)
        # depth is linear in the picture as 1/z under perspective, as z under weak perspective
        per_area = 1.0 / (dxc * (cy - ay) - dyc * (cx - ax))
        wa, wb, wc = triangles.nearness[n, 0] * per_area, triangles.nearness[n, 1] * per_area, \
            triangles.nearness[n, 2] * per_area
        step_a, step_b, step_c = -dya * SUBPIXELS, -dyb * SUBPIXELS, -dyc * SUBPIXELS
        slope = step_a * wa + step_b * wb + step_c * wc
        # from here on an edge function is inside where it is 0 or more
        bias_a = 0 if dya < 0 or (dya == 0 and dxa > 0) else 1
        bias_b = 0 if dyb < 0 or (dyb == 0 and dxb > 0) else 1
        bias_c = 0 if dyc < 0 or (dyc == 0 and dxc > 0) else 1
        for row in range(first, last + 1):
            a, b, c = edge_a - bias_a, edge_b - bias_b, edge_c - bias_c
            column = left
            while column <= right and (a | b | c) < 0:
                a += step_a
                b += step_b
                c += step_c
                column += 1
            skipped = column - left
            near = (edge_a * wa + edge_b * wb + edge_c * wc) + skipped * slope
            start = column
            while column <= right and (a | b | c) >= 0:
                here = np.float32(near + (column - start) * slope)
                if here > nearness[row - top, column]:
                    nearness[row - top, column] = here
                    owner[row - top, column] = n + 1
                a += step_a
                b += step_b
                c += step_c
                column += 1
            if column > start:
                reach[row - top, 0] = min(reach[row - top, 0], start)
                reach[row - top, 1] = max(reach[row - top, 1], column)
            edge_a += dxa * SUBPIXELS
            edge_b += dxb * SUBPIXELS
            edge_c += dxc * SUBPIXELS


@njit(cache=True, nogil=True, error_model="numpy")
def resolve(triangles, weak, top, owner, reach, face_index, bary, depth_m):  # type: ignore[no-untyped-def]
    """Faces, perspective-correct weights and depth of the rows that `find_nearest` filled; background is -1, 0, 0."""
    corners = triangles.corners
    a_share, b_share, c_share = 0.0, 0.0, 0.0
    for row in range(len(face_index)):
        face_index[row] = -1
        depth_m[row] = 0.0
        bary[row] = 0.0
        py = (top + row) * SUBPIXELS + HALF
        last = -1
        for column in range(reach[row, 0], reach[row, 1]):
            n = owner[row, column] - 1
            if n < 0:
                continue
            px = column * SUBPIXELS + HALF
            if n != last:
                last = n
                ax, ay, bx, by = corners[n, 0], corners[n, 1], corners[n, 2], corners[n, 3]
                cx, cy = corners[n, 4], corners[n, 5]
                dxa, dya, dxb, dyb, dxc, dyc = cx - bx, cy - by, ax - cx, ay - cy, bx - ax, by - ay
                wa, wb, wc = triangles.nearness[n, 0], triangles.nearness[n, 1], triangles.nearness[n, 2]
                area = float(dxc * (cy - ay) - dyc * (cx - ax))
                per_area = 1.0 / area
                face, cut = triangles.face[n], triangles.cut[n]
                i, j, k = triangles.order[n, 0], triangles.order[n, 1], triangles.order[n, 2]
            edge_a = float(dxa * (py - by) - dya * (px - bx))
            edge_b = float(dxb * (py - cy) - dyb * (px - cx))
            edge_c = float(dxc * (py - ay) - dyc * (px - ax))
            if weak:
                depth_m[row, column] = -(edge_a * wa + edge_b * wb + edge_c * wc) * per_area
                a_share, b_share, c_share = edge_a * per_area, edge_b * per_area, edge_c * per_area
            else:
                a_share, b_share, c_share = edge_a * wa, edge_b * wb, edge_c * wc
                scale = 1.0 / (a_share + b_share + c_share)
                depth_m[row, column] = area * scale
                a_share, b_share, c_share = a_share * scale, b_share * scale, c_share * scale
            face_index[row, column] = face
            if cut < 0:
                bary[row, column, i] = a_share
                bary[row, column, j] = b_share
                bary[row, column, k] = c_share
            else:
                at = triangles.cut_bary[cut]
                for corner in range(3):
                    bary[row, column, corner] = (a_share * at[i, corner] + b_share * at[j, corner]
                                                 + c_share * at[k, corner])


@njit(cache=True, nogil=True, error_model="numpy")
def shade_rows(face_index, bary, reach, surface, uv, normal):  # type: ignore[no-untyped-def]
    """Fills uv (h, w, 2) and the unit normals (h, w, 3), 0 on background; a vanishing normal faces the camera.

    reach, surface  see `find_nearest` and `map_bands`; `bary` may have more rows than are wanted
    """
    uvs, face_uvs, normals, faces = surface
    one = np.float32(1.0)
    for row in range(len(face_index)):
        uv[row] = 0.0
        normal[row] = 0.0
        last = -1
        for column in range(reach[row, 0], reach[row, 1]):
            t = face_index[row, column]
            if t < 0:
                continue
            if t != last:               # what the corners carry is fetched once for all pixels of a face in this row
                last = t
                i, j, k = face_uvs[t, 0], face_uvs[t, 1], face_uvs[t, 2]
                ua, ub, uc, va, vb, vc = uvs[i, 0], uvs[j, 0], uvs[k, 0], uvs[i, 1], uvs[j, 1], uvs[k, 1]
                i, j, k = faces[t, 0], faces[t, 1], faces[t, 2]
                xa, xb, xc = normals[i, 0], normals[j, 0], normals[k, 0]
                ya, yb, yc = normals[i, 1], normals[j, 1], normals[k, 1]
                za, zb, zc = normals[i, 2], normals[j, 2], normals[k, 2]
            a, b, c = bary[row, column, 0], bary[row, column, 1], bary[row, column, 2]
            uv[row, column, 0] = a * ua + b * ub + c * uc
            uv[row, column, 1] = a * va + b * vb + c * vc
            x, y, z = a * xa + b * xb + c * xc, a * ya + b * yb + c * yc, a * za + b * zb + c * zc
            length = np.sqrt(x * x + y * y + z * z)
            if not length > 1e-12:
                normal[row, column, 2] = -one
                continue
            scale = one / length
            normal[row, column, 0] = x * scale
            normal[row, column, 1] = y * scale
            normal[row, column, 2] = z * scale


@njit(cache=True, nogil=True, error_model="numpy")
def interpolate_rows(face_index, bary, attributes, face_attributes, out):  # type: ignore[no-untyped-def]
    """Fills out (h, w, C); see `cpu.interpolate`."""
    height, width, channels = out.shape
    for row in range(height):
        out[row] = 0.0
        for column in range(width):
            t = face_index[row, column]
            if t < 0:
                continue
            a, b, c = face_attributes[t, 0], face_attributes[t, 1], face_attributes[t, 2]
            u, v, w = bary[row, column, 0], bary[row, column, 1], bary[row, column, 2]
            for k in range(channels):
                out[row, column, k] = u * attributes[a, k] + v * attributes[b, k] + w * attributes[c, k]
