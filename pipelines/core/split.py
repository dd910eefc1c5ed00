"""Which frames teach and which examine: fixed from the number of frames alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

HELD_OUT_SHARE = 0.15
MARGIN = 5                              # frames dropped between training and held-out ones


@dataclass(frozen=True, eq=False)
class Split:
    """Capture frame indices, ascending; frames in the margins are in neither."""

    train: np.ndarray                   # (N,) int
    held_out: np.ndarray                # (M,) int


def split_frames(frame_count: int) -> Split:
    """At least 15 % held out in contiguous segments, `MARGIN` frames away from every training frame.

    One segment below 150 frames, two below 600, else three; each ends an equal part of the recording, so
    the last one is the recording's end.
    """
    if frame_count < 1:
        raise ValueError(f"frame_count must be positive, got {frame_count}")
    segments = 1 if frame_count < 150 else 2 if frame_count < 600 else 3
    length = math.ceil(HELD_OUT_SHARE * frame_count / segments)
    role = np.zeros(frame_count, dtype=np.int8)          # 0 train, 1 margin, 2 held out
    for end in (round(frame_count * (k + 1) / segments) for k in range(segments)):
        start = end - length
        role[max(0, start - MARGIN):end + MARGIN] = np.maximum(role[max(0, start - MARGIN):end + MARGIN], 1)
        role[start:end] = 2
    return Split(np.flatnonzero(role == 0), np.flatnonzero(role == 2))
