"""Which frames the coach looks at, and which person in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipelines.detectors.mediapipe import (
    Detection,
    PoseModel,
    colours,
    find_people,
    whole_window,
    window_around,
)
from pipelines.media.recording import Recording

LOOKS, MOST_LOOKS = 60, 120             # frames that are looked at: one a second of recordings over a minute
SEARCHES = 6                            # frames in which everybody is looked for: 0.1 s each, 0.4 s with tiles
MOST_TILED = 2                          # of these searches, with tiles
SMALL_SHARE = 0.25                      # of the picture's longer side: neighbours of smaller people need tiles
SAME_PLACE = 0.6                        # of the smaller box within the larger: one person found twice
WORK_PX = 1280                          # larger pictures are reduced to this longer side before anything is measured
WIDER = 1.35                            # the window around somebody who may have walked on since the last look
LOOKS_ALIKE = 0.55                      # overlap of colour histograms below which it is somebody else
STRIDE = 1.2                            # heights a person may have moved between two looks and still be taken for it


@dataclass(frozen=True, eq=False)
class Sight:
    """One frame, and the person in it."""

    index: int                          # of the recording's frame
    image: np.ndarray                   # (h, w, 3) uint8, at most WORK_PX
    scale: float                        # its pixels per pixel of the recording
    found: Detection | None             # in the pixels of `image`


def frames_to_look_at(times_s: np.ndarray) -> np.ndarray:
    """Frame numbers, evenly spread: one a second, but 60 at least (or all there are) and 120 at most."""
    seconds = float(times_s[-1] - times_s[0]) if len(times_s) else 0.0
    return spread_frames(len(times_s), int(np.clip(seconds, LOOKS, MOST_LOOKS)))


def spread_frames(total: int, most: int) -> np.ndarray:
    """At most `most` frame numbers, evenly over range(total), first and last included."""
    return np.unique(np.round(np.linspace(0, total - 1, min(total, most))).astype(int))


class Watcher:
    """Looks at frames of a recording, seconds apart, and knows the same person again.

    track  as for `anr capture --track`: counted from the left in the first frame where anybody is found; None = the
           one who is found first
    """

    def __init__(self, recording: Recording, track: int | None) -> None:
        self.recording, self.track = recording, track
        self.people_counts: list[int] = []          # people found in the frames where everybody was looked for
        self.people_at: list[float] = []            # their places from left to right where most were found, 0..1
        self._model = PoseModel(follow=False)
        self._last: Detection | None = None
        self._looks: np.ndarray | None = None
        self._tiled = 0

    def sights(self, indices: np.ndarray) -> Iterator[Sight]:
        """The frames in order of time, each with the person who is followed."""
        searched = set(indices[spread_frames(len(indices), SEARCHES)].tolist())
        for index in indices.tolist():
            image, scale = self._read(index)
            yield Sight(index, image, scale, self._see(image, index in searched))

    def close(self) -> None:
        self._model.close()

    def _read(self, index: int) -> tuple[np.ndarray, float]:
        import cv2

        image = self.recording.image(index)
        longer = max(image.shape[:2])
        if longer <= WORK_PX:
            return image, 1.0
        scale = WORK_PX / longer
        return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), scale

    def _see(self, image: np.ndarray, search: bool) -> Detection | None:
        people = self._everybody(image) if search else []
        found = self._known(image, people) if self._last is not None else self._first(image, people)
        if found is not None:
            looks = colours(image, found)
            self._looks = looks if self._looks is None else 0.9 * self._looks + 0.1 * looks
            self._last = found
        return found

    def _everybody(self, image: np.ndarray) -> list[Detection]:
        people = apart(find_people(image, self._model, tiles=False))
        tallest = max((each.extent for each in people), default=0.0)
        if tallest < SMALL_SHARE * max(image.shape[:2]) and self._tiled < MOST_TILED:
            self._tiled += 1
            people = apart(find_people(image, self._model, tiles=True))
        if len(people) > len(self.people_at):
            self.people_at = [float(each.centre[0] / image.shape[1]) for each in people]
        self.people_counts.append(len(people))
        return people

    def _first(self, image: np.ndarray, people: list[Detection]) -> Detection | None:
        if self.track is None:
            found = self._model.detect(image, whole_window(image))
            return self._model.detect(image, window_around(found)) or found if found is not None else \
                max(people, key=lambda each: each.extent, default=None)
        people = people or find_people(image, self._model, tiles=False)
        return people[min(self.track, len(people) - 1)] if people else None

    def _known(self, image: np.ndarray, people: list[Detection]) -> Detection | None:
        """The person who is followed: near where they were, and dressed alike; others who are found are not taken."""
        assert self._last is not None
        found = self._model.detect(image, window_around(self._last, WIDER))
        if found is not None and self._likeness(image, found) > LOOKS_ALIKE:
            return found
        if found is None and not people and self._model.detect(image, whole_window(image)) is None:
            return None                 # an empty picture is not searched for neighbours
        others = people or find_people(image, self._model, tiles=False)
        alike = [(self._likeness(image, each), each) for each in others]
        best = max(alike, key=lambda pair: pair[0], default=(0.0, None))
        return best[1] if best[0] > LOOKS_ALIKE else None

    def _likeness(self, image: np.ndarray, found: Detection) -> float:
        """Overlap of the colours, 0..1; less where somebody of another size stands far away from the last place."""
        assert self._last is not None and self._looks is not None
        now, before = colours(image, found).reshape(2, -1), self._looks.reshape(2, -1)
        both = (now.sum(axis=1) > 0) & (before.sum(axis=1) > 0)
        shared = np.minimum(now, before)[both].sum() / max(now[both].sum(), 1e-6) if both.any() else 0.0
        size = self._last.extent
        away = float(np.linalg.norm(found.centre - self._last.centre)) / size
        ratio = found.extent / size
        near = away < STRIDE and 0.5 < ratio < 2.0
        return float(shared if near else 0.7 * shared)


def apart(people: list[Detection]) -> list[Detection]:
    """Those from left to right who are not the same person found twice: legs, a shadow or a mirrored floor."""
    kept: list[Detection] = []
    for each in sorted(people, key=lambda person: -person.extent):
        if all(_shared(each.box, other.box) < SAME_PLACE for other in kept):
            kept.append(each)
    return sorted(kept, key=lambda person: float(person.centre[0]))


def _shared(a: np.ndarray, b: np.ndarray) -> float:
    """How much of the smaller of two boxes (x0, y0, x1, y1) lies in the other."""
    size = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    return float(size.prod() / max(min((a[2:] - a[:2]).prod(), (b[2:] - b[:2]).prod()), 1e-9))
