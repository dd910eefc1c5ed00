"""Mattes made elsewhere: a folder of PNG pictures, one per captured frame."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.ranges import ranges
from pipelines.media.images import FULL

NUMBER = re.compile(r"(\d+)(?!.*\d)")   # the last number of a name
EMPTY = 1e-4                            # share of the picture below which nobody is in a matte
COLOURLESS = 3                          # levels that the channels of a grey picture may differ by


def given_mattes(folder: Path, frames: int) -> list[Path]:
    """A file for each of `frames` captured frames, by the numbers in their names (from 0 or 1), else by name order.

    AnrError where the folder is missing or holds more or fewer pictures.
    """
    files = files_of(folder)
    by_number = numbered(files)
    first = min(by_number, default=0)
    if by_number and first in (0, 1) and len(files) != frames:
        missing = np.array([k + first not in by_number for k in range(frames)])
        if missing.any():
            raise AnrError(f"{folder} has {len(files)} mattes for {frames} frames; none for {ranges(missing)}.",
                           hint="Frames are counted from 0, as the capture's `color` folder names them.")
    if len(files) != frames:
        raise AnrError(f"{folder} has {len(files)} mattes, but the capture has {frames} frames.",
                       hint="Give one PNG per captured frame, named by its number or in the order of the frames.")
    return [by_number[key] for key in sorted(by_number)] if len(by_number) == frames else files


def files_of(folder: Path) -> list[Path]:
    """The PNG files of a folder in the order of their names; AnrError where there are none."""
    hint = '--mattes wants a folder of PNG files, one per frame; --mattes "" makes mattes again.'
    if not folder.is_dir():
        raise AnrError(f"{folder} is no folder of mattes.", hint=hint)
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".png")
    if not files:
        raise AnrError(f"{folder} holds no PNG files.", hint=hint)
    return files


def numbered(files: list[Path]) -> dict[int, Path]:
    """Files by the last number in their names; empty where one has none, or two have the same."""
    found = [NUMBER.search(path.stem) for path in files]
    numbers = [int(match.group(1)) for match in found if match]
    return dict(zip(numbers, files)) if len(set(numbers)) == len(files) else {}


def read_given(path: Path, width: int, height: int) -> np.ndarray:
    """(height, width) float32 0..1 of an 8- or 16-bit PNG: its alpha channel, else its grey.

    AnrError where it cannot be read, has another size, or has colours but no alpha.
    """
    import cv2

    raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if raw is None or raw.dtype not in (np.uint8, np.uint16):
        raise AnrError(f"{path} is not a matte that can be read.", hint="Mattes are 8- or 16-bit PNG files.")
    if raw.shape[:2] != (height, width):
        raise AnrError(f"{path} is {raw.shape[1]}x{raw.shape[0]}, but the capture is {width}x{height}.",
                       hint="Mattes must have the size of the captured frames: scale them, or make them from those.")
    most = 255.0 if raw.dtype == np.uint8 else 65535.0
    if raw.ndim == 3 and raw.shape[2] == 4:
        raw = raw[..., 3]
    elif raw.ndim == 3:
        if (raw.max(axis=2).astype(int) - raw.min(axis=2)).max() > COLOURLESS * most / 255:
            raise AnrError(f"{path} has colours but no alpha channel.",
                           hint="Save the matte as grey (white = the person) or as alpha of an RGBA picture.")
        raw = raw[..., 0]
    return raw.astype(np.float32) / np.float32(most)


def check_shares(shares: np.ndarray, folder: Path) -> list[str]:
    """What is worth a warning about how much of each picture (F,) is the person; AnrError where no frame is a matte.

    shares  of pixels that are more the person than not: white that is 1 of 255, or 255 of 65535, counts as black
    """
    empty, full = shares < EMPTY, shares > FULL
    if (empty | full).all():
        which = "empty" if empty.all() else "full (all white)" if full.all() else "empty or full"
        raise AnrError(f"All {len(shares)} mattes of {folder} are {which}.",
                       hint="White (255, in 16-bit files 65535) is the person, black the background.")
    said = []
    for name, rows in (("empty", empty), ("full", full)):
        if rows.any():
            said.append(f"{rows.sum()} of {len(shares)} mattes are {name}: frames {ranges(rows)}.")
    return said
