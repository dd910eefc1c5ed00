"""One person's landmarks and mask in every frame of a clip (MediaPipe Pose, model complexity 1).

MediaPipe finds one person per picture, whichever it likes. Here it sees a square window around the person
who is followed: landmarks of non-square pictures come out slightly turned, and small people are not found.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.core.records import Landmarks

LANDMARK_COUNT = 33
TORSO = np.array([11, 12, 23, 24])
SMALLEST_PX = 40.0                      # nobody smaller is looked at: landmarks would be guesses
WINDOW_PER_HEIGHT = 1.7                 # side of the window over the person's height
INPUT_PX = 512                          # smaller windows are enlarged to this
SEARCH_EVERY_S = 0.5                    # while nobody is found, how often the whole picture is searched in tiles
LOOKS_ALIKE = 0.55                      # colour histogram overlap below which somebody else was found


@dataclass(frozen=True, eq=False)
class Detection:
    """One person in one picture."""

    landmarks: Landmarks
    mask: np.ndarray                    # (H, W) float32 0..1

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


class PoseModel:
    """MediaPipe Pose behind windows. `follow` keeps a person from call to call; without it each call starts anew."""

    def __init__(self, follow: bool) -> None:
        with _quiet_stderr():
            import mediapipe

            # Its own smoothing lags behind quick limbs; the fit smooths with the future known.
            self._pose: Any = mediapipe.solutions.pose.Pose(
                static_image_mode=not follow, model_complexity=1, smooth_landmarks=False, enable_segmentation=True,
                smooth_segmentation=False, min_detection_confidence=0.5, min_tracking_confidence=0.5)
            self._pose.process(np.zeros((64, 64, 3), np.uint8))
            self._pose.reset()

    def detect(self, image: np.ndarray, window: Window) -> Detection | None:
        """image (H, W, 3) uint8 sRGB; None when nobody is found in the window."""
        answer = self._pose.process(window.cut(image))
        if answer.pose_landmarks is None or answer.pose_world_landmarks is None:
            return None
        marks = answer.pose_landmarks.landmark
        pixels = np.array([(m.x, m.y) for m in marks]) * window.side + (window.x0, window.y0)
        world = np.array([(m.x, m.y, m.z) for m in answer.pose_world_landmarks.landmark])
        seen = np.array([m.visibility for m in marks])
        mask = answer.segmentation_mask
        h, w = image.shape[:2]
        whole = np.zeros((h, w), np.float32) if mask is None else window.paste(np.ascontiguousarray(mask), h, w)
        found = Detection(Landmarks(pixels, seen, world), whole)
        inside = (pixels[TORSO] >= 0).all(axis=1) & (pixels[TORSO] < (w, h)).all(axis=1)
        return found if found.extent >= SMALLEST_PX and inside.sum() >= 2 else None

    def reset(self) -> None:
        self._pose.reset()

    def close(self) -> None:
        self._pose.close()


def find_people(image: np.ndarray, model: PoseModel, tiles: bool = True) -> list[Detection]:
    """Everyone who can be found in one picture, from left to right.

    Each person found is painted over and the same window searched again, so that a neighbour comes to light.
    model  one that does not follow
    tiles  search overlapping squares of the whole and half the picture's shorter side as well
    """
    h, w = image.shape[:2]
    windows = [whole_window(image)]
    if tiles:
        for side in (min(h, w), min(h, w) // 2):
            xs, ys = (np.linspace(0, length - side, max(1, int(np.ceil(2 * (length - side) / side)) + 1)).astype(int)
                      for length in (w, h))
            windows += [Window(int(x), int(y), side) for y in ys for x in xs]
    rest = image.copy()
    people: list[Detection] = []
    for window in windows:
        for _ in range(6):
            found = model.detect(rest, window)
            if found is None:
                break
            if not any(_same_person(found, known) for known in people):
                people.append(found)
            rest[_covering(found)] = 127
    # A second look, with the others painted over: what is not found again was a hat or a chair.
    tallest = max((person.extent for person in people), default=0.0)
    people = [person for person in people if person.extent > 0.4 * tallest]
    sure: list[Detection] = []
    for person in people:
        alone = image.copy()
        for other in people:
            if other is not person:
                alone[_covering(other)] = 127
        again = model.detect(alone, window_around(person))
        if (again is not None and _same_person(again, person) and again.landmarks.confidence[TORSO].mean() > 0.6
                and not any(_same_person(again, known) for known in sure)):
            sure.append(again)
    return sorted(sure, key=lambda person: person.centre[0])


class Follower:
    """Follows one person through a clip, frame after frame.

    track  which person, counted from the left in the first frame where anyone is found (0 = leftmost);
           None = the one MediaPipe sees first. `people_count` tells how many there were.
    """

    def __init__(self, fps: float, track: int | None = None) -> None:
        self.track, self.people_count = track, 0
        self._search_every = max(1, round(SEARCH_EVERY_S * fps))
        self._step = 0.35 * min(1.0, 25.0 / max(fps, 1.0)) + 0.12     # allowed move per frame, in torso extents
        self._follow, self._single = PoseModel(follow=True), PoseModel(follow=False)
        self._window: Window | None = None
        self._last: Detection | None = None
        self._looks: np.ndarray | None = None
        self._lost = 0                  # frames since the person was last seen
        self._searched = 0

    def see(self, image: np.ndarray) -> Detection | None:
        """The person's landmarks and mask in the next frame; None when not found."""
        found = self._first(image) if self._last is None else self._next(image)
        if found is None:
            self._lost += 1
            return None
        self._lost, self._last = 0, found
        looks = colours(image, found)
        self._looks = looks if self._looks is None else 0.97 * self._looks + 0.03 * looks
        self._move_window(found)
        return found

    def close(self) -> None:
        self._follow.close()
        self._single.close()

    def _first(self, image: np.ndarray) -> Detection | None:
        tiles = self._searched % self._search_every == 0
        self._searched += 1
        if self.track is None:
            found = self._single.detect(image, whole_window(image))
            if found is not None:
                self.people_count = 1
                again = self._single.detect(image, window_around(found))
                return again if again is not None and _same_person(again, found) else found
        people = find_people(image, self._single) if tiles else []
        self.people_count = len(people)
        if not people:
            return None
        return max(people, key=lambda p: p.extent) if self.track is None else people[min(self.track, len(people) - 1)]

    def _next(self, image: np.ndarray) -> Detection | None:
        assert self._last is not None
        found = None
        if self._lost == 0 and self._window is not None:
            found = self._look(image, self._follow, self._window)
            if found is None:
                self._follow.reset()
        if found is None:
            window = window_around(self._last, 1.0 + 0.1 * min(self._lost, 10))
            found = self._look(image, self._single, window)
        if found is None and self._lost % self._search_every == self._search_every - 1:
            found = self._look(image, self._single, whole_window(image))
        return found

    def _look(self, image: np.ndarray, model: PoseModel, window: Window) -> Detection | None:
        """The person in the window; others who are found instead are painted over and it looks again."""
        rest = image
        for _ in range(3):
            found = model.detect(rest, window)
            if found is None or self._is_the_one(image, found):
                return found
            model.reset()
            rest = rest.copy()
            rest[_covering(found)] = 127
        return None

    def _is_the_one(self, image: np.ndarray, found: Detection) -> bool:
        assert self._last is not None and self._looks is not None
        size = self._last.extent
        moved = np.linalg.norm(found.centre - self._last.centre) / (0.5 * size)
        ratio, slack = found.extent / size, min(self._lost, 10)
        near = moved < self._step * (1 + self._lost) and 0.6 - 0.03 * slack < ratio < 1.7 + 0.1 * slack
        now, before = colours(image, found), self._looks
        # An upper or lower half out of the picture has no colours: only what both show is compared.
        both = np.repeat((now.reshape(2, -1).sum(1) > 0) & (before.reshape(2, -1).sum(1) > 0), len(now) // 2)
        alike = np.minimum(now, before)[both].sum() > LOOKS_ALIKE * now[both].sum()
        return bool(near and (alike or not both.any()))

    def _move_window(self, found: Detection) -> None:
        wanted = window_around(found)
        if self._window is not None:
            inner = self._window
            margin = 0.08 * inner.side
            x0, y0, x1, y1 = found.box
            fits = (x0 > inner.x0 + margin and y0 > inner.y0 + margin and x1 < inner.x0 + inner.side - margin
                    and y1 < inner.y0 + inner.side - margin)
            if fits and 0.75 < wanted.side / inner.side < 1.33:
                return
        self._window = wanted
        self._follow.reset()            # its memory of where the person was counts in the old window


def whole_window(image: np.ndarray) -> Window:
    """The smallest square around the picture."""
    h, w = image.shape[:2]
    side = max(h, w)
    return Window((w - side) // 2, (h - side) // 2, side)


def window_around(found: Detection, factor: float = 1.0) -> Window:
    x0, y0, x1, y1 = found.box
    side = round(WINDOW_PER_HEIGHT * found.extent * factor)
    return Window(round((x0 + x1 - side) / 2), round((y0 + y1 - side) / 2), max(side, 16))


def colours(image: np.ndarray, found: Detection) -> np.ndarray:
    """(128,) sums to 1: colour histograms of the person's upper and lower half (4 levels per channel)."""
    centre = found.landmarks.pixels[[23, 24]].mean(axis=0)
    inside = found.mask > 0.5
    parts = []
    split = int(np.clip(centre[1], 0, image.shape[0]))
    for rows in (slice(0, split), slice(split, None)):
        pixels = (image[rows][inside[rows]] >> 6).astype(np.int64)
        counts = np.bincount(pixels @ np.array([16, 4, 1]), minlength=64).astype(float)
        parts.append(counts / max(counts.sum(), 1.0) / 2)
    return np.concatenate(parts)


def _same_person(a: Detection, b: Detection) -> bool:
    size = min(a.extent, b.extent)
    return bool(np.linalg.norm(a.centre - b.centre) < 0.2 * size and max(a.extent, b.extent) < 2.0 * size)


def _covering(found: Detection) -> tuple[slice, slice]:
    """The box of the torso and head, a little enlarged: painting it over hides the person, not the neighbour."""
    pixels = found.landmarks.pixels[:25]
    x0, y0 = np.maximum(pixels[[0, 7, 8, 11, 12, 23, 24]].min(axis=0) - 0.06 * found.extent, 0).astype(int)
    x1, y1 = np.maximum(pixels[[0, 7, 8, 11, 12, 23, 24]].max(axis=0) + 0.06 * found.extent, 0).astype(int)
    return slice(y0, y1), slice(x0, x1)


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Keeps MediaPipe's C++ start-up chatter off the terminal; Python's own messages are not printed here."""
    saved = os.dup(2)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(sink)
        os.close(saved)
