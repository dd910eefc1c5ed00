"""What light makes of a person's surface: its colour at every sample, light once per pixel where it is one (numba)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from pipelines.studio.cloth import cloth_colour, noise

_FAST: Any = dict(cache=True, nogil=True, error_model="numpy", fastmath=True)
_SKIN, _EYE, _HAIR, _LEATHER = 0, 2, 3, 4  # as in materials.py
_AGREE = np.float32(0.07)  # two samples agree within this share of their sum
_ONE_SURFACE_M = 0.02  # samples of a pixel within this depth are lit together


class Surface(NamedTuple):
    """A posed person, for the shader."""

    faces: np.ndarray  # (T, 3)
    material: np.ndarray  # (T,)
    verts: np.ndarray  # (V, 18) float32, one row of memory each: see `packed`
    uvs: np.ndarray  # (U, 2)
    face_uvs: np.ndarray  # (T_skin, 3)
    texture: np.ndarray  # (H, W, 3) linear
    print_front: np.ndarray
    print_back: np.ndarray
    cut: np.ndarray  # lengths of the clothes, colours (garments, 2, 3): see cloth.cloth_colour
    leg: np.ndarray
    colours: np.ndarray


class Lit(NamedTuple):
    """A light and where the camera is, for the shader."""

    eye: np.ndarray  # (3,) the camera's centre, world
    towards: np.ndarray  # (3,) to the key light
    key: np.ndarray  # (3,) linear colours
    sky: np.ndarray
    ground: np.ndarray
    rows: np.ndarray  # (3, 4) world point -> column, row, depth of the light's map
    nearness: np.ndarray  # (h, w) of that map, 0 = nothing there
    softness: float  # cells


@njit(**_FAST)
def roughness(rest, cloth, out):  # type: ignore[no-untyped-def]
    """out (V, 3): a little unevenness of cloth, in the slope of a smooth noise; 0 elsewhere. Once per person."""
    for v in range(len(rest)):
        if cloth[v]:
            x, y, z = rest[v, 0] * 45, rest[v, 1] * 32, rest[v, 2] * 45
            base = noise(x, y, z)
            out[v, 0] = 0.16 * (noise(x + 0.35, y, z) - base)
            out[v, 1] = 0.16 * (noise(x, y + 0.35, z) - base)
            out[v, 2] = 0.16 * (noise(x, y, z + 0.35) - base)


@njit(**_FAST)
def _reached(nearness, i, j, limit):  # type: ignore[no-untyped-def]
    """1 where nothing in a cell of the light's map is nearer than `limit`."""
    h, w = nearness.shape
    if i < 0 or j < 0 or i >= w or j >= h:
        return 1.0
    return 1.0 if nearness[j, i] < limit else 0.0


@njit(**_FAST)
def _light_share(column, row, limit, nearness, softness):  # type: ignore[no-untyped-def]
    """Share of a neighbourhood of the light's map that does not hide a point: nine bilinear looks at most."""
    x, y = column - 0.5, row - 0.5
    i, j = math.floor(x), math.floor(y)
    reach = int(softness + 1.0)
    first = _reached(nearness, i, j, limit)
    corners = (
        _reached(nearness, i - reach, j - reach, limit)
        + _reached(nearness, i + 1 + reach, j - reach, limit)
        + _reached(nearness, i - reach, j + 1 + reach, limit)
        + _reached(nearness, i + 1 + reach, j + 1 + reach, limit)
    )
    if corners == 4.0 * first and _reached(nearness, i + 1, j + 1, limit) == first:
        return first  # all alike: far from any shadow's edge
    total = 0.0
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            u, v = x + dx * softness, y + dy * softness
            i, j = math.floor(u), math.floor(v)
            fx, fy = u - i, v - j
            total += (_reached(nearness, i, j, limit) * (1 - fx) + _reached(nearness, i + 1, j, limit) * fx) * (1 - fy)
            total += (
                _reached(nearness, i, j + 1, limit) * (1 - fx) + _reached(nearness, i + 1, j + 1, limit) * fx
            ) * fy
    return total / 9.0


@njit(**_FAST)
def _texel(texture, u, v):  # type: ignore[no-untyped-def]
    """Bilinear r, g, b of a texture at u, v in 0..1."""
    th, tw = texture.shape[0], texture.shape[1]
    u, v = u * tw - 0.5, v * th - 0.5
    i, j = min(max(int(u), 0), tw - 2), min(max(int(v), 0), th - 2)
    fu, fv = u - i, v - j
    a, b, c, d = (1 - fu) * (1 - fv), fu * (1 - fv), (1 - fu) * fv, fu * fv
    r = a * texture[j, i, 0] + b * texture[j, i + 1, 0] + c * texture[j + 1, i, 0] + d * texture[j + 1, i + 1, 0]
    g = a * texture[j, i, 1] + b * texture[j, i + 1, 1] + c * texture[j + 1, i, 1] + d * texture[j + 1, i + 1, 1]
    bl = a * texture[j, i, 2] + b * texture[j, i + 1, 2] + c * texture[j + 1, i, 2] + d * texture[j + 1, i + 1, 2]
    return r, g, bl


