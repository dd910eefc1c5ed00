"""A painted texture from a file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from pipelines.core.errors import AnrError

PNG = b"\x89PNG\r\n\x1a\n"


def read_painted(path: Path, size: int) -> np.ndarray:
    """(size, size, 3) uint8 sRGB; AnrError for what is no opaque PNG of that size.

    Other formats change every colour a little, so that what was painted could not be told from what was not.
    """
    if not path.is_file():
        raise AnrError(f"There is no texture {path}.", hint="Write one with anr edit --export, and paint on a copy.")
    with path.open("rb") as stream:
        if stream.read(len(PNG)) != PNG:
            raise AnrError(f"{path.name} is not a PNG.", hint="Save it as PNG: JPEG changes all colours.")
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if stored is None:
        raise AnrError(f"{path.name} is damaged.", hint="Save it again.")
    if stored.shape[:2] != (size, size):
        raise AnrError(f"{path.name} is {stored.shape[1]}x{stored.shape[0]} pixels; the exported texture is "
                       f"{size}x{size}.", hint="Keep its size: paint on it without scaling or cropping.")
    if stored.dtype == np.uint16:
        stored = np.rint(stored / 257.0).astype(np.uint8)
    if stored.ndim == 2:
        return cv2.cvtColor(stored, cv2.COLOR_GRAY2RGB)
    if stored.shape[2] == 4 and int(stored[..., 3].min()) < 255:
        raise AnrError(f"{path.name} has transparent places.",
                       hint="Merge its layers with the exported texture, and save it without alpha.")
    return cv2.cvtColor(stored[..., :3], cv2.COLOR_BGR2RGB)
