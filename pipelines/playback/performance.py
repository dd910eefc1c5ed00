"""A BVH file on our body, edited as asked: what `--motion` and the options that change it make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.body.model import Body
from pipelines.core.records import Motion
from pipelines.core.stage import Progress
from pipelines.motion.bvh import BvhFile, read_bvh
from pipelines.motion.editing import at_speed, looped, mirrored, trimmed
from pipelines.motion.grounding import planted
from pipelines.motion.jointmap import read_joint_map, write_joint_map
from pipelines.motion.retarget import Retargeted, figures_of, retarget_fully
from pipelines.motion.timing import resample, seconds_range
from pipelines.playback.request import PlaybackOptions

MOST_FPS = 30.0                         # motion capture comes at 120 and more; nobody sees it


@dataclass(frozen=True, eq=False)
class Performance:
    """A motion to film, and what is written down of how it came about."""

    motion: Motion
    figures: dict[str, float]
    told: dict[str, Any]
    write_joint_map: Callable[[Path], None]


def performance_of(options: PlaybackOptions, body: Body, betas: np.ndarray, progress: Progress) -> Performance:
    """The file read, retargeted, trimmed, at another speed, mirrored, repeated, at the frame rate asked for.

    Feet are locked last: what is cut, bent at a seam or lies between two frames would slide again.
    """
    path = Path(options.motion)
    bvh = read_bvh(path)
    mended = read_joint_map(Path(options.joint_map)) if options.joint_map else None
    result = retarget_fully(bvh, body, betas, mended)
    figures = figures_of(result, body, betas)
    motion = edited(result.free, options)
    motion = resample(motion, options.fps or min(motion.fps, MOST_FPS))
    if not result.own_body:
        stood = planted(motion, body, betas, options.speed)
        motion, figures = stood.motion, {**figures, **stood.figures}
    progress.note(f"{path.name}: {bvh.frame_count} frames at {bvh.fps:g} per second, {result.up_axis} up, aligned with "
                  f"{result.reference}; joints: {result.joint_map.described(bvh)}")
    figures = {name: round(value, 3) for name, value in figures.items()}
    return Performance(motion, figures, _told(path, bvh, result),
                       lambda target: write_joint_map(target, result.joint_map, bvh))


def edited(motion: Motion, options: PlaybackOptions) -> Motion:
    """Trimmed first, in the file's own seconds; repeated last."""
    if options.trim:
        motion = trimmed(motion, *seconds_range(options.trim))
    motion = at_speed(motion, options.speed)
    if options.mirror:
        motion = mirrored(motion)
    return looped(motion, options.loop)


def _told(path: Path, bvh: BvhFile, result: Retargeted) -> dict[str, Any]:
    return {"bvh": path.name, "bvh_frames": bvh.frame_count, "bvh_fps": bvh.fps, "up_axis": result.up_axis,
            "reference": result.reference, "metres_per_unit": result.metres_per_unit,
            "joint_map": {part: bvh.joint_names[j] for part, j in result.joint_map.joints.items()}}
