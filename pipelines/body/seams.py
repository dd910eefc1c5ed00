"""Seams of the UV atlas: which edges are cut, and what lies across them.

Bilinear reading beside a seam takes in texels of the gutter. Where those hold what lies across the seam, both sides of
it read the same there and the seam is not seen; where they are left to themselves they hold whatever training made of
the few samples that touched them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipelines.body.model import Body
from pipelines.body.surface import face_charts, face_map, face_neighbours

REACH_TEXELS = 2.0              # how far from a chart a texel can have a share in a bilinear sample, and a little more
ROUNDS = 12                     # of resolving gutter texels that continue gutter texels
LEAST_SHARE = 0.01              # of a source; smaller ones are left out


@dataclass(frozen=True, eq=False)
class Across:
    """What each gutter texel beside a seam continues: a mean of texels in the charts across."""

    texels: np.ndarray          # (N,) int64 flat numbers of gutter texels: row * size + column
    sources: np.ndarray         # (N, K) int64 flat numbers of texels whose centres lie in a chart
    shares: np.ndarray          # (N, K) float32 that sum to 1; rows with fewer sources end in zeros


def cut_edges(body: Body) -> np.ndarray:
    """(T, 3) bool: whether edge (k, k+1) of a face is cut in the atlas; the same from both of its faces."""
    edges = np.sort(np.stack([body.face_uvs, np.roll(body.face_uvs, -1, axis=1)], axis=2), axis=2).astype(np.int64)
    keys = edges[..., 0] * len(body.uvs) + edges[..., 1]
    _, where, count = np.unique(keys, return_inverse=True, return_counts=True)
    return count[where.reshape(keys.shape)] == 1


@lru_cache(maxsize=4)
def across_seams(body: Body, size: int = 256) -> Across:
    """Where a texture of `size` goes on across the seams of the atlas, for every gutter texel that sampling may touch.

    Each gutter texel within REACH_TEXELS of a cut edge is unfolded over that edge into the face on its other side, by
    the turn, move and scaling that lay one side of the edge on the other.
    """
    here, there, chart, chart_there = _both_sides(body, size)
    drawn = face_map(body, size, dilated=False).ravel()
    owner = np.where(drawn >= 0, face_charts(body)[drawn], -1)
    rows, columns = np.nonzero(drawn.reshape(size, size) < 0)
    texels = np.stack([columns + 0.5, rows + 0.5], axis=1)
    nearest, distance = np.zeros(len(texels), int), np.full(len(texels), np.inf)
    for number, (start, end) in enumerate(here):
        edge = end - start
        close = np.flatnonzero(np.abs(texels - (start + end) / 2).max(1) < np.linalg.norm(edge) / 2 + REACH_TEXELS)
        away = texels[close] - start
        along = np.clip(away @ edge / (edge @ edge), 0, 1)
        apart = np.linalg.norm(away - along[:, None] * edge, axis=1)
        nearer = apart < distance[close]
        nearest[close[nearer]], distance[close[nearer]] = number, apart[nearer]
    touched = distance < REACH_TEXELS
    gutter, edge = (rows * size + columns)[touched], nearest[touched]
    sources, shares = bilinear_texels(_unfolded(texels[touched], here[edge], there[edge]), size)
    in_chart, owner_or_beside = owner >= 0, owner.copy()
    owner_or_beside[gutter] = chart[edge]
    # unfolded over the end of a short edge, a few reach beyond the chart across
    shares *= owner_or_beside[sources] == chart_there[edge][:, None]
    return _without_gutters(gutter, sources, shares, in_chart)


def tied(texture: np.ndarray, across: Across) -> np.ndarray:
    """A copy (C, S, S) of a texture whose gutters hold what lies across the seams; the charts stay as they are."""
    flat = texture.reshape(len(texture), -1).copy()
    flat[:, across.texels] = (flat[:, across.sources] * across.shares.astype(flat.dtype)).sum(axis=2)
    return flat.reshape(texture.shape)


def bilinear_texels(places: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The four texels that a bilinear sample reads, as flat numbers (N, 4), and their shares (N, 4) float32.

    places  (N, 2) texels from the texture's corner, the first texel's centre at (0.5, 0.5)
    """
    corner = np.floor(places - 0.5).astype(np.int64)
    u, v = (places - 0.5 - corner).T
    steps = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    texels = np.clip(corner[:, None] + steps, 0, size - 1)
    shares = np.stack([(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v], axis=1)
    return texels[..., 1] * size + texels[..., 0], shares.astype(np.float32)


def _without_gutters(texels: np.ndarray, sources: np.ndarray, shares: np.ndarray, in_chart: np.ndarray) -> Across:
    """Samples (N, 4) that read gutter texels beside the seam across, in terms of texels inside charts alone.

    A gutter texel may continue others: x = inside + beside x, solved by going round until nothing is left of it.
    in_chart  (S * S,) bool: texels whose centres lie in a chart
    """
    from scipy.sparse import coo_matrix

    number = np.full(len(in_chart), -1)
    number[texels] = np.arange(len(texels))
    rows = np.repeat(np.arange(len(texels))[:, None], 4, axis=1)
    gutter = number[sources]
    shape = (len(texels), len(texels))
    beside = coo_matrix((shares[gutter >= 0], (rows[gutter >= 0], gutter[gutter >= 0])), shape).tocsr()
    own = in_chart[sources]
    inside = coo_matrix((shares[own], (rows[own], sources[own])), (len(texels), len(in_chart))).tocsr()
    whole = inside
    for _ in range(ROUNDS):
        whole = inside + beside @ whole
        whole.data[whole.data < LEAST_SHARE / 10] = 0
        whole.eliminate_zeros()
    whole.data[whole.data < LEAST_SHARE] = 0
    whole.eliminate_zeros()
    most = int(np.diff(whole.indptr).max())
    padded_sources, padded_shares = np.zeros((len(texels), most), np.int64), np.zeros((len(texels), most), np.float32)
    place = np.arange(len(whole.data)) - np.repeat(whole.indptr[:-1], np.diff(whole.indptr))
    row = np.repeat(np.arange(len(texels)), np.diff(whole.indptr))
    padded_sources[row, place], padded_shares[row, place] = whole.indices, whole.data
    total = padded_shares.sum(axis=1, keepdims=True)
    found = total[:, 0] > 0.5
    return Across(texels[found], padded_sources[found], padded_shares[found] / total[found])


def _both_sides(body: Body, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Every cut edge once from each of its faces: where it lies there and in the other's chart, (N, 2, 2) texels, and
    the two charts (N,)."""
    neighbours = face_neighbours(body.faces)
    face, side = np.nonzero(cut_edges(body))
    other = neighbours[face, side]
    start, end = body.faces[face, side], body.faces[face, (side + 1) % 3]
    uvs = body.uvs.astype(np.float64) * size

    def place(owner: np.ndarray, vertex: np.ndarray) -> np.ndarray:
        corner = (body.faces[owner] == vertex[:, None]).argmax(axis=1)
        return uvs[body.face_uvs[owner, corner]]

    return (np.stack([place(face, start), place(face, end)], axis=1),
            np.stack([place(other, start), place(other, end)], axis=1),
            face_charts(body)[face], face_charts(body)[other])


def _unfolded(points: np.ndarray, here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Points (N, 2) moved with the edges (N, 2, 2) they lie beside onto the same edges elsewhere."""
    p, start, end = (x[..., 0] + 1j * x[..., 1] for x in (points, here[:, 0], here[:, 1]))
    start_there, end_there = (there[:, k, 0] + 1j * there[:, k, 1] for k in (0, 1))
    moved = start_there + (p - start) / (end - start) * (end_there - start_there)
    return np.stack([moved.real, moved.imag], axis=1)
