"""A box with a sharp texture and a highlight that moves with the viewer, photographed by exact cameras."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np

from pipelines.core.records import Camera
from pipelines.geometry.cameras import camera_from_fov
from pipelines.media.images import write_image
from pipelines.rigid.posed import transforms_of

HALF = np.array([0.5, 0.35, 0.4])       # of the box, metres
LIGHT = np.array([0.48, 0.6, 0.64])     # unit length, from where the light comes
SAMPLES = 3                             # rays per pixel each way: edges are as soft as a camera's


def write_box(folder: Path, views: int = 40, size: int = 96, *, z_up: bool = False, shine: float = 0.5,
              alpha: bool = True) -> list[Camera]:
    """`box.obj`, `transforms.json` and pictures of it with alpha (or over a wall without); the cameras.

    z_up   the cameras' world is the mesh's, turned as Blender turns what it exports as glTF
    shine  how bright the highlight is
    """
    (folder / "images").mkdir(parents=True)
    (folder / "box.obj").write_text(box_obj(), encoding="utf-8")
    cameras = [spiral_camera(k, views, size) for k in range(views)]
    files = [f"images/view{k}.png" for k in range(views)]           # names that count, so view10 comes after view9
    for camera, file in zip(cameras, files):
        picture = photograph(camera, shine)
        if not alpha:
            share = picture[..., 3:] / 255.0
            picture = np.round(share * picture[..., :3] + (1.0 - share) * [60, 90, 120]).astype(np.uint8)
        write_image(folder / file, picture)
    turned = [turned_world(camera) for camera in cameras] if z_up else cameras
    (folder / "transforms.json").write_text(json.dumps(transforms_of(turned, files)), encoding="utf-8")
    return turned


def turned_world(camera: Camera) -> Camera:
    """The same view, its world turned from y up to z up."""
    to_y_up = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
    return dataclasses.replace(camera, world_to_camera=camera.world_to_camera @ to_y_up)


def spiral_camera(k: int, count: int, size: int) -> Camera:
    """Two times around, up and down three times, at a distance that changes a little: no stretch is far from others."""
    azimuth, elevation = 4 * np.pi * k / count, np.radians(22 + 18 * np.sin(6 * np.pi * k / count))
    away = 2.6 + 0.2 * np.sin(5.0 * k)
    back = np.array([np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth)])
    right = np.array([np.cos(azimuth), 0, -np.sin(azimuth)])
    axes = np.stack([right, np.cross(-back, right), -back])
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = axes
    world_to_camera[:3, 3] = -axes @ (away * back)
    return dataclasses.replace(camera_from_fov(size, size, 36.0), world_to_camera=world_to_camera)


def box_obj() -> str:
    """The box with its six faces in a 3 x 2 atlas, corners counter-clockwise seen from outside."""
    lines: list[str] = []
    for face in range(6):
        axis, sign = face % 3, 1 if face < 3 else -1
        side, up = _sides(axis, sign)
        for across, high in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
            corner = HALF * (sign * np.eye(3)[axis] + across * side + high * up)
            u, v = _in_atlas(face, (across + 1) / 2, (high + 1) / 2)
            lines += [f"v {corner[0]} {corner[1]} {corner[2]}", f"vt {u} {v}"]
    for face in range(6):
        rows = [f"{4 * face + k}/{4 * face + k}" for k in (1, 2, 3, 4)]
        lines += [f"f {rows[0]} {rows[1]} {rows[2]}", f"f {rows[0]} {rows[2]} {rows[3]}"]
    return "\n".join(lines) + "\n"


def photograph(camera: Camera, shine: float) -> np.ndarray:
    """(H, W, 4) uint8 straight alpha, by casting rays: nothing of the rasterizers is used."""
    fine = np.arange(camera.width * SAMPLES) / SAMPLES + 0.5 / SAMPLES
    v, u = np.meshgrid(fine, fine, indexing="ij")
    rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(camera.K).T @ camera.world_to_camera[:3, :3]
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    origin = -camera.world_to_camera[:3, :3].T @ camera.world_to_camera[:3, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        near, far = np.sort(np.stack([(-HALF - origin) / rays, (HALF - origin) / rays]), axis=0)
    entry, leaving = near.max(-1), far.min(-1)
    hit = entry < leaving
    axis = near.argmax(-1)
    point = origin + np.where(hit, entry, 0.0)[..., None] * rays
    colour = _colour(point, axis, rays, shine) * hit[..., None]
    shape = (camera.height, SAMPLES, camera.width, SAMPLES)
    share = hit.reshape(shape).mean(axis=(1, 3))
    mean = colour.reshape(*shape, 3).mean(axis=(1, 3)) / np.maximum(share, 1e-9)[..., None]
    return np.round(np.concatenate([mean * 255.0, share[..., None] * 255.0], -1)).astype(np.uint8)


def _colour(point: np.ndarray, axis: np.ndarray, rays: np.ndarray, shine: float) -> np.ndarray:
    sign = np.sign(np.take_along_axis(point, axis[..., None], -1))
    normal = sign * np.eye(3)[axis]
    face = axis + 3 * (sign[..., 0] < 0)
    across, high = np.zeros(axis.shape), np.zeros(axis.shape)
    for k in range(6):
        side, up = _sides(k % 3, 1 if k < 3 else -1)
        own = face == k
        across[own] = (point[own] / HALF @ side + 1) / 2
        high[own] = (point[own] / HALF @ up + 1) / 2
    albedo = pattern(face, across, high)
    lit = albedo * (0.45 + 0.5 * np.clip(normal @ LIGHT, 0, 1))[..., None]
    mirrored = rays - 2 * (rays * normal).sum(-1, keepdims=True) * normal
    return np.clip(lit + shine * np.clip(mirrored @ LIGHT, 0, 1)[..., None] ** 8, 0, 1)


def pattern(face: np.ndarray, across: np.ndarray, high: np.ndarray) -> np.ndarray:
    """A colour per face, checks of a size of its own, and a sharp ring."""
    base = np.array([[0.85, 0.2, 0.2], [0.2, 0.75, 0.25], [0.2, 0.3, 0.85], [0.9, 0.75, 0.15], [0.7, 0.25, 0.75],
                     [0.15, 0.7, 0.75]])[face]
    checks = (np.floor(across * (4 + face)) + np.floor(high * 4)) % 2
    ring = np.abs(np.hypot(across - 0.6, high - 0.45) - 0.25) < 0.05
    return np.where(ring[..., None], 0.95, base * (0.45 + 0.55 * checks)[..., None])


def _sides(axis: int, sign: int) -> tuple[np.ndarray, np.ndarray]:
    """Two directions along a face; seen from outside the first is right of the second."""
    side = np.eye(3)[(axis + 1) % 3]
    return side * sign, np.cross(sign * np.eye(3)[axis], side * sign)


def _in_atlas(face: int, across: float, high: float) -> tuple[float, float]:
    """u right and v up, as OBJ counts, with room between the faces."""
    return (face % 3 + 0.04 + 0.92 * across) / 3, (face // 3 + 0.04 + 0.92 * high) / 2
