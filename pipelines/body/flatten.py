"""Flattens a disk of triangles with little stretch and no flipped face. Used at bake time only."""

from __future__ import annotations

import numpy as np

ROUNDS = 150
ENOUGH = 1e-6                   # relative gain per round at which the flattening is done


def flatten_disk(verts: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(U, 2) positions in metres, about as large as on the surface; faces stay counter-clockwise.

    verts     (U, 3), faces (T, 3): a disk with one border
    source    Tutte, How to draw a graph, 1963, as the start; then the symmetric Dirichlet energy, which is infinite
              for a flipped face, by Rabinovich et al., Scalable Locally Injective Mappings, ACM TOG 2017
    """
    frames, areas = _local_frames(verts, faces)
    uv = _tutte(verts, faces)
    start_area = _signed_areas(uv, faces).sum()
    uv = uv * np.sqrt(areas.sum() / start_area)
    energy = _energy(_jacobians(uv, faces, frames), areas)
    border = border_loop(faces)
    for _ in range(ROUNDS):
        target = _reweighted_step(uv, faces, frames, areas)
        step = target - uv
        length = min(1.0, 0.8 * _first_flip(uv, step, faces))
        while True:
            moved = uv + length * step
            now = _energy(_jacobians(moved, faces, frames), areas)
            # Without flips inside and without crossings of the border, no two faces overlap.
            if length < 1e-9 or (now < energy and not _crosses_itself(moved[border])):
                break
            length /= 2
        gain = (energy - now) / energy
        if length < 1e-9 or gain < ENOUGH:
            break
        uv, energy = moved, now
    return uv


def border_loop(faces: np.ndarray) -> np.ndarray:
    """(N,) vertices around a disk, in the sense of its faces."""
    edges = {(int(a), int(b)) for face in faces for a, b in zip(face, np.roll(face, -1))}
    following = {a: b for a, b in edges if (b, a) not in edges}
    border = [min(following)]
    while following[border[-1]] != border[0]:
        border.append(following[border[-1]])
    return np.array(border)


def stretches(verts: np.ndarray, faces: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """(T, 2) singular values of each face's map from surface to plane; 1 is true to size, larger one first."""
    frames, _ = _local_frames(verts, faces)
    return np.linalg.svd(_jacobians(uv, faces, frames), compute_uv=False)


def _local_frames(verts: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T, 2, 2) inverse edge matrices of each face in its own plane, and areas (T,)."""
    first = verts[faces[:, 1]] - verts[faces[:, 0]]
    second = verts[faces[:, 2]] - verts[faces[:, 0]]
    length = np.linalg.norm(first, axis=1)
    x = first / length[:, None]
    normal = np.cross(first, second)
    double = np.linalg.norm(normal, axis=1)
    y = np.cross(normal / double[:, None], x)
    edges = np.stack([np.stack([length, (second * x).sum(1)], 1),
                      np.stack([np.zeros_like(length), (second * y).sum(1)], 1)], axis=1)
    return np.linalg.inv(edges), double / 2


def _jacobians(uv: np.ndarray, faces: np.ndarray, frames: np.ndarray) -> np.ndarray:
    edges = np.stack([uv[faces[:, 1]] - uv[faces[:, 0]], uv[faces[:, 2]] - uv[faces[:, 0]]], axis=2)
    return edges @ frames


def _energy(jacobians: np.ndarray, areas: np.ndarray) -> float:
    """Symmetric Dirichlet: 4 per unit of area when nothing is stretched, infinite when a face is flipped."""
    det = np.linalg.det(jacobians)
    if (det <= 0).any():
        return np.inf
    return float((areas * (jacobians**2).sum((1, 2)) * (1 + det**-2)).sum())


def _tutte(verts: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Border on a circle, every inner vertex in the mean of its neighbours: never flipped."""
    from scipy.sparse import coo_matrix, diags
    from scipy.sparse.linalg import spsolve

    edges = {(int(a), int(b)) for face in faces for a, b in zip(face, np.roll(face, -1))}
    border = border_loop(faces)
    lengths = np.linalg.norm(verts[np.roll(border, -1)] - verts[border], axis=1)
    angle = 2 * np.pi * np.concatenate([[0], np.cumsum(lengths)[:-1]]) / lengths.sum()
    count = len(verts)
    uv = np.zeros((count, 2))
    uv[border] = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    starts, ends = np.array(sorted(edges | {(b, a) for a, b in edges})).T
    weights = coo_matrix((np.ones(len(starts)), (starts, ends)), (count, count)).tocsr()
    laplacian = diags(np.asarray(weights.sum(1)).ravel()) - weights
    inner = np.setdiff1d(np.arange(count), border)
    if len(inner):
        right = -(laplacian.tocsr()[inner][:, border] @ uv[border])
        uv[inner] = spsolve(laplacian.tocsr()[inner][:, inner].tocsc(), right).reshape(-1, 2)
    return uv


def _reweighted_step(uv: np.ndarray, faces: np.ndarray, frames: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """The positions that minimise the weighted distance of all Jacobians to rotations (SLIM, equations 6 to 10)."""
    from scipy.sparse import coo_matrix, identity
    from scipy.sparse.linalg import spsolve

    jacobians = _jacobians(uv, faces, frames)
    u, sigma, vt = np.linalg.svd(jacobians)
    flip = np.sign(np.linalg.det(u @ vt))
    u = u * np.stack([np.ones_like(flip), flip], axis=1)[:, None, :]
    rotation = u @ vt
    near = np.abs(sigma - 1) < 1e-5
    safe = np.where(near, 2.0, sigma)
    weight = np.where(near, 2.0, np.sqrt(np.maximum((safe - safe**-3.0) / (safe - 1), 1e-12)))
    weights = (u * weight[:, None, :]) @ np.swapaxes(u, 1, 2)           # (T, 2, 2), acts from the left
    count, total = len(uv), len(faces)
    # d J[a, b] / d uv[corner, a]: corners 1 and 2 by the rows of the frame, corner 0 against both
    slope = np.stack([-(frames[:, 0] + frames[:, 1]), frames[:, 0], frames[:, 1]], axis=1)      # (T, 3, 2)
    scale = np.sqrt(areas)
    # residual rows (t, i, b): sum over a of W[i, a] (J[a, b] - R[a, b])
    values = scale[:, None, None, None, None] * np.einsum("tia,tkb->tibka", weights, slope)
    rows = np.arange(total * 4).reshape(total, 2, 2)[:, :, :, None, None] + np.zeros((1, 1, 1, 3, 2), int)
    columns = (faces[:, None, None, :, None] + count * np.arange(2)) + np.zeros((1, 2, 2, 1, 1), int)
    matrix = coo_matrix((values.ravel(), (rows.ravel(), columns.ravel())), (total * 4, 2 * count)).tocsr()
    right = (scale[:, None, None] * (weights @ rotation)).ravel()
    damp = 1e-4 * areas.mean()
    normal = matrix.T @ matrix + damp * identity(2 * count)
    moved = spsolve(normal.tocsc(), matrix.T @ right + damp * uv.T.ravel())
    return moved.reshape(2, count).T


def _first_flip(uv: np.ndarray, step: np.ndarray, faces: np.ndarray) -> float:
    """The smallest positive length at which a face loses its area: a quadratic per face."""
    e1, e2 = uv[faces[:, 1]] - uv[faces[:, 0]], uv[faces[:, 2]] - uv[faces[:, 0]]
    d1, d2 = step[faces[:, 1]] - step[faces[:, 0]], step[faces[:, 2]] - step[faces[:, 0]]

    def cross(p: np.ndarray, q: np.ndarray) -> np.ndarray:
        return p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]

    a, b, c = cross(d1, d2), cross(e1, d2) + cross(d1, e2), cross(e1, e2)
    root = np.sqrt(np.maximum(b * b - 4 * a * c, 0))
    real = b * b - 4 * a * c >= 0
    lengths = [1e9]
    # c > 0: in this form neither root loses its digits when a is tiny
    for sign in (-1.0, 1.0):
        below = -b + sign * root
        with np.errstate(divide="ignore", invalid="ignore"):
            length = np.where(real & (below != 0), 2 * c / np.where(below == 0, 1, below), np.inf)
        lengths.append(length[length > 0].min(initial=np.inf))
    return float(min(lengths))


def _crosses_itself(border: np.ndarray) -> bool:
    """Whether a closed line (N, 2) crosses itself."""
    start, end = border, np.roll(border, -1, axis=0)

    def side(p: np.ndarray, q: np.ndarray, r: np.ndarray) -> np.ndarray:
        return (q[..., 0] - p[..., 0]) * (r[..., 1] - p[..., 1]) - (q[..., 1] - p[..., 1]) * (r[..., 0] - p[..., 0])

    a, b, c, d = start[:, None], end[:, None], start[None], end[None]
    crossing = (side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)
    return bool(crossing.any())


def _signed_areas(uv: np.ndarray, faces: np.ndarray) -> np.ndarray:
    first, second = uv[faces[:, 1]] - uv[faces[:, 0]], uv[faces[:, 2]] - uv[faces[:, 0]]
    return (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2
