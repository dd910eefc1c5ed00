"""Stands in for `nvdiffrast.torch` where there is no CUDA: what its documentation promises, slowly, in numpy.

Point sampling by homogeneous edge functions in float64, so that nothing is shared with the rasterizers of the project:
no projection to the picture, no snapping to a grid, no cutting at planes (a pixel's own depth decides).

source  https://nvlabs.github.io/nvdiffrast, sections "Rasterization", "Interpolation", "Coordinate systems" and the
        PyTorch API reference; the method: Olano and Greer, Triangle scan conversion using 2D homogeneous
        coordinates, Graphics Hardware 1997
"""

from __future__ import annotations

import numpy as np
import torch


class RasterizeCudaContext:
    """Has nothing to keep."""


def rasterize(glctx: RasterizeCudaContext, pos: torch.Tensor, tri: torch.Tensor,
              resolution: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, H, W, 4) u, v, z/w and triangle number plus one, zeros on background; and zeros for the derivatives.

    pos  (B, V, 4) float32 clip space; tri (T, 3) int32; row 0 of the result lies where y/w = -1
    """
    if not isinstance(glctx, RasterizeCudaContext):
        raise TypeError(f"expected a context, got {type(glctx)}")
    if pos.dtype != torch.float32 or pos.ndim != 3 or pos.shape[2] != 4 or not pos.is_contiguous():
        raise ValueError(f"pos must be contiguous float32 [>0, >0, 4], got {pos.dtype} {tuple(pos.shape)}")
    if tri.dtype != torch.int32 or tri.ndim != 2 or tri.shape[1] != 3 or not len(tri) or not tri.is_contiguous():
        raise ValueError(f"tri must be contiguous int32 [>0, 3], got {tri.dtype} {tuple(tri.shape)}")
    out = np.stack([_rasterize(each.numpy().astype(np.float64), tri.numpy(), resolution) for each in pos])
    return torch.from_numpy(out), torch.zeros(out.shape)


def interpolate(attr: torch.Tensor, rast: torch.Tensor, tri: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, H, W, A) attributes (B, V, A) at every pixel, zeros on background."""
    drawn, number = rast.numpy(), rast.numpy()[..., 3].astype(int)
    u, v = drawn[..., 0:1], drawn[..., 1:2]
    corners = tri.numpy()[np.maximum(number - 1, 0)]
    a, b, c = (np.stack([attr.numpy()[k][corners[k, ..., n]] for k in range(len(drawn))]) for n in range(3))
    out = (u * a + v * b + (1 - u - v) * c) * (number > 0)[..., None]
    return torch.from_numpy(out.astype(np.float32)), torch.zeros(0)


def _rasterize(pos: np.ndarray, tri: np.ndarray, resolution: list[int]) -> np.ndarray:
    height, width = resolution
    out = np.zeros((height, width, 4), np.float32)
    nearest = np.full((height, width), np.inf)
    for number, corners in enumerate(pos[tri], start=1):
        rows, columns = _pixels_near(corners, height, width)
        if not len(rows) or not len(columns):
            continue
        x = ((columns + 0.5) * 2 / width - 1)[None, :]
        y = ((rows + 0.5) * 2 / height - 1)[:, None]
        pairs = [(corners[(k + 1) % 3], corners[(k + 2) % 3]) for k in range(3)]
        edges = np.stack([_edge(p, q, x, y) for p, q in pairs])
        way = np.sign(edges.sum(axis=0))                       # which side is inside
        along_x, along_y = (np.array(each)[:, None, None] * way for each in zip(
            *((p[1] * q[3] - p[3] * q[1], p[3] * q[0] - p[0] * q[3]) for p, q in pairs)))
        on = (along_x > 0) | ((along_x == 0) & (along_y > 0))  # of two triangles at an edge, the one right of it
        with np.errstate(divide="ignore", invalid="ignore"):
            share = edges / edges.sum(axis=0)
            z, w = (np.einsum("khw,k->hw", edges, corners[:, c]) for c in (2, 3))
            depth = z / w
        w_here = np.einsum("khw,k->hw", share, corners[:, 3])
        inside = ((edges * way > 0) | ((edges == 0) & on)).all(axis=0) & (w_here > 0) & (np.abs(depth) <= 1)
        part = np.ix_(rows, columns)
        wins = inside & (depth < nearest[part])
        here = np.stack([share[0], share[1], depth, np.full(depth.shape, number)], axis=-1)
        out[part] = np.where(wins[..., None], here, out[part])
        nearest[part] = np.where(wins, depth, nearest[part])
    return out


def _edge(p: np.ndarray, q: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (p[0] - x * p[3]) * (q[1] - y * q[3]) - (p[1] - y * p[3]) * (q[0] - x * q[3])


def _pixels_near(corners: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns that a triangle may touch; all of them where it is not wholly in front."""
    if (corners[:, 3] <= 1e-6).any():
        return np.arange(height), np.arange(width)
    xy = (corners[:, :2] / corners[:, 3:] + 1) / 2 * [width, height]
    low, high = np.floor(xy.min(0)).astype(int) - 1, np.ceil(xy.max(0)).astype(int) + 1
    return np.arange(max(low[1], 0), min(high[1], height)), np.arange(max(low[0], 0), min(high[0], width))
