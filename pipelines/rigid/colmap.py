"""COLMAP's text model: cameras.txt and images.txt.

source  COLMAP documentation, Output Format; camera models in its src/colmap/sensor/models.h
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Camera
from pipelines.geometry.rotations import rotation_from_quaternion
from pipelines.rigid.posed import PosedPicture, existing_picture, picture_size

PLACES = (".", "sparse/0", "sparse", "colmap", "colmap/sparse/0")
# What the parameters of each model are: how many focal lengths, then the lens's numbers in OpenCV's order.
MODELS = {"SIMPLE_PINHOLE": (1, ()), "PINHOLE": (2, ()), "SIMPLE_RADIAL": (1, (0,)), "RADIAL": (1, (0, 1)),
          "OPENCV": (2, (0, 1, 2, 3)), "FULL_OPENCV": (2, (0, 1, 2, 3, 4, 5, 6, 7))}


def colmap_folder(folder: Path) -> Path | None:
    """Where cameras.txt and images.txt are; None where they are not."""
    found = [folder / place for place in PLACES]
    return next((each for each in found if (each / "cameras.txt").exists() and (each / "images.txt").exists()), None)


def read_colmap(folder: Path, model: Path) -> list[PosedPicture]:
    """The pictures of a model, which lie in `folder/images` or in `folder`; AnrError for whatever is wrong."""
    cameras = {}
    for number, words in _lines(model / "cameras.txt"):
        cameras[words[0]] = _intrinsics(words, f"{model / 'cameras.txt'}, line {number},")
    found = []
    for number, words in _pose_lines(model / "images.txt"):
        told = f"{model / 'images.txt'}, line {number},"
        if len(words) < 10 or words[8] not in cameras:
            raise AnrError(f"{told} names no pose with a known camera.", hint="Export the model as text again.")
        name = " ".join(words[9:])
        pictures = folder / "images"
        path = existing_picture((pictures if (pictures / name).exists() else folder) / name, told)
        found.append(PosedPicture(path, _posed(cameras[words[8]], _floats(words[1:8], told), path)))
    if not found:
        raise AnrError(f"{model / 'images.txt'} names no pictures.", hint="Export the model as text again.")
    return found


def _posed(camera: Camera, pose: list[float], path: Path) -> Camera:
    """pose  qw qx qy qz tx ty tz, world to camera; COLMAP's axes are OpenCV's"""
    size = picture_size(path)
    if size != (camera.width, camera.height):
        raise AnrError(f"{path} is {size[0]}x{size[1]}, but its camera is said to see {camera.width}x{camera.height} "
                       "pixels.", hint="Use the pictures that the cameras were computed from.")
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = rotation_from_quaternion(np.array(pose[:4]))
    world_to_camera[:3, 3] = pose[4:]
    return Camera(camera.K, camera.width, camera.height, world_to_camera, camera.distortion)


def _intrinsics(words: list[str], told: str) -> Camera:
    if len(words) < 5 or words[1] not in MODELS:
        raise AnrError(f"{told} has a camera model {words[1] if len(words) > 1 else ''!r} that is not read.",
                       hint=f"Known: {', '.join(MODELS)}. COLMAP's image_undistorter makes PINHOLE of any.")
    focals, lens = MODELS[words[1]]
    width, height, *parameters = _floats(words[2:], told)
    if len(parameters) != focals + 2 + len(lens) or min(*parameters[:focals], width, height) <= 0:
        raise AnrError(f"{told} has {len(parameters)} parameters that make no {words[1]} camera.",
                       hint="Export the model as text again.")
    K = np.array([[parameters[0], 0, parameters[focals]],
                  [0, parameters[focals - 1], parameters[focals + 1]], [0, 0, 1.0]])
    distortion = np.zeros(max(4, len(lens)) if lens else 0)
    distortion[list(lens)] = parameters[focals + 2:]
    return Camera(K, int(width), int(height), np.eye(4), distortion)


def _pose_lines(path: Path) -> list[tuple[int, list[str]]]:
    """The first of every two lines; the second lists points, and may be empty."""
    lines = [(number, line) for number, line in enumerate(_text(path), start=1) if not line.startswith("#")]
    return [(number, line.split()) for number, line in lines[::2] if line.split()]


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    return [(number, line.split()) for number, line in enumerate(_text(path), start=1)
            if line.split() and not line.startswith("#")]


def _text(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise AnrError(f"{path} is no text: {error}.", hint="Export the model as text again.") from None


def _floats(words: list[str], told: str) -> list[float]:
    try:
        return [float(word) for word in words]
    except ValueError as error:
        raise AnrError(f"{told} has a word where a number should be: {error}.",
                       hint="Export the model as text again.") from None
