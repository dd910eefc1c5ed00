"""Where a detector looks: upright windows and turned squares of a picture, and who was found in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.core.records import Landmarks

TORSO = np.array([11, 12, 23, 24])
WINDOW_PER_HEIGHT = 1.7                 # side of a window over the person's height
INPUT_PX = 512                          # smaller windows are enlarged to this
COLOUR_SAMPLES = 20000                  # of the picture at most, for colour histograms


@dataclass(frozen=True, eq=False)
class Crop:
    """A turned square of the picture, which may reach beyond its border."""

    centre: np.ndarray                  # (2,) pixels
    side: float                         # pixels
    turn: float = 0.0                   # radians; its own upwards is (sin, -cos) of this in the picture

    def scaled(self, factor: float) -> Crop:
        return Crop(self.centre, self.side * factor, self.turn)

    @property
    def axes(self) -> np.ndarray:
        """(2, 2) columns: one side length to its right and one downwards, in pixels of the picture."""
        c, s = np.cos(self.turn), np.sin(self.turn)
        return self.side * np.array([[c, -s], [s, c]])

    def cut(self, image: np.ndarray, size: int) -> np.ndarray:
        """(size, size, 3) uint8: what the square shows, black beyond the border."""
        import cv2

        step = self.axes / size
        # OpenCV counts from the centre of the first pixel, we from its corner.
        first = self.centre - self.axes @ [0.5, 0.5] + step @ [0.5, 0.5] - 0.5
        return np.asarray(cv2.warpAffine(image, np.column_stack([step, first]), (size, size),
                                         flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP))

    def to_picture(self, shares: np.ndarray) -> np.ndarray:
        """(..., 2) pixels of the picture from shares 0..1 of the square's sides."""
        return (shares - 0.5) @ self.axes.T + self.centre

    def paste(self, mask: np.ndarray, height: int, width: int) -> np.ndarray:
        """(height, width) float32: a mask (n, n) of the square where it belongs in the picture, 0 elsewhere."""
        import cv2

        whole = np.zeros((height, width), np.float32)
        corners = self.to_picture(np.array([[0, 0], [1, 0], [0, 1], [1, 1]]))
        x0, y0 = np.clip(np.floor(corners.min(axis=0)), 0, (width, height)).astype(int)
        x1, y1 = np.clip(np.ceil(corners.max(axis=0)), 0, (width, height)).astype(int)
        if x1 <= x0 or y1 <= y0:
            return whole
        size = mask.shape[0]
        step = size * np.linalg.inv(self.axes)
        first = step @ (np.array([x0, y0]) + 0.5 - self.centre) + size / 2 - 0.5
        whole[y0:y1, x0:x1] = cv2.warpAffine(mask, np.column_stack([step, first]), (int(x1 - x0), int(y1 - y0)),
                                             flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        return whole


@dataclass(frozen=True, eq=False)
class Detection:
    """One person in one picture."""

    landmarks: Landmarks
    mask: np.ndarray                    # (H, W) float32 0..1
    crop: Crop | None = None            # around the person, to look there in the next picture; None = not known

    @property
    def centre(self) -> np.ndarray:
        """(2,) pixels, the middle of the torso."""
        return self.landmarks.pixels[TORSO].mean(axis=0)

    @property
    def box(self) -> np.ndarray:
        """(4,) x0, y0, x1, y1 in pixels around the landmarks."""
        return np.concatenate([self.landmarks.pixels.min(axis=0), self.landmarks.pixels.max(axis=0)])

    @property
    def extent(self) -> float:
        """Longest side of the box in pixels; not below twice the torso's length (seen from above, sitting)."""
        pixels = self.landmarks.pixels
        torso = np.linalg.norm(pixels[[11, 12]].mean(axis=0) - pixels[[23, 24]].mean(axis=0))
        return float(max(np.ptp(pixels[:, 0]), np.ptp(pixels[:, 1]), 2.0 * torso))


@dataclass(frozen=True)
class Window:
    """A square part of the picture; it may reach beyond the border, where it is black."""

    x0: int
    y0: int
    side: int

    def cut(self, image: np.ndarray) -> np.ndarray:
        """(side, side, 3) uint8, enlarged to `INPUT_PX` where smaller."""
        import cv2

        h, w = image.shape[:2]
        cut = np.zeros((self.side, self.side, 3), np.uint8)
        x0, y0, x1, y1 = max(self.x0, 0), max(self.y0, 0), min(self.x0 + self.side, w), min(self.y0 + self.side, h)
        if x1 > x0 and y1 > y0:
            cut[y0 - self.y0:y1 - self.y0, x0 - self.x0:x1 - self.x0] = image[y0:y1, x0:x1]
        return cv2.resize(cut, (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_LINEAR) if self.side < INPUT_PX else cut

    def paste(self, mask: np.ndarray, height: int, width: int) -> np.ndarray:
        """(height, width) float32: a mask of the cut window where it belongs in the picture."""
        import cv2

        if mask.shape[0] != self.side:
            mask = cv2.resize(mask, (self.side, self.side), interpolation=cv2.INTER_AREA)
        whole = np.zeros((height, width), np.float32)
        x0, y0 = max(self.x0, 0), max(self.y0, 0)
        x1, y1 = min(self.x0 + self.side, width), min(self.y0 + self.side, height)
        if x1 > x0 and y1 > y0:
            whole[y0:y1, x0:x1] = mask[y0 - self.y0:y1 - self.y0, x0 - self.x0:x1 - self.x0]
        return whole


def whole_window(image: np.ndarray) -> Window:
    """The smallest square around the picture."""
    h, w = image.shape[:2]
    side = max(h, w)
    return Window((w - side) // 2, (h - side) // 2, side)


def window_around(found: Detection, factor: float = 1.0) -> Window:
    x0, y0, x1, y1 = found.box
    side = round(WINDOW_PER_HEIGHT * found.extent * factor)
    return Window(round((x0 + x1 - side) / 2), round((y0 + y1 - side) / 2), max(side, 16))


def crop_around(found: Detection) -> Crop:
    """Where to look closer at somebody: around the hips, upright, limbs included."""
    hips = found.landmarks.pixels[[23, 24]].mean(axis=0)
    reach = np.linalg.norm(found.landmarks.pixels - hips, axis=1).max()
    return Crop(hips, max(2.4 * float(reach), 16.0))


def colours(image: np.ndarray, found: Detection) -> np.ndarray:
    """(128,) sums to 1: colour histograms of the person's upper and lower half (4 levels per channel)."""
    step = max(1, round(np.sqrt(image.shape[0] * image.shape[1] / COLOUR_SAMPLES)))
    image, inside = image[::step, ::step], found.mask[::step, ::step] > 0.5
    split = int(np.clip(found.landmarks.pixels[[23, 24], 1].mean() / step, 0, image.shape[0]))
    parts = []
    for rows in (slice(0, split), slice(split, None)):
        pixels = (image[rows][inside[rows]] >> 6).astype(np.int64)
        counts = np.bincount(pixels @ np.array([16, 4, 1]), minlength=64).astype(float)
        parts.append(counts / max(counts.sum(), 1.0) / 2)
    return np.concatenate(parts)
