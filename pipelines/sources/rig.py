"""A colour camera and perhaps a depth camera beside it: their stored pictures become registered pinhole frames.

`intrinsic.json` describes it: {"width", "height", "intrinsic_matrix": 9 numbers column by column, "distortion": 4, 5 or
8 numbers in OpenCV's order (none when absent), "depth_scale": depth units per metre} and, where depth is not registered
to colour, "depth": {"width", "height", "intrinsic_matrix", "distortion", "depth_to_color": 16 numbers column by column,
metres: where a point of the depth camera's frame lies in the colour camera's}.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Camera, Footage, Frame
from pipelines.geometry.cameras import scale_camera
from pipelines.geometry.lenses import MODEL_SIZES, Straightener, straightener
from pipelines.media.images import read_image

if TYPE_CHECKING:
    from pipelines.geometry.registration import DepthWarp

MM = 1000.0                             # depth units per metre where nothing is said
COLUMN_BY_COLUMN = "Matrices are written column by column: [fx, 0, 0, 0, fy, 0, cx, cy, 1]; docs/capture.md shows all."
SPEAKS_METRES_UP_TO = 20.0              # a depth camera further away from the colour camera is a wrong unit
LARGEST_SIDE = 20_000                   # pixels: no camera has more, and a broken file must not ask for the memory
LARGEST_NUMBER = 1e6                    # of K, of a lens and of a scale


@dataclass(frozen=True, eq=False)
class Rig:
    """Where the pictures of a folder come from."""

    colour: Camera                      # may have distortion; stands at the origin
    depth: Camera | None                # where depth has a camera of its own; None = registered to colour
    units_per_m: float


@dataclass(frozen=True)
class Shot:
    """One moment, as files."""

    time_s: float
    color: Path
    depth: Path | None


def rig_from_json(stored: Any, path: Path, units_per_m: float) -> Rig:
    """The cameras that a calibration file describes; AnrError naming what is wrong with it.

    units_per_m  where the file does not say
    """
    if not isinstance(stored, dict):
        raise AnrError(f"{path} cannot be used: it holds no description.", hint=COLUMN_BY_COLUMN)
    colour = _camera(stored, path, np.eye(4))
    beside = stored.get("depth")
    depth = None if beside is None else _camera(beside, path, np.linalg.inv(_transform(beside, path)))
    return Rig(colour, depth, positive_number(stored, "depth_scale", units_per_m, path))


def positive_number(stored: dict[str, Any], name: str, otherwise: float, path: Path) -> float:
    value = stored.get(name, otherwise)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and 1 / LARGEST_NUMBER <= value <= LARGEST_NUMBER):
        raise AnrError(f"{path} cannot be used: {name} is {value!r:.40}.", hint=f"{name} is a number above zero.")
    return float(value)


def footage_of(shots: list[Shot], rig: Rig, max_side: int, *, fps: float, told: str, notes: list[str]) -> Footage:
    """Footage of stored pictures: undistorted, depth registered to colour, reduced to `max_side`."""
    straight = straightener(rig.colour)
    longest = max(rig.colour.width, rig.colour.height)
    shrink = min(1.0, max_side / longest) if max_side else 1.0
    camera = scale_camera(straight.camera, shrink)
    if np.any(rig.colour.distortion):
        told += ", distortion removed"
    # Depth that is warped falls between the device's own steps.
    units_per_m = rig.units_per_m if _is_registered(rig) else max(rig.units_per_m, MM)
    return Footage(camera=camera, frames=_frames(shots, rig, straight, camera), frame_count=len(shots), fps=fps,
                   intrinsics_from=told, notes=lambda: notes, depth_units_per_m=units_per_m)


def _frames(shots: list[Shot], rig: Rig, straight: Straightener, camera: Camera) -> Iterator[Frame]:
    import cv2

    warp = _warp(rig, camera) if any(shot.depth for shot in shots) else None
    for index, shot in enumerate(shots):
        image = read_image(shot.color)
        _check_size(shot.color, image, rig.colour)
        image = straight.picture(image)
        if image.shape[:2] != (camera.height, camera.width):
            image = cv2.resize(image, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
        depth_m = None if shot.depth is None else _depth(shot.depth, rig, camera, warp)
        yield Frame(index, shot.time_s, image, depth_m)


def _warp(rig: Rig, camera: Camera) -> DepthWarp | None:
    """What takes depth into the finished picture's camera; None where the depth is there already."""
    from pipelines.geometry.registration import depth_warp

    return None if _is_registered(rig) else depth_warp(rig.depth or rig.colour, camera)


