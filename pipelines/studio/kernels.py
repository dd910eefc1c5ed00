"""The studio's inner loops, compiled by numba: skinning with folds, and normals."""

from __future__ import annotations

import math
from typing import Any

from numba import njit

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
