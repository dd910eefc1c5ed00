"""A folder of colour and depth pictures in Open3D's layout.

`color/*.jpg|png`, `depth/*.png` (16-bit, the same stems, registered to colour, 0 = no reading) and
`intrinsic.json` {"width", "height", "intrinsic_matrix": 9 numbers column by column, "depth_scale": units per
metre (1000 when absent), "fps" (30 when absent)}.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Camera, Footage, Frame
from pipelines.core.storage import read_json
from pipelines.media.images import read_image
from pipelines.sources import Request

LAYOUT = "An RGB-D folder holds color/ (jpg or png), depth/ (16-bit png with the same names) and intrinsic.json."


def open_rgbd_folder(request: Request) -> Footage:
    """Checks the layout; AnrError for a missing part, naming it."""
    folder = Path(request.spec)
    if not (folder / "intrinsic.json").is_file():
        raise AnrError(f"{folder} is not an RGB-D folder: intrinsic.json is missing.", hint=LAYOUT)
    stored = read_json(folder / "intrinsic.json")
    colors = sorted(path for path in (folder / "color").glob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    pairs = [(color, folder / "depth" / f"{color.stem}.png") for color in colors]
    missing = [depth.name for _, depth in pairs if not depth.is_file()]
    if not colors or missing:
        what = f"depth/{missing[0]} and {len(missing) - 1} more are missing" if missing else "color/ holds no pictures"
        raise AnrError(f"{folder} is not a whole RGB-D folder: {what}.", hint=LAYOUT)
    camera, units_per_m, fps = _description(stored, folder)
    first = math.ceil(request.start_s * fps - 1e-6)
    last = len(pairs) if request.seconds is None else first + math.ceil(request.seconds * fps - 1e-6)
    wanted = pairs[first:last][:request.max_frames]
    return Footage(camera=camera, frames=_frames(wanted, camera, units_per_m, fps), frame_count=len(wanted), fps=fps,
                   intrinsics_from="the folder's intrinsic.json")


def _description(stored: dict, folder: Path) -> tuple[Camera, float, float]:
    """(camera, depth units per metre, frames per second)"""
    try:
        K = np.array(stored["intrinsic_matrix"], float).reshape(3, 3).T     # stored column by column
        camera = Camera(K, int(stored["width"]), int(stored["height"]))
        units_per_m, fps = float(stored.get("depth_scale", 1000)), float(stored.get("fps", 30))
    except (KeyError, TypeError, ValueError) as error:
        raise AnrError(f"{folder / 'intrinsic.json'} cannot be used: {error}.", hint=LAYOUT) from error
    if K[0, 0] <= 0 or K[1, 1] <= 0 or abs(K[2, 2] - 1) > 1e-6 or np.any(K[2, :2]) or units_per_m <= 0 or fps <= 0:
        raise AnrError(f"{folder / 'intrinsic.json'} is not a pinhole camera: K = {K.tolist()}, "
                       f"depth_scale {units_per_m:g}, fps {fps:g}.",
                       hint="intrinsic_matrix is written column by column: [fx, 0, 0, 0, fy, 0, cx, cy, 1].")
    return camera, units_per_m, fps


def _frames(pairs: list[tuple[Path, Path]], camera: Camera, units_per_m: float, fps: float) -> Iterator[Frame]:
    for index, (color_path, depth_path) in enumerate(pairs):
        image = read_image(color_path)
        depth_m = _read_depth(depth_path, units_per_m)
        for path, shape in ((color_path, image.shape[:2]), (depth_path, depth_m.shape)):
            if shape != (camera.height, camera.width):
                raise AnrError(
                    f"{path} is {shape[1]}x{shape[0]}, but intrinsic.json says {camera.width}x{camera.height}.",
                    hint="Depth must be registered to colour, and both as large as intrinsic.json says.",
                )
        yield Frame(index, index / fps, image, depth_m)


def _read_depth(path: Path, units_per_m: float) -> np.ndarray:
    """(H, W) float32 metres; 0 = no reading."""
    import cv2

    raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if raw is None or raw.dtype != np.uint16 or raw.ndim != 2:
        raise AnrError(f"{path} is not a 16-bit depth picture.", hint=LAYOUT)
    return raw.astype(np.float32) / np.float32(units_per_m)