def _is_registered(rig: Rig) -> bool:
    """Whether depth pixels already lie where those of the finished picture do."""
    return rig.depth is None and not np.any(rig.colour.distortion)


def _depth(path: Path, rig: Rig, camera: Camera, warp: DepthWarp | None) -> np.ndarray:
    """(H, W) float32 metres as the finished picture's camera sees them; 0 = no reading."""
    import cv2

    depth_m = read_depth_units(path) / np.float32(rig.units_per_m)
    _check_size(path, depth_m, rig.depth or rig.colour)
    if warp is not None:
        return warp.depth(depth_m)
    if depth_m.shape == (camera.height, camera.width):
        return depth_m
    # One reading, not a mean of two: between a person and the wall behind there is nothing.
    return cv2.resize(depth_m, (camera.width, camera.height), interpolation=cv2.INTER_NEAREST_EXACT)


def read_depth_units(path: Path) -> np.ndarray:
    """(H, W) float32 in the file's own units; AnrError, saying what it is, for anything but a 16-bit grey picture."""
    import cv2

    raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if raw is None:
        raise AnrError(f"{path} is not a picture that can be read.", hint="Depth pictures are 16-bit grey PNG files.")
    if raw.dtype != np.uint16 or raw.ndim != 2:
        channels = f" with {raw.shape[2]} channels" if raw.ndim == 3 else ""
        raise AnrError(f"{path} is not a 16-bit depth picture: it is {8 * raw.dtype.itemsize}-bit{channels}.",
                       hint="Export the depth itself, as 16-bit grey PNG, not a picture of it to look at.")
    return raw.astype(np.float32)


def _check_size(path: Path, pixels: np.ndarray, camera: Camera) -> None:
    if pixels.shape[:2] != (camera.height, camera.width):
        raise AnrError(f"{path} is {pixels.shape[1]}x{pixels.shape[0]}, but the calibration says "
                       f"{camera.width}x{camera.height}.",
                       hint='All pictures have the size that intrinsic.json says. Depth of another size than colour '
                            'needs an entry "depth" there, with its own camera: docs/capture.md.')


def _camera(stored: dict[str, Any], path: Path, world_to_camera: np.ndarray) -> Camera:
    try:
        K = np.array(stored["intrinsic_matrix"], float).reshape(3, 3).T     # stored column by column
        width, height = int(stored["width"]), int(stored["height"])
        distortion = np.array(stored.get("distortion", []), float).ravel()
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        missing = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise AnrError(f"{path} cannot be used: {missing}.", hint=COLUMN_BY_COLUMN) from error
    if len(distortion) not in MODEL_SIZES or not (np.abs(distortion) < LARGEST_NUMBER).all():
        raise AnrError(f"{path} cannot be used: distortion has {len(distortion)} numbers: {distortion[:8].tolist()}.",
                       hint="4, 5 or 8 numbers in OpenCV's order: k1 k2 p1 p2 k3 k4 k5 k6.")
    pinhole = min(K[0, 0], K[1, 1]) > 1e-3 and abs(K[2, 2] - 1) < 1e-6 and not np.any(K[2, :2])
    if not ((np.abs(K) < LARGEST_NUMBER).all() and pinhole and min(width, height) > 0
            and max(width, height) <= LARGEST_SIDE):
        raise AnrError(f"{path} is not a pinhole camera: {width}x{height}, K = {K.tolist()}.", hint=COLUMN_BY_COLUMN)
    return Camera(K, width, height, world_to_camera=world_to_camera, distortion=distortion)


def _transform(stored: dict[str, Any], path: Path) -> np.ndarray:
    """(4, 4) depth camera to colour camera, metres."""
    try:
        T = np.array(stored["depth_to_color"], float).reshape(4, 4).T
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise AnrError(f"{path} cannot be used: depth_to_color must be 16 numbers, column by column.",
                       hint=COLUMN_BY_COLUMN) from error
    rigid = np.abs(T[:3, :3] @ T[:3, :3].T - np.eye(3)).max() < 1e-3 and np.linalg.det(T[:3, :3]) > 0
    if not (np.isfinite(T).all() and rigid and np.allclose(T[3], [0, 0, 0, 1])):
        raise AnrError(f"{path} cannot be used: depth_to_color is no rotation and translation: {T.tolist()}.",
                       hint="16 numbers, column by column: the translation in metres stands at the 13th to 15th place.")
    if np.linalg.norm(T[:3, 3]) > SPEAKS_METRES_UP_TO:
        raise AnrError(f"{path} cannot be used: depth_to_color puts the cameras {np.linalg.norm(T[:3, 3]):g} m apart.",
                       hint="The translation is in metres; it looks like millimetres.")
    return T
