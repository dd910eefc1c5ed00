"""Follows one person through a clip: the landmarks and the mask of every frame."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from pipelines.core.records import Landmarks
from pipelines.detectors.mediapipe import LOOKS_ALIKE, BodyReader, PoseModel, covering, find_people, same_person
from pipelines.detectors.sides import Sides
from pipelines.detectors.windows import Crop, Detection, Window, colours, crop_around, whole_window, window_around

SEARCH_EVERY_S = 0.5                    # while nobody is found, how often the whole picture is searched in tiles
FIRST_LOOK = 0.92                       # sides of the crops over MediaPipe's own, which reaches farther than needed
SECOND_LOOK = 0.88                      # 0.80 cuts the limbs of walkers: 4.7 px of error instead of 4.1
AHEAD_FPS = 20.0                        # slower clips move too far between frames to read two at once
QUICK = 0.03                            # of the extent per frame; slower moves are followed without a guess ahead
AGREE = 0.03                            # of the extent: two looks that differ by this much halve the confidence


class Follower:
    """Follows one person through a clip, frame after frame.

    track  which person, counted from the left in the first frame where anyone is found (0 = leftmost);
           None = the one MediaPipe sees first. `people_count` tells how many there were.
    """

    def __init__(self, fps: float, track: int | None = None) -> None:
        self.track, self.people_count = track, 0
        self._fps = fps
        self._search_every = max(1, round(SEARCH_EVERY_S * fps))
        self._step = 0.35 * min(1.0, 25.0 / max(fps, 1.0)) + 0.12     # allowed move per frame, in torso extents
        self._readers, self._single = (BodyReader(), BodyReader()), PoseModel(follow=False)
        self._last: Detection | None = None
        self._looks: np.ndarray | None = None
        self._pace = np.zeros(2)        # pixels per frame that the person moves
        self._lost = 0                  # frames since the person was last seen
        self._searched = 0

    def see(self, image: np.ndarray) -> Detection | None:
        """The person's landmarks and mask in the next frame (H, W, 3) uint8 sRGB; None when not found."""
        return self._settle(image, self._read(image, self._readers[0], 1) if self._lost == 0 else None, False)

    def follow(self, images: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, Detection | None]]:
        """Each frame with what `see` finds, two of them read at once; answers lag one frame behind the pictures.

        A frame is then read where the person was two frames before it, so below 20 frames per second they take turns.
        """
        if self._fps < AHEAD_FPS:
            yield from ((image, self.see(image)) for image in images)
            return
        readers = itertools.cycle(self._readers)
        waiting: tuple[np.ndarray, Future[Detection | None]] | None = None
        with ThreadPoolExecutor(2) as pool:
            for image in images:
                reading = pool.submit(self._read, image, next(readers), 2)
                if waiting is not None:
                    yield waiting[0], self._settle(waiting[0], waiting[1].result(), True)
                waiting = (image, reading)
            if waiting is not None:
                yield waiting[0], self._settle(waiting[0], waiting[1].result(), True)

    def close(self) -> None:
        for each in (*self._readers, self._single):
            each.close()

    def _read(self, image: np.ndarray, reader: BodyReader, frames: int) -> Detection | None:
        """Whoever is where the person should be by now, so many frames after being last seen."""
        last = self._last
        if last is None:
            return None
        crop = last.crop or crop_around(last)
        return reader.read(image, Crop(crop.centre + frames * self._pace, FIRST_LOOK * crop.side, crop.turn))

    def _settle(self, image: np.ndarray, read: Detection | None, ahead: bool) -> Detection | None:
        """What a frame shows, given what was read in it; it becomes what the next frame is compared with.

        ahead  it was read where the person was two frames ago
        """
        found = self._first(image) if self._last is None else self._next(image, read, ahead)
        if found is None:
            self._lost += 1
            return None
        pace = found.centre - self._last.centre if self._last is not None and self._lost == 0 else np.zeros(2)
        self._pace = pace if np.hypot(*pace) > QUICK * found.extent else np.zeros(2)
        self._lost, self._last = 0, found
        looks = colours(image, found)
        self._looks = looks if self._looks is None else 0.97 * self._looks + 0.03 * looks
        return found

    def _first(self, image: np.ndarray) -> Detection | None:
        tiles = self._searched % self._search_every == 0
        self._searched += 1
        if self.track is None:
            found = self._single.detect(image, whole_window(image))
            if found is not None:
                self.people_count = 1
                return self._closer(image, found)
        people = find_people(image, self._single) if tiles else []
        self.people_count = len(people)
        if not people:
            return None
        one = max(people, key=lambda p: p.extent) if self.track is None else people[min(self.track, len(people) - 1)]
        return self._closer(image, one)

    def _closer(self, image: np.ndarray, found: Detection) -> Detection:
        """Somebody whom the search found, as the reader sees them; twice, since the first crop is a rough one."""
        for _ in range(2):
            again = self._readers[0].read(image, (found.crop or crop_around(found)).scaled(FIRST_LOOK))
            if again is None or not same_person(again, found):
                break
            found = again
        return found

    def _next(self, image: np.ndarray, read: Detection | None, ahead: bool) -> Detection | None:
        assert self._last is not None
        if read is not None and self._is_the_one(image, read):
            return read
        if ahead and self._lost == 0:
            read = self._read(image, self._readers[0], 1)
            if read is not None and self._is_the_one(image, read):
                return read
        found = self._look(image, window_around(self._last, 1.0 + 0.1 * min(self._lost, 10)))
        if found is None and self._lost % self._search_every == self._search_every - 1:
            found = self._look(image, whole_window(image))
        return None if found is None else self._closer(image, found)

    def _look(self, image: np.ndarray, window: Window) -> Detection | None:
        """The person in the window; others who are found instead are painted over and it looks again."""
        rest = image
        for _ in range(3):
            found = self._single.detect(rest, window)
            if found is None or self._is_the_one(image, found):
                return found
            rest = rest.copy()
            rest[covering(found)] = 127
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


class SecondLooks:
    """Looks at frames a second time, one after another, and keeps left and right as they were."""

    def __init__(self, fps: float) -> None:
        self._reader, self._sides = BodyReader(), Sides(fps)

    def at(self, image: np.ndarray, seen: Detection | None) -> Detection | None:
        """What was seen, averaged with what the mirror image shows: a tenth less error for twice the time.

        Confidence falls where the two looks differ. The mask stays: the second crop is too narrow for it.
        image  (H, W, 3) uint8 sRGB; seen = None where nobody was found
        """
        if seen is None:
            self._sides.forget()
            return None
        again = None if seen.crop is None else self._reader.read(image, seen.crop.scaled(SECOND_LOOK), mirrored=True)
        if again is None or not same_person(again, seen):
            return replace(seen, landmarks=self._sides.settled([seen.landmarks], seen.extent)[0])
        one, two = self._sides.settled([seen.landmarks, again.landmarks], seen.extent)
        apart = np.linalg.norm(one.pixels - two.pixels, axis=1) / seen.extent
        confidence = (one.confidence + two.confidence) / 2 / (1 + (apart / AGREE) ** 2)
        both = Landmarks((one.pixels + two.pixels) / 2, confidence, (one.world_m + two.world_m) / 2)
        return Detection(both, seen.mask, seen.crop)

    def close(self) -> None:
        self._reader.close()
