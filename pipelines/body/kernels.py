"""Compiled inner loops of the body: skinning, normals, drawing the atlas."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def global_frames(parents, rest_joints, rotations, root_translation):  # type: ignore[no-untyped-def]
    """Joint frames of one pose: (J, 3, 3) global rotations and (J, 3) positions."""
    count = len(parents)
    frames = np.empty((count, 3, 3))
    places = np.empty((count, 3))
    for j in range(count):
        parent = parents[j]
        if parent < 0:
            for a in range(3):
                places[j, a] = root_translation[a]
                for b in range(3):
                    frames[j, a, b] = rotations[j, a, b]
            continue
        for a in range(3):
            place = places[parent, a]
            for b in range(3):
                place += frames[parent, a, b] * (rest_joints[j, b] - rest_joints[parent, b])
                total = 0.0
                for c in range(3):
                    total += frames[parent, a, c] * rotations[j, c, b]
                frames[j, a, b] = total
            places[j, a] = place
    return frames, places


@njit(cache=True)
def skinned(verts, rest_joints, frames, places, skin_indices, skin_weights):  # type: ignore[no-untyped-def]
    """(V, 3) linear blend skinning: sum over k of w_k (G_k (v - rest_k) + p_k)."""
    offsets = np.empty_like(places)
    for j in range(len(places)):
        for a in range(3):
            total = places[j, a]
            for b in range(3):
                total -= frames[j, a, b] * rest_joints[j, b]
            offsets[j, a] = total
    posed = np.empty_like(verts)
    for i in range(len(verts)):
        x, y, z = 0.0, 0.0, 0.0
        for k in range(skin_indices.shape[1]):
            w = skin_weights[i, k]
            if w == 0.0:
                continue
            j = skin_indices[i, k]
            x += w * (frames[j, 0, 0] * verts[i, 0] + frames[j, 0, 1] * verts[i, 1] + frames[j, 0, 2] * verts[i, 2]
                      + offsets[j, 0])
            y += w * (frames[j, 1, 0] * verts[i, 0] + frames[j, 1, 1] * verts[i, 1] + frames[j, 1, 2] * verts[i, 2]
                      + offsets[j, 1])
            z += w * (frames[j, 2, 0] * verts[i, 0] + frames[j, 2, 1] * verts[i, 1] + frames[j, 2, 2] * verts[i, 2]
                      + offsets[j, 2])
        posed[i, 0], posed[i, 1], posed[i, 2] = x, y, z
    return posed


@njit(cache=True)
def area_normals(verts, faces):  # type: ignore[no-untyped-def]
    """(V, 3) unit vertex normals; zero for vertices without a face of area."""
    normals = np.zeros((len(verts), 3))
    for t in range(len(faces)):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        ux, uy, uz = verts[b, 0] - verts[a, 0], verts[b, 1] - verts[a, 1], verts[b, 2] - verts[a, 2]
        vx, vy, vz = verts[c, 0] - verts[a, 0], verts[c, 1] - verts[a, 1], verts[c, 2] - verts[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in range(3):
            i = faces[t, corner]
            normals[i, 0] += nx
            normals[i, 1] += ny
            normals[i, 2] += nz
    for i in range(len(verts)):
        length = np.sqrt(normals[i, 0] ** 2 + normals[i, 1] ** 2 + normals[i, 2] ** 2)
        if length > 0.0:
            for a in range(3):
                normals[i, a] /= length
    return normals


@njit(cache=True)
def draw_triangles(corners, size):  # type: ignore[no-untyped-def]
    """(size, size) int32: the triangle over each texel's centre, -1 where none is.

    corners (T, 3, 2) in texels from the top-left corner, either sense of rotation
    """
    drawn = np.full((size, size), -1, np.int32)
    for t in range(len(corners)):
        x0, y0 = corners[t, 0, 0], corners[t, 0, 1]
        x1, y1 = corners[t, 1, 0], corners[t, 1, 1]
        x2, y2 = corners[t, 2, 0], corners[t, 2, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area == 0.0:
            continue
        left = max(0, int(np.floor(min(x0, x1, x2) - 0.5)))
        right = min(size - 1, int(np.ceil(max(x0, x1, x2) - 0.5)))
        top = max(0, int(np.floor(min(y0, y1, y2) - 0.5)))
        bottom = min(size - 1, int(np.ceil(max(y0, y1, y2) - 0.5)))
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                x, y = column + 0.5, row + 0.5
                a = ((x1 - x) * (y2 - y) - (x2 - x) * (y1 - y)) / area
                b = ((x2 - x) * (y0 - y) - (x0 - x) * (y2 - y)) / area
                if a >= 0.0 and b >= 0.0 and a + b <= 1.0:
                    drawn[row, column] = t
    return drawn


@njit(cache=True)
def nearest_drawn(drawn, reach):  # type: ignore[no-untyped-def]
    """For each texel row and column of the nearest one that is drawn (>= 0), and whether it lies within `reach`.

    Texels with nothing in reach keep their own place.
    """
    size = len(drawn)
    rows = np.empty((size, size), np.int64)
    columns = np.empty((size, size), np.int64)
    near = np.zeros((size, size), np.bool_)
    steps = int(np.floor(reach))
    for row in range(size):
        for column in range(size):
            rows[row, column], columns[row, column] = row, column
            best = reach * reach + 1e-9
            if drawn[row, column] >= 0:
                near[row, column] = True
                continue
            for r in range(max(0, row - steps), min(size, row + steps + 1)):
                for c in range(max(0, column - steps), min(size, column + steps + 1)):
                    distance = (r - row) ** 2 + (c - column) ** 2
                    if drawn[r, c] >= 0 and distance <= best and (not near[row, column] or distance < best):
                        best = distance
                        rows[row, column], columns[row, column] = r, c
                        near[row, column] = True
    return rows, columns, near


@njit(cache=True)
def smallest_distances(places, points):  # type: ignore[no-untyped-def]
    """(N,) how far each of the places (N, 2) is from the nearest of the points (M, 2)."""
    smallest = np.empty(len(places))
    for i in range(len(places)):
        best = np.inf
        for j in range(len(points)):
            best = min(best, (places[i, 0] - points[j, 0]) ** 2 + (places[i, 1] - points[j, 1]) ** 2)
        smallest[i] = np.sqrt(best)
    return smallest


@njit(cache=True)
def connected_labels(faces, count):  # type: ignore[no-untyped-def]
    """(count,) int32: vertices joined by faces (T, 3) share a label; labels count up from 0 in order of vertices."""
    parent = np.arange(count)
    for t in range(len(faces)):
        for k in range(2):
            a, b = faces[t, k], faces[t, k + 1]
            while parent[a] != a:
                parent[a] = parent[parent[a]]
                a = parent[a]
            while parent[b] != b:
                parent[b] = parent[parent[b]]
                b = parent[b]
            if a < b:
                parent[b] = a
            else:
                parent[a] = b
    labels = np.empty(count, np.int32)
    found = 0
    for i in range(count):
        root = i
        while parent[root] != root:
            root = parent[root]
        if root == i:
            labels[i] = found
            found += 1
        else:
            labels[i] = labels[root]
    return labels
