"""Unwraps the coarse body into one square."""

from __future__ import annotations

import numpy as np


def make_atlas(verts: np.ndarray, faces: np.ndarray, face_region: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uvs (U, 2) and face_uvs (T, 3): each region's front and back, seen along z."""
    corners = verts[faces]
    back = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] < 0
    charts = []
    for region in np.unique(face_region):
        for side in (False, True):
            inside = np.flatnonzero((face_region == region) & (back == side))
            used = np.unique(faces[inside])
            flat = verts[used][:, :2] * [-1 if side else 1, -1]
            flat = (flat - flat.min(0)) * (2.0 if region in (0, 8, 9) else 1.0)
            charts.append((inside, used, flat))
    charts.sort(key=lambda chart: -chart[2][:, 1].max())
    uvs, face_uvs, count = [], np.zeros(faces.shape, int), 0
    x = y = row = 0.0
    width, gutter = 1.35, 0.025
    for inside, used, flat in charts:
        if x + flat[:, 0].max() > width:
            x, y, row = 0.0, y + row + gutter, 0.0
        uvs.append(flat + np.array([x, y]))
        x, row = x + flat[:, 0].max() + gutter, max(row, flat[:, 1].max())
        face_uvs[inside] = count + np.searchsorted(used, faces[inside])
        count += len(used)
    placed = np.concatenate(uvs)
    return placed / (placed.max() * 1.03) + 0.012, face_uvs
