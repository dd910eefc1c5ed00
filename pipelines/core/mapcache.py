"""Surface maps to files and back, made small: only covered pixels, rounded, deltas, zlib.

What rounding costs: UV 1/128 texel of a 256 texture, normals 0.1 degree, depth 1/32000 of the body's depth range.
A person 555 px tall takes 0.24 MB and 10 to 20 ms to read.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import SurfaceMaps

MAGIC = b"anrmaps1"
HEADER = struct.Struct("<8s4iIff")      # magic, box, covered pixels, depth of code 0, depth per code
UV_CODES = 1 << 14
NORMAL_CODES = 1 << 10
DEPTH_CODES = 1 << 14
LEVEL = 1                               # zlib; 6 is three times slower for 6 % less


def write_maps(path: Path, maps: SurfaceMaps) -> None:
    """Writes `maps` (face index below 65535)."""
    x0, y0, x1, y1 = maps.box
    if maps.face_index.shape != (y1 - y0, x1 - x0):
        raise ValueError(f"box {maps.box} does not fit maps of shape {maps.face_index.shape}")
    if maps.face_index.size and maps.face_index.max() >= 0xFFFF:
        raise ValueError(f"face index {maps.face_index.max()} does not fit 16 bits")
    inside = maps.inside
    depth = maps.depth_m[inside].astype(np.float64)
    nearest = depth.min() if len(depth) else 0.0
    step = max((depth.max() - nearest) / (DEPTH_CODES - 1), 1e-9) if len(depth) else 1.0
    uv = np.round(np.clip(maps.uv[inside], 0, 1) * (UV_CODES - 1))
    normal = np.round((octahedral(maps.normal[inside]) + 1) / 2 * (NORMAL_CODES - 1))
    codes = np.concatenate([maps.face_index[inside], uv[:, 0], uv[:, 1], normal[:, 0], normal[:, 1],
                            np.round((depth - nearest) / step)]).astype(np.uint16).reshape(6, -1)
    deltas = np.diff(codes, axis=1, prepend=np.zeros((6, 1), np.uint16))         # wraps, and unwraps on reading
    folded = (deltas << 1) ^ (0 - (deltas >> 15))                                # small of either sign -> small
    low, high = (folded & 0xFF).astype(np.uint8), (folded >> 8).astype(np.uint8)
    body = np.packbits(inside).tobytes() + low.tobytes() + high.tobytes()
    header = HEADER.pack(MAGIC, x0, y0, x1, y1, codes.shape[1], nearest, step)
    path.write_bytes(header + zlib.compress(body, LEVEL))


def read_maps(path: Path) -> SurfaceMaps:
    """Reads what `write_maps` wrote; AnrError where the file is missing or damaged."""
    try:
        stored = path.read_bytes()
    except FileNotFoundError:
        raise AnrError(f"{path} is missing.", hint="Run `anr raster` again; `anr status --verify` finds damage.") \
            from None
    try:
        magic, x0, y0, x1, y1, count, nearest, step = HEADER.unpack_from(stored)
        if magic != MAGIC:
            raise ValueError(f"begins with {magic!r}")
        body = np.frombuffer(zlib.decompress(stored[HEADER.size:]), np.uint8)
        shape = (y1 - y0, x1 - x0)
        mask_bytes = -(-shape[0] * shape[1] // 8)
        if len(body) != mask_bytes + 12 * count:
            raise ValueError(f"holds {len(body)} bytes where {mask_bytes + 12 * count} belong")
    except (struct.error, zlib.error, ValueError) as error:
        raise AnrError(f"{path} is damaged: {error}.", hint="Delete that version folder and run `anr raster` again.") \
            from None
    inside = np.unpackbits(body[:mask_bytes], count=shape[0] * shape[1]).view(bool).reshape(shape)
    low, high = body[mask_bytes:].reshape(2, 6, count)
    folded = low.astype(np.uint16) | (high.astype(np.uint16) << 8)
    deltas = (folded >> 1) ^ (0 - (folded & 1))
    codes = np.cumsum(deltas, axis=1, dtype=np.uint16)

    face_index = np.full(shape, -1, np.int32)
    uv = np.zeros((*shape, 2), np.float32)
    normal = np.zeros((*shape, 3), np.float32)
    depth_m = np.zeros(shape, np.float32)
    face_index[inside] = codes[0]
    uv[inside] = codes[1:3].T / np.float32(UV_CODES - 1)
    normal[inside] = from_octahedral(codes[3:5].T * np.float32(2 / (NORMAL_CODES - 1)) - 1)
    depth_m[inside] = codes[5] * np.float32(step) + np.float32(nearest)
    return SurfaceMaps(face_index, uv, normal, depth_m, (x0, y0, x1, y1))


def octahedral(vectors: np.ndarray) -> np.ndarray:
    """Unit vectors (..., 3) as points (..., 2) of the square [-1, 1]^2; the half that faces the camera is its middle.

    source  Cigolle et al., A survey of efficient representations for independent unit vectors, JCGT 2014
    """
    # the camera sees normals with negative z, and the fold at the square's rim is where rounding is worst
    x, y, z = vectors[..., 0], vectors[..., 1], -vectors[..., 2]
    length = np.maximum(np.abs(x) + np.abs(y) + np.abs(z), 1e-12)
    p, q = x / length, y / length
    back = z < 0
    return np.stack([np.where(back, (1 - np.abs(q)) * np.where(p < 0, -1, 1), p),
                     np.where(back, (1 - np.abs(p)) * np.where(q < 0, -1, 1), q)], axis=-1)


def from_octahedral(points: np.ndarray) -> np.ndarray:
    """Unit vectors (..., 3) of points (..., 2); the inverse of `octahedral`."""
    p, q = points[..., 0], points[..., 1]
    z = 1 - np.abs(p) - np.abs(q)
    fold = np.maximum(-z, 0)
    vectors = np.stack([p - np.copysign(fold, p), q - np.copysign(fold, q), -z], axis=-1)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
