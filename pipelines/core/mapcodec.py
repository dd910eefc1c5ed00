"""How surface maps become few bits: rounded, predicted from the pixels left and above, packed as narrow as they fit.

Codes of a pixel (`CHANNELS`): u, v, two octahedral coordinates of the normal, depth. A code is predicted as left plus
above less above left, exactly what a plane would give, and only the difference is stored, in groups of `GROUP` covered
pixels of one row that share a width per channel. Faces are told as "the left one", "the one above" or "the one above
right" wherever that is true. The functions are plain; `compiled` gives them compiled by numba, which is why numbers of
64 bits are asked for by name.

source  the prediction: Weinberger et al., The LOCO-I lossless image compression algorithm, IEEE TIP 2000 (its plane);
        the normals: Cigolle et al., A survey of efficient representations for independent unit vectors, JCGT 2014
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

CHANNELS = 5
GROUP = 8                               # pixels that share a width; 16 takes 5 % more room
UV_TOP = (1 << 14) - 1                  # the largest code: 1/128 texel of a 256 texture
NORMAL_TOP = (1 << 10) - 1              # 0.1 degree, 0.25 at the worst
DEPTH_TOP = (1 << 16) - 1
WORDS_PER_PIXEL = 4                     # at most: 16 bits for each channel and for the face, and widths
SPARE_WORDS = 32                        # a group takes fewer; so many zeros follow the words that are decoded


@cache
def compiled() -> tuple[Callable, Callable, Callable]:
    """`survey`, `encode_maps` and `decode_maps`, compiled (kept on disk after the first time); they free the GIL."""
    from numba import njit

    fast = njit(cache=True, nogil=True, error_model="numpy")
    return fast(survey), fast(encode_maps), fast(decode_maps)


def survey(face_index, uv, normal, depth_m):  # type: ignore[no-untyped-def]
    """How many pixels are covered, the largest face, least and largest depth there, and whether all is finite."""
    height, width = face_index.shape
    count, largest, low, high, unsound = 0, -1, np.inf, -np.inf, 0
    for y in range(height):
        for x in range(width):
            if face_index[y, x] < 0:
                continue
            count += 1
            largest = max(largest, face_index[y, x])
            depth = depth_m[y, x]
            low, high = min(low, depth), max(high, depth)
            total = depth + uv[y, x, 0] + uv[y, x, 1] + normal[y, x, 0] + normal[y, x, 1] + normal[y, x, 2]
            if not np.isfinite(total):
                unsound += 1
    return count, largest, low, high, unsound == 0


def encode_maps(face_index, uv, normal, depth_m, nearest, depth_step, runs, words):  # type: ignore[no-untyped-def]
    """Fills runs and words; returns how many of each were used.

    face_index (h, w) int32, uv (h, w, 2), normal (h, w, 3), depth_m (h, w): see SurfaceMaps; finite where covered
    nearest, depth_step  metres of depth code 0 and between codes
    runs     (R,) uint16, at least h (w + 3): per row how many runs of covered pixels, and start and length of each
    words    (N,) uint32 zeros, at least WORDS_PER_PIXEL per covered pixel and SPARE_WORDS
    """
    height, width = face_index.shape
    above_face = np.full(width + 2, -1, dtype=np.int64)         # column c is at c + 1, so that all have neighbours
    row_face = np.full(width + 2, -1, dtype=np.int64)
    above = np.zeros((width + 2, CHANNELS), dtype=np.int64)
    row = np.zeros((width + 2, CHANNELS), dtype=np.int64)
    column_at = np.empty(width, dtype=np.int64)
    ways = np.empty(GROUP, dtype=np.int64)
    values = np.empty((CHANNELS + 1, GROUP), dtype=np.int64)
    widths = np.empty(CHANNELS + 1, dtype=np.int64)
    used, bit = 0, 0
    for y in range(height):
        above_face, row_face = row_face, above_face
        above, row = row, above
        row_face[:] = -1
        covered, run_count, run_at = 0, 0, used
        used += 1
        for x in range(width):
            if face_index[y, x] < 0:
                continue
            if row_face[x] < 0:         # the pixel to the left is not covered: a run begins
                run_count += 1
                runs[used], runs[used + 1] = x, 0
                used += 2
            runs[used - 1] += 1
            column_at[covered] = x + 1
            covered += 1
            row_face[x + 1] = face_index[y, x]
            for c in range(2):
                row[x + 1, c] = np.int64(min(max(uv[y, x, c], 0.0), 1.0) * UV_TOP + 0.5)
            # The camera sees normals with negative z; the fold at the square's rim is where rounding is worst.
            nx, ny, nz = np.float64(normal[y, x, 0]), np.float64(normal[y, x, 1]), -np.float64(normal[y, x, 2])
            length = max(abs(nx) + abs(ny) + abs(nz), 1e-12)
            p, q = nx / length, ny / length
            if nz < 0:
                p, q = ((1 - abs(q)) * (-1.0 if p < 0 else 1.0), (1 - abs(p)) * (-1.0 if q < 0 else 1.0))
            row[x + 1, 2] = np.int64((p + 1) / 2 * NORMAL_TOP + 0.5)
            row[x + 1, 3] = np.int64((q + 1) / 2 * NORMAL_TOP + 0.5)
            row[x + 1, 4] = min(np.int64((depth_m[y, x] - nearest) / depth_step + 0.5), DEPTH_TOP)
        runs[run_at] = run_count
        for start in range(0, covered, GROUP):
            count = min(GROUP, covered - start)
            for k in range(count):
                at = column_at[start + k]
                left, up, corner = row_face[at - 1] >= 0, above_face[at] >= 0, above_face[at - 1] >= 0
                ways[k] = 3 if left and up and corner else 1 if left else 2 if up else 0
                face = row_face[at]
                if left and face == row_face[at - 1]:
                    values[CHANNELS, k] = 0
                elif up and face == above_face[at]:
                    values[CHANNELS, k] = 1
                else:
                    values[CHANNELS, k] = 2 if face == above_face[at + 1] else 3
            for k in range(count):
                at, way = column_at[start + k], ways[k]
                for c in range(CHANNELS):
                    guess = 0
                    if way == 3:
                        guess = row[at - 1, c] + above[at, c] - above[at - 1, c]
                    elif way == 1:
                        guess = row[at - 1, c]
                    elif way == 2:
                        guess = above[at, c]
                    off = (row[at, c] - guess) & 0xFFFF
                    if off >= 0x8000:
                        off -= 0x10000
                    values[c, k] = 2 * off if off >= 0 else -2 * off - 1           # small of either sign -> small
            header = 0
            for c in range(CHANNELS + 1):
                widest = 0
                for k in range(count):
                    widest |= values[c, k]
                wide = 0
                while widest >> wide:
                    wide += 1
                widths[c] = 16 if wide == 15 else wide                             # so that a width takes 4 bits
                header |= min(widths[c], 15) << (4 * c)
            here, shift = bit >> 5, bit & 31
            words[here] |= np.uint32((header << shift) & 0xFFFFFFFF)
            words[here + 1] |= np.uint32((header << shift) >> 32)
            bit += 4 * (CHANNELS + 1)
            for c in range(CHANNELS + 1):
                for k in range(count):
                    here, shift = bit >> 5, bit & 31
                    spread = values[c, k] << shift
                    words[here] |= np.uint32(spread & 0xFFFFFFFF)
                    words[here + 1] |= np.uint32(spread >> 32)
                    bit += widths[c]
            for k in range(count):
                if values[CHANNELS, k] == 3:
                    here, shift = bit >> 5, bit & 31
                    spread = row_face[column_at[start + k]] << shift
                    words[here] |= np.uint32(spread & 0xFFFFFFFF)
                    words[here + 1] |= np.uint32(spread >> 32)
                    bit += 16
    return used, (bit + 31) // 32


def decode_maps(runs, words, nearest, depth_step, face_index, uv, normal, depth_m):  # type: ignore[no-untyped-def]
    """Fills the maps, background too, from what `encode_maps` made; False where that does not fit them.

    runs (R,) uint16: as filled, without what was not used; words (N,) uint32 likewise, and SPARE_WORDS zeros
    """
    height, width = face_index.shape
    above_face = np.full(width + 2, -1, dtype=np.int64)
    row_face = np.full(width + 2, -1, dtype=np.int64)
    above = np.zeros((width + 2, CHANNELS), dtype=np.int64)
    row = np.zeros((width + 2, CHANNELS), dtype=np.int64)
    column_at = np.empty(width, dtype=np.int64)
    ways = np.empty(GROUP, dtype=np.int64)
    values = np.empty((CHANNELS + 1, GROUP), dtype=np.int64)
    # Indices into `words` are unsigned: those of the other kind are looked at for being negative.
    one, per_uv, per_normal = np.float32(1.0), np.float32(1.0 / UV_TOP), np.float32(2.0 / NORMAL_TOP)
    used, bit, bits_there = 0, 0, 32 * (len(words) - SPARE_WORDS)
    for y in range(height):
        above_face, row_face = row_face, above_face
        above, row = row, above
        row_face[:] = -1
        face_index[y] = -1
        uv[y] = 0.0
        normal[y] = 0.0
        depth_m[y] = 0.0
        if used >= len(runs) or used + 1 + 2 * np.int64(runs[used]) > len(runs):
            return False
        covered = 0
        run_count = np.int64(runs[used])
        used += 1
        for _ in range(run_count):
            start, length = np.int64(runs[used]), np.int64(runs[used + 1])
            used += 2
            if start + length > width or covered + length > width:
                return False
            for x in range(start, start + length):
                column_at[covered] = x + 1
                row_face[x + 1] = 0     # covered: by which face is read below, from left to right
                covered += 1
        for start in range(0, covered, GROUP):
            count = min(GROUP, covered - start)
            if bit > bits_there:
                return False
            for k in range(count):
                at = column_at[start + k]
                left, up, corner = row_face[at - 1] >= 0, above_face[at] >= 0, above_face[at - 1] >= 0
                ways[k] = 3 if left and up and corner else 1 if left else 2 if up else 0
            here, shift = np.uint64(bit >> 5), bit & 31
            there = here + np.uint64(1)
            widths = (np.int64(words[here]) | (np.int64(words[there]) << 32)) >> shift
            bit += 4 * (CHANNELS + 1)
            for c in range(CHANNELS + 1):
                wide = (widths >> (4 * c)) & 15
                wide = 16 if wide == 15 else wide
                mask = (1 << wide) - 1
                for k in range(count):
                    here, shift = np.uint64(bit >> 5), bit & 31
                    there = here + np.uint64(1)
                    values[c, k] = ((np.int64(words[here]) | (np.int64(words[there]) << 32)) >> shift) & mask
                    bit += wide
            for k in range(count):
                at, way = column_at[start + k], ways[k]
                for c in range(CHANNELS):
                    value = values[c, k]
                    guess = 0
                    if way == 3:
                        guess = row[at - 1, c] + above[at, c] - above[at - 1, c]
                    elif way == 1:
                        guess = row[at - 1, c]
                    elif way == 2:
                        guess = above[at, c]
                    row[at, c] = (guess + ((value >> 1) ^ -(value & 1))) & 0xFFFF
            for k in range(count):
                at, symbol = column_at[start + k], values[CHANNELS, k]
                if symbol == 0:
                    face = row_face[at - 1]
                elif symbol == 1:
                    face = above_face[at]
                elif symbol == 2:
                    face = above_face[at + 1]
                else:
                    here, shift = np.uint64(bit >> 5), bit & 31
                    there = here + np.uint64(1)
                    face = ((np.int64(words[here]) | (np.int64(words[there]) << 32)) >> shift) & 0xFFFF
                    bit += 16
                row_face[at] = face
                x = at - 1
                face_index[y, x] = face
                uv[y, x, 0] = np.float32(row[at, 0]) * per_uv
                uv[y, x, 1] = np.float32(row[at, 1]) * per_uv
                p, q = np.float32(row[at, 2]) * per_normal - one, np.float32(row[at, 3]) * per_normal - one
                z = one - abs(p) - abs(q)
                if z < 0:
                    p, q = (p + z if p >= 0 else p - z), (q + z if q >= 0 else q - z)
                scale = one / np.sqrt(p * p + q * q + z * z)
                normal[y, x, 0] = p * scale
                normal[y, x, 1] = q * scale
                normal[y, x, 2] = -z * scale
                depth_m[y, x] = nearest + row[at, 4] * depth_step
    return used == len(runs) and bit <= bits_there
