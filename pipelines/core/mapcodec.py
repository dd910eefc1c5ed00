"""How surface maps become few bits: rounded, predicted from the pixels left and above, packed as narrow as they fit.

Where a row is covered is told in runs. Each covered pixel, in the order of reading, has a row of codes (`CHANNELS`):
u, v, two octahedral coordinates of the normal, depth, face. A code is predicted as left plus above less above left,
exactly what a plane would give, and only the difference is packed, in groups of `GROUP` covered pixels of one row that
share a width per channel. Faces are told as "the left one", "the one above" or "the one above right" wherever that is
true.

The functions are plain, and their own slow reference; `compiled` gives them compiled by numba, which is why numbers of
64 bits are asked for by name.

source  the prediction: Weinberger et al., The LOCO-I lossless image compression algorithm, IEEE TIP 2000 (its plane);
        the normals: Cigolle et al., A survey of efficient representations for independent unit vectors, JCGT 2014
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import NamedTuple

import numpy as np

CHANNELS = 6
FACE = 5                                # which channel is the face; the others are numbers that change smoothly
GROUP = 8                               # pixels that share a width; 16 takes 15 % more room
UV_TOP = (1 << 14) - 1                  # the largest code: 1/128 texel of a 256 texture
NORMAL_TOP = (1 << 10) - 1              # 0.1 degree, 0.25 at the worst
DEPTH_TOP = (1 << 16) - 1
WORDS_PER_PIXEL = 4                     # at most: 16 bits for each channel and for the face, and widths
SPARE_WORDS = 32                        # a group takes fewer; so many zeros follow the words that are unpacked


class Codec(NamedTuple):
    """The functions of this file, compiled (kept on disk after the first time); they free the GIL."""

    survey: Callable
    cover: Callable
    pixels: Callable
    quantise: Callable
    pack: Callable
    unpack: Callable
    restore: Callable


@cache
def compiled() -> Codec:
    """The functions of this file as numba compiles them: seconds at first, then read from disk."""
    from numba import njit

    compiling = njit(cache=True, nogil=True, error_model="numpy")
    inlined = njit(inline="always", error_model="numpy")        # called instead, they cost a tenth of packing
    shared = {each.__name__: inlined(each) for each in (covered_in, guessed, ahead_of)}
    # What is compiled calls only what is compiled, so it is given these by the names of the plain ones.
    return Codec(*(compiling(FunctionType(each.__code__, {**globals(), **shared})) for each in plain()))


def plain() -> Codec:
    """The same functions as Python runs them: slow, and what the compiled ones must agree with."""
    return Codec(survey, cover, pixels, quantise, pack, unpack, restore)


def survey(face_index, uv, normal, depth_m):  # type: ignore[no-untyped-def]
    """Of the covered pixels: how many, the largest face, least and largest depth, and whether all is finite."""
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


def cover(face_index, runs):  # type: ignore[no-untyped-def]
    """Fills runs (at least h (w + 3),) uint16: per row how many runs of covered pixels, and start and length of each.

    Returns how many numbers that took, and how many pixels are covered.
    """
    height, width = face_index.shape
    used, total = 0, 0
    for y in range(height):
        count_at = used
        runs[count_at] = 0
        used += 1
        covered = False
        for x in range(width):
            if face_index[y, x] < 0:
                covered = False
                continue
            if not covered:
                runs[count_at] += 1
                runs[used], runs[used + 1] = x, 0
                used += 2
            covered = True
            runs[used - 1] += 1
            total += 1
    return used, total


def pixels(runs, height):  # type: ignore[no-untyped-def]
    """How many pixels the runs of so many rows cover; -1 where there are not so many rows."""
    used, total = 0, 0
    for _ in range(height):
        if used >= len(runs) or used + 1 + 2 * np.int64(runs[used]) > len(runs):
            return -1
        for run in range(np.int64(runs[used])):
            total += np.int64(runs[used + 2 + 2 * run])
        used += 1 + 2 * np.int64(runs[used])
    return total if used == len(runs) else -1


def quantise(face_index, uv, normal, depth_m, nearest, depth_step, codes):  # type: ignore[no-untyped-def]
    """Fills codes (N, CHANNELS) int32 of the covered pixels; all maps are finite there.

    nearest, depth_step  metres of depth code 0 and between codes
    """
    height, width = face_index.shape
    i = 0
    for y in range(height):
        for x in range(width):
            if face_index[y, x] < 0:
                continue
            for c in range(2):
                codes[i, c] = np.int64(min(max(uv[y, x, c], 0.0), 1.0) * UV_TOP + 0.5)
            # The camera sees normals with negative z; the fold at the square's rim is where rounding is worst.
            nx, ny, nz = np.float64(normal[y, x, 0]), np.float64(normal[y, x, 1]), -np.float64(normal[y, x, 2])
            length = max(abs(nx) + abs(ny) + abs(nz), 1e-12)
            p, q = nx / length, ny / length
            if nz < 0:
                p, q = ((1 - abs(q)) * (-1.0 if p < 0 else 1.0), (1 - abs(p)) * (-1.0 if q < 0 else 1.0))
            codes[i, 2] = np.int64((p + 1) / 2 * NORMAL_TOP + 0.5)
            codes[i, 3] = np.int64((q + 1) / 2 * NORMAL_TOP + 0.5)
            codes[i, 4] = min(np.int64((depth_m[y, x] - nearest) / depth_step + 0.5), DEPTH_TOP)
            codes[i, FACE] = face_index[y, x]
            i += 1


def pack(runs, height, width, codes, words):  # type: ignore[no-untyped-def]
    """Fills words (M,) uint32, at least WORDS_PER_PIXEL per row of codes; returns how many that took."""
    above, row = np.full(width + 2, -1, dtype=np.int64), np.full(width + 2, -1, dtype=np.int64)   # column x at x + 1
    column_at = np.empty(width, dtype=np.int64)
    differences = np.empty((CHANNELS, GROUP), dtype=np.int64)
    fields = np.empty(1 + CHANNELS * GROUP + GROUP, dtype=np.int64)                               # what a group takes
    bits = np.empty(len(fields), dtype=np.int64)
    used, first = 0, 0
    filled, held, held_bits = 0, 0, 0   # whole words; bits that do not fill one yet
    for _ in range(height):
        above, row = row, above
        row[:] = -1
        covered = covered_in(runs, used, first, column_at, row)
        used += 1 + 2 * np.int64(runs[used])
        for start in range(0, covered, GROUP):
            count = min(GROUP, covered - start)
            for k in range(count):
                i, at = first + start + k, column_at[start + k]
                left, up, corner, beyond = row[at - 1], above[at], above[at - 1], above[at + 1]
                for c in range(FACE):
                    off = (codes[i, c] - guessed(codes, c, left, up, corner)) & 0xFFFF
                    off -= (off & 0x8000) << 1
                    differences[c, k] = 2 * off if off >= 0 else -2 * off - 1      # small of either sign -> small
                told = 3
                if left >= 0 and codes[i, FACE] == codes[left, FACE]:
                    told = 0
                elif up >= 0 and codes[i, FACE] == codes[up, FACE]:
                    told = 1
                elif beyond >= 0 and codes[i, FACE] == codes[beyond, FACE]:
                    told = 2
                differences[FACE, k] = told
            fields[0], bits[0] = 0, 4 * CHANNELS
            last = 1
            for c in range(CHANNELS):
                widest = 0
                for k in range(count):
                    widest |= differences[c, k]
                wide = 0
                while widest >> wide:
                    wide += 1
                fields[0] |= min(wide, 15) << (4 * c)
                wide = 16 if wide == 15 else wide                                  # so that a width takes 4 bits
                for k in range(count):
                    fields[last], bits[last] = differences[c, k], wide
                    last += 1
            for k in range(count):
                if differences[FACE, k] == 3:
                    fields[last], bits[last] = codes[first + start + k, FACE], 16
                    last += 1
            for n in range(last):
                held |= fields[n] << held_bits
                held_bits += bits[n]
                if held_bits >= 32:
                    words[filled] = np.uint32(held & 0xFFFFFFFF)
                    filled += 1
                    held >>= 32
                    held_bits -= 32
        first += covered
    if held_bits:
        words[filled] = np.uint32(held)
        filled += 1
    return filled


def unpack(runs, height, width, words, codes):  # type: ignore[no-untyped-def]
    """Fills codes (N, CHANNELS) int32; False where words or the columns that runs name do not fit.

    runs   of all rows, covering N pixels (`pixels`)
    words  as packed, without what was not used, and SPARE_WORDS zeros
    """
    above, row = np.full(width + 2, -1, dtype=np.int64), np.full(width + 2, -1, dtype=np.int64)
    column_at = np.empty(width, dtype=np.int64)
    differences = np.empty((CHANNELS, GROUP), dtype=np.int64)
    used, first, bit, bits_there = 0, 0, 0, 32 * (len(words) - SPARE_WORDS)
    for _ in range(height):
        above, row = row, above
        row[:] = -1
        covered = covered_in(runs, used, first, column_at, row)
        if covered < 0 or first + covered > len(codes):
            return False
        used += 1 + 2 * np.int64(runs[used])
        for start in range(0, covered, GROUP):
            if bit > bits_there:
                return False
            count = min(GROUP, covered - start)
            widths = ahead_of(words, bit)
            bit += 4 * CHANNELS
            for c in range(CHANNELS):
                wide = (widths >> (4 * c)) & 15
                wide = 16 if wide == 15 else wide
                mask = (1 << wide) - 1
                for k in range(count):
                    differences[c, k] = ahead_of(words, bit) & mask
                    bit += wide
            for k in range(count):
                i, at = first + start + k, column_at[start + k]
                left, up, corner, told = row[at - 1], above[at], above[at - 1], differences[FACE, k]
                for c in range(FACE):
                    folded, guess = differences[c, k], guessed(codes, c, left, up, corner)
                    codes[i, c] = (guess + ((folded >> 1) ^ -(folded & 1))) & 0xFFFF
                source = left if told == 0 else up if told == 1 else above[at + 1]
                if told == 3:
                    codes[i, FACE] = ahead_of(words, bit) & 0xFFFF
                    bit += 16
                elif source < 0:
                    return False
                else:
                    codes[i, FACE] = codes[source, FACE]
        first += covered
    return first == len(codes) and bit <= bits_there


def covered_in(runs, used, first, column_at, row):  # type: ignore[no-untyped-def]
    """How many pixels a row covers, whose runs begin at `used`; -1 where they name columns it does not have.

    first      the row of codes of its first pixel
    column_at  filled: (width,) the columns covered, counted from 1
    row        filled: (width + 2,) at these columns, which row of codes is theirs
    """
    width, covered = len(column_at), 0
    for run in range(np.int64(runs[used])):
        start, length = np.int64(runs[used + 1 + 2 * run]), np.int64(runs[used + 2 + 2 * run])
        if start + length > width or covered + length > width:
            return -1
        for x in range(start, start + length):
            column_at[covered] = x + 1
            row[x + 1] = first + covered
            covered += 1
    return covered


def guessed(codes, c, left, up, corner):  # type: ignore[no-untyped-def]
    """What a plane through the pixels left and above would give, or what there is of them; -1 is no pixel."""
    if left >= 0 and up >= 0 and corner >= 0:
        return np.int64(codes[left, c]) + codes[up, c] - codes[corner, c]
    if left >= 0:
        return np.int64(codes[left, c])
    return np.int64(codes[up, c]) if up >= 0 else np.int64(0)


def ahead_of(words, bit):  # type: ignore[no-untyped-def]
    """The bits from `bit` on, 33 at least; indices are unsigned: others are looked at for being negative."""
    here = np.uint64(bit >> 5)
    return (np.int64(words[here]) | (np.int64(words[here + np.uint64(1)]) << 32)) >> (bit & 31)


def restore(runs, codes, nearest, depth_step, maps):  # type: ignore[no-untyped-def]
    """Fills maps: face_index (h, w), uv (h, w, 2), normal (h, w, 3) and depth_m (h, w), background too."""
    face_index, uv, normal, depth_m = maps
    one, per_uv, per_normal = np.float32(1.0), np.float32(1.0 / UV_TOP), np.float32(2.0 / NORMAL_TOP)
    used, i = 0, 0
    for y in range(len(face_index)):
        face_index[y] = -1
        uv[y] = 0.0
        normal[y] = 0.0
        depth_m[y] = 0.0
        for run in range(np.int64(runs[used])):
            start, length = np.int64(runs[used + 1 + 2 * run]), np.int64(runs[used + 2 + 2 * run])
            for x in range(start, start + length):
                face_index[y, x] = codes[i, FACE]
                uv[y, x, 0] = np.float32(codes[i, 0]) * per_uv
                uv[y, x, 1] = np.float32(codes[i, 1]) * per_uv
                p, q = np.float32(codes[i, 2]) * per_normal - one, np.float32(codes[i, 3]) * per_normal - one
                z = one - abs(p) - abs(q)
                if z < 0:
                    p, q = (p + z if p >= 0 else p - z), (q + z if q >= 0 else q - z)
                scale = one / np.sqrt(p * p + q * q + z * z)
                normal[y, x, 0] = p * scale
                normal[y, x, 1] = q * scale
                normal[y, x, 2] = -z * scale
                depth_m[y, x] = nearest + codes[i, 4] * depth_step
                i += 1
        used += 1 + 2 * np.int64(runs[used])
