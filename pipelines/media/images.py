"""Pictures to files and back: 8-bit colour, 16-bit depth (millimetres unless told otherwise), 8-bit alpha."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines.core.errors import AnrError

BEST_QUALITY = 95                       # of JPEG
QUALITIES = (95, 93, 91, 89, 87, 85, 82, 79, 75, 70, 65, 60)    # tried in this order until a picture is small enough
FULL = 0.98                             # share of the picture from which a matte shows no outline of anybody
MM = 1000.0                             # depth units per metre


def read_image(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 sRGB."""
    import cv2

    direct = getattr(cv2, "IMREAD_COLOR_RGB", None)         # since OpenCV 4.11
    image = cv2.imread(str(path), cv2.IMREAD_COLOR if direct is None else direct)
    if image is None:
        hint = "Check the file; `anr status --verify` finds damage."
        raise AnrError(f"{path} is not a picture that can be read.", hint)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if direct is None else image


def write_image(path: Path, image: np.ndarray, quality: int = BEST_QUALITY) -> None:
    """(H, W, 3) or (H, W, 4) uint8 sRGB; `.jpg` with full colour resolution, `.png` lossless."""
    _write(path, *_colour_form(path.suffix, image, quality))


def quality_within(image: np.ndarray, most_bytes: int) -> int:
    """The best JPEG quality at which (H, W, 3) uint8 takes no more than `most_bytes`, or the lowest there is.

    Colours keep their full resolution: at equal size 4:4:4 at a lower quality is closer to the picture than 4:2:0
    (tests/benchmarks/capture_speed.py prints both).
    """
    sizes = ((quality, len(_encoded(".jpg", *_colour_form(".jpg", image, quality)))) for quality in QUALITIES)
    return next((quality for quality, size in sizes if size <= most_bytes), QUALITIES[-1])


def _colour_form(suffix: str, image: np.ndarray, quality: int) -> tuple[np.ndarray, list[int]]:
    """(the picture in OpenCV's order, how to encode it)"""
    import cv2

    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (3, 4):
        raise ValueError(f"expected (H, W, 3|4) uint8, got {image.shape} {image.dtype}")
    code = cv2.COLOR_RGB2BGR if image.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    flags = [cv2.IMWRITE_PNG_COMPRESSION, 2]
    if suffix in (".jpg", ".jpeg"):
        full_colour = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
        flags = [cv2.IMWRITE_JPEG_QUALITY, quality, *full_colour]
    return cv2.cvtColor(image, code), flags


def read_depth(path: Path, units_per_m: float = MM) -> np.ndarray:
    """(H, W) float32 metres, 0 = no reading, from a 16-bit PNG."""
    import cv2

    raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if raw is None or raw.dtype != np.uint16 or raw.ndim != 2:
        raise AnrError(f"{path} is not a 16-bit depth picture.", hint="Depth is stored as 16-bit PNG in millimetres.")
    return raw.astype(np.float32) / np.float32(units_per_m)


def write_depth(path: Path, depth_m: np.ndarray, units_per_m: float = MM) -> None:
    """(H, W) metres as 16-bit PNG; what is beyond 65535 units is cut to that."""
    _write(path, *_depth_form(depth_m, units_per_m))


def depth_bytes(depth_m: np.ndarray, units_per_m: float = MM) -> int:
    """How large (H, W) metres become on disk."""
    return len(_encoded(".png", *_depth_form(depth_m, units_per_m)))


def _depth_form(depth_m: np.ndarray, units_per_m: float) -> tuple[np.ndarray, list[int]]:
    """(16-bit units, how to encode them). Run lengths pack depth tighter than the default at level 1, as fast."""
    import cv2

    near_m = np.minimum(depth_m, np.float32(65535 / units_per_m))      # OpenCV wraps what is beyond 31 bits
    units: np.ndarray = cv2.multiply(  # type: ignore[call-overload]      # it rounds, and is fast
        near_m.astype(np.float32, copy=False), units_per_m, dtype=cv2.CV_16U)
    return units, [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]


def read_alpha(path: Path) -> np.ndarray:
    """(H, W) float32 in 0..1; AnrError where a stage's file is missing or damaged."""
    import cv2

    raw = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.exists() else None
    if raw is None:
        raise AnrError(f"{path} is {'damaged' if path.exists() else 'missing'}.",
                       hint="Delete that version folder and run the command again; `anr status --verify` finds damage.")
    return raw.astype(np.float32) / 255.0


def shows_somebody(matte: Path) -> bool:
    """Whether a stored matte has anybody in it, and is not full."""
    return 0 < person_share(read_alpha(matte)) <= FULL


def person_share(alpha: np.ndarray) -> float:
    """Which share of a matte (H, W) is more somebody than not."""
    return float((alpha > 0.5).mean())


def write_alpha(path: Path, alpha: np.ndarray) -> None:
    """alpha (H, W) in 0..1 as an 8-bit grey PNG."""
    import cv2

    grey = np.clip(np.round(alpha * 255.0), 0, 255).astype(np.uint8)
    _write(path, grey, [cv2.IMWRITE_PNG_COMPRESSION, 2])


def _write(path: Path, raw: np.ndarray, flags: list[int]) -> None:
    """Encodes in memory and writes with Python, so that a full disk raises instead of leaving half a file."""
    path.write_bytes(_encoded(path.suffix, raw, flags))


def _encoded(suffix: str, raw: np.ndarray, flags: list[int]) -> bytes:
    import cv2

    done, encoded = cv2.imencode(suffix, raw, flags)
    if not done:
        raise ValueError(f"cannot encode {raw.shape} {raw.dtype} as {suffix}")
    return encoded.tobytes()
