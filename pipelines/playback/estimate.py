"""About how long filming takes, for the announcement before it starts."""

from __future__ import annotations

from pathlib import Path

from pipelines.playback.request import STAND, PlaybackOptions, chosen_way

STANDING_FRAMES = 96.0                  # of an orbit
LOADING_S, PER_FRAME_S, PER_PIXEL_S = 6.0, 0.015, 0.4e-6        # on two processors with bfloat16


def seconds_expected(options: PlaybackOptions, captured_frames: int, height: int, width: int) -> float:
    """Seconds on two processors.

    captured_frames, height, width  of the person's recording
    """
    frames, pixels = STANDING_FRAMES, (options.size or height) ** 2 * min(1.0, width / height)
    way = chosen_way(options)
    if way == "replay":
        frames, pixels = float(captured_frames), float(height * width)
    elif way == "motion":
        frames = motion_frames(options)
    elif way == STAND:
        frames = standing_frames(options)
    return LOADING_S + frames * (PER_FRAME_S + PER_PIXEL_S * pixels)


def standing_frames(options: PlaybackOptions) -> float:
    """How many frames somebody stands before a --camera path."""
    from pipelines.playback.camera_path import read_camera_path
    from pipelines.playback.shots import ORBIT_FPS

    return read_camera_path(Path(options.camera)).seconds * (options.fps or ORBIT_FPS)


def motion_frames(options: PlaybackOptions) -> float:
    """About how many frames a --motion has once it is cut, slowed and repeated."""
    from pipelines.motion.bvh import read_bvh
    from pipelines.motion.timing import seconds_range

    bvh = read_bvh(Path(options.motion))
    start, end = seconds_range(options.trim) if options.trim else (0.0, None)
    whole = bvh.frame_count / bvh.fps
    seconds = max(0.0, min(whole, whole if end is None else end) - start)
    return seconds / options.speed * options.loop * (options.fps or min(bvh.fps, 30.0))
