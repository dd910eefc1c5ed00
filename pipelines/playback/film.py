"""The loop that films: pose, surface maps, network, picture, video."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.body.model import Body, pose_body
from pipelines.core.records import Camera, SurfaceMaps
from pipelines.core.stage import Progress
from pipelines.geometry.cameras import box_around, camera_for_maps, project
from pipelines.media.images import write_image
from pipelines.media.sheets import fit_height, spread, strip
from pipelines.media.video import VideoWriter, available
from pipelines.playback.shots import Shot
from pipelines.rasterizers.cpu import surface_maps
from pipelines.renderers.avatar import Avatar, render_person
from pipelines.renderers.picture import cut_out, over_captured, over_other

if TYPE_CHECKING:
    import torch

MARGIN = 0.1                            # of the body's height in the picture, around it, for hair and clothes
AHEAD = 2                               # frames of maps drawn while the network works
STRIP_FRAMES = 8
STRIP_HEIGHT = 360


@dataclass(frozen=True, eq=False)
class Actor:
    """Who is filmed: a body shape with a texture."""

    avatar: Avatar
    body: Body
    betas: np.ndarray                   # (S,)
    texture: torch.Tensor               # (C, 256, 256)
    projection: str                     # how the maps were drawn that the network learnt from


@dataclass(frozen=True, eq=False)
class Setting:
    """Before what, and what is written."""

    background: np.ndarray | None       # (H, W, 3) uint8; None = transparent
    captured: bool                      # the background is the captured one, over which the network learnt to blend
    video: str                          # file name
    frames: bool                        # whether PNG frames are written


def film(folder: Path, shot: Shot, actor: Actor, setting: Setting, progress: Progress) -> dict[str, float]:
    """Writes the video, a strip, the driven joints and, if asked, PNG frames; returns figures.

    Memory does not grow with the length of the shot.
    """
    camera = shot.cameras[0]
    transparent = setting.background is None
    kept = set(spread(len(shot), STRIP_FRAMES))
    pictures: list[np.ndarray] = []
    joints_px = np.empty((len(shot), len(actor.body.joint_names), 2))
    write_frames = setting.frames or not available()
    if write_frames:
        (folder / "frames").mkdir(exist_ok=True)
    writer = VideoWriter(folder / setting.video, camera.width, camera.height, shot.fps, alpha=transparent) \
        if available() else None
    started = time.monotonic()
    with writer or nullcontext():
        drawn = _maps_ahead(shot, actor)
        for k in progress.track(range(len(shot)), "Rendering frames", total=len(shot)):
            maps, joints_px[k] = next(drawn)
            picture = _picture(maps, actor, setting, camera)
            if writer:
                writer.add(picture)
            if write_frames:
                write_image(folder / "frames" / f"{int(shot.frame_index[k]):05d}.png", _opaque_or_cut(picture))
            if k in kept:
                pictures.append(fit_height(_on_white(picture), min(STRIP_HEIGHT, camera.height)))
    seconds = time.monotonic() - started
    write_image(folder / "strip.jpg", strip(pictures, STRIP_FRAMES))
    np.savez_compressed(folder / "motion.npz", joint_names=np.array(actor.body.joint_names), joints_px=joints_px,
                        time_s=shot.time_s, frame_index=shot.frame_index)
    return {"frames": float(len(shot)), "frames_per_s": round(len(shot) / max(seconds, 1e-6), 2)}


def _maps_ahead(shot: Shot, actor: Actor) -> Iterator[tuple[SurfaceMaps, np.ndarray]]:
    """Maps and joint pixels (J, 2) of each frame in order, drawn in a thread while the network works."""

    def draw(k: int) -> tuple[SurfaceMaps, np.ndarray]:
        verts, joints = pose_body(actor.body, actor.betas, shot.pose(k))
        camera = camera_for_maps(shot.cameras[k], verts, actor.projection)
        box = box_around(verts, camera, MARGIN)
        body = actor.body
        return surface_maps(body.faces, body.uvs, body.face_uvs, verts, camera, box), project(joints, camera)

    pool = ThreadPoolExecutor(1)
    try:
        waiting: deque[Future[tuple[SurfaceMaps, np.ndarray]]] = deque()
        for k in range(len(shot)):
            waiting.append(pool.submit(draw, k))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _picture(maps: SurfaceMaps, actor: Actor, setting: Setting, camera: Camera) -> np.ndarray:
    """(H, W, 3), or (H, W, 4) when transparent, uint8."""
    if maps.inside.any():
        rgb, alpha = render_person(actor.avatar, actor.texture, maps)
    else:                                                # the body is out of the picture
        rgb, alpha = np.zeros((*maps.inside.shape, 3), np.float32), np.zeros(maps.inside.shape, np.float32)
    if setting.background is None:
        return cut_out(camera.height, camera.width, rgb, alpha, maps.box)
    compose = over_captured if setting.captured else over_other
    return compose(setting.background, rgb, alpha, maps.box)


def _opaque_or_cut(picture: np.ndarray) -> np.ndarray:
    """(H, W, 4): PNG frames always carry alpha, 255 where there is a background."""
    if picture.shape[2] == 4:
        return picture
    return np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])


def _on_white(picture: np.ndarray) -> np.ndarray:
    if picture.shape[2] == 3:
        return picture
    alpha = picture[..., 3:] / 255.0
    return np.round(alpha * picture[..., :3] + (1.0 - alpha) * 255).astype(np.uint8)
