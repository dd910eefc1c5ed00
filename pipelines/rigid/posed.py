"""A folder of pictures with known cameras: `transforms.json` as NeRF and Instant-NGP have it, or COLMAP's text files.

    {"fl_x": 700, "fl_y": 700, "cx": 256, "cy": 256, "w": 512, "h": 512, "k1": 0, "k2": 0, "p1": 0, "p2": 0,
     "frames": [{"file_path": "images/0001.png", "transform_matrix": [[...], [...], [...], [0, 0, 0, 1]]}, ...]}

`transform_matrix` takes camera to world, and its camera is OpenGL's: x right, y up, looking along -z. In place of
`fl_x` there may be `camera_angle_x` (horizontal field of view in radians). What a frame says itself counts before
what stands above. Principal points count from the picture's top-left corner, as everywhere here.

source  the NeRF authors' Blender data sets; Instant-NGP, docs/nerf_dataset_tips.md
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Camera

FILE = "transforms.json"
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
FLIP = np.diag([1.0, -1.0, -1.0, 1.0])  # OpenGL's camera axes to OpenCV's, and back
LENS = ("k1", "k2", "p1", "p2", "k3", "k4")
FISHEYE = ("OPENCV_FISHEYE", "FISHEYE", "EQUIRECTANGULAR")
LAYOUT = ("A folder holds transforms.json (NeRF, Instant-NGP) or COLMAP's cameras.txt and images.txt; docs/objects.md "
          "shows both.")


@dataclass(frozen=True, eq=False)
class PosedPicture:
    """A picture's file and the camera that took it, lens distortion included."""

    path: Path
    camera: Camera


def read_posed(folder: Path) -> list[PosedPicture]:
    """The pictures of a folder in the order of their names, 2 before 10; AnrError for whatever is wrong with it."""
    from pipelines.rigid.colmap import colmap_folder, read_colmap

    if not folder.is_dir():
        raise AnrError(f"There is no folder {folder}.", hint=LAYOUT)
    if (folder / FILE).exists():
        found = read_transforms(folder)
    elif (model := colmap_folder(folder)) is not None:
        found = read_colmap(folder, model)
    else:
        raise AnrError(f"{folder} holds no {FILE}, nor COLMAP's cameras.txt and images.txt.", hint=LAYOUT)
    found = sorted(found, key=lambda each: natural_order(each.path.relative_to(folder).as_posix()))
    names = [each.path for each in found]
    twice = next((a for a, b in itertools.pairwise(names) if a == b), None)
    if twice is not None:
        raise AnrError(f"{twice.relative_to(folder)} is there twice, with two cameras.", hint="Name each picture once.")
    return found


def read_transforms(folder: Path) -> list[PosedPicture]:
    """The pictures that `transforms.json` names, in its order."""
    path = folder / FILE
    try:
        stored = json.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise AnrError(f"{path} is no text: {error}.", hint="Export the cameras again.") from None
    except json.JSONDecodeError as error:
        raise AnrError(f"{path}, line {error.lineno}, column {error.colno}: {error.msg}.",
                       hint="Export the cameras again.") from None
    frames = stored.get("frames") if isinstance(stored, dict) else None
    if not isinstance(frames, list) or not frames:
        raise AnrError(f"{path} names no frames.", hint=LAYOUT)
    return [_posed(folder, stored, frame, number) for number, frame in enumerate(frames, start=1)]


def transforms_of(cameras: Sequence[Camera], files: Sequence[str]) -> dict[str, Any]:
    """What `transforms.json` says of pinhole cameras and their pictures; `read_transforms` reads the same back."""
    frames = []
    for camera, file in zip(cameras, files, strict=True):
        K = camera.K
        frames.append({"file_path": file, "fl_x": K[0, 0], "fl_y": K[1, 1], "cx": K[0, 2], "cy": K[1, 2],
                       "w": camera.width, "h": camera.height,
                       "transform_matrix": (np.linalg.inv(camera.world_to_camera) @ FLIP).tolist()})
    return {"frames": frames}


