"""A captured recording, read frame by frame from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipelines.core.records import Camera, Frame
from pipelines.core.storage import camera_from_json, camera_to_json, read_json, write_json
from pipelines.media.images import read_alpha, read_depth, read_image, write_alpha, write_depth, write_image


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
        self.track: int | None = stored["track"]               # which person, left to right; None = the most visible

    def __len__(self) -> int:
        return len(self.times_s)

    def image(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 sRGB."""
        return read_image(self.folder / "color" / f"{index:05d}.jpg")

    def depth_m(self, index: int) -> np.ndarray | None:
        """(H, W) float32, 0 = no reading; None where the recording has no depth."""
        return read_depth(self.folder / "depth" / f"{index:05d}.png") if self.has_depth else None

    def truth_alpha(self, index: int) -> np.ndarray | None:
        """(H, W) float32; None unless the studio made this recording."""
        return read_alpha(self.folder / "truth_alpha" / f"{index:05d}.png") if self.has_truth_alpha else None

    def background(self) -> np.ndarray | None:
        """(H, W, 3) uint8, the clean plate; None where none was given."""
        path = self.folder / "background.png"
        return read_image(path) if path.exists() else None

    def frame(self, index: int) -> Frame:
        return Frame(index, float(self.times_s[index]), self.image(index), self.depth_m(index), self.truth_alpha(index))


class RecordingWriter:
    """Writes frames as they come; `close` writes the description that makes the folder a recording."""

    def __init__(self, folder: Path, camera: Camera) -> None:
        self.folder, self.camera = folder, camera
        self.times_s: list[float] = []
        self.has_depth = self.has_alpha = False
        (folder / "color").mkdir(parents=True, exist_ok=True)

    def add(self, frame: Frame) -> None:
        name = f"{len(self.times_s):05d}"
        write_image(self.folder / "color" / f"{name}.jpg", frame.image)
        if frame.depth_m is not None:
            self.has_depth = True
            (self.folder / "depth").mkdir(exist_ok=True)
            write_depth(self.folder / "depth" / f"{name}.png", frame.depth_m)
        if frame.alpha is not None:
            self.has_alpha = True
            (self.folder / "truth_alpha").mkdir(exist_ok=True)
            write_alpha(self.folder / "truth_alpha" / f"{name}.png", frame.alpha)
        self.times_s.append(frame.time_s)

    def close(self, *, fps: float, height_m: float | None, intrinsics_from: str, intrinsics_known: bool,
              track: int | None, background: np.ndarray | None = None) -> None:
        if background is not None:
            write_image(self.folder / "background.png", background)
        start = self.times_s[0] if self.times_s else 0.0
        write_json(self.folder / "capture.json", {
            "camera": camera_to_json(self.camera), "fps": fps, "times_s": [round(t - start, 6) for t in self.times_s],
            "height_m": height_m, "has_depth": self.has_depth, "has_truth_alpha": self.has_alpha,
            "intrinsics_from": intrinsics_from, "intrinsics_known": intrinsics_known, "track": track})
