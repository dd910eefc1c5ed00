"""Where new cameras go: around the object, or along a path of keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipelines.core.records import Camera
from pipelines.geometry.cameras import project
from pipelines.playback.camera_path import CameraPath, read_camera_path
from pipelines.playback.framing import Framing
from pipelines.rigid.mesh import ObjectMesh, middle_of

FPS = 24.0
ORBIT_S = 4.0
FREE = 0.03                             # of the picture, kept free on every side by an orbit


def orbit_cameras(mesh: ObjectMesh, seen: Sequence[Camera], elevation_deg: float | None, count: int) -> list[Camera]:
    """Once around the middle of the object, from where the first view looked.

    elevation_deg  above the horizon; None = the views' median. As far away as their median, farther where the object
                   would be cut off.
    """
    middle = middle_of(mesh)
    azimuths, elevations, distances = _seen_from(seen, middle)
    up = float(np.median(elevations)) if elevation_deg is None else float(elevation_deg)
    away = float(np.median(distances))
    turns = azimuths[0] + 360.0 * np.arange(count) / count
    while True:
        cameras = [_at(seen[0], middle, angle, up, away) for angle in turns]
        if all(_is_whole(mesh, camera) for camera in cameras[::max(1, count // 24)]) or away > 100.0:
            return cameras
        away *= 1.03


def keyed_cameras(path: Path, mesh: ObjectMesh, seen: Sequence[Camera], fps: float) -> list[Camera]:
    """A path of `pipelines/playback/camera_path.py`: angles from +z towards +x, lengths in diagonals of the object."""
    read: CameraPath = read_camera_path(path)
    middle = middle_of(mesh)
    first = centred(seen[0])
    away = float(np.median(_seen_from(seen, middle)[2]))
    framing = Framing(first.K, first.width, first.height, away, float(middle[1]))
    count = max(2, round(read.seconds * fps) + 1)
    return list(read.cameras(np.arange(count) / fps, framing))


def centred(camera: Camera) -> Camera:
    """Its axis through the middle of the picture, square pixels: where it looks is where the object is seen."""
    focal = float(camera.K[1, 1])
    K = np.array([[focal, 0, camera.width / 2], [0, focal, camera.height / 2], [0, 0, 1.0]])
    return replace(camera, K=K, weak_depth_m=None, distortion=np.zeros(0))


def pixels_per_length(camera: Camera, point: np.ndarray) -> float:
    """How many pixels one length is at a point (3,) before a camera."""
    depth = float(camera.world_to_camera[2, :3] @ point + camera.world_to_camera[2, 3])
    return float(camera.K[1, 1]) / max(depth, 1e-6)


def _at(like: Camera, middle: np.ndarray, azimuth_deg: float, elevation_deg: float, away: float) -> Camera:
    azimuth, elevation = np.radians([azimuth_deg, float(np.clip(elevation_deg, -89.0, 89.0))])
    back = np.array([np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth)])
    right = np.array([np.cos(azimuth), 0.0, -np.sin(azimuth)])
    axes = np.stack([right, np.cross(-back, right), -back])
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = axes
    world_to_camera[:3, 3] = -axes @ (middle + away * back)
    return replace(centred(like), world_to_camera=world_to_camera)


def _seen_from(cameras: Sequence[Camera], middle: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Azimuth and elevation in degrees, and distance, of each camera from the middle."""
    places = np.stack([-camera.world_to_camera[:3, :3].T @ camera.world_to_camera[:3, 3] for camera in cameras])
    off = places - middle
    away = np.linalg.norm(off, axis=1)
    return np.degrees(np.arctan2(off[:, 0], off[:, 2])), np.degrees(np.arcsin(off[:, 1] / away)), away


def _is_whole(mesh: ObjectMesh, camera: Camera) -> bool:
    size = np.array([camera.width, camera.height])
    pixels = project(mesh.verts, camera)
    return bool(np.all((pixels > FREE * size) & (pixels < (1 - FREE) * size)))
