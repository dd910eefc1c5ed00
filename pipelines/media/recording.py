"""A captured recording, read frame by frame from its folder."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.core.records import Camera, Frame
from pipelines.core.storage import camera_from_json, camera_to_json, read_json, write_json
from pipelines.core.unfinished import CALIBRATION, COLOUR_LIST, DEPTH_LIST
from pipelines.media.images import (
    BEST_QUALITY,
    MM,
    depth_bytes,
    quality_within,
    read_alpha,
    read_depth,
    read_image,
    write_alpha,
    write_depth,
    write_image,
)

ENCODERS = max(2, min(4, os.cpu_count() or 2))  # threads; 30 frames/s of 1080p and depth take a little over two
WAITING_FRAMES = 16                     # pictures decoded but not yet written; bounds the memory (14 MB each at 1080p)
FULL_HD = 1920 * 1080
FRAME_BYTES_PER_PIXEL = 0.52            # 3 minutes of 1080p and depth at 30 frames/s then stay within 6 GB
COLOUR_BYTES_PER_PIXEL = 0.42           # and a colour picture is read within 15 ms on one core
LEAST_COLOUR_BYTES_PER_PIXEL = 0.2      # whatever depth takes (noise of its own in every pixel): colour stays good



class Recording:
    """Random access to the frames of a `capture` folder; nothing is kept in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        stored: dict[str, Any] = read_json(folder / "capture.json")
        self.camera: Camera = camera_from_json(stored["camera"])
        self.times_s = np.array(stored["times_s"], float)      # (F,) seconds from the first frame
        self.fps = float(stored["fps"])
        self.height_m: float | None = stored["height_m"]       # the person's, None = unknown
        self.has_depth = bool(stored["has_depth"])
        self.has_truth_alpha = bool(stored["has_truth_alpha"])
        self.intrinsics_from: str = stored["intrinsics_from"]
        self.intrinsics_known = bool(stored["intrinsics_known"])
        self.depth_units_per_m = float(stored.get("depth_units_per_m", MM))
        self.track: int | None = stored["track"]               # which person, left to right; None = the most visible

    def __len__(self) -> int:
        return len(self.times_s)

    def image(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 sRGB."""
        return read_image(self.folder / "color" / f"{index:05d}.jpg")

    def depth_m(self, index: int) -> np.ndarray | None:
        """(H, W) float32, 0 = no reading; None where the recording has no depth."""
        if not self.has_depth:
            return None
        return read_depth(self.folder / "depth" / f"{index:05d}.png", self.depth_units_per_m)

    def truth_alpha(self, index: int) -> np.ndarray | None:
        """(H, W) float32; None unless the studio made this recording."""
        return read_alpha(self.folder / "truth_alpha" / f"{index:05d}.png") if self.has_truth_alpha else None

    def background(self) -> np.ndarray | None:
        """(H, W, 3) uint8, the clean plate; None where none was given."""
        path = self.folder / "background.png"
        return read_image(path) if path.exists() else None

    def frame(self, index: int) -> Frame:
        """Image, time in seconds, depth in metres and the true matte, as far as the recording has them."""
        return Frame(index, float(self.times_s[index]), self.image(index), self.depth_m(index), self.truth_alpha(index))


class RecordingWriter:
    """Writes frames as they come, encoded on other threads; `close` makes the folder a recording.

    journal  where the lens is known from: then lists of what is whole on disk are kept as well (rgb.txt, depth.txt,
             intrinsic.json: the TUM layout), so that a folder nobody could close is still a source
    Use it in a `with` block: leaving it waits for the encoders.
    """

    def __init__(self, folder: Path, camera: Camera, depth_units_per_m: float = MM, journal: str = "") -> None:
        self.folder, self.camera = folder, camera
        self.depth_units_per_m, self.journal = depth_units_per_m, journal
        self.times_s: list[float] = []
        self.has_depth = self.has_alpha = False
        self.quality = BEST_QUALITY
        self._encoders = ThreadPoolExecutor(max_workers=ENCODERS)
        self._waiting: deque[tuple[int, Future[None]]] = deque()
        (folder / "color").mkdir(parents=True, exist_ok=True)

    def add(self, frame: Frame) -> None:
        """Takes the next frame; waits where the encoders are too far behind. Raises what an earlier frame met."""
        number = len(self.times_s)
        if number == 0:
            self._begin(frame)
        self.times_s.append(frame.time_s)
        self._waiting.append((number, self._encoders.submit(self._write, number, frame)))
        while len(self._waiting) > WAITING_FRAMES or (self._waiting and self._waiting[0][1].done()):
            self._settle()

    def flush(self) -> None:
        """Waits until every frame is on disk."""
        while self._waiting:
            self._settle()

    def close(self, *, fps: float, height_m: float | None, intrinsics_from: str, intrinsics_known: bool,
              track: int | None, background: np.ndarray | None = None) -> None:
        """Waits for the encoders and writes `capture.json`, in which times count from the first frame.

        fps         nominal; the times of frames are their own
        background  (H, W, 3) uint8, the room without the person, where it is known
        """
        self.flush()
        if background is not None:
            write_image(self.folder / "background.png", background)
        start = self.times_s[0] if self.times_s else 0.0
        write_json(self.folder / "capture.json", {
            "camera": camera_to_json(self.camera), "fps": fps, "times_s": [round(t - start, 6) for t in self.times_s],
            "height_m": height_m, "has_depth": self.has_depth, "has_truth_alpha": self.has_alpha,
            "depth_units_per_m": self.depth_units_per_m, "jpeg_quality": self.quality,
            "intrinsics_from": intrinsics_from, "intrinsics_known": intrinsics_known, "track": track})

    def __enter__(self) -> RecordingWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._encoders.shutdown(wait=True)

    def _begin(self, frame: Frame) -> None:
        """The first frame tells what there is to write, and how large it becomes."""
        self.has_depth, self.has_alpha = frame.depth_m is not None, frame.alpha is not None
        for name, there in (("depth", self.has_depth), ("truth_alpha", self.has_alpha)):
            if there:
                (self.folder / name).mkdir(exist_ok=True)
        taken = 0 if frame.depth_m is None else depth_bytes(frame.depth_m, self.depth_units_per_m)
        self.quality = quality_within(frame.image, _colour_budget(frame.image, taken))
        if self.journal:
            write_json(self.folder / CALIBRATION, {
                "width": self.camera.width, "height": self.camera.height, "depth_scale": self.depth_units_per_m,
                "intrinsic_matrix": self.camera.K.T.ravel().tolist(), "intrinsics_from": self.journal})

    def _write(self, number: int, frame: Frame) -> None:
        if (frame.depth_m is not None) != self.has_depth or (frame.alpha is not None) != self.has_alpha:
            raise ValueError(f"frame {number} has other parts than the first one")
        write_image(self.folder / "color" / f"{number:05d}.jpg", frame.image, self.quality)
        if frame.depth_m is not None:
            write_depth(self.folder / "depth" / f"{number:05d}.png", frame.depth_m, self.depth_units_per_m)
        if frame.alpha is not None:
            write_alpha(self.folder / "truth_alpha" / f"{number:05d}.png", frame.alpha)

    def _settle(self) -> None:
        """Waits for the oldest frame, and lists it as whole."""
        number, written = self._waiting.popleft()
        written.result()
        if self.journal:
            _append(self.folder / COLOUR_LIST, f"{self.times_s[number]:.6f} color/{number:05d}.jpg")
            if self.has_depth:
                _append(self.folder / DEPTH_LIST, f"{self.times_s[number]:.6f} depth/{number:05d}.png")


def _colour_budget(image: np.ndarray, taken: int) -> int:
    """Bytes that a colour picture may take beside the `taken` of its depth."""
    pixels = max(image.shape[0] * image.shape[1], FULL_HD)
    beside_depth = max(FRAME_BYTES_PER_PIXEL * pixels - taken, LEAST_COLOUR_BYTES_PER_PIXEL * pixels)
    return int(min(COLOUR_BYTES_PER_PIXEL * pixels, beside_depth))


def _append(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")
