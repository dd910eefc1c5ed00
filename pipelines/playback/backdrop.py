"""What lies behind the person."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines.media.images import read_image
from pipelines.playback.request import CAPTURE, COLOURS, TRANSPARENT, background_picture
from pipelines.playback.shots import Sitting


def backdrop(name: str, width: int, height: int, plate: Path, sitting: Sitting | None) -> np.ndarray | None:
    """(height, width, 3) uint8; None for transparent.

    name     capture, white, green, transparent or a picture file
    plate    the captured background without the person
    sitting  where the person stood in it, to cut it where they stand now; None = it is shown as it is (a replay)
    """
    if name == TRANSPARENT:
        return None
    if name in COLOURS:
        return np.full((height, width, 3), COLOURS[name], np.uint8)
    if name == CAPTURE:
        picture = read_image(plate)
        middle = sitting.middle_column / picture.shape[1] if sitting else 0.5
        return covering(picture, width, height, middle)
    return covering(background_picture(name), width, height, 0.5)


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
