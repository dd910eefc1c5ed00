"""Motions in time: another frame rate, a part of it."""

from __future__ import annotations

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Motion
from pipelines.geometry.rotations import slerp


def resample(motion: Motion, fps: float) -> Motion:
    """The same motion at another frame rate: rotations on the shortest way, places in straight lines."""
    if not fps > 0:
        raise ValueError(f"fps must be positive, got {fps}")
    count = len(motion.joint_rotations)
    if abs(fps - motion.fps) < 5e-3 * motion.fps or count < 2:     # 30.003 is 30
        return Motion(motion.joint_rotations, motion.root_translation, fps)
    duration_s = (count - 1) / motion.fps
    at = np.minimum(np.arange(int(np.floor(duration_s * fps + 1e-6)) + 1) * motion.fps / fps, count - 1)
    before = np.minimum(at.astype(int), count - 2)
    share = at - before
    rotations = slerp(motion.joint_rotations[before], motion.joint_rotations[before + 1], share[:, None])
    places = motion.root_translation
    root = places[before] + share[:, None] * (places[before + 1] - places[before])
    return Motion(rotations, root, fps)


def frame_range(text: str, count: int) -> range:
    """`A:B`, half-open and clipped to `count`; either side may be left out, and an empty text means all.

    AnrError when it is not a range or nothing is left of it.
    """
    if not text:
        return range(count)
    parts = text.split(":")
    if len(parts) != 2 or any(part.strip() and not part.strip().isdecimal() for part in parts):
        raise AnrError(f"--frames {text} is not a range of frames.",
                       hint="Write it as A:B, for example --frames 0:100.")
    start = int(parts[0]) if parts[0].strip() else 0
    end = min(int(parts[1]), count) if parts[1].strip() else count
    if start >= end:
        raise AnrError(f"--frames {text} holds no frame; there are {count}.", hint=f"Choose within 0:{count}.")
    return range(start, end)


def seconds_range(text: str) -> tuple[float, float | None]:
    """`A:B` in seconds, either side may be left out: (start, end or None for the end of the motion).

    AnrError when it is not a range or nothing can lie in it.
    """
    parts = [part.strip() for part in text.split(":")]
    try:
        start, end = (float(parts[0]) if parts[0] else 0.0), (float(parts[1]) if parts[1] else None)
    except (ValueError, IndexError):
        start, end = -1.0, None
    if len(parts) != 2 or not 0 <= start < np.inf or (end is not None and not start < end < np.inf):
        raise AnrError(f"--trim {text} is not a range of seconds.",
                       hint="Write it as A:B, for example --trim 1.5:4, with A before B.")
    return start, end