def natural_order(name: str) -> list[tuple[int, str]]:
    """A sort key under which 2 comes before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name.lower())]


def existing_picture(path: Path, told: str) -> Path:
    """The file itself, or with one of the endings of pictures; AnrError where there is none."""
    for each in (path, *(path.with_name(path.name + ending) for ending in PICTURES)):
        if each.is_file():
            return each
    raise AnrError(f"{told} names the picture {path}, which is not there.",
                   hint="Put it back, or take it out of the list.")


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) as stored; AnrError for what is no picture."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return picture.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise AnrError(f"{path} is not a picture that can be read ({error}).", hint="Export it again.") from error


def _posed(folder: Path, above: Mapping[str, Any], frame: Any, number: int) -> PosedPicture:
    told = f"{folder / FILE}, frame {number},"
    if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str):
        raise AnrError(f"{told} has no file_path.", hint=LAYOUT)
    path = existing_picture(folder / frame["file_path"], told)
    said = {**above, **frame}
    if said.get("is_fisheye") or str(said.get("camera_model", "")).upper() in FISHEYE:
        raise AnrError(f"{told} was taken by a fisheye lens, which is not read.",
                       hint="Undistort the pictures first (COLMAP: image_undistorter).")
    width, height = picture_size(path)
    wanted = (_number(said, "w", width, told), _number(said, "h", height, told))
    if wanted != (width, height):
        raise AnrError(f"{path} is {width}x{height}, but its camera is said to see {wanted[0]:g}x{wanted[1]:g} pixels.",
                       hint="Use the pictures that the cameras were computed from.")
    focal_x = _focal(said, "x", width, told)
    focal_y = _focal(said, "y", height, told, focal_x)
    K = np.array([[focal_x, 0, _number(said, "cx", width / 2, told)],
                  [0, focal_y, _number(said, "cy", height / 2, told)], [0, 0, 1.0]])
    return PosedPicture(path, Camera(K, width, height, _world_to_camera(frame.get("transform_matrix"), told),
                                     _lens([_number(said, name, 0.0, told) for name in LENS])))


def _lens(k1_k2_p1_p2_k3_k4: list[float]) -> np.ndarray:
    """In OpenCV's order; nothing where all are 0, 4 or 8 numbers else."""
    given = k1_k2_p1_p2_k3_k4
    if not any(given):
        return np.zeros(0)
    return np.array(given[:4] if not any(given[4:]) else [*given[:5], 0.0, 0.0, 0.0])


def _focal(said: Mapping[str, Any], axis: str, pixels: int, told: str, other: float = 0.0) -> float:
    """Of an axis: fl_x, else by camera_angle_x, else the other axis's."""
    if f"fl_{axis}" in said:
        focal = _number(said, f"fl_{axis}", 0.0, told)
    elif f"camera_angle_{axis}" in said:
        focal = pixels / 2 / math.tan(_number(said, f"camera_angle_{axis}", 0.0, told) / 2 or math.inf)
    else:
        focal = other
    if not 0 < focal < math.inf:
        raise AnrError(f"{told} has no focal length.", hint=f"Say fl_{axis} (pixels) or camera_angle_{axis} (radians).")
    return focal


def _world_to_camera(matrix: Any, told: str) -> np.ndarray:
    """Of OpenCV's camera, from OpenGL's camera-to-world; a scale in its rotation is taken out."""
    try:
        to_world = np.array(matrix, dtype=float)
    except (TypeError, ValueError):
        to_world = np.zeros(0)
    if to_world.shape == (3, 4):
        to_world = np.concatenate([to_world, [[0.0, 0, 0, 1]]])
    if to_world.shape != (4, 4) or not np.isfinite(to_world).all():
        raise AnrError(f"{told} has no transform_matrix of 4 rows with 4 numbers.", hint=LAYOUT)
    axes = to_world[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    if lengths.min() < 1e-9 or not np.allclose((axes / lengths).T @ (axes / lengths), np.eye(3), atol=1e-3) \
            or np.linalg.det(axes) < 0:
        raise AnrError(f"{told} has a transform_matrix that is no rotation and place.",
                       hint="Its first three columns are the camera's right, up and backward directions in the world.")
    to_world = to_world @ FLIP
    to_world[:3, :3] /= lengths
    return np.linalg.inv(to_world)


def _number(said: Mapping[str, Any], name: str, default: float, told: str) -> float:
    value = said.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise AnrError(f"{told} says {name} is {value!r}.", hint="It is a number.")
    return float(value)
