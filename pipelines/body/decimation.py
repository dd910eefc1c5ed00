"""Makes a closed triangle mesh coarse by half-edge collapses, so the vertices left are a subset of the given ones.

Left and right collapse together: what is removed on one side is removed on the other, and the coarse mesh is as
symmetric as the fine one. Used at bake time only.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

SMALLEST_ANGLE_DEG = 14.0       # a collapse may not make a triangle sharper than this (unless it was already)
STEEPEST_TURN_COS = 0.35        # a collapse may not turn a triangle further than this
MOST_NEIGHBOURS = 9
LENGTH_WEIGHT = 0.004           # of long edges beside surface error; less gives slivers and long edges on limbs

Face = tuple[int, int, int]


@dataclass
class _Mesh:
    verts: np.ndarray                   # (V, 3)
    faces: dict[int, Face]
    faces_of: list[set[int]]
    next_face: int

    def remove(self, index: int) -> Face:
        face = self.faces.pop(index)
        for v in face:
            self.faces_of[v].discard(index)
        return face

    def add(self, index: int, face: Face) -> None:
        self.faces[index] = face
        for v in face:
            self.faces_of[v].add(index)

    def neighbours(self, v: int) -> set[int]:
        return {w for index in self.faces_of[v] for w in self.faces[index]} - {v}


def decimate(
    verts: np.ndarray, faces: np.ndarray, mirror: np.ndarray, edge_m: np.ndarray, vertex_count: int
) -> tuple[np.ndarray, np.ndarray]:
    """A coarse mesh with exactly `vertex_count` of the given vertices.

    verts     (V, 3) metres, left and right mirrored in x
    faces     (T, 3) closed and manifold
    mirror    (V,) for each vertex the one on the other side; itself on the middle line
    edge_m    (V,) about how long edges should become there; short values keep vertices
    returns   (vertex_count,) kept vertex numbers in ascending order, and faces (2 * vertex_count - 4, 3) into them
    source    Garland and Heckbert, Surface Simplification Using Quadric Error Metrics, SIGGRAPH 1997, plus a term
              for edge length, without which limbs get 10 cm edges and 5 degree slivers
    """
    mesh = _Mesh(verts, dict(enumerate(map(tuple, faces.tolist()))), [set() for _ in verts], len(faces))
    for index, face in mesh.faces.items():
        for v in face:
            mesh.faces_of[v].add(index)
    quadrics = _vertex_quadrics(verts, faces)
    versions = [0] * len(verts)
    heap: list[tuple[float, int, int, int, int]] = []

    def push(u: int, v: int) -> None:
        """Offers the collapse of u into v."""
        if v == mirror[u] or (mirror[u] == u and mirror[v] != v):
            return
        quadric = quadrics[u] + quadrics[v]
        place = np.append(verts[v], 1.0)
        area = _ring_area(mesh, u)
        ring = np.fromiter(mesh.neighbours(u), int)
        longest = np.sqrt(((verts[ring] - verts[v]) ** 2).sum(1)).max() / (0.5 * (edge_m[u] + edge_m[v]))
        cost = float(place @ quadric @ place) / (edge_m[u] * edge_m[v]) + LENGTH_WEIGHT * area * longest**3
        heapq.heappush(heap, (cost / (edge_m[u] * edge_m[v]), u, v, versions[u], versions[v]))

    for u in range(len(verts)):
        for v in mesh.neighbours(u):
            push(u, v)

    left = len(verts)
    while left > vertex_count:
        if not heap:
            raise ValueError(f"cannot go below {left} vertices; {vertex_count} asked for")
        _, u, v, version_u, version_v = heapq.heappop(heap)
        if versions[u] != version_u or versions[v] != version_v or versions[u] < 0:
            continue
        pairs = [(u, v)] if mirror[u] == u else [(u, v), (int(mirror[u]), int(mirror[v]))]
        if left - len(pairs) < vertex_count or not _collapse_all(mesh, pairs):
            continue
        left -= len(pairs)
        touched = set()
        for gone, kept in pairs:
            quadrics[kept] = quadrics[kept] + quadrics[gone]
            versions[gone] = -1
            touched |= {kept} | mesh.neighbours(kept)
        for w in touched:
            versions[w] += 1
        for w in touched:
            for other in mesh.neighbours(w):
                push(w, other)
                if other not in touched:
                    push(other, w)

    vertices = np.array(sorted({v for face in mesh.faces.values() for v in face}))
    place = np.full(len(verts), -1)
    place[vertices] = np.arange(len(vertices))
    return vertices, place[np.array(sorted(mesh.faces.values()))].astype(np.int32)


def _collapse_all(mesh: _Mesh, pairs: list[tuple[int, int]]) -> bool:
    """Collapses each (gone, kept) pair, or none of them; says which."""
    undo: list[tuple[list[int], list[tuple[int, Face]]]] = []
    for gone, kept in pairs:
        if not _allowed(mesh, gone, kept):
            for added, removed in reversed(undo):
                for index in added:
                    mesh.remove(index)
                for index, face in removed:
                    mesh.add(index, face)
            return False
        removed = [(index, mesh.faces[index]) for index in sorted(mesh.faces_of[gone])]
        added = []
        for index, _ in removed:
            mesh.remove(index)
        for _, face in removed:
            if kept not in face:
                a, b, c = (kept if v == gone else v for v in face)
                mesh.add(mesh.next_face, (a, b, c))
                added.append(mesh.next_face)
                mesh.next_face += 1
        undo.append((added, removed))
    return True


def _allowed(mesh: _Mesh, gone: int, kept: int) -> bool:
    """Whether the collapse keeps the surface closed, unfolded and free of slivers."""
    ring, other = mesh.neighbours(gone), mesh.neighbours(kept)
    shared = ring & other
    if kept not in ring or len(shared) != 2 or not 3 <= len(ring | other) - 2 <= MOST_NEIGHBOURS:
        return False
    if any(len(mesh.faces_of[w]) <= 3 for w in shared):
        return False
    faces = np.array([mesh.faces[index] for index in mesh.faces_of[gone]])
    stay = faces[~(faces == kept).any(1)]
    before = mesh.verts[stay]
    after = mesh.verts[np.where(stay == gone, kept, stay)]
    normal_before, normal_after = _normals(before), _normals(after)
    turn = (normal_before * normal_after).sum(1)
    scale = np.linalg.norm(normal_before, axis=1) * np.linalg.norm(normal_after, axis=1)
    if (turn <= STEEPEST_TURN_COS * scale).any():
        return False
    limit = np.minimum(np.deg2rad(SMALLEST_ANGLE_DEG), _smallest_angles(before).min())
    return not (_smallest_angles(after) < limit).any()


def _normals(corners: np.ndarray) -> np.ndarray:
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def _smallest_angles(corners: np.ndarray) -> np.ndarray:
    """(T,) the sharpest angle of each triangle, radians."""
    sides = np.roll(corners, -1, axis=1) - corners
    sides = sides / np.maximum(np.linalg.norm(sides, axis=2, keepdims=True), 1e-12)
    return np.arccos(np.clip(-(sides * np.roll(sides, 1, axis=1)).sum(2), -1, 1)).min(1)


def _ring_area(mesh: _Mesh, v: int) -> float:
    faces = np.array([mesh.faces[index] for index in mesh.faces_of[v]])
    return float(np.linalg.norm(_normals(mesh.verts[faces]), axis=1).sum() / 2)


def _vertex_quadrics(verts: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 4, 4) squared distance to the planes around each vertex, weighted with their areas."""
    normals = _normals(verts[faces])
    areas = np.linalg.norm(normals, axis=1) / 2
    normals = normals / np.maximum(2 * areas[:, None], 1e-15)
    planes = np.concatenate([normals, -(normals * verts[faces[:, 0]]).sum(1, keepdims=True)], axis=1)
    quadrics = np.zeros((len(verts), 4, 4))
    for corner in range(3):
        np.add.at(quadrics, faces[:, corner], areas[:, None, None] / 3 * planes[:, :, None] * planes[:, None, :])
    return quadrics
