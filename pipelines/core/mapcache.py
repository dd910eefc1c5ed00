"""Surface maps to files and back: cropped to their box, rounded, packed (core/mapcodec.py), with a checksum.

What rounding costs: UV 1/128 texel of a 256 texture, normals 0.1 degree on average and 0.25 at worst, depth 0.05 mm.
A person who fills a picture of 1024x1024 takes 0.3 MB and a few milliseconds to read.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from pipelines.core.cores import on_all_cores
from pipelines.core.errors import AnrError
from pipelines.core.mapcodec import CHANNELS, DEPTH_TOP, SPARE_WORDS, WORDS_PER_PIXEL, compiled
from pipelines.core.records import SurfaceMaps

MAGIC = b"anrmaps2"
HEADER = struct.Struct("<8s4idd8II")    # magic, box, depth of code 0, depth per code, runs and words of PARTS, CRC-32
PARTS = 4                               # rows are packed in so many parts, which can be unpacked side by side
DEPTH_STEP_M = 1e-4                     # between depth codes; wider where a body is deeper than 6.5 m
FEW_PIXELS = 1 << 16                    # below this another thread costs more than it takes off
LARGEST_FACE = 0xFFFE
LARGEST_SIDE = 0xFFFF
REMEDY = "Delete that version folder and run `anr raster` again; `anr status --verify` finds damage."


def write_maps(path: Path, maps: SurfaceMaps) -> int:
    """Writes `maps`; returns the bytes. ValueError for maps that cannot be kept: wrong shapes, too large, a NaN."""
    stored = maps_to_bytes(maps)
    path.write_bytes(stored)
    return len(stored)


def read_maps(path: Path) -> SurfaceMaps:
    """Reads what `write_maps` wrote; AnrError where the file is missing or damaged."""
    try:
        stored = path.read_bytes()
    except FileNotFoundError:
        raise AnrError(f"{path} is missing.", hint=REMEDY) from None
    try:
        return maps_from_bytes(stored)
    except (struct.error, ValueError) as error:
        raise AnrError(f"{path} is damaged: {error}.", hint=REMEDY) from None


def maps_to_bytes(maps: SurfaceMaps) -> bytes:
    """What a file of maps holds."""
    arrays = _checked(maps)
    count, largest, nearest, farthest, finite = compiled().survey(*arrays)
    if largest > LARGEST_FACE:
        raise ValueError(f"face index {largest} is above {LARGEST_FACE}")
    if not finite:
        raise ValueError("the maps hold numbers that are not finite where there is a surface")
    nearest, farthest = (float(nearest), float(farthest)) if count else (0.0, 0.0)
    step = max(DEPTH_STEP_M, (farthest - nearest) / DEPTH_TOP)
    packed = [_packed([array[rows] for array in arrays], nearest, step) for rows in _parts(len(arrays[0]))]
    body = b"".join(array.tobytes() for part in packed for array in part)
    sizes = [len(array) for part in packed for array in part]
    checksum = zlib.crc32(body, zlib.crc32(HEADER.pack(MAGIC, *maps.box, nearest, step, *sizes, 0)))
    return HEADER.pack(MAGIC, *maps.box, nearest, step, *sizes, checksum) + body


def maps_from_bytes(stored: bytes) -> SurfaceMaps:
    """The maps again; ValueError or struct.error where that is not what `maps_to_bytes` gave."""
    magic, x0, y0, x1, y1, nearest, step, *sizes, checksum = HEADER.unpack_from(stored)
    if magic != MAGIC:
        raise ValueError(f"begins with {magic!r}")
    wanted = HEADER.size + 2 * sum(sizes[::2]) + 4 * sum(sizes[1::2])
    if len(stored) != wanted:
        raise ValueError(f"holds {len(stored)} bytes where {wanted} belong")
    header = HEADER.pack(magic, x0, y0, x1, y1, nearest, step, *sizes, 0)
    if zlib.crc32(memoryview(stored)[HEADER.size:], zlib.crc32(header)) != checksum:
        raise ValueError("its checksum differs")
    maps = SurfaceMaps.unwritten((x0, y0, x1, y1))
    starts = HEADER.size + np.cumsum([0, *(2 * runs + 4 * words for runs, words in zip(sizes[::2], sizes[1::2]))])
    parts = _parts(y1 - y0)
    fits = [False] * PARTS

    def unpack(part: int) -> None:
        start, run_count, word_count = int(starts[part]), sizes[2 * part], sizes[2 * part + 1]
        runs = np.frombuffer(stored, np.uint16, run_count, start)
        words = np.zeros(word_count + SPARE_WORDS, np.uint32)
        words[:word_count] = np.frombuffer(stored, np.uint32, word_count, start + 2 * run_count)
        rows = parts[part]
        fits[part] = _unpacked(runs, words, nearest, step, (maps.face_index[rows], maps.uv[rows], maps.normal[rows],
                                                            maps.depth_m[rows]))

    on_all_cores(unpack, PARTS, None if maps.face_index.size > FEW_PIXELS else 1)
    if not all(fits):
        raise ValueError("what it holds does not fit its box")
    return maps


def _parts(height: int) -> list[slice]:
    """The rows of each part."""
    edges = [height * part // PARTS for part in range(PARTS + 1)]
    return [slice(start, end) for start, end in pairwise(edges)]


def _packed(arrays: Sequence[np.ndarray], nearest: float, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Runs (R,) uint16 and words (N,) uint32 of a part."""
    codec = compiled()
    height, width = arrays[0].shape
    runs = np.empty(height * (width + 3), np.uint16)
    run_count, count = codec.cover(arrays[0], runs)
    codes = np.empty((count, CHANNELS), np.int32)
    codec.quantise(*arrays, nearest, step, codes)
    words = np.empty(count * WORDS_PER_PIXEL, np.uint32)
    return runs[:run_count], words[:codec.pack(runs[:run_count], height, width, codes, words)]


def _unpacked(runs: np.ndarray, words: np.ndarray, nearest: float, step: float,
              maps: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]) -> bool:
    """Fills the maps of a part; whether that was possible."""
    codec = compiled()
    height, width = maps[0].shape
    count = codec.pixels(runs, height)
    if not 0 <= count <= height * width:
        return False
    codes = np.empty((count, CHANNELS), np.int32)
    if not codec.unpack(runs, height, width, words, codes):
        return False
    codec.restore(runs, codes, nearest, step, maps)
    return True


def _checked(maps: SurfaceMaps) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Face index, UV, normal and depth in the types that are packed."""
    x0, y0, x1, y1 = maps.box
    shape = (y1 - y0, x1 - x0)
    arrays = (np.ascontiguousarray(maps.face_index, np.int32), np.ascontiguousarray(maps.uv, np.float32),
              np.ascontiguousarray(maps.normal, np.float32), np.ascontiguousarray(maps.depth_m, np.float32))
    for array, channels in zip(arrays, ((), (2,), (3,), ())):
        if array.shape != (*shape, *channels):
            raise ValueError(f"box {maps.box} does not fit maps of shape {array.shape}")
    if max(shape) > LARGEST_SIDE:
        raise ValueError(f"maps of {shape[1]}x{shape[0]} pixels are wider or higher than {LARGEST_SIDE}")
    return arrays
