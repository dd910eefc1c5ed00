"""What training sees: windows of captured frames with the body's surface maps, in memory where they fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from pipelines.core.mapcache import read_maps
from pipelines.matting.foreground import person_colours
from pipelines.media.images import read_alpha, read_image
from pipelines.media.recording import Recording
from pipelines.training.recipe import Recipe

MEMORY_BUDGET = 1.5e9                   # bytes of frames kept in memory, all people together; others are read again
NEAR = 0.02                             # how far around the matte the clean plate replaces the frame, picture heights
LEAST_SIDE = 64                         # pixels of a window; the feature extractor needs more than 16
FACE_PIXELS = 60                        # fewer visible face pixels than this are no face


@dataclass(frozen=True, eq=False)
class CroppedFrame:
    """One captured frame cut to its body's box, or a window of that."""

    image: np.ndarray                   # (h, w, 3) uint8 sRGB: the person's own colours over `background`
    alpha: np.ndarray                   # (h, w) uint8
    background: np.ndarray              # (h, w, 3) uint8: the frame away from the person, the clean plate near them
    uv: np.ndarray                      # (h, w, 2) uint16, 65535 = 1
    normal: np.ndarray                  # (h, w, 3) int8, 127 = 1
    inside: np.ndarray                  # (h, w) uint8, 0 background, 1 body, 2 the body's face
    joints: np.ndarray                  # (J, 3) float32: x, y in pixels of these arrays, metres behind the root joint
    index: int                          # of the capture frame
    corner: tuple[int, int]             # x, y in the captured picture of the first pixel

    @property
    def bytes(self) -> int:
        return sum(x.nbytes for x in (self.image, self.alpha, self.background, self.uv, self.normal, self.inside,
                                      self.joints))


class Batch(NamedTuple):
    """Windows of one person, as tensors; colours in [-1, 1]."""

    image: torch.Tensor                 # (B, 3, H, W)
    alpha: torch.Tensor                 # (B, 1, H, W)
    background: torch.Tensor            # (B, 3, H, W)
    grid: torch.Tensor                  # (B, H, W, 2)
    normal: torch.Tensor                # (B, 3, H, W)
    inside: torch.Tensor                # (B, 1, H, W) 0 or 1
    weight: torch.Tensor                # (B, 1, H, W) importance in the pixel loss
    face: torch.Tensor                  # (B, 1, H, W) 0 or 1, the body's face
    joints: torch.Tensor                # (B, J, 3) x, y in window pixels, metres behind the root (renderers/places.py)
    index: torch.Tensor                 # type: ignore[assignment]  # (B,) int64, the capture frame; not tuple.index


class PersonFrames:
    """Random access to the cropped frames of one person."""

    def __init__(self, capture: Path, raster: Path, matte: Path, plate: np.ndarray, face_of_body: np.ndarray,
                 joints_of: Callable[[int], np.ndarray], memory: Memory) -> None:
        """
        plate         (H, W, 3) uint8, the captured background without the person
        face_of_body  (T,) bool, which triangles are the face
        joints_of     a capture frame's joints in the captured picture (`renderers.places.captured_joints`)
        """
        self.recording = Recording(capture)
        self.joints_of = joints_of
        self.raster, self.matte = raster, matte
        self.plate, self.face_of_body = plate, face_of_body
        self._kept: dict[int, CroppedFrame] = {}
        self._memory = memory

    def __getitem__(self, index: int) -> CroppedFrame:
        found = self._kept.get(index)
        if found is None:
            found = self._read(index)
            if self._memory.take(found.bytes):
                self._kept[index] = found
        return found

    def _read(self, index: int) -> CroppedFrame:
        maps = read_maps(self.raster / "maps" / f"{index:05d}.maps")
        x0, y0, x1, y1 = maps.box
        image = np.ascontiguousarray(self.recording.image(index)[y0:y1, x0:x1])
        edge = read_image(self.matte / "edge" / f"{index:05d}.png")[y0:y1, x0:x1]
        alpha = np.round(read_alpha(self.matte / "alpha" / f"{index:05d}.png")[y0:y1, x0:x1] * 255).astype(np.uint8)
        near = _dilated(alpha > 8, round(NEAR * self.plate.shape[0]))
        background = np.where(near[..., None], self.plate[y0:y1, x0:x1], image)
        # What the mask leaves out (a ball before the person, the old background in hair) must not be wanted either.
        share = alpha[..., None] / np.float32(255.0)
        wanted = np.round(share * person_colours(image, share[..., 0], edge) + (1.0 - share) * background)
        inside = maps.inside.astype(np.uint8)
        inside[maps.inside] += self.face_of_body[maps.face_index[maps.inside]]
        return CroppedFrame(wanted.astype(np.uint8), alpha, background, np.round(maps.uv * 65535).astype(np.uint16),
                            np.round(maps.normal * 127).astype(np.int8), inside,
                            self.joints_of(index) - np.array([x0, y0, 0], np.float32), index, (x0, y0))


