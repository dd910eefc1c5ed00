"""What lies behind the person: a picture per frame, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.media.images import read_image
from pipelines.media.video import frames_at
from pipelines.playback.framing import Sitting
from pipelines.playback.request import CAPTURE, TRANSPARENT, colour

VIDEO_ENDINGS = (".mp4", ".mov", ".webm", ".avi", ".mkv", ".m4v", ".gif")


@dataclass(frozen=True)
class Backdrop:
    """The background of a shot."""

    transparent: bool
    captured: bool                      # the captured one, over which the network learnt to blend
    pictures: Callable[[Sequence[float]], Iterator[np.ndarray | None]]  # times -> (H, W, 3) uint8, None = transparent


def backdrop(name: str, width: int, height: int, plate: Path, sitting: Sitting | None) -> Backdrop:
    """width x height of what was asked for with --background.

    name     capture, a colour, transparent, or a picture or video file; a video shorter than the shot begins again
    plate    the captured background without the person
    sitting  where the person stood in it, to cut it where they stand now; None = it is shown as it is (a replay)
    """
    if name == TRANSPARENT:
        return Backdrop(True, False, lambda times: repeat(None))
    plain = colour(name)
    if plain is not None:
        return still(np.full((height, width, 3), plain, np.uint8), captured=False)
    if name == CAPTURE:
        picture = read_image(plate)
        middle = sitting.middle_column / picture.shape[1] if sitting else 0.5
        return still(covering(picture, width, height, middle), captured=True)
    if Path(name).suffix.lower() in VIDEO_ENDINGS:
        return Backdrop(False, False, lambda times: (covering(picture, width, height, 0.5)
                                                     for picture in frames_at(Path(name), times)))
    return still(covering(read_image(Path(name)), width, height, 0.5), captured=False)


def still(picture: np.ndarray, captured: bool) -> Backdrop:
    """One picture (H, W, 3) behind all frames."""
    return Backdrop(False, captured, lambda times: repeat(picture))


def check_file(path: Path) -> None:
    """AnrError where a background file is neither a picture nor a video."""
    if path.suffix.lower() in VIDEO_ENDINGS:
        next(frames_at(path, [0.0]))
        return
    try:
        read_image(path)
    except AnrError:
        raise AnrError(f"The background {path} is not a picture that can be read.",
                       hint=f"Videos end in {', '.join(VIDEO_ENDINGS)}; anything else is read as a picture.") from None


def covering(picture: np.ndarray, width: int, height: int, middle: float) -> np.ndarray:
    """The picture scaled to cover width x height, its whole height kept where it can be.

    middle  the column, as a share of the picture's width, that should come to the middle where sides are cut off
    """
    import cv2

    scale = max(width / picture.shape[1], height / picture.shape[0])
    size = max(width, round(picture.shape[1] * scale)), max(height, round(picture.shape[0] * scale))
    if size != (picture.shape[1], picture.shape[0]):
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    left = int(np.clip(round(middle * size[0] - width / 2), 0, size[0] - width))
    top = (size[1] - height) // 2
    return np.ascontiguousarray(picture[top:top + height, left:left + width])
