"""What is sewn to a top: a collar, ribbing, a hood (build time)."""

from __future__ import annotations

import numpy as np

from pipelines.studio.figure import Figure
from pipelines.studio.meshwork import Hull, Layer, boundary_vertices
from pipelines.studio.meshwork import value_noise as noise


def tube_faces(rows: int, columns: int, closed: bool) -> np.ndarray:
    """Triangles of a grid of vertices, row after row; `closed` joins the last column to the first."""
    i, j = np.arange(rows - 1)[:, None], np.arange(columns if closed else columns - 1)[None]
    a, b = i * columns + j, i * columns + (j + 1) % columns
    return np.concatenate(
        [np.stack([a, b, b + columns], -1).reshape(-1, 3), np.stack([a, b + columns, a + columns], -1).reshape(-1, 3)]
    )


def collar(figure: Figure, top: Layer, style: dict[str, float]) -> Layer:
    """A turned-down collar of collar_m along the neckline of a top; open in front, with points."""
    from scipy.spatial import cKDTree

    low = figure.at("neck01")
    edge = top.verts[boundary_vertices(top.faces, len(top.verts))]
    reach = np.linalg.norm((edge - low) * [1, 1, 1], axis=1)
    throat = edge[(reach < 1.9 * style["neck_m"]) & (edge[:, 1] > low[1] - 0.09)]
    around = np.arctan2(throat[:, 0], -(throat[:, 2] - low[2]))  # 0 = behind
    columns, gap = 72, style.get("opening_m", 0.012)
    turn = np.linspace(-np.pi, np.pi, columns)
    order = np.argsort(around)
    wrapped = np.concatenate([around[order] - 2 * np.pi, around[order], around[order] + 2 * np.pi])

    def on_edge(values: np.ndarray) -> np.ndarray:
        found = np.interp(turn, wrapped, np.tile(values[order], 3))
        for _ in range(3):
            found[1:-1] = 0.5 * found[1:-1] + 0.25 * (found[:-2] + found[2:])
        return found

    base = np.stack([on_edge(throat[:, k]) for k in range(3)], 1)
    front = np.abs(turn) / np.pi
    base[:, 0] = np.where(front > 0.8, np.sign(turn) * np.maximum(np.abs(base[:, 0]), gap * 0.5), base[:, 0])
    out = base - low
    out[:, 1] = 0
    out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-6)
    tall = style["collar_m"]
    point = 1.0 + 0.55 * np.clip((front - 0.8) / 0.2, 0, 1)
    stand = 0.62 * tall * (1 - 0.75 * np.clip((front - 0.6) / 0.4, 0, 1) ** 1.5)
    # out and up of each line across the collar: foot, up the stand, over the fold, down the leaf
    steps = [(0.004, -0.006), (-0.005, 0.5), (-0.012, 0.95), (-0.008, 1.12), (0.003, 0.95), (0.012, 0.4)]
    lines = [base + out * side + np.array([0, 1.0, 0]) * (stand * up)[:, None] for side, up in steps]
    leaf = base + out * (0.016 + 0.014 * front[:, None]) - np.array([0, 1.0, 0]) * (
        (tall * point * 0.75 - stand * 0.2)[:, None])
    lines += [0.5 * (lines[-1] + leaf) + out * 0.003, leaf]
    verts = np.stack(lines).reshape(-1, 3)
    verts = Hull(figure.verts, figure.faces).push_out(verts, 0.004, near=0.05)
    verts[5 * columns:] = Hull(top.verts, top.faces).push_out(verts[5 * columns:], 0.005, near=0.03)
    near = cKDTree(top.verts).query(verts, k=8)[1]
    faces = tube_faces(len(lines), columns, closed=False)
    return Layer(verts, faces[:, ::-1], top.weights[near].mean(1), 0, np.full((len(verts), 3), 0.5))


def hood(figure: Figure, top: Layer) -> Layer:
    """A hood that lies on the back: a thick roll round the neck, thin at the throat, sagging behind."""
    low = figure.at("neck01")
    count, around = 64, 22
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)  # 0 = behind
    back = 0.5 + 0.5 * np.cos(turn)
    centre = np.stack(
        [
            0.098 * np.sin(turn) * (1 - 0.12 * back),
            low[1] + 0.012 - 0.060 * (1 - back) ** 1.5 - 0.012 * back,
            low[2] + 0.012 - 0.088 * np.cos(turn),
        ],
        1,
    )
    across = np.stack([np.sin(turn), np.zeros(count), -np.cos(turn)], 1)  # outwards
    thick, tall = 0.013 + 0.030 * back**1.5, 0.016 + 0.052 * back**2
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False)
    ring = centre[:, None] + across[:, None] * (thick[:, None] * np.cos(angle))[..., None]
    ring[..., 1] += tall[:, None] * np.sin(angle) - (back**2)[:, None] * 0.035
    sag = np.clip(-np.sin(angle), 0, 1)[None] * (back**3)[:, None]
    ring[..., 1] -= 0.060 * sag * np.exp(-(((turn[:, None] + np.pi) % (2 * np.pi) - np.pi) ** 2) / 0.5)
    verts = ring.reshape(-1, 3)
    verts = verts + 0.005 * noise(verts * 28, 91)[:, None] * (verts - np.repeat(centre, around, 0)) / 0.03
    i, j = np.arange(count)[:, None], np.arange(around)[None]
    a, b = i * around + j, i * around + (j + 1) % around
    c, d = (i + 1) % count * around + j, (i + 1) % count * around + (j + 1) % around
    faces = np.concatenate([np.stack([a, b, d], -1).reshape(-1, 3), np.stack([a, d, c], -1).reshape(-1, 3)])
    hull = Hull(figure.verts, figure.faces)
    verts = hull.push_out(verts, 0.006)
    out = np.einsum(
        "tc,tc->t",
        np.cross(verts[faces[:, 1]] - verts[faces[:, 0]], verts[faces[:, 2]] - verts[faces[:, 0]]),
        verts[faces[:, 0]] - np.repeat(centre, around, 0)[faces[:, 0]],
    )
    if out.sum() < 0:
        faces = faces[:, ::-1]
    from scipy.spatial import cKDTree

    near = cKDTree(top.verts).query(verts, k=8)[1]
    weights = top.weights[near].mean(1)
    return Layer(verts, faces, weights, 0, np.full((len(verts), 3), 0.5))