class Memory:
    """How many bytes may still be kept."""

    def __init__(self, budget: float = MEMORY_BUDGET) -> None:
        self.left = budget

    def take(self, count: int) -> bool:
        if count > self.left:
            return False
        self.left -= count
        return True


def draw_batch(frames: Sequence[CroppedFrame], recipe: Recipe, rng: np.random.Generator, multiple: int,
               before: Sequence[CroppedFrame] = ()) -> Batch:
    """One random window of each frame, rescaled and cropped about the person (paper, section 4.1).

    before   the frame before each, for a renderer that looks back: its windows, at the same place in the captured
             picture and of the same scale, are the first half of the batch
    """
    size = window_size(frames, recipe, multiple)
    turns = [int(rng.integers(1, 4)) if 0.0 < recipe.turned_share > rng.random() else 0 for _ in frames]
    sizes = [size[::-1] if turn % 2 else size for turn in turns]
    drawn = [window_about(frame, recipe, rng, own) for frame, own in zip(frames, sizes)]
    windows = [cut_window(*each) for each in zip(frames, drawn, sizes)]
    earlier = [cut_window(frame, _shifted(window, of, frame), own)
               for frame, window, of, own in zip(before, drawn, frames, sizes)]
    return to_batch([turn_window(window, turn) for window, turn in zip([*earlier, *windows], turns + turns)],
                    recipe.face_weight)


def window_size(frames: Sequence[CroppedFrame], recipe: Recipe, multiple: int) -> tuple[int, int]:
    """The recipe's window, no larger than the frames' boxes need."""
    sides = []
    for axis in (0, 1):
        needed = max(LEAST_SIDE, *(frame.alpha.shape[axis] for frame in frames))
        sides.append(min(recipe.window[axis], needed) + (-min(recipe.window[axis], needed)) % multiple)
    return sides[0], sides[1]


def window_about(frame: CroppedFrame, recipe: Recipe, rng: np.random.Generator,
                 size: tuple[int, int]) -> tuple[int, int, int, int]:
    """top, left, rows, columns of what fills a window of `size` after rescaling the frame by a random factor f."""
    height, width = size
    scale = float(rng.uniform(*recipe.scale)) if rng.random() >= recipe.native_share else 1.0
    rows, columns = max(8, round(height / scale)), max(8, round(width / scale))
    middle = _anchor(frame, rng, recipe.face_share)
    top = _start(middle[0], rows, frame.alpha.shape[0], rng)
    left = _start(middle[1], columns, frame.alpha.shape[1], rng)
    return top, left, rows, columns


def _shifted(window: tuple[int, int, int, int], of: CroppedFrame, other: CroppedFrame) -> tuple[int, int, int, int]:
    """A window of one frame in the rows and columns of another, whose box lies elsewhere in the captured picture."""
    top, left, rows, columns = window
    return top + of.corner[1] - other.corner[1], left + of.corner[0] - other.corner[0], rows, columns


