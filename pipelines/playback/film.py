"""The loop that films: pose and surface maps in one thread, network in another, compositing and encoding in a third."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.body.model import Body, pose_body
from pipelines.core.records import SurfaceMaps
from pipelines.core.stage import Progress
from pipelines.geometry.cameras import box_around, camera_for_maps, project
from pipelines.media.video import available, write_gif
from pipelines.playback.backdrop import Backdrop
from pipelines.playback.conveyor import Behind, ahead
from pipelines.playback.reel import Reel
from pipelines.playback.shots import Shot
from pipelines.rasterizers.cpu import surface_maps
from pipelines.renderers.avatar import Avatar, network_inputs
from pipelines.renderers.picture import cut_out, over_captured, over_other

if TYPE_CHECKING:
    import torch

    from pipelines.renderers.engines import Engine

MARGIN = 0.1                            # of the body's height in the picture, around it, for hair and clothes
AHEAD = 2                               # frames of maps drawn while the network works, and pictures waiting after it


@dataclass(frozen=True, eq=False)
class Actor:
    """Who is filmed: a body shape with a texture, and what runs the network."""

    avatar: Avatar
    body: Body
    betas: np.ndarray                   # (S,)
    texture: torch.Tensor               # (C, 256, 256)
    projection: str                     # how the maps were drawn that the network learnt from
    engine: Engine


@dataclass(frozen=True, eq=False)
class Setting:
    """Before what, and what is written."""

    backdrop: Backdrop
    video: str                          # file name
    frames: bool = False                # whether PNG frames are written
    strip: int = 8                      # frames of the strip
    gif: bool = False


@dataclass(frozen=True, eq=False)
class Drawn:
    """One frame's body: what the network is given, and where its joints lie."""

    maps: SurfaceMaps
    inputs: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None     # None: the body is out of the picture
    joints_px: np.ndarray               # (J, 2)


def film(folder: Path, shot: Shot, actor: Actor, setting: Setting,
         progress: Progress) -> tuple[dict[str, float], dict[str, str]]:
    """Writes the video, a strip, the driven joints and, if asked, PNG frames and a GIF; returns figures and outputs.

    Memory does not grow with the length of the shot, but for its poses and joints.
    """
    camera = shot.cameras[0]
    joints_px = np.empty((len(shot), len(actor.body.joint_names), 2))
    backgrounds = setting.backdrop.pictures(shot.time_s.tolist())
    reel = Reel(folder, setting.video, (camera.width, camera.height), shot.fps, len(shot),
                setting.backdrop.transparent, setting.frames, setting.strip)

    def finish(k: int, rgb: np.ndarray, alpha: np.ndarray, box: tuple[int, int, int, int]) -> None:
        picture = composed(next(backgrounds), setting.backdrop, rgb, alpha, box, (camera.height, camera.width))
        reel.add(picture, int(shot.frame_index[k]))

    started = time.monotonic()
    with reel, closing(bodies_of(shot, actor)) as bodies, Behind(finish, AHEAD) as finishing:
        for k in progress.track(range(len(shot)), "Rendering frames", total=len(shot)):
            drawn = next(bodies)
            joints_px[k] = drawn.joints_px
            finishing.put(k, *person_of(drawn, actor), drawn.maps.box)
    seconds = time.monotonic() - started
    np.savez_compressed(folder / "motion.npz", joint_names=np.array(actor.body.joint_names), joints_px=joints_px,
                        time_s=shot.time_s, frame_index=shot.frame_index)
    outputs = {"strip": reel.strip_name, "motion": "motion.npz"}
    if available():
        outputs = {"video": setting.video, **outputs}
        if setting.gif:
            write_gif(folder / setting.video, folder / "video.gif")
            outputs["gif"] = "video.gif"
    return {"frames": float(len(shot)), "frames_per_s": round(len(shot) / max(seconds, 1e-6), 2)}, outputs


def bodies_of(shot: Shot, actor: Actor) -> Generator[Drawn, None, None]:
    """Each frame's body in order, drawn in a thread while the network works."""
    return ahead(lambda k: drawn_body(shot, k, actor), range(len(shot)), AHEAD)


def drawn_body(shot: Shot, k: int, actor: Actor) -> Drawn:
    body = actor.body
    verts, joints = pose_body(body, actor.betas, shot.pose(k))
    camera = camera_for_maps(shot.cameras[k], verts, actor.projection)
    maps = surface_maps(body.faces, body.uvs, body.face_uvs, verts, camera, box_around(verts, camera, MARGIN))
    inputs = network_inputs(actor.texture, maps, actor.avatar.device) if maps.inside.any() else None
    return Drawn(maps, inputs, project(joints, camera))


def person_of(drawn: Drawn, actor: Actor) -> tuple[np.ndarray, np.ndarray]:
    """rgb (h, w, 3) and alpha (h, w), float32 0..1, of the maps' box."""
    if drawn.inputs is None:
        shape = drawn.maps.inside.shape
        return np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32)
    return actor.engine(*drawn.inputs)


def composed(background: np.ndarray | None, backdrop: Backdrop, rgb: np.ndarray, alpha: np.ndarray,
             box: tuple[int, int, int, int], size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3), or (H, W, 4) when transparent, uint8; size is (H, W)."""
    if background is None:
        return cut_out(*size, rgb, alpha, box)
    compose = over_captured if backdrop.captured else over_other
    return compose(background, rgb, alpha, box)
