"""nvdiffrast on a CUDA GPU: optional, because its licence allows research and evaluation only.

Its conventions and ours (its documentation, "Coordinate systems" and "Rasterization"):

    clip space    OpenGL's cube, z/w growing away from the viewer; its row 0 is where y/w = -1, which it calls the
                  bottom. Clip coordinates are made with y growing downwards, so its row 0 is our top row
    pixels        sampled at their centres, as here
    u, v          weights of the first and the second corner; the third has the rest: our bary is (u, v, 1 - u - v)
    triangle      number plus one, 0 = none

Depth and coverage agree with the `cpu` reference except on pixels that an edge passes through: nvdiffrast snaps
corners to 1/16 pixel, ours to 1/256.
"""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Camera
from pipelines.geometry.cameras import crop_camera, to_camera

NEAR_M = 0.02                           # nothing nearer than this is drawn
TILE = 8                                # older versions want sides that are multiples of this
LARGEST_EXACT_FACE = 1 << 24            # triangle numbers are told as float32
_one_at_a_time = Lock()                 # a context has one set of buffers


def check() -> None:
    """AnrError with the remedy where nvdiffrast cannot draw."""
    try:
        import nvdiffrast.torch  # noqa: F401
        import torch
    except ImportError as error:
        raise AnrError(f"The rasterizer nvdiffrast is not installed ({error}).",
                       hint="Use --rasterizer cpu, or install it where CUDA and its compiler are: pip install "
                            "setuptools wheel ninja, then pip install git+https://github.com/NVlabs/nvdiffrast.git "
                            "--no-build-isolation. Its licence is for non-commercial research and evaluation only.",
                       ) from None
    if not torch.cuda.is_available():
        raise AnrError("The rasterizer nvdiffrast needs a CUDA GPU, and PyTorch sees none.",
                       hint="Use --rasterizer cpu.")


def rasterize(verts: np.ndarray, faces: np.ndarray, camera: Camera,
              box: tuple[int, int, int, int] | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest triangle at every pixel centre; the same promise as `cpu.rasterize`.

    source  Laine et al., Modular primitives for high-performance differentiable rendering, SIGGRAPH Asia 2020
    """
    if verts.ndim != 2 or verts.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise ValueError(f"expected verts (V, 3) and faces (T, 3), got {verts.shape} and {faces.shape}")
    if len(faces) >= LARGEST_EXACT_FACE:
        raise ValueError(f"{len(faces)} faces are more than {LARGEST_EXACT_FACE - 1}")
    window = crop_camera(camera, box if box is not None else (0, 0, camera.width, camera.height))
    seen = to_camera(np.asarray(verts, np.float64), window)
    finite = np.isfinite(seen).all(axis=1)
    kept = np.flatnonzero(finite[faces].all(axis=1) & (seen[faces, 2] >= NEAR_M).any(axis=1))
    height, width = window.height, window.width
    if not len(kept):
        return np.full((height, width), -1, np.int32), np.zeros((height, width, 3), np.float32), \
            np.zeros((height, width), np.float32)
    drawn = _drawn(np.where(finite[:, None], seen, 0.0), np.asarray(faces)[kept], window)
    triangle = drawn[..., 3].astype(np.int64) - 1
    inside = triangle >= 0
    face_index = np.where(inside, kept[triangle], -1).astype(np.int32)
    u, v = drawn[..., 0], drawn[..., 1]
    bary = np.stack([u, v, 1 - u - v], axis=-1).astype(np.float32) * inside[..., None]
    corner_z = seen[np.asarray(faces)[np.maximum(face_index, 0)], 2]
    depth_m = (np.sum(bary * corner_z, axis=-1) * inside).astype(np.float32)
    return face_index, bary, depth_m


def clip_positions(seen: np.ndarray, window: Camera, width: int, height: int) -> np.ndarray:
    """OpenGL clip coordinates (V, 4) of points in the camera's frame, rows growing with y (nvdiffrast's order).

    The perspective camera's w is the depth; a weak-perspective one divides by its single depth. The nearest plane is
    NEAR_M, the farthest just behind the farthest point, so that few of the depth buffer's bits are lost.
    """
    K, z = window.K, seen[:, 2]
    far_m = max(float(z.max()) * 1.01, 2 * NEAR_M)
    weak = window.weak_depth_m is not None
    w = np.full_like(z, window.weak_depth_m) if weak else z
    x = (K[0, 0] * seen[:, 0] + K[0, 1] * seen[:, 1] + K[0, 2] * w) * 2 / width - w
    y = (K[1, 1] * seen[:, 1] + K[1, 2] * w) * 2 / height - w
    if weak:
        depth = ((z - NEAR_M) / (far_m - NEAR_M) * 2 - 1) * w
    else:
        depth = (z * (far_m + NEAR_M) - 2 * far_m * NEAR_M) / (far_m - NEAR_M)
    return np.stack([x, y, depth, w], axis=-1)


def buffer_of(face_index: np.ndarray, bary: np.ndarray) -> np.ndarray:
    """(h, w, 4) float32 as nvdiffrast's `interpolate` takes it: u, v, 0, face plus one; 0 on background.

    face_index, bary  of any rasterizer of the table. Depth is left 0: only antialiasing reads it.
    """
    buffer = np.zeros((*face_index.shape, 4), np.float32)
    buffer[..., :2] = bary[..., :2]
    buffer[..., 3] = face_index + 1
    return buffer


def _drawn(seen: np.ndarray, faces: np.ndarray, window: Camera) -> np.ndarray:
    """(h, w, 4) what nvdiffrast draws of finite points (V, 3) in the camera's frame."""
    import nvdiffrast.torch as dr
    import torch

    padded_h, padded_w = -(-window.height // TILE) * TILE, -(-window.width // TILE) * TILE
    clip = clip_positions(seen, window, padded_w, padded_h)
    with _one_at_a_time:
        position = torch.as_tensor(clip, dtype=torch.float32, device=_device())[None].contiguous()
        triangles = torch.as_tensor(np.ascontiguousarray(faces, dtype=np.int32), device=_device())
        drawn, _ = dr.rasterize(_context(), position, triangles, resolution=[padded_h, padded_w])
        return drawn[0, :window.height, :window.width].cpu().numpy()


def _device() -> str:
    return "cuda"


@lru_cache(maxsize=1)
def _context() -> Any:
    import nvdiffrast.torch as dr

    return dr.RasterizeCudaContext()