def cut_window(frame: CroppedFrame, window: tuple[int, int, int, int], size: tuple[int, int]) -> CroppedFrame:
    """top, left, rows, columns of a frame, resized to size (height, width); beyond the frame its edges go on, empty."""
    top, left, rows, columns = window
    height, width = size

    def cut(image: np.ndarray, empty: bool, interpolation: int) -> np.ndarray:
        h, w = image.shape[:2]
        y0, x0, y1, x1 = max(top, 0), max(left, 0), min(top + rows, h), min(left + columns, w)
        part = image[y0:y1, x0:x1]
        above, below, before, after = y0 - top, top + rows - y1, x0 - left, left + columns - x1
        if above or below or before or after:
            kind = cv2.BORDER_CONSTANT if empty else cv2.BORDER_REPLICATE
            part = cv2.copyMakeBorder(part, above, below, before, after, kind, value=(0, 0, 0))
        return part if part.shape[:2] == size else cv2.resize(part, (width, height), interpolation=interpolation)

    smooth = cv2.INTER_AREA if rows > height else cv2.INTER_LINEAR
    nearest = cv2.INTER_NEAREST_EXACT           # INTER_NEAREST is half a pixel beside what the others do
    origin, factor = np.array([left, top, 0.0]), np.array([width / columns, height / rows, 1.0])
    joints = ((frame.joints - origin) * factor).astype(np.float32)
    return CroppedFrame(cut(frame.image, False, smooth), cut(frame.alpha, True, smooth),
                        cut(frame.background, False, smooth), cut(frame.uv, True, nearest),
                        cut(frame.normal, True, nearest), cut(frame.inside, True, nearest), joints, frame.index,
                        (frame.corner[0] + left, frame.corner[1] + top))


def turn_window(window: CroppedFrame, quarters: int) -> CroppedFrame:
    """A window turned in its plane, by so many quarters to the left: limbs point where they never did in the recording.

    Normals keep their values, since the light does not turn with the picture. `corner` then says nothing.
    """
    if quarters == 0:
        return window
    joints = window.joints.copy()
    for turn in range(quarters):
        side = window.alpha.shape[1 - turn % 2]
        joints[:, 0], joints[:, 1] = joints[:, 1].copy(), side - joints[:, 0]
    image, alpha, background, uv, normal, inside = (np.rot90(x, quarters) for x in (
        window.image, window.alpha, window.background, window.uv, window.normal, window.inside))
    return CroppedFrame(image, alpha, background, uv, normal, inside, joints, window.index, window.corner)


def to_batch(windows: Sequence[CroppedFrame], face_weight: float) -> Batch:
    """Windows of one size as tensors.

    The arithmetic is numpy's: torch would start a second pool of threads for the thread that reads ahead.
    """
    def stack(arrays: list[np.ndarray], factor: float, shift: float = 0.0) -> torch.Tensor:
        whole = np.stack(arrays).astype(np.float32) * np.float32(factor) + np.float32(shift)
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(whole, 3, 1)) if whole.ndim == 4 else whole[:, None])

    inside = np.stack([w.inside for w in windows])
    uv = np.stack([w.uv for w in windows]).astype(np.float32)
    return Batch(image=stack([w.image for w in windows], 1 / 127.5, -1.0),
                 alpha=stack([w.alpha for w in windows], 1 / 255.0),
                 background=stack([w.background for w in windows], 1 / 127.5, -1.0),
                 grid=torch.from_numpy(uv * np.float32(2.0 / 65535.0) - np.float32(1.0)),
                 normal=stack([w.normal for w in windows], 1 / 127.0),
                 inside=torch.from_numpy((inside > 0).astype(np.float32))[:, None],
                 weight=torch.from_numpy(np.where(inside == 2, np.float32(face_weight), np.float32(1.0)))[:, None],
                 face=torch.from_numpy((inside == 2).astype(np.float32))[:, None],
                 joints=torch.from_numpy(np.stack([w.joints for w in windows]).astype(np.float32)),
                 index=torch.tensor([w.index for w in windows]))