@njit(**_FAST)
def packed(seen, normals, verts, still, out):  # type: ignore[no-untyped-def]
    """out (V, 18): column, row, nearness; normal with the cloth's unevenness; place in the world; then `still`.

    still  (V, 12): unevenness (3), place at rest (3), z of the normal at rest, share of the sky, tint (3), 0
    """
    for v in range(len(seen)):
        for k in range(3):
            out[v, k] = seen[v, k]
            out[v, 3 + k] = normals[v, k] + still[v, k]
            out[v, 6 + k] = verts[v, k]
        for k in range(3, 12):
            out[v, 6 + k] = still[v, k]


@njit(inline='always', **_FAST)
def _sample(s, t, column, row, q, samples, albedo):  # type: ignore[no-untyped-def]
    """One sample of the fine picture into row q of samples (4, 7): normal, place, sky; and of albedo (4, 3)."""
    p = s.verts
    a, b, c = s.faces[t, 0], s.faces[t, 1], s.faces[t, 2]
    ax, ay, bx, by, cx, cy = p[a, 0], p[a, 1], p[b, 0], p[b, 1], p[c, 0], p[c, 1]
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    wb = ((column - ax) * (cy - ay) - (row - ay) * (cx - ax)) / area
    wc = ((bx - ax) * (row - ay) - (by - ay) * (column - ax)) / area
    wa, wb, wc = (1 - wb - wc) * p[a, 2], wb * p[b, 2], wc * p[c, 2]
    whole = 1 / (wa + wb + wc)
    wa, wb, wc = np.float32(wa * whole), np.float32(wb * whole), np.float32(wc * whole)
    for k in range(6):
        samples[q, k] = wa * p[a, 3 + k] + wb * p[b, 3 + k] + wc * p[c, 3 + k]
    samples[q, 6] = wa * p[a, 13] + wb * p[b, 13] + wc * p[c, 13]
    m = s.material[t]
    if m == _SKIN:
        ua, ub, uc = s.face_uvs[t, 0], s.face_uvs[t, 1], s.face_uvs[t, 2]
        u = wa * s.uvs[ua, 0] + wb * s.uvs[ub, 0] + wc * s.uvs[uc, 0]
        v = wa * s.uvs[ua, 1] + wb * s.uvs[ub, 1] + wc * s.uvs[uc, 1]
        albedo[q, 0], albedo[q, 1], albedo[q, 2] = _texel(s.texture, u, v)
        return
    if m <= _LEATHER:
        for k in range(3):
            albedo[q, k] = wa * p[a, 14 + k] + wb * p[b, 14 + k] + wc * p[c, 14 + k]
        if m != _HAIR:
            return
    x = wa * p[a, 9] + wb * p[b, 9] + wc * p[c, 9]
    y = wa * p[a, 10] + wb * p[b, 10] + wc * p[c, 10]
    z = wa * p[a, 11] + wb * p[b, 11] + wc * p[c, 11]
    if m == _HAIR:
        rough = noise(x * 420, y * 70, z * 420)
        samples[q, 0] += 0.35 * rough
        samples[q, 1] += 0.25 * rough
        samples[q, 2] += 0.35 * noise(x * 300 + 7, y * 60, z * 300)
        return
    side = wa * p[a, 12] + wb * p[b, 12] + wc * p[c, 12]
    albedo[q, 0], albedo[q, 1], albedo[q, 2] = cloth_colour(
        m, x, y, z, side, s.cut, s.leg, s.colours, s.print_front, s.print_back
    )


