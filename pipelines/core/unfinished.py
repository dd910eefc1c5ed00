"""Live recordings, which cannot be repeated: they are written beside the versions until they are in one.

The folder is a source itself (the TUM layout: lists of the pictures that are whole, and the lens), so whatever ends a
recording early (a crash, a full disk, the power) leaves what is on disk to be taken with --source.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "unfinished-"
COLOUR_LIST, DEPTH_LIST, CALIBRATION = "rgb.txt", "depth.txt", "intrinsic.json"
JOURNAL = (COLOUR_LIST, DEPTH_LIST, CALIBRATION)    # what makes the folder a source, and is no part of a version
TELLING = ("capture.json", "color/00000.jpg")       # its times and its first picture: no two recordings share both


@contextmanager
def unfinished(place: Path, into: Path, fewest: int, warn: Callable[[str], None]) -> Iterator[Path]:
    """A folder to record into; what it holds at the end of the block is handed to the folder `into`.

    When the block fails, a folder with fewer than `fewest` whole frames is removed; any other one stays, and `warn`
    hears of it.
    """
    folder = place / f"{PREFIX}{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() // 1_000_000 % 1000:03d}"
    try:
        yield folder
    except BaseException:
        if frames_in(folder) < fewest:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            warn(f"What was recorded is kept in {folder}: take it with --source {folder}")
        raise
    # Linked, not moved: until the version is complete, nothing is given up. `forget_handed_over` then removes this one.
    shutil.copytree(folder, into, copy_function=_link, ignore=shutil.ignore_patterns(*JOURNAL), dirs_exist_ok=True)


def unfinished_in(place: Path) -> list[Path]:
    """Recordings that were cut short, oldest first."""
    return sorted(place.glob(f"{PREFIX}*"))


def forget_handed_over(version: Path) -> None:
    """Removes what has become this version, and nothing else: another one may have been cut short at its very end."""
    for folder in unfinished_in(version.parent):
        if all(_same(folder / name, version / name) for name in TELLING):
            shutil.rmtree(folder, ignore_errors=True)   # what is left of it, where a file is held open, is only told of


def _same(a: Path, b: Path) -> bool:
    return a.is_file() and b.is_file() and filecmp.cmp(a, b, shallow=False)


def frames_in(folder: Path) -> int:
    """How many whole frames an unfinished recording has."""
    listed = folder / COLOUR_LIST
    return len(listed.read_text(encoding="utf-8").splitlines()) if listed.is_file() else 0


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:                     # a file system without links
        shutil.copy2(source, target)
