"""Pictures to files and back: 8-bit colour, 16-bit depth in millimetres, 8-bit alpha."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines.core.errors import AnrError

JPEG_QUALITY = 95


def read_image(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 sRGB."""
    import cv2

    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        hint = "Check the file; `anr status --verify` finds damage."
        raise AnrError(f"{path} is not a picture that can be read.", hint)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def write_image(path: Path, image: np.ndarray) -> None:
    """(H, W, 3) or (H, W, 4) uint8 sRGB; `.jpg` at quality 95 with full colour resolution, `.png` lossless."""
    import cv2

    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (3, 4):
        raise ValueError(f"expected (H, W, 3|4) uint8, got {image.shape} {image.dtype}")
    code = cv2.COLOR_RGB2BGR if image.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    flags = [cv2.IMWRITE_PNG_COMPRESSION, 2]
    if path.suffix in (".jpg", ".jpeg"):
        full_colour = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
        flags = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, *full_colour]
    _write(path, cv2.cvtColor(image, code), flags)


def read_depth(path: Path) -> np.ndarray:
    """(H, W) float32 metres, 0 = no reading, from a 16-bit PNG in millimetres."""
    import cv2

    raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if raw is None or raw.dtype != np.uint16 or raw.ndim != 2:
        raise AnrError(f"{path} is not a 16-bit depth picture.", hint="Depth is stored as 16-bit PNG in millimetres.")
    return raw.astype(np.float32) / 1000.0


def write_depth(path: Path, depth_m: np.ndarray) -> None:
    import cv2

    _write(path, np.clip(np.round(depth_m * 1000.0), 0, 65535).astype(np.uint16), [cv2.IMWRITE_PNG_COMPRESSION, 1])


def read_alpha(path: Path) -> np.ndarray:
    """(H, W) float32 in 0..1."""
    import cv2

    raw = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if raw is None:
        raise AnrError(f"{path} is not a matte that can be read.", hint="Mattes are 8-bit grey PNG files.")
    return raw.astype(np.float32) / 255.0


def shows_somebody(matte: Path) -> bool:
    """Whether a stored matte has anybody in it."""
    return bool((read_alpha(matte) > 0.5).any())


def write_alpha(path: Path, alpha: np.ndarray) -> None:
    import cv2

    _write(path, np.clip(np.round(alpha * 255.0), 0, 255).astype(np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, 2])


def _write(path: Path, raw: np.ndarray, flags: list[int]) -> None:
    """Encodes in memory and writes with Python, so that a full disk raises instead of leaving half a file."""
    import cv2

    done, encoded = cv2.imencode(path.suffix, raw, flags)
    if not done:
        raise ValueError(f"cannot encode {raw.shape} {raw.dtype} as {path.suffix}")
    path.write_bytes(encoded.tobytes())
