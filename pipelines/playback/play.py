"""From options to a finished result folder: the part that rendering and try-on share."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.body.model import load_body, pose_sequence
from pipelines.core.records import Motion
from pipelines.core.stage import Outcome, Progress
from pipelines.core.storage import camera_to_json, write_json
from pipelines.motion.bvh import read_bvh
from pipelines.motion.retarget import limb_errors_deg, retarget_fully
from pipelines.motion.timing import resample
from pipelines.playback.backdrop import backdrop
from pipelines.playback.film import Actor, Setting, film
from pipelines.playback.request import CAPTURE, PlaybackOptions, video_name
from pipelines.playback.shots import orbit, perform, read_captured, replay, sitting_of
from pipelines.renderers.avatar import Avatar, AvatarPerson

if TYPE_CHECKING:
    import torch

MOST_FPS = 30.0                         # motion capture comes at 120 and more; nobody sees it


def play(folder: Path, avatar: Avatar, person: AvatarPerson, texture: torch.Tensor, way: str, options: PlaybackOptions,
         progress: Progress, told: dict[str, Any]) -> Outcome:
    """Films one person and writes `video.mp4`, `strip.jpg`, `motion.npz` and `render.json`.

    person   whose body, captured camera and background
    way      "motion", "orbit" or "replay"
    told     what render.json says besides: who is seen
    """
    body, betas = load_body(), person.betas
    captured, frame_index, times_s = read_captured(person.motion)
    sitting = sitting_of(person.camera, person.height_px, captured, body, betas)
    source: dict[str, Any] = {}
    if way == "replay":
        shot = replay(captured, frame_index, times_s, person.camera, options.frames)
    elif way == "orbit":
        shot = orbit(body, betas, sitting, options.size, options.fps).only(options.frames)
    else:
        motion, source = _motion_of(Path(options.motion), betas, options.fps, progress)
        shot = perform(motion, body, betas, sitting, options.size, options.view_deg).only(options.frames)
    camera = shot.cameras[0]
    background = backdrop(options.background, camera.width, camera.height, person.background,
                          None if way == "replay" else sitting)
    setting = Setting(background, options.background == CAPTURE, video_name(options), bool(options.frames_dir))
    figures = film(folder, shot, Actor(avatar, body, betas, texture, person.projection), setting, progress)
    camera_follows = not np.array_equal(camera.world_to_camera, shot.cameras[-1].world_to_camera)
    write_json(folder / "render.json", {
        **told, "way": way, **source, "options": asdict(options), "fps": shot.fps, "frames": len(shot),
        "camera": camera_to_json(camera), "camera_follows": camera_follows})
    outputs = {"strip": "strip.jpg", "motion": "motion.npz"}
    if (folder / setting.video).exists():
        outputs = {"video": setting.video, **outputs}
    else:
        progress.note("ffmpeg is not installed, so the video is left out; its frames are in frames/.")
    return Outcome({**figures, **source.get("figures", {})}, outputs)


def _motion_of(path: Path, betas: np.ndarray, fps: float, progress: Progress) -> tuple[Motion, dict[str, Any]]:
    """A BVH file on our body, and what is written down of how it got there."""
    body = load_body()
    bvh = read_bvh(path)
    result = retarget_fully(bvh, body, betas)
    joints = pose_sequence(body, betas, result.motion.joint_rotations, result.motion.root_translation)
    error_deg = max(float(errors.max()) for errors in limb_errors_deg(result, body, joints).values())
    motion = resample(result.motion, fps or min(bvh.fps, MOST_FPS))
    progress.note(f"{path.name}: {bvh.frame_count} frames at {bvh.fps:g} per second, {result.up_axis} up, aligned with "
                  f"{result.reference}; joints: {result.joint_map.described(bvh)}")
    return motion, {"bvh": path.name, "bvh_frames": bvh.frame_count, "bvh_fps": bvh.fps, "up_axis": result.up_axis,
                    "reference": result.reference, "metres_per_unit": result.metres_per_unit,
                    "joint_map": {part: bvh.joint_names[j] for part, j in result.joint_map.joints.items()},
                    "figures": {"limb_error_deg": round(error_deg, 3)}}

