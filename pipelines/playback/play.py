"""From options to a finished result folder: the part that rendering and try-on share."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.body.model import Body, load_body, pose_body
from pipelines.core.errors import UsageError
from pipelines.core.stage import Outcome, Progress
from pipelines.core.storage import camera_to_json, write_json
from pipelines.geometry.cameras import project
from pipelines.playback.backdrop import backdrop
from pipelines.playback.camera_path import read_camera_path
from pipelines.playback.drawing import Actor, trained_px_per_m
from pipelines.playback.film import Setting, film
from pipelines.playback.framing import Sitting
from pipelines.playback.limits import check_memory
from pipelines.playback.performance import Performance, performance_of
from pipelines.playback.request import STAND, PlaybackOptions, video_name, view_deg
from pipelines.playback.shots import (
    ORBIT_FPS,
    Shot,
    filmed_along,
    orbit,
    perform,
    read_captured,
    replay,
    sitting_of,
    standing,
)
from pipelines.renderers.avatar import Avatar, AvatarPerson
from pipelines.renderers.engines import engine_for

if TYPE_CHECKING:
    import torch

LOOKED_AT = 60                          # frames of a camera path in which the person should be whole in the picture
DRAFT_WIDTH = 48.0                      # of the network that memory is counted in


@dataclass(frozen=True, eq=False)
class Role:
    """Who is played, and in whose body."""

    avatar: Avatar
    person: AvatarPerson                # whose captured camera, background and motion
    betas: np.ndarray                   # (S,)
    texture: torch.Tensor               # (C, 256, 256)


def play(folder: Path, role: Role, way: str, options: PlaybackOptions, progress: Progress,
         told: dict[str, Any]) -> Outcome:
    """Films one person and writes the video, a picture strip, `motion.npz` and `render.json`.

    way   "motion", "orbit", "replay" or "stand"
    told  what render.json says besides: who is seen
    """
    body, person = load_body(), role.person
    shot, sitting, performance = shot_of(body, role, way, options, progress)
    camera = shot.cameras[0]
    px_per_m = trained_px_per_m(role.avatar, sitting, body, person.betas)
    check_memory(camera.width, camera.height, person.camera.width * person.camera.height, _network_factor(role.avatar))
    if options.camera:
        _tell_what_is_cut(shot, body, role.betas, progress)
    behind = backdrop(options.background, camera.width, camera.height, person.background,
                      None if way == "replay" else sitting)
    engine = engine_for(options.engine, role.avatar.renderer, role.avatar.device, role.texture.shape[0])
    actor = Actor(role.avatar, body, role.betas, role.texture, person.projection, engine, px_per_m)
    setting = Setting(behind, video_name(options), bool(options.frames_dir), options.strip, options.gif)
    figures, outputs = film(folder, shot, actor, setting, progress)
    camera_follows = not np.array_equal(camera.world_to_camera, shot.cameras[-1].world_to_camera)
    write_json(folder / "render.json", {
        **told, "way": way, **(performance.told if performance else {}), "options": asdict(options), "fps": shot.fps,
        "frames": len(shot), "camera": camera_to_json(camera), "camera_follows": camera_follows})
    if performance:
        performance.write_joint_map(folder / "joint_map.json")
        outputs["joint_map"] = "joint_map.json"
    if "video" not in outputs:
        progress.note("ffmpeg is not installed, so the video is left out; its frames are in frames/.")
    return Outcome({**figures, **(performance.figures if performance else {})}, outputs)


def shot_of(body: Body, role: Role, way: str, options: PlaybackOptions,
            progress: Progress) -> tuple[Shot, Sitting, Performance | None]:
    """What is filmed, where the person stood when captured, and what a BVH file became."""
    captured, frame_index, times_s = read_captured(role.person.motion)
    sitting = sitting_of(role.person.camera, role.person.height_px, captured, body, role.person.betas)
    view, betas = view_deg(options), role.betas
    if way == "replay":
        return replay(captured, frame_index, times_s, role.person.camera, options.frames), sitting, None
    if way == "orbit":
        shot = orbit(body, betas, sitting, options.size, options.fps, 0.0 if view is None else view)
        return shot.only(options.frames), sitting, None
    path = read_camera_path(Path(options.camera)) if options.camera else None
    if way == STAND and path is None:
        raise UsageError("Somebody who stands still is filmed along a path.", hint="Add --camera FILE.json.")
    performance = None if way == STAND else performance_of(options, body, betas, progress)
    if path is None:
        assert performance is not None
        view = options.view_deg if view is None else view
        shot = perform(performance.motion, body, betas, sitting, options.size, view)
    else:
        motion = performance.motion if performance else standing(body, betas, path.seconds, options.fps or ORBIT_FPS)
        shot = filmed_along(motion, path, body, betas, sitting, options.size)
    return shot.only(options.frames), sitting, performance


def _tell_what_is_cut(shot: Shot, body: Body, betas: np.ndarray, progress: Progress) -> None:
    """A camera path is the user's own: where it does not see all of the person is only told."""
    rows = np.unique(np.linspace(0, len(shot) - 1, min(LOOKED_AT, len(shot))).astype(int))
    for row in rows:
        camera = shot.cameras[row]
        pixels = project(pose_body(body, betas, shot.pose(row))[0], camera)
        if not ((pixels > 0) & (pixels < [camera.width, camera.height])).all():
            progress.note(f"The camera path cuts off part of the person, first about {shot.time_s[row]:.1f} s.")
            return


def _network_factor(avatar: Avatar) -> float:
    widths = avatar.description["config"].get("widths", [DRAFT_WIDTH])
    unshuffle = avatar.description["config"].get("unshuffle", 4)
    return max(1.0, widths[0] / DRAFT_WIDTH * (4.0 / unshuffle) ** 2 / 2)
