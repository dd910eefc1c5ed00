"""Finds the person in every frame: landmarks with confidence, and a first mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import read_json


@dataclass(frozen=True)
class KeypointOptions:
    """Nothing to choose: which person is followed was said at capture (--track)."""


def run(job: Job) -> Outcome:
    """Writes `keypoints.npz` and `person_mask/00000.png` (8-bit, capture resolution)."""
    from pipelines.detectors.mediapipe import LANDMARK_COUNT, Follower
    from pipelines.media.images import write_alpha
    from pipelines.media.recording import Recording

    recording = Recording(job.inputs["capture"])
    count = len(recording)
    pixels, world_m = np.zeros((count, LANDMARK_COUNT, 2)), np.zeros((count, LANDMARK_COUNT, 3))
    confidence, found = np.zeros((count, LANDMARK_COUNT)), np.zeros(count, bool)
    masks = job.folder / "person_mask"
    masks.mkdir(exist_ok=True)
    empty = np.zeros((recording.camera.height, recording.camera.width), np.float32)

    follower = Follower(recording.fps, recording.track)
    try:
        for row in job.progress.track(range(count), "Finding the person", count):
            seen = follower.see(recording.image(row))
            write_alpha(masks / f"{row:05d}.png", empty if seen is None else seen.mask)
            if seen is not None:
                pixels[row], world_m[row] = seen.landmarks.pixels, seen.landmarks.world_m
                confidence[row], found[row] = np.clip(seen.landmarks.confidence, 0, 1), True
    finally:
        follower.close()

    if not found.any():
        raise AnrError(f"Nobody was found in this recording ({count} frames searched).",
                       hint="The whole person should be in view, well lit, a quarter of the picture high or more.")
    if recording.track is not None and recording.track >= follower.people_count:
        job.progress.warn(f"Person {recording.track} was asked for, but {follower.people_count} were found in the "
                          "first frame; the rightmost one was followed.")
    if found.mean() < 0.9:
        job.progress.warn(f"The person was found in {found.sum()} of {count} frames; missing: {ranges(~found)}.")
    np.savez_compressed(job.folder / "keypoints.npz", frame_index=np.arange(count), pixels=pixels,
                        confidence=confidence, world_m=world_m, found=found)
    return Outcome(figures={"frames": float(count), "found_share": float(found.mean())})


def ranges(flags: np.ndarray) -> str:
    """Where flags are set, as text: `3-7, 12`."""
    rows = np.flatnonzero(flags)
    runs = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if len(rows) else []
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def estimate_s(inputs: Mapping[str, Path], options: KeypointOptions) -> float:
    return 3.0 + 0.06 * len(read_json(inputs["capture"] / "capture.json")["times_s"])


STAGE = Stage(name="keypoints", version=1, doing="Finding the person", Options=KeypointOptions, run=run,
              inputs=("capture",), estimate_s=estimate_s)
