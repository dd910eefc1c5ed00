"""Pinhole cameras: world points to pixels and back (no lens distortion; sources undistort their pictures)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipelines.core.records import Camera


def project(points: np.ndarray, camera: Camera) -> np.ndarray:
    """Where world points land in the picture.

    points   (..., 3) metres, world frame
    returns  (..., 2) pixels from the top-left corner; NaN for points behind a perspective camera. A weak-perspective
             camera (`weak_depth_m`) divides all of them by its one depth
    source   Hartley and Zisserman, Multiple View Geometry, 2nd ed., sections 6.1 and 6.3
    """
    seen = to_camera(points, camera)
    depth = seen[..., 2:3] if camera.weak_depth_m is None else np.full_like(seen[..., 2:3], camera.weak_depth_m)
    depth = np.where(depth > 0, depth, np.nan)
    scaled = np.concatenate([seen[..., :2] / depth, np.ones_like(depth)], axis=-1)
    return scaled @ camera.K[:2].T


def unproject(pixels: np.ndarray, depth_m: np.ndarray, camera: Camera) -> np.ndarray:
    """World points seen at pixels, given their depth along the camera's axis; the inverse of `project`.

    pixels   (..., 2) from the top-left corner
    depth_m  (...) metres along +Z of the camera
    returns  (..., 3) metres, world frame
    """
    pixels, depth_m = np.asarray(pixels, float), np.asarray(depth_m, float)
    if pixels.shape[-1:] != (2,) or pixels.shape[:-1] != depth_m.shape:
        raise ValueError(f"expected pixels (..., 2) and depth_m (...), got {pixels.shape} and {depth_m.shape}")
    spread = depth_m if camera.weak_depth_m is None else np.full_like(depth_m, camera.weak_depth_m)
    rays = np.concatenate([pixels, np.ones((*depth_m.shape, 1))], axis=-1) @ np.linalg.inv(camera.K).T
    seen = np.concatenate([rays[..., :2] * spread[..., None], depth_m[..., None]], axis=-1)
    rotation, origin = camera.world_to_camera[:3, :3], camera.world_to_camera[:3, 3]
    return (seen - origin) @ np.linalg.inv(rotation).T


def to_camera(points: np.ndarray, camera: Camera) -> np.ndarray:
    """World points (..., 3) in the camera's frame: x right, y down, z forward."""
    points = np.asarray(points)
    if points.shape[-1:] != (3,):
        raise ValueError(f"expected points (..., 3), got {points.shape}")
    return points @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]


def camera_from_fov(width: int, height: int, fov_deg: float) -> Camera:
    """A camera with square pixels, its axis through the picture's centre and a horizontal field of view."""
    if width < 1 or height < 1 or not 0 < fov_deg < 180:
        raise ValueError(f"no camera of {width}x{height} pixels sees {fov_deg} degrees")
    focal = width / 2 / np.tan(np.radians(fov_deg) / 2)
    return Camera(K=np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]]), width=width, height=height)


def box_around(verts: np.ndarray, camera: Camera, margin: float) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1: where vertices (V, 3) lie in the picture, and a margin; clipped to the picture, never empty.

    margin  on each side, as a share of their height in the picture
    The whole picture where some of them lie before and some behind a perspective camera: what joins them can be
    seen far from where the ones before it are.
    """
    pixels = project(verts, camera)
    if camera.weak_depth_m is None:
        depth = to_camera(verts, camera)[:, 2]
        if (depth > 0).any() and (depth <= 0).any():
            return 0, 0, camera.width, camera.height
    pixels = pixels[np.isfinite(pixels).all(axis=1)]
    if not len(pixels):
        return 0, 0, min(16, camera.width), min(16, camera.height)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    around = margin * (high[1] - low[1])
    size = np.array([camera.width, camera.height])
    start = np.clip(np.floor(low - around), 0, size - 1).astype(int)
    end = np.clip(np.ceil(high + around), start + 1, size).astype(int)
    return int(start[0]), int(start[1]), int(end[0]), int(end[1])


def camera_for_maps(camera: Camera, verts: np.ndarray, projection: str) -> Camera:
    """The camera that a posed body (V, 3) is rasterised with: itself, or for "weak" one depth for the whole body.

    source   paper, Fig. 2: surface maps are rasterised with weak perspective
    """
    if projection != "weak":
        return camera
    depth = to_camera(verts, camera)[:, 2]
    depth = depth[np.isfinite(depth)]
    return weak_perspective(camera, max(float(depth.mean()), 0.1) if len(depth) else 1.0)


def weak_perspective(camera: Camera, depth_m: float) -> Camera:
    """The scaled orthography that agrees with `camera` at one depth (the paper's camera, section 3.1)."""
    if not depth_m > 0:
        raise ValueError(f"depth_m must be positive, got {depth_m}")
    return replace(camera, weak_depth_m=float(depth_m))


def scale_camera(camera: Camera, factor: float) -> Camera:
    """The same view on a picture `factor` times as large, rounded to whole pixels (which K follows)."""
    width, height = max(1, round(camera.width * factor)), max(1, round(camera.height * factor))
    K = camera.K.copy()
    K[0] *= width / camera.width
    K[1] *= height / camera.height
    return replace(camera, K=K, width=width, height=height)


def crop_camera(camera: Camera, box: tuple[int, int, int, int]) -> Camera:
    """The same view through a window x0, y0, x1, y1 (pixels) of the picture, which may reach beyond it."""
    x0, y0, x1, y1 = box
    if x1 <= x0 or y1 <= y0:
        raise ValueError(f"empty box {box}")
    K = camera.K.copy()
    K[0, 2] -= x0
    K[1, 2] -= y0
    return replace(camera, K=K, width=x1 - x0, height=y1 - y0)
