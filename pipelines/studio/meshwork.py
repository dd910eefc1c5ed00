"""Mesh operations of the bake: smoothing, subdivision, clipping, nearest surface points; noise also serves the room."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class Layer:
    """One piece of a person, at rest: skin, a garment, a shoe, hair."""

    verts: np.ndarray  # (V, 3) metres, y up, facing +z
    faces: np.ndarray  # (T, 3) int
    weights: np.ndarray  # (V, J) dense skinning weights
    material: int
    tint: np.ndarray  # (V, 3) sRGB 0..1; what materials without a pattern of their own show
    folds: np.ndarray | None = None  # (V, K) metres along the normal when a fold is fully driven
    uvs: np.ndarray | None = None  # (U, 2)
    face_uvs: np.ndarray | None = None  # (T, 3)


def normals_of(verts: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted vertex normals (V, 3), unit length."""
    flat = np.cross(verts[faces[:, 1]] - verts[faces[:, 0]], verts[faces[:, 2]] - verts[faces[:, 0]])
    total = np.zeros_like(verts)
    for corner in range(3):
        np.add.at(total, faces[:, corner], flat)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)


def averaging(faces: np.ndarray, count: int):
    """(V, V) sparse matrix that replaces each vertex by the mean of its neighbours (itself where it has none)."""
    import scipy.sparse as sp

    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    both = np.concatenate([edges, edges[:, ::-1]])
    links = sp.coo_matrix((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(count, count)).tocsr()
    links.data[:] = 1.0
    degree = np.asarray(links.sum(1)).ravel()
    alone = sp.diags((degree == 0).astype(float))
    return sp.diags(1.0 / np.maximum(degree, 1)) @ links + alone


def boundary_vertices(faces: np.ndarray, count: int) -> np.ndarray:
    """(V,) bool: on an edge that only one face has."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    unique, uses = np.unique(edges, axis=0, return_counts=True)
    on_rim = np.zeros(count, bool)
    on_rim[unique[uses == 1].ravel()] = True
    return on_rim


def turned_in(faces: np.ndarray, verts: np.ndarray, weights: np.ndarray, depth_m: float) -> tuple[np.ndarray, ...]:
    """A mesh whose rims are turned inwards by `depth_m`, as hems are: faces, verts, weights."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    _, first, uses = np.unique(np.sort(edges, axis=1), axis=0, return_index=True, return_counts=True)
    rim = edges[first[uses == 1]]  # as their faces go round them
    used, local = np.unique(rim, return_inverse=True)
    a, b = (len(verts) + local.reshape(-1, 2)).T
    strip = np.concatenate([np.stack([rim[:, 1], rim[:, 0], a], 1), np.stack([rim[:, 1], a, b], 1)])
    inner = verts[used] - depth_m * normals_of(verts, faces)[used]
    return np.concatenate([faces, strip]), np.concatenate([verts, inner]), np.concatenate([weights, weights[used]])


def submesh(keep: np.ndarray, faces: np.ndarray, *rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """Faces where `keep` (T,) holds, renumbered, and the rows of per-vertex arrays they still use."""
    kept = faces[keep]
    used, local = np.unique(kept, return_inverse=True)
    return (local.reshape(-1, 3), *(row[used] for row in rows))


def subdivide(faces: np.ndarray, *rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """Each triangle becomes four; per-vertex arrays are averaged along edges and smoothed at old vertices.

    source  C. Loop, Smooth subdivision surfaces based on triangles (1987), interior mask; rims keep their place
    """
    count = len(rows[0])
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    unique, which = np.unique(edges, axis=0, return_inverse=True)
    ab, bc, ca = (count + part for part in np.split(which.ravel(), 3))
    a, b, c = faces.T
    finer = np.concatenate([np.stack(t, 1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
    mean = averaging(faces, count)
    inner = ~boundary_vertices(faces, count)
    results = []
    for row in rows:
        old = np.where(inner.reshape((-1,) + (1,) * (row.ndim - 1)), 0.625 * row + 0.375 * (mean @ row), row)
        results.append(np.concatenate([old, row[unique].mean(1)]))
    return (finer, *results)


def clip(faces: np.ndarray, inside: np.ndarray, *rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """The part of a mesh where the per-vertex scalar `inside` is positive, cut along its zero line."""
    inside = np.where(np.abs(inside) < 1e-6, 1e-6, inside)
    count = len(inside)
    cut_at: dict[tuple[int, int], int] = {}
    ends: list[tuple[int, int, float]] = []

    def crossing(a: int, b: int) -> int:
        key = (min(a, b), max(a, b))
        if key not in cut_at:
            cut_at[key] = count + len(ends)
            ends.append((a, b, inside[a] / (inside[a] - inside[b])))
        return cut_at[key]

    positive = inside[faces] > 0
    whole = faces[positive.all(1)]
    pieces: list[tuple[int, int, int]] = []
    for face in faces[positive.any(1) & ~positive.all(1)]:
        polygon: list[int] = []
        for here, there in zip(face, np.roll(face, -1)):
            if inside[here] > 0:
                polygon.append(int(here))
            if (inside[here] > 0) != (inside[there] > 0):
                polygon.append(crossing(int(here), int(there)))
        pieces.extend((polygon[0], polygon[k], polygon[k + 1]) for k in range(1, len(polygon) - 1))
    everything = np.concatenate([whole, np.array(pieces, int).reshape(-1, 3)])
    if ends:
        first, second, share = (np.array(part) for part in zip(*ends))
        grown = []
        for row in rows:
            weight = share.reshape((-1,) + (1,) * (row.ndim - 1))
            grown.append(np.concatenate([row, row[first] * (1 - weight) + row[second] * weight]))
        rows = tuple(grown)
    return submesh(np.ones(len(everything), bool), everything, *rows)


class Hull:
    """Signed distance from a surface, near it, from densely spread points with normals."""

    def __init__(self, verts: np.ndarray, faces: np.ndarray) -> None:
        from scipy.spatial import cKDTree

        normals = normals_of(verts, faces)
        middles = verts[faces].mean(1)
        flat = normals[faces].mean(1)
        self.points = np.concatenate([verts, middles])
        self.normals = np.concatenate([normals, flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)])
        used = np.zeros(len(verts), bool)
        used[faces] = True
        self.rows = np.flatnonzero(np.concatenate([used, np.ones(len(faces), bool)]))
        self.points, self.normals = self.points[self.rows], self.normals[self.rows]
        self.tree = cKDTree(self.points)

    def push_out(self, points: np.ndarray, least: np.ndarray | float, near: float = np.inf) -> np.ndarray:
        """Points moved along the nearest normals until they are `least` metres outside; those beyond `near` stay."""
        distance, near_rows = self.tree.query(points, k=4)
        gap = np.einsum("pkc,pkc->pk", points[:, None] - self.points[near_rows], self.normals[near_rows])
        pick = near_rows[np.arange(len(points)), gap.argmax(1)]
        lack = np.where(distance[:, 0] < near, np.maximum(0.0, least - gap.max(1)), 0.0)
        return points + lack[:, None] * self.normals[pick]

    def nearest(self, points: np.ndarray) -> np.ndarray:
        """(P,) index into `points` of this hull."""
        return self.tree.query(points)[1]


def join(layers: list[Layer], folds: int) -> Layer:
    """One mesh from many layers; materials come back as (T,) from `face_materials`."""
    starts = np.cumsum([0] + [len(layer.verts) for layer in layers])
    empty = [np.zeros((len(layer.verts), folds)) if layer.folds is None else layer.folds for layer in layers]
    first = layers[0]
    return replace(
        first,
        verts=np.concatenate([layer.verts for layer in layers]),
        faces=np.concatenate([layer.faces + start for layer, start in zip(layers, starts)]),
        weights=np.concatenate([layer.weights for layer in layers]),
        tint=np.concatenate([layer.tint for layer in layers]),
        folds=np.concatenate(empty),
    )


def value_noise(points: np.ndarray, seed: int = 0) -> np.ndarray:
    """Smooth noise (P,) in -1..1 with one feature per unit of length."""
    cell = np.floor(points).astype(np.int64)
    t = points - cell
    t = t * t * (3 - 2 * t)
    total = np.zeros(len(points))
    for corner in range(8):
        step = np.array([corner & 1, corner >> 1 & 1, corner >> 2 & 1])
        h = (cell + step) @ np.array([73856093, 19349663, 83492791]) + seed * 2654435761
        h = (h ^ (h >> 13)) * 1274126177 & 0x7FFFFFFF
        h = (h ^ (h >> 16)) & 0xFFFF
        weight = np.prod(np.where(step == 1, t, 1 - t), axis=1)
        total += weight * (h / 32767.5 - 1.0)
    return total
