"""Where a picture's focal length comes from: told by the person, written in the file, or assumed.

A device or a calibration file knows its lens and needs none of this.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Camera
from pipelines.sources import ASSUMED

ASSUMED_FOV_DEG = 60.0                  # of the longer side: a phone's main lens while filming lies between 55 and 70
DIAGONAL_35MM = 43.267                  # of the 36 x 24 mm film that "35 mm equivalent" refers to (CIPA DCG-001)
SHORTEST_MM, LONGEST_MM = 5.0, 1000.0   # what a 35 mm equivalent can be; cameras write 0 for "unknown"
EXIF, ORIENTATION = 0x8769, 0x0112      # EXIF 2.32: the sub-directory of camera settings; how to turn the picture
FOCAL_MM, FOCAL_35MM, PLANE_X_RESOLUTION, PLANE_UNIT, PIXELS_ACROSS = 0x920A, 0xA405, 0xA20E, 0xA210, 0xA002
MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0}    # of the focal plane's resolution: inch, cm, mm


def camera_of(width: int, height: int, fov_deg: float | None, found: tuple[float, str] | None) -> tuple[Camera, str]:
    """The pinhole camera of upright, square-pixel pictures, and a sentence on where its focal length came from.

    fov_deg  across the width, told by the person: it wins
    found    (focal length over the picture's diagonal, where that was written), or None
    """
    if fov_deg is not None:
        focal_px = width / 2 / math.tan(math.radians(fov_deg) / 2)
        told = f"given: --fov-deg {fov_deg:g} across the width"
    elif found is not None:
        focal_px, told = found[0] * math.hypot(width, height), found[1]
    else:
        focal_px = max(width, height) / 2 / math.tan(math.radians(ASSUMED_FOV_DEG) / 2)
        told = f"{ASSUMED}: {ASSUMED_FOV_DEG:g} degrees across the longer side (--fov-deg tells it)"
    K = np.array([[focal_px, 0, width / 2], [0, focal_px, height / 2], [0, 0, 1]])
    return Camera(K, width, height), told


def refuse_fov(fov_deg: float | None, camera: Camera, who: str) -> None:
    """--fov-deg beside a camera that `who` knows: one of the two is wrong, and nobody here knows which."""
    if fov_deg is not None:
        known_deg = math.degrees(2 * math.atan(camera.width / 2 / camera.K[0, 0]))
        raise AnrError(f"--fov-deg {fov_deg:g} contradicts {who}: {known_deg:.1f} degrees across the width.",
                       hint="Leave it out; or mend the calibration, where that is wrong.")


def written_in_video(metadata: Mapping[str, str]) -> tuple[float, str] | None:
    """From QuickTime (`com.apple.quicktime.camera.focal_length.35mm_equivalent`) or EXIF-like keys."""
    for key, value in metadata.items():
        plain = re.sub(r"[^a-z0-9]", "", key.lower())
        number = re.search(r"\d+(\.\d+)?", value)
        if "focallength" in plain and "35mm" in plain and number and SHORTEST_MM <= float(number[0]) <= LONGEST_MM:
            return _by_diagonal(float(number[0]), "the file's metadata")
    return None


def written_in_picture(path: Path) -> tuple[float, str] | None:
    """From EXIF: the 35 mm equivalent, or the focal length and the sensor's pixels per millimetre."""
    settings = exif_of(path)[1]
    equivalent_mm = _number(settings.get(FOCAL_35MM))
    if SHORTEST_MM <= equivalent_mm <= LONGEST_MM:
        return _by_diagonal(equivalent_mm, f"EXIF of {path.name}")
    focal_mm, per_unit = _number(settings.get(FOCAL_MM)), _number(settings.get(PLANE_X_RESOLUTION))
    across, unit_mm = _number(settings.get(PIXELS_ACROSS)), MM_PER_UNIT.get(int(_number(settings.get(PLANE_UNIT, 2))))
    if min(focal_mm, per_unit, across) <= 0 or unit_mm is None:
        return None
    # The sensor's pixels count as the camera took the picture, which may have been reduced since.
    width, height = stored_size(path)
    focal_over_diagonal = focal_mm * per_unit / unit_mm / (across * math.hypot(1.0, height / width))
    equivalent_mm = focal_over_diagonal * DIAGONAL_35MM
    if not SHORTEST_MM <= equivalent_mm <= LONGEST_MM:
        return None
    return focal_over_diagonal, f"EXIF of {path.name}: {focal_mm:g} mm and the sensor's resolution"


def exif_of(path: Path) -> tuple[int, dict[int, Any]]:
    """(how the picture is turned, 1 = as stored, see EXIF 2.32 section 4.6.4 A; its camera settings by tag).

    Pictures without EXIF, and files that are no pictures, give (1, {}).
    """
    from PIL import Image

    try:
        with Image.open(path) as picture:
            tags = picture.getexif()
            turned = tags.get(ORIENTATION, 1)
            return turned if turned in range(1, 9) else 1, dict(tags.get_ifd(EXIF))
    except broken():
        return 1, {}


def stored_size(path: Path) -> tuple[int, int]:
    """(width, height) of a picture as it is stored, before it is turned upright; (0, 0) for what is no picture."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            # Pillow tells the size of a TIFF as it will be once turned.
            turned = picture.format == "TIFF" and picture.getexif().get(ORIENTATION, 1) >= 5
            return (picture.height, picture.width) if turned else (picture.width, picture.height)
    except broken():
        return 0, 0


def broken() -> tuple[type[Exception], ...]:
    """What Pillow raises for no picture, a damaged one (SyntaxError, of all things), and one of over 178 megapixels."""
    from PIL import Image

    return OSError, SyntaxError, ValueError, Image.DecompressionBombError


def _by_diagonal(equivalent_mm: float, where: str) -> tuple[float, str]:
    return equivalent_mm / DIAGONAL_35MM, f"{where}: {equivalent_mm:g} mm (35 mm equivalent, by the diagonal)"


def _number(value: Any) -> float:
    """0 where a tag is missing or no number (a rational with a zero below, text)."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return number if math.isfinite(number) else 0.0
