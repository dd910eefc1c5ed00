"""The studio's inner loops, compiled by numba: skinning with folds, normals, surface colour, light, film."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from pipelines.studio.cloth import cloth_colour, noise

_FAST: Any = dict(cache=True, nogil=True, error_model="numpy", fastmath=True)


@njit(**_FAST)
def skin_with_folds(verts, normals, folds, drives, indices, weights, turns, shifts, out):  # type: ignore[no-untyped-def]
    """out (V, 3) = sum_k w_k (turns[k] v' + shifts[k]) with v' = v + n * (folds @ drives)."""
    for v in range(len(verts)):
        push = 0.0
        for d in range(len(drives)):
            push += folds[v, d] * drives[d]
        x = verts[v, 0] + normals[v, 0] * push
        y = verts[v, 1] + normals[v, 1] * push
        z = verts[v, 2] + normals[v, 2] * push
        sx = sy = sz = 0.0
        for k in range(indices.shape[1]):
            w = weights[v, k]
            if w == 0.0:
                continue
            j = indices[v, k]
            sx += w * (turns[j, 0, 0] * x + turns[j, 0, 1] * y + turns[j, 0, 2] * z + shifts[j, 0])
            sy += w * (turns[j, 1, 0] * x + turns[j, 1, 1] * y + turns[j, 1, 2] * z + shifts[j, 1])
            sz += w * (turns[j, 2, 0] * x + turns[j, 2, 1] * y + turns[j, 2, 2] * z + shifts[j, 2])
        out[v, 0], out[v, 1], out[v, 2] = sx, sy, sz


@njit(**_FAST)
def smooth_normals(verts, faces, out):  # type: ignore[no-untyped-def]
    """Area-weighted unit vertex normals into out (V, 3)."""
    out[:] = 0.0
    for t in range(len(faces)):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        ux, uy, uz = verts[b, 0] - verts[a, 0], verts[b, 1] - verts[a, 1], verts[b, 2] - verts[a, 2]
        vx, vy, vz = verts[c, 0] - verts[a, 0], verts[c, 1] - verts[a, 1], verts[c, 2] - verts[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for k in range(3):
            i = faces[t, k]
            out[i, 0] += nx
            out[i, 1] += ny
            out[i, 2] += nz
    for v in range(len(out)):
        length = math.sqrt(out[v, 0] ** 2 + out[v, 1] ** 2 + out[v, 2] ** 2)
        if length > 0:
            out[v] /= length


@njit(**_FAST)
def _lit(light, depth, cell, bias, radius):  # type: ignore[no-untyped-def]
    """Share of a 3x3 neighbourhood of the light's depth map that does not hide a point (light: column, row, depth)."""
    h, w = cell.shape
    x, y = light[0] - 0.5, light[1] - 0.5
    total = 0.0
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            u, v = x + dx * radius, y + dy * radius
            i, j = int(u), int(v)
            if i < 0 or j < 0 or i >= w - 1 or j >= h - 1:
                total += 1.0
                continue
            fx, fy = u - i, v - j
            d = depth - bias
            s00 = 1.0 if cell[j, i] == 0 or cell[j, i] > d else 0.0
            s10 = 1.0 if cell[j, i + 1] == 0 or cell[j, i + 1] > d else 0.0
            s01 = 1.0 if cell[j + 1, i] == 0 or cell[j + 1, i] > d else 0.0
            s11 = 1.0 if cell[j + 1, i + 1] == 0 or cell[j + 1, i + 1] > d else 0.0
            total += (s00 * (1 - fx) + s10 * fx) * (1 - fy) + (s01 * (1 - fx) + s11 * fx) * fy
    return total / 9.0


@njit(**_FAST)
def shade(
    face_index,
    bary,
    faces,
    material,
    rest,
    rest_normals,
    verts,
    normals,
    tint,
    occlusion,
    uvs,
    face_uvs,
    texture,  # type: ignore[no-untyped-def]
    front,
    back,
    cut,
    leg,
    colours,
    eye,
    key,
    key_colour,
    sky,
    ground,
    light_rows,
    light_depth,
):
    """(h, w, 3) float32 linear colour of every covered sample.

    verts, normals  posed, world; rest, rest_normals at rest: where patterns live
    cut, leg        lengths of the clothes, colours (garments, 2, 3): see cloth.cloth_colour
    eye             (3,) the camera's centre, world; key (3,) towards the key light
    light_rows      (3, 4) world point -> column, row, depth of the light's depth map
    """
    height, width = face_index.shape
    out = np.zeros((height, width, 3), dtype=np.float32)
    light = np.empty(3)
    th, tw = texture.shape[0], texture.shape[1]
    for row in range(height):
        for col in range(width):
            t = face_index[row, col]
            if t < 0:
                continue
            a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
            wa, wb, wc = bary[row, col, 0], bary[row, col, 1], bary[row, col, 2]
            x = wa * rest[a, 0] + wb * rest[b, 0] + wc * rest[c, 0]
            y = wa * rest[a, 1] + wb * rest[b, 1] + wc * rest[c, 1]
            z = wa * rest[a, 2] + wb * rest[b, 2] + wc * rest[c, 2]
            nx = wa * normals[a, 0] + wb * normals[b, 0] + wc * normals[c, 0]
            ny = wa * normals[a, 1] + wb * normals[b, 1] + wc * normals[c, 1]
            nz = wa * normals[a, 2] + wb * normals[b, 2] + wc * normals[c, 2]
            px = wa * verts[a, 0] + wb * verts[b, 0] + wc * verts[c, 0]
            py = wa * verts[a, 1] + wb * verts[b, 1] + wc * verts[c, 1]
            pz = wa * verts[a, 2] + wb * verts[b, 2] + wc * verts[c, 2]
            open_sky = wa * occlusion[a] + wb * occlusion[b] + wc * occlusion[c]
            m = material[t]
            gloss, sharp = 0.0, 20.0
            if m == 0:
                ua, ub, uc = face_uvs[t, 0], face_uvs[t, 1], face_uvs[t, 2]
                u = (wa * uvs[ua, 0] + wb * uvs[ub, 0] + wc * uvs[uc, 0]) * tw - 0.5
                v = (wa * uvs[ua, 1] + wb * uvs[ub, 1] + wc * uvs[uc, 1]) * th - 0.5
                i, j = min(max(int(u), 0), tw - 2), min(max(int(v), 0), th - 2)
                fu, fv = u - i, v - j
                r = (texture[j, i, 0] * (1 - fu) + texture[j, i + 1, 0] * fu) * (1 - fv) + (
                    texture[j + 1, i, 0] * (1 - fu) + texture[j + 1, i + 1, 0] * fu
                ) * fv
                g = (texture[j, i, 1] * (1 - fu) + texture[j, i + 1, 1] * fu) * (1 - fv) + (
                    texture[j + 1, i, 1] * (1 - fu) + texture[j + 1, i + 1, 1] * fu
                ) * fv
                bl = (texture[j, i, 2] * (1 - fu) + texture[j, i + 1, 2] * fu) * (1 - fv) + (
                    texture[j + 1, i, 2] * (1 - fu) + texture[j + 1, i + 1, 2] * fu
                ) * fv
                gloss, sharp = 0.05, 14.0
            elif m <= 4:
                r = wa * tint[a, 0] + wb * tint[b, 0] + wc * tint[c, 0]
                g = wa * tint[a, 1] + wb * tint[b, 1] + wc * tint[c, 1]
                bl = wa * tint[a, 2] + wb * tint[b, 2] + wc * tint[c, 2]
                if m == 2:
                    gloss, sharp = 0.9, 180.0
                elif m == 3:
                    gloss, sharp = 0.0, 12.0
                    rough = noise(x * 420, y * 70, z * 420)
                    nx, ny, nz = nx + 0.35 * rough, ny + 0.25 * rough, nz + 0.35 * noise(x * 300 + 7, y * 60, z * 300)
                elif m == 4:
                    gloss, sharp = 0.06, 20.0
            else:
                side = wa * rest_normals[a, 2] + wb * rest_normals[b, 2] + wc * rest_normals[c, 2]
                r, g, bl = cloth_colour(m, x, y, z, side, cut, leg, colours, front, back)
                # a little unevenness that the mesh is too coarse for
                base = noise(x * 45, y * 32, z * 45)
                nx += 0.16 * (noise(x * 45 + 0.35, y * 32, z * 45) - base)
                ny += 0.16 * (noise(x * 45, y * 32 + 0.35, z * 45) - base)
                nz += 0.16 * (noise(x * 45, y * 32, z * 45 + 0.35) - base)
            length = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
            nx, ny, nz = nx / length, ny / length, nz / length
            ex, ey, ez = eye[0] - px, eye[1] - py, eye[2] - pz
            length = math.sqrt(ex * ex + ey * ey + ez * ez)
            ex, ey, ez = ex / length, ey / length, ez / length
            facing = nx * ex + ny * ey + nz * ez
            if facing < -0.2:
                nx, ny, nz, facing = -nx, -ny, -nz, -facing
                open_sky *= 0.55
            lambert = nx * key[0] + ny * key[1] + nz * key[2]
            for k in range(3):
                light[k] = (
                    light_rows[k, 0] * (px + nx * 0.006)
                    + light_rows[k, 1] * (py + ny * 0.006)
                    + light_rows[k, 2] * (pz + nz * 0.006)
                    + light_rows[k, 3]
                )
            lit = _lit(light, light[2], light_depth, 0.010 if m != 3 else 0.022, 1.3)
            up = 0.5 + 0.5 * ny
            fill = (0.14 + 0.86 * open_sky) * (0.80 + 0.20 * max(facing, 0.0))
            if m == 0:
                wrap_r, wrap_g, wrap_b = 0.30, 0.14, 0.08
            elif m == 3:
                wrap_r = wrap_g = wrap_b = 0.35
            else:
                wrap_r = wrap_g = wrap_b = 0.08
            direct_r = max(0.0, (lambert + wrap_r) / (1 + wrap_r)) * lit
            direct_g = max(0.0, (lambert + wrap_g) / (1 + wrap_g)) * lit
            direct_b = max(0.0, (lambert + wrap_b) / (1 + wrap_b)) * lit
            hx, hy, hz = ex + key[0], ey + key[1], ez + key[2]
            length = math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9
            half = max(0.0, (nx * hx + ny * hy + nz * hz) / length)
            shine = gloss * half**sharp * lit
            if m == 3:  # hair shines in its own colour
                sheen = 1.0 + 0.9 * half**sharp * lit
                r, g, bl = r * sheen, g * sheen, bl * sheen
            out[row, col, 0] = r * (key_colour[0] * direct_r + fill * (sky[0] * up + ground[0] * (1 - up))) + shine
            out[row, col, 1] = g * (key_colour[1] * direct_g + fill * (sky[1] * up + ground[1] * (1 - up))) + shine
            out[row, col, 2] = bl * (key_colour[2] * direct_b + fill * (sky[2] * up + ground[2] * (1 - up))) + shine
    return out


@njit(**_FAST)
def shadow_on_room(light_points, room_points, hidden, feet, out):  # type: ignore[no-untyped-def]
    """out (H, W) 0..1: how much light reaches floor and walls, which lie behind the person for the lamp.

    light_points (H, W, 3) column, row, depth in the lamp's map; room_points (H, W, 3) world
    hidden       (h, w) 0..1 float32: where the lamp sees the person, blurred; feet (N, 3) m, y = height above floor
    """
    height, width = out.shape
    h, w = hidden.shape
    for row in range(height):
        for col in range(width):
            value = 1.0
            x, y = light_points[row, col, 0] - 0.5, light_points[row, col, 1] - 0.5
            if x > 0 and y > 0 and x < w - 1 and y < h - 1:
                i, j = int(x), int(y)
                fx, fy = x - i, y - j
                dark = (hidden[j, i] * (1 - fx) + hidden[j, i + 1] * fx) * (1 - fy) + (
                    hidden[j + 1, i] * (1 - fx) + hidden[j + 1, i + 1] * fx
                ) * fy
                value -= 0.50 * dark
            if room_points[row, col, 1] < 0.01:
                for k in range(len(feet)):
                    dx, dz = room_points[row, col, 0] - feet[k, 0], room_points[row, col, 2] - feet[k, 2]
                    reach = 0.010 + 0.5 * feet[k, 1] * feet[k, 1]
                    distance = (dx * dx + dz * dz) / reach
                    if distance < 9.0:
                        value *= 1 - 0.55 * math.exp(-distance - 6.0 * feet[k, 1])
            out[row, col] = value


@njit(**_FAST)
def develop(colour, face_index, depth, room, room_depth, shadow, box, to_srgb, grain, image, alpha, depth_out):  # type: ignore[no-untyped-def]
    """Samples twice as fine, filtered (1 3 3 1)/8 each way, over the room; box x0, y0 of the samples in fine pixels.

    to_srgb (4096,) uint8-valued float; grain (H, W) in grey levels; image (H, W, 3) uint8, alpha and depth_out (H, W)
    """
    height, width = alpha.shape
    fine_h, fine_w = face_index.shape
    taps = (0.125, 0.375, 0.375, 0.125)
    for row in range(height):
        for col in range(width):
            top, left = 2 * row - 1 - box[1], 2 * col - 1 - box[0]
            cover, r, g, b = 0.0, 0.0, 0.0, 0.0
            near, inside = 1e9, 0
            if top > -4 and left > -4 and top < fine_h and left < fine_w:
                for dy in range(4):
                    y = top + dy
                    if y < 0 or y >= fine_h:
                        continue
                    for dx in range(4):
                        x = left + dx
                        if x < 0 or x >= fine_w or face_index[y, x] < 0:
                            continue
                        w = taps[dy] * taps[dx]
                        cover += w
                        r += w * colour[y, x, 0]
                        g += w * colour[y, x, 1]
                        b += w * colour[y, x, 2]
                        if 1 <= dy <= 2 and 1 <= dx <= 2:
                            inside += 1
                            near = min(near, depth[y, x])
            alpha[row, col] = cover
            depth_out[row, col] = near if inside >= 2 else room_depth[row, col]
            s = shadow[row, col]
            keep = 1 - cover
            r += keep * room[row, col, 0] * s
            g += keep * room[row, col, 1] * s
            b += keep * room[row, col, 2] * s
            n = grain[row, col]
            image[row, col, 0] = np.uint8(min(max(to_srgb[min(int(r * 4095.0), 4095)] + n, 0.0), 255.0))
            image[row, col, 1] = np.uint8(min(max(to_srgb[min(int(g * 4095.0), 4095)] + n, 0.0), 255.0))
            image[row, col, 2] = np.uint8(min(max(to_srgb[min(int(b * 4095.0), 4095)] + n, 0.0), 255.0))
