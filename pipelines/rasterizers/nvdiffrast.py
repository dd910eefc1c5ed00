"""nvdiffrast on a CUDA GPU: optional, because its licence allows research and evaluation only.

It draws whole boxes in one call. Depth and coverage agree with the `cpu` reference except on pixels that an edge
passes through (nvdiffrast snaps corners to a grid of its own).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Camera
from pipelines.geometry.cameras import crop_camera, to_camera

NEAR_M, FAR_M = 0.02, 1000.0


def check() -> None:
    """AnrError with the remedy where nvdiffrast cannot draw."""
    try:
        import nvdiffrast.torch  # noqa: F401
        import torch
    except ImportError as error:
        raise AnrError(f"The rasterizer nvdiffrast is not installed ({error}).",
                       hint="Use --rasterizer cpu, or install it from github.com/NVlabs/nvdiffrast; its licence is for "
                            "non-commercial research and evaluation only.") from None
    if not torch.cuda.is_available():
        raise AnrError("The rasterizer nvdiffrast needs a CUDA GPU, and PyTorch sees none.",
                       hint="Use --rasterizer cpu.")


def rasterize(verts: np.ndarray, faces: np.ndarray, camera: Camera,
              box: tuple[int, int, int, int] | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest triangle at every pixel centre; the same promise as `cpu.rasterize`.

    source  Laine et al., Modular primitives for high-performance differentiable rendering, SIGGRAPH Asia 2020
    """
    import nvdiffrast.torch as dr
    import torch

    window = camera if box is None else crop_camera(camera, box)
    seen = to_camera(np.asarray(verts, np.float64), window)
    finite = np.isfinite(seen).all(axis=1)
    kept = np.flatnonzero(finite[faces].all(axis=1))
    height, width = window.height, window.width
    if not len(kept):
        return np.full((height, width), -1, np.int32), np.zeros((height, width, 3), np.float32), \
            np.zeros((height, width), np.float32)
    # nvdiffrast wants sizes that are multiples of 8
    padded_h, padded_w = -(-height // 8) * 8, -(-width // 8) * 8
    clip = clip_positions(np.where(finite[:, None], seen, 0.0), window, padded_w, padded_h)
    position = torch.as_tensor(clip, dtype=torch.float32, device="cuda")[None]
    triangles = torch.as_tensor(np.ascontiguousarray(faces[kept], dtype=np.int32), device="cuda")
    drawn = dr.rasterize(_context(), position, triangles, resolution=[padded_h, padded_w])[0][0].cpu().numpy()
    drawn = drawn[:height, :width]
    u, v, triangle = drawn[..., 0], drawn[..., 1], drawn[..., 3].astype(np.int64) - 1
    inside = triangle >= 0
    face_index = np.where(inside, kept[triangle], -1).astype(np.int32)
    bary = np.stack([u, v, 1 - u - v], axis=-1).astype(np.float32) * inside[..., None]
    corner_z = seen[faces[np.maximum(face_index, 0)], 2]
    depth_m = (np.sum(bary * corner_z, axis=-1) * inside).astype(np.float32)
    return face_index, bary, depth_m


def clip_positions(seen: np.ndarray, window: Camera, width: int, height: int) -> np.ndarray:
    """OpenGL clip coordinates (V, 4) of points in the camera's frame, rows growing with y (nvdiffrast's order).

    The perspective camera's w is the depth; a weak-perspective one divides by its single depth.
    """
    K, z = window.K, seen[:, 2]
    weak = window.weak_depth_m is not None
    w = np.full_like(z, window.weak_depth_m) if weak else z
    x = (K[0, 0] * seen[:, 0] + K[0, 1] * seen[:, 1] + K[0, 2] * w) * 2 / width - w
    y = (K[1, 1] * seen[:, 1] + K[1, 2] * w) * 2 / height - w
    if weak:
        depth = ((z - NEAR_M) / (FAR_M - NEAR_M) * 2 - 1) * w
    else:
        depth = (z * (FAR_M + NEAR_M) - 2 * FAR_M * NEAR_M) / (FAR_M - NEAR_M)
    return np.stack([x, y, depth, w], axis=-1)


@lru_cache(maxsize=1)
def _context() -> Any:
    import nvdiffrast.torch as dr

    return dr.RasterizeCudaContext()
