"""A folder of pictures, one per frame, in the order people count (2 before 10)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Footage, Frame
from pipelines.sources import Request
from pipelines.sources.lens import broken, camera_of, exif_of, stored_size, written_in_picture

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
FOLDER_FPS = 30.0                       # where nobody says how fast the pictures were taken
LAYOUTS = ("A folder holds either pictures (jpg, png, webp, tiff, bmp), or color/, depth/ and intrinsic.json, "
           "or rgb.txt and depth.txt; docs/capture.md shows all three.")


def open_image_folder(request: Request) -> Footage:
    """Checks that all pictures are of one size; AnrError naming the first that is not, and for an empty folder."""
    folder = Path(request.spec)
    paths, others = _pictures_in(folder)
    fps = request.folder_fps or FOLDER_FPS
    wanted = part_of(paths, fps, request)
    if not wanted:
        raise AnrError(f"--start {request.start_s:g} lies behind the end of {folder}: {len(paths)} pictures, "
                       f"{len(paths) / fps:.1f} s.", hint="Choose an earlier start.")
    upright = _upright_size(wanted[0])
    odd = next((path for path in wanted if _upright_size(path) != upright), None)
    if odd is not None:
        raise AnrError(f"{odd} is {_told(odd)}, but {wanted[0].name} is {_told(wanted[0])}: "
                       "the pictures of a recording have one size.", hint="Take the odd ones out of the folder.")
    shrink = min(1.0, request.max_side / max(upright)) if request.max_side else 1.0
    width, height = max(1, round(upright[0] * shrink)), max(1, round(upright[1] * shrink))
    camera, told = camera_of(width, height, request.fov_deg, written_in_picture(wanted[0]))
    left_out = _left_out(folder, others)
    return Footage(camera=camera, frames=_frames(wanted, fps, (width, height)), frame_count=len(wanted), fps=fps,
                   intrinsics_from=told, notes=lambda: left_out)


def part_of(items: list, fps: float, request: Request) -> list:
    """What `start_s`, `seconds` and `max_frames` leave of one item per frame."""
    first = math.ceil(request.start_s * fps - 1e-6)
    last = len(items) if request.seconds is None else first + math.ceil(request.seconds * fps - 1e-6)
    return items[first:last][:request.max_frames]


def natural_order(path: Path) -> list[tuple[int, str]]:
    """A sort key under which 2 comes before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name.lower())]


def read_upright(path: Path, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8 sRGB as people see it (EXIF orientation obeyed), reduced to `size` = (width, height)."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as stored:
            picture = ImageOps.exif_transpose(stored)
            if picture.mode.startswith("I;16"):         # Pillow would cut 16-bit grey at 255
                picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
            picture = picture.convert("RGB")
    except broken() as error:
        raise AnrError(f"{path} is not a picture that can be read whole ({error}).",
                       hint="Export it again, or take it out.") from error
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.BOX)
    return np.array(picture)


def _frames(paths: list[Path], fps: float, size: tuple[int, int]) -> Iterator[Frame]:
    for index, path in enumerate(paths):
        yield Frame(index, index / fps, read_upright(path, size))


def _pictures_in(folder: Path) -> tuple[list[Path], list[Path]]:
    """(pictures in order, everything else that is not hidden)"""
    entries = [path for path in folder.iterdir() if not path.name.startswith(".")]
    pictures = sorted((path for path in entries if path.is_file() and path.suffix.lower() in PICTURES),
                      key=natural_order)
    others = sorted((path for path in entries if path not in set(pictures)), key=natural_order)
    if not pictures:
        there = f" (there: {_some(others)})" if others else ""
        raise AnrError(f"{folder} {'holds no pictures' if others else 'is empty'}{there}.", hint=LAYOUTS)
    return pictures, others


def _upright_size(path: Path) -> tuple[int, int]:
    """(width, height) of the picture once it is upright."""
    width, height = stored_size(path)
    if not width:
        raise AnrError(f"{path} is not a picture that can be read.", hint="Export it again, or take it out.")
    return (height, width) if exif_of(path)[0] >= 5 else (width, height)        # 5 to 8: transposed


def _told(path: Path) -> str:
    width, height = _upright_size(path)
    return f"{width}x{height}"


def _left_out(folder: Path, others: list[Path]) -> list[str]:
    return [f"Not pictures, and left out of {folder}: {_some(others)}."] if others else []


def _some(paths: list[Path]) -> str:
    names = [path.name + ("/" if path.is_dir() else "") for path in paths[:3]]
    return ", ".join(names) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
