"""How the studio's assets are made small: differences to the row before, in byte planes, in a zip with LZMA."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

ZIP_DAY = (1980, 1, 1, 0, 0, 0)  # the same bytes whenever the same asset is baked


def packed_rows(rows: np.ndarray) -> np.ndarray:
    """Whole numbers (N, C) of 16 bits as planes (2, C, N) uint8: small steps from row to row become runs of zeros."""
    if rows.ndim != 2:
        raise ValueError(f"rows must be (N, C), got {rows.shape}")
    steps = np.diff(rows.astype(np.int64), axis=0, prepend=0).astype(np.int16).T.astype(np.int32)
    folded = np.where(steps < 0, -2 * steps - 1, 2 * steps).astype(np.uint16)  # small either way
    return np.stack([folded & 255, folded >> 8]).astype(np.uint8)


def unpacked_rows(planes: np.ndarray) -> np.ndarray:
    """What `packed_rows` packed, as (N, C) int16 (view it as uint16 where it was)."""
    folded = planes[0].astype(np.int32) | planes[1].astype(np.int32) << 8
    steps = np.where(folded & 1, -(folded + 1) // 2, folded // 2)
    return np.ascontiguousarray(np.cumsum(steps, axis=1).astype(np.int16).T)


def packed_faces(faces: np.ndarray) -> np.ndarray:
    """Triangles (T, 3) of fewer than 65536 vertices: the first corner's step, and the others counted from it."""
    apart = faces.astype(np.int64).copy()
    apart[:, 1:] -= faces[:, :1]
    # the other corners are differences already; undo the step that packed_rows will take
    apart[:, 1:] = np.cumsum(apart[:, 1:], axis=0)
    return packed_rows(apart)


def unpacked_faces(planes: np.ndarray) -> np.ndarray:
    """Triangles (T, 3) int32."""
    rows = unpacked_rows(planes).astype(np.int32)
    rows[:, 1:] = np.diff(rows[:, 1:], axis=0, prepend=0) + rows[:, :1]
    return rows & 0xFFFF


def in_mesh_order(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours in space become neighbours in the file.

    returns  (V,) the old numbers of the vertices in their new order, and the faces (T, 3) renumbered and sorted
    """
    import scipy.sparse as sp
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    count = int(faces.max()) + 1
    links = sp.coo_matrix((np.ones(3 * len(faces)), (faces.ravel(), np.roll(faces, 1, 1).ravel())), (count, count))
    order = reverse_cuthill_mckee((links + links.T).tocsr(), symmetric_mode=True)
    place = np.empty(count, int)
    place[order] = np.arange(count)
    faces = place[faces]
    turn = faces.argmin(1)  # the same triangle, started at its first vertex
    faces = np.take_along_axis(faces, (turn[:, None] + np.arange(3)) % 3, axis=1)
    return order, faces[np.lexsort(faces.T[::-1])]


def save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """An .npz that numpy reads, smaller than its own."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", ZIP_DAY)
            entry.compress_type = zipfile.ZIP_LZMA
            with archive.open(entry, "w") as stream:
                np.lib.format.write_array(stream, np.array(array, order="C"), allow_pickle=False)
