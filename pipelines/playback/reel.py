"""Where finished pictures go: a video, PNG frames, a strip."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np

from pipelines.media.images import write_image
from pipelines.media.sheets import fit_height, spread, tile
from pipelines.media.video import VideoWriter, available

STRIP_HEIGHT = 360


class Reel:
    """Takes the pictures of a shot one by one; only those of the strip are kept, small.

    Use it in a `with` block: leaving it normally finishes the files, an error inside leaves no video.
    """

    def __init__(self, folder: Path, video: str, size: tuple[int, int], fps: float, count: int, transparent: bool,
                 frames: bool, strip_frames: int) -> None:
        self.folder = folder
        self._transparent = transparent
        self._kept = dict.fromkeys(spread(count, strip_frames))
        self._pictures: list[np.ndarray] = []
        self._taken = 0
        writable = available()
        self._frames = folder / "frames" if frames or not writable else None
        if self._frames:
            self._frames.mkdir(exist_ok=True)
        self._writer = VideoWriter(folder / video, *size, fps, alpha=transparent) if writable else None

    @property
    def strip_name(self) -> str:
        return "strip.png" if self._transparent else "strip.jpg"

    def add(self, picture: np.ndarray, frame_index: int) -> None:
        """(H, W, 3), or (H, W, 4) of a transparent shot, uint8."""
        if self._writer:
            self._writer.add(picture)
        if self._frames:
            write_image(self._frames / f"{frame_index:05d}.png", _with_alpha(picture))
        if self._taken in self._kept:
            self._pictures.append(_shrunk(picture))
        self._taken += 1

    def __enter__(self) -> Reel:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._writer:
            self._writer.__exit__(kind, error, trace)
        if kind is None:
            kept = self._pictures
            beside = side_by_side(kept) if self._transparent else tile(kept, columns=len(kept))
            write_image(self.folder / self.strip_name, beside)


def side_by_side(pictures: list[np.ndarray]) -> np.ndarray:
    """(H, N W, 4) pictures of one size with alpha, in a row without gaps."""
    return np.concatenate(pictures, axis=1)


def _shrunk(picture: np.ndarray) -> np.ndarray:
    """At most `STRIP_HEIGHT` high; colours count by their alpha, so that nothing of what is transparent shines in."""
    height = min(STRIP_HEIGHT, picture.shape[0])
    if picture.shape[2] == 3:
        return fit_height(picture, height)
    alpha = picture[..., 3:].astype(np.float32)
    small = fit_height(np.concatenate([picture[..., :3] * (alpha / 255.0), alpha], axis=2), height)
    colours = small[..., :3] * (255.0 / np.maximum(small[..., 3:], 1.0))
    return np.clip(np.round(np.concatenate([colours, small[..., 3:]], axis=2)), 0, 255).astype(np.uint8)


def _with_alpha(picture: np.ndarray) -> np.ndarray:
    """(H, W, 4): PNG frames always carry alpha, 255 where there is a background."""
    if picture.shape[2] == 4:
        return picture
    return np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