def clean_plate(recording: Recording, matte: Path, frames: Sequence[int], most: int = 40) -> np.ndarray:
    """The captured background without the person: the median over frames outside the dilated matte, holes painted in.

    frames   training frames only; at most `most` of them, evenly spread, are looked at
    returns  (H, W, 3) uint8
    """
    known = recording.background()
    if known is not None:
        return known
    picked = [frames[k] for k in np.unique(np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int))]
    images = np.stack([recording.image(k) for k in picked])
    away = round(NEAR * images.shape[1])
    hidden = np.stack([_dilated(read_alpha(matte / "alpha" / f"{k:05d}.png") > 0.03, away) for k in picked])
    plate = np.empty(images.shape[1:], np.uint8)
    rows = max(1, int(4e6 / (images.shape[0] * images.shape[2] * 3)))
    for top in range(0, len(plate), rows):
        part = images[:, top:top + rows].astype(np.float32)
        part[hidden[:, top:top + rows]] = np.nan
        plate[top:top + rows] = _median_over_frames(part)
    never_seen = hidden.all(0)
    return _filled(plate, never_seen) if never_seen.any() else plate


def _median_over_frames(values: np.ndarray) -> np.ndarray:
    """Median over axis 0 leaving out NaN, 0 where all are NaN; sorting is ten times faster than numpy's nanmedian."""
    ordered = np.sort(values, axis=0)                              # NaN last
    count = np.isfinite(values).sum(0)
    low, high = np.maximum((count - 1) // 2, 0), np.maximum(count // 2, 0)
    pair = [np.take_along_axis(ordered, np.minimum(k, len(values) - 1)[None], 0)[0] for k in (low, high)]
    return np.nan_to_num((pair[0] + pair[1]) / 2.0).round().astype(np.uint8)


def _filled(plate: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Holes painted in from their rims, at a quarter of the size: what nobody saw need not be sharp."""
    small = cv2.resize(plate, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    spoilt = _dilated(cv2.resize(hole.astype(np.uint8), small.shape[1::-1], interpolation=cv2.INTER_AREA) > 0, 1)
    small = cv2.inpaint(small, spoilt.astype(np.uint8), 5, cv2.INPAINT_TELEA)
    large = cv2.resize(small, plate.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    soft = cv2.GaussianBlur(_dilated(hole, 3).astype(np.float32), (0, 0), 1.5)[..., None]
    return np.where(hole[..., None], large, np.round(plate * (1 - soft) + large * soft).astype(np.uint8))


def _dilated(mask: np.ndarray, by_px: int) -> np.ndarray:
    """bool, grown by a disc."""
    if by_px < 1:
        return mask
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * by_px + 1, 2 * by_px + 1))
    return cv2.dilate(mask.astype(np.uint8), disc) > 0


def _anchor(frame: CroppedFrame, rng: np.random.Generator, face_share: float) -> tuple[int, int]:
    """A pixel the window should show: of the face, or of the person, every row alike so that feet are not forgotten."""
    wants_face, high, along = rng.random() < face_share, rng.random(), rng.random()
    shown = frame.inside == 2
    if not wants_face or shown.sum() < FACE_PIXELS:
        shown = (frame.inside > 0) | (frame.alpha > 127)
    rows = np.flatnonzero(shown.any(1))
    if len(rows) == 0:
        return frame.alpha.shape[0] // 2, frame.alpha.shape[1] // 2
    row = int(rows[int(high * len(rows))])
    columns = np.flatnonzero(shown[row])
    return row, int(columns[int(along * len(columns))])


def _start(middle: int, length: int, whole: int, rng: np.random.Generator) -> int:
    """Where a window of `length` begins, `middle` in its central part; centred where it is longer than the whole."""
    if length >= whole:
        return -((length - whole) // 2)
    start = middle - round(length * float(rng.uniform(0.2, 0.8)))
    return int(np.clip(start, 0, whole - length))
