"""Finds the person in every frame: landmarks of body, hands and face with confidence, and a first mask."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.options import option
from pipelines.core.ranges import ranges
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import read_json

if TYPE_CHECKING:
    from pipelines.detectors.details import Details
    from pipelines.detectors.following import Follower
    from pipelines.detectors.windows import Detection
    from pipelines.media.recording import Recording


READ_AHEAD = 4                          # frames that may wait for their second look


@dataclass(frozen=True)
class KeypointOptions:
    """How closely to look; which person is followed was said at capture (--track)."""

    body_only: bool = option(False, "Body landmarks alone, looked at once: three times as fast, a tenth less exact.")


def run(job: Job) -> Outcome:
    """Writes `keypoints.npz` and `person_mask/00000.png` (8-bit, capture resolution)."""
    from pipelines.detectors.following import Follower
    from pipelines.media.recording import Recording

    recording = Recording(job.inputs["capture"])
    table = Table(len(recording), job.folder / "person_mask")
    follower = Follower(recording.fps, recording.track)
    look = look_once if job.options.body_only else look_closely
    try:
        rows = look(recording, follower, table)
        for _ in job.progress.track(rows, "Finding the person", len(recording)):
            pass
    finally:
        follower.close()

    found, count = table.found, len(recording)
    if not found.any():
        raise AnrError(f"Nobody was found in this recording ({count} frames searched).",
                       hint="The whole person should be in view, well lit, a quarter of the picture high or more.")
    if recording.track is not None and recording.track >= follower.people_count:
        job.progress.warn(f"Person {recording.track} was asked for, but {follower.people_count} were found in the "
                          "first frame; the rightmost one was followed.")
    if found.mean() < 0.9:
        job.progress.warn(f"The person was found in {found.sum()} of {count} frames; missing: {ranges(~found)}.")
    arrays = table.arrays()
    np.savez_compressed(job.folder / "keypoints.npz", **arrays)
    figures = {"frames": float(count), "found_share": float(found.mean())}
    if not job.options.body_only:
        figures |= {"hands_share": float((arrays["hand_confidence"] > 0).mean()),
                    "face_share": float((arrays["face_confidence"] > 0).mean())}
    return Outcome(figures=figures)


class Table:
    """What is found, frame by frame; masks go to files at once."""

    def __init__(self, count: int, masks: Path) -> None:
        self.seen: list[Detection | None] = [None] * count
        self.details: list[Details | None] = [None] * count
        self._masks = masks
        masks.mkdir(exist_ok=True)

    @property
    def found(self) -> np.ndarray:
        """(F,) bool: in which frames the person was seen; nothing is made up for the others."""
        return np.array([seen is not None for seen in self.seen], bool)

    def add(self, row: int, image: np.ndarray, seen: Detection | None, details: Details | None = None) -> None:
        from pipelines.media.images import write_alpha

        mask = np.zeros(image.shape[:2], np.float32) if seen is None else seen.mask
        write_alpha(self._masks / f"{row:05d}.png", mask)
        # The mask is on the disk now, and ten thousand of them do not fit into memory.
        self.seen[row] = None if seen is None else replace(seen, mask=np.zeros((0, 0), np.float32))
        self.details[row] = details

    def arrays(self) -> dict[str, np.ndarray]:
        """What `keypoints.npz` holds; 0 where the person, a hand or the face was not found."""
        from pipelines.detectors.details import FACE_POINTS
        from pipelines.detectors.mediapipe import LANDMARK_COUNT

        count = len(self.seen)
        arrays: dict[str, np.ndarray] = {
            "frame_index": np.arange(count), "pixels": np.zeros((count, LANDMARK_COUNT, 2)),
            "confidence": np.zeros((count, LANDMARK_COUNT)), "world_m": np.zeros((count, LANDMARK_COUNT, 3)),
            "found": self.found}
        for row, seen in enumerate(self.seen):
            if seen is not None:
                arrays["pixels"][row], arrays["world_m"][row] = seen.landmarks.pixels, seen.landmarks.world_m
                arrays["confidence"][row] = np.clip(seen.landmarks.confidence, 0, 1)
        closer = [each for each in self.details if each is not None]
        if len(closer) == count:
            names = ("hand_pixels", "hand_world_m", "hand_confidence", "face_pixels", "face_confidence")
            arrays |= {name: np.array([getattr(each, name) for each in closer]) for name in names}
            arrays["face_names"] = np.array(list(FACE_POINTS))
        return arrays


def look_once(recording: Recording, follower: Follower, table: Table) -> Iterator[int]:
    """Body landmarks as they come; yields the rows that are done."""
    for row, (image, seen) in enumerate(follower.follow(images_of(recording))):
        table.add(row, image, seen)
        yield row


def look_closely(recording: Recording, follower: Follower, table: Table) -> Iterator[int]:
    """Each frame twice, then hands and face, a few frames behind the first look; yields the rows that are done."""
    from pipelines.detectors.details import DetailReader
    from pipelines.detectors.following import SecondLooks

    again, closer = SecondLooks(recording.fps), DetailReader()

    def finish(row: int, image: np.ndarray, seen: Detection | None) -> int:
        both = again.at(image, seen)
        table.add(row, image, both, closer.read(image, None if both is None else both.landmarks))
        return row

    waiting: deque[Future[int]] = deque()
    with ThreadPoolExecutor(1) as pool:                 # one thread: hands are looked for where they were before
        try:
            for row, image in enumerate(images_of(recording)):
                waiting.append(pool.submit(finish, row, image, follower.see(image)))
                if len(waiting) > READ_AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
            again.close()
            closer.close()


def images_of(recording: Recording) -> Iterator[np.ndarray]:
    """The frames' pictures, the next one decoded while this one is looked at."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(recording.image, 0)
        for row in range(len(recording)):
            image = coming.result()
            if row + 1 < len(recording):
                coming = pool.submit(recording.image, row + 1)
            yield image


def estimate_s(inputs: Mapping[str, Path], options: KeypointOptions) -> float:
    per_frame = 0.035 if options.body_only else 0.10
    return 3.0 + per_frame * len(read_json(inputs["capture"] / "capture.json")["times_s"])


STAGE = Stage(name="keypoints", version=3, doing="Finding the person", Options=KeypointOptions, run=run,
              inputs=("capture",), estimate_s=estimate_s)