@njit(inline='always', **_FAST)
def _light_on(m, q, samples, lit):  # type: ignore[no-untyped-def]
    """Light r, g, b that falls on row q of samples (., 7), and what its gloss reflects."""
    nx, ny, nz = samples[q, 0], samples[q, 1], samples[q, 2]
    px, py, pz, open_sky = samples[q, 3], samples[q, 4], samples[q, 5], samples[q, 6]
    length = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
    nx, ny, nz = nx / length, ny / length, nz / length
    ex, ey, ez = lit.eye[0] - px, lit.eye[1] - py, lit.eye[2] - pz
    length = math.sqrt(ex * ex + ey * ey + ez * ez)
    ex, ey, ez = ex / length, ey / length, ez / length
    facing = nx * ex + ny * ey + nz * ez
    if facing < -0.2:
        nx, ny, nz, facing = -nx, -ny, -nz, -facing
        open_sky *= 0.55
    lambert = nx * lit.towards[0] + ny * lit.towards[1] + nz * lit.towards[2]
    wrap_r = wrap_g = wrap_b = 0.08
    gloss, sharp, bias = 0.0, 20.0, 0.010
    if m == _SKIN:
        wrap_r, wrap_g, wrap_b = 0.30, 0.14, 0.08
        gloss, sharp = 0.05, 14.0
    elif m == _EYE:
        gloss, sharp = 0.9, 180.0
    elif m == _HAIR:
        wrap_r = wrap_g = wrap_b = 0.35
        sharp, bias = 12.0, 0.022
    elif m == _LEATHER:
        gloss = 0.06
    share = 0.0
    if lambert + wrap_r > 0:
        x, y, z = px + nx * 0.006, py + ny * 0.006, pz + nz * 0.006
        r = lit.rows
        column = r[0, 0] * x + r[0, 1] * y + r[0, 2] * z + r[0, 3]
        row = r[1, 0] * x + r[1, 1] * y + r[1, 2] * z + r[1, 3]
        depth = r[2, 0] * x + r[2, 1] * y + r[2, 2] * z + r[2, 3]
        share = _light_share(column, row, 100.0 - depth + bias, lit.nearness, lit.softness)
    up = 0.5 + 0.5 * ny
    fill = (0.14 + 0.86 * open_sky) * (0.80 + 0.20 * max(facing, 0.0))
    direct_r = max(0.0, (lambert + wrap_r) / (1 + wrap_r)) * share
    direct_g = max(0.0, (lambert + wrap_g) / (1 + wrap_g)) * share
    direct_b = max(0.0, (lambert + wrap_b) / (1 + wrap_b)) * share
    sheen, shine = 1.0, 0.0
    if share > 0 and (gloss > 0 or m == _HAIR):
        hx, hy, hz = ex + lit.towards[0], ey + lit.towards[1], ez + lit.towards[2]
        length = math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9
        half = max(0.0, (nx * hx + ny * hy + nz * hz) / length) ** sharp * share
        if m == _HAIR:  # hair shines in its own colour
            sheen = 1.0 + 0.9 * half
        shine = gloss * half
    light_r = sheen * (lit.key[0] * direct_r + fill * (lit.sky[0] * up + lit.ground[0] * (1 - up)))
    light_g = sheen * (lit.key[1] * direct_g + fill * (lit.sky[1] * up + lit.ground[1] * (1 - up)))
    light_b = sheen * (lit.key[2] * direct_b + fill * (lit.sky[2] * up + lit.ground[2] * (1 - up)))
    return light_r, light_g, light_b, shine


@njit(**_FAST)
def shade(face_index, nearness, x0, y0, s, lit, out):  # type: ignore[no-untyped-def]
    """out (h, w, 3) float32: linear colour of every covered sample of the window that starts at x0, y0.

    face_index, nearness  (h, w) from `drawing.draw_nearest`, h and w even: two by two samples are one pixel
    s, lit                a `Surface` and a `Lit`
    """
    height, width = face_index.shape
    samples, albedo = np.empty((5, 7), np.float32), np.empty((4, 3), np.float32)  # the fifth is the mean
    for top in range(0, height, 2):
        for left in range(0, width, 2):
            covered, material = 0, -1
            far, near, alike = 0.0, 1e9, True
            for q in range(4):
                row, col = top + q // 2, left + q % 2
                t = face_index[row, col]
                if t < 0:
                    continue
                covered += 1
                m = np.int64(s.material[t])
                alike = alike and (material < 0 or m == material)
                material = m
                far, near = max(far, nearness[row, col]), min(near, nearness[row, col])
            if covered == 0:
                continue
            if covered == 4 and alike and 1 / near - 1 / far < _ONE_SURFACE_M and material != _EYE:
                _one_surface(face_index, x0 + left, y0 + top, top, left, material, s, lit, samples, albedo, out)
                continue
            for q in range(4):
                row, col = top + q // 2, left + q % 2
                t = face_index[row, col]
                if t >= 0:
                    _sample(s, t, x0 + col + 0.5, y0 + row + 0.5, q, samples, albedo)
                    r, g, b, shine = _light_on(np.int64(s.material[t]), q, samples, lit)
                    out[row, col, 0] = albedo[q, 0] * r + shine
                    out[row, col, 1] = albedo[q, 1] * g + shine
                    out[row, col, 2] = albedo[q, 2] * b + shine


@njit(inline='always', **_FAST)
def _one_surface(face_index, x, y, top, left, material, s, lit, samples, albedo, out):  # type: ignore[no-untyped-def]
    """Two by two samples that see one surface: lit together; two of them tell the colour where they agree."""
    flat = False
    for turn in range(4):
        q = 3 * turn if turn < 2 else turn - 1  # 0 and 3 lie across from each other
        if turn == 2:
            differs = 0.0
            for k in range(3):
                differs = max(differs, abs(albedo[0, k] - albedo[3, k]) - _AGREE * (albedo[0, k] + albedo[3, k]))
            flat = differs <= 0.0
            if flat:
                break
        t = face_index[top + q // 2, left + q % 2]
        _sample(s, t, x + q % 2 + 0.5, y + q // 2 + 0.5, q, samples, albedo)
    for k in range(7):
        samples[4, k] = 0.5 * (samples[0, k] + samples[3, k])
        if not flat:
            samples[4, k] = 0.5 * samples[4, k] + 0.25 * (samples[1, k] + samples[2, k])
    r, g, b, shine = _light_on(material, 4, samples, lit)
    for q in range(4):
        for k in range(3):
            colour = 0.5 * (albedo[0, k] + albedo[3, k]) if flat else albedo[q, k]
            out[top + q // 2, left + q % 2, k] = colour * (r, g, b)[k] + shine
