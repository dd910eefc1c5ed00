"""MediaPipe's models: people in a picture, and the landmarks of one body, hand or face in a square of it.

`PoseModel` searches and finds one person per picture, whichever it likes. It sees a square window, because landmarks
of non-square pictures come out slightly turned, and small people are not found. Readers look where they are told, and
remember nothing; their graphs are MediaPipe's own without its search and its memory, so that a caller decides where to
look, and may read two pictures at once.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.core.records import Landmarks
from pipelines.detectors import graphs
from pipelines.detectors.sides import EXCHANGED
from pipelines.detectors.windows import (
    TORSO,
    Crop,
    Detection,
    Window,
    colours,
    whole_window,
    window_around,
)

__all__ = ["LANDMARK_COUNT", "BodyReader", "Detection", "FaceReader", "HandReader", "HandReading", "PoseModel",
           "Window", "colours", "find_people", "same_person", "whole_window", "window_around"]

LANDMARK_COUNT = 33
HAND_COUNT = 21
SMALLEST_PX = 40.0                      # nobody smaller is looked at: landmarks would be guesses
LOOKS_ALIKE = 0.55                      # colour histogram overlap below which somebody else was found
BODY_PX, HAND_PX, FACE_PX = 256, 224, 192   # what the networks take
BODY_AROUND = 1.25                      # side of the next crop over twice MediaPipe's radius of the person


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
        pixels = _points(answer.pose_landmarks)[:, :2] * window.side + (window.x0, window.y0)
        mask = answer.segmentation_mask
        h, w = image.shape[:2]
        whole = np.zeros((h, w), np.float32) if mask is None else window.paste(np.ascontiguousarray(mask), h, w)
        marks = Landmarks(pixels, _visibility(answer.pose_landmarks), _points(answer.pose_world_landmarks))
        return _if_in_view(Detection(marks, whole), h, w)

    def reset(self) -> None:
        self._pose.reset()

    def close(self) -> None:
        self._pose.close()


class BodyReader:
    """The landmarks of the person in a turned square of a picture."""

    def __init__(self) -> None:
        self._graph = _Graph(graphs.BODY, ("landmarks", "circle", "world", "mask"), {"enable_segmentation": True})

    def read(self, image: np.ndarray, crop: Crop, mirrored: bool = False) -> Detection | None:
        """image (H, W, 3) uint8 sRGB; None when there is nobody.

        mirrored  show the network the mirror image, and undo it in what it answers: errors that differ average out
        """
        cut = crop.cut(image, BODY_PX)
        told = self._graph.read(np.ascontiguousarray(cut[:, ::-1]) if mirrored else cut)
        if told.landmarks is None or told.world is None or told.mask is None:
            return None
        shares, circle = _points(told.landmarks)[:, :2], _points(told.circle)[:, :2]
        world, seen = _points(told.world), _visibility(told.landmarks)
        mask = np.array(told.mask, np.float32).reshape(BODY_PX, BODY_PX)
        if mirrored:
            shares, circle, mask = [1, 0] + shares * [-1, 1], [1, 0] + circle * [-1, 1], mask[:, ::-1]
            shares, world, seen = shares[EXCHANGED], world[EXCHANGED] * [-1, 1, 1], seen[EXCHANGED]
        world[:, :2] = world[:, :2] @ (crop.axes / crop.side).T
        h, w = image.shape[:2]
        marks = Landmarks(crop.to_picture(shares), seen, world)
        return _if_in_view(Detection(marks, crop.paste(np.ascontiguousarray(mask), h, w),
                                     _person_crop(crop.to_picture(circle))), h, w)

    def close(self) -> None:
        self._graph.close()


@dataclass(frozen=True, eq=False)
class HandReading:
    """One hand in one picture."""

    pixels: np.ndarray                  # (21, 2)
    world_m: np.ndarray                 # (21, 3) metres from the hand's middle, camera axes
    left: float                         # 0..1, how surely it is a left hand
    crop: Crop                          # around the hand, for a closer look


class HandReader:
    """The landmarks of the hand in a turned square of a picture."""

    def __init__(self) -> None:
        self._graph = _Graph(graphs.HAND, ("landmarks", "world", "side"))

    def read(self, image: np.ndarray, crop: Crop) -> HandReading | None:
        told = self._graph.read(crop.cut(image, HAND_PX))
        if told.landmarks is None or told.world is None or told.side is None:
            return None
        pixels, world = crop.to_picture(_points(told.landmarks)[:, :2]), _points(told.world)
        world[:, :2] = world[:, :2] @ (crop.axes / crop.side).T
        said = told.side.classification[0]
        # The network takes every picture for a mirror's.
        left = said.score if said.label == "Right" else 1.0 - said.score
        return HandReading(pixels, world, float(left), _hand_crop(pixels))

    def close(self) -> None:
        self._graph.close()


class FaceReader:
    """The mesh of the face in a turned square of a picture."""

    def __init__(self) -> None:
        self._graph = _Graph(graphs.FACE, ("landmarks",))

    def read(self, image: np.ndarray, crop: Crop) -> np.ndarray | None:
        """(468, 2) pixels in MediaPipe's order; None when there is no face."""
        told = self._graph.read(crop.cut(image, FACE_PX))
        return None if told.landmarks is None else crop.to_picture(_points(told.landmarks)[:, :2])

    def close(self) -> None:
        self._graph.close()


class _Graph:
    """A MediaPipe graph that is shown one whole square picture at a time."""

    def __init__(self, text: str, outputs: tuple[str, ...], side_inputs: dict[str, Any] | None = None) -> None:
        with _quiet_stderr():
            from google.protobuf import text_format
            from mediapipe.calculators.tensor import image_to_tensor_calculator_pb2, inference_calculator_pb2
            from mediapipe.framework import calculator_pb2
            from mediapipe.framework.formats import rect_pb2
            from mediapipe.python import solution_base

            assert image_to_tensor_calculator_pb2 and inference_calculator_pb2      # the text names their options
            config = text_format.Parse(text, calculator_pb2.CalculatorGraphConfig())
            self._graph: Any = solution_base.SolutionBase(graph_config=config, side_inputs=side_inputs,
                                                          outputs=list(outputs))
            self._all = rect_pb2.NormalizedRect(x_center=0.5, y_center=0.5, width=1, height=1, rotation=0)
            self._graph.process({"image": np.zeros((64, 64, 3), np.uint8), "roi": self._all})
            self._turn = threading.Lock()

    def read(self, cut: np.ndarray) -> Any:
        """cut (n, n, 3) uint8; the answers by name, None for what was not found. Threads take turns."""
        with self._turn:
            return self._graph.process({"image": cut, "roi": self._all})

    def close(self) -> None:
        self._graph.close()


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
            if not any(same_person(found, known) for known in people):
                people.append(found)
            rest[covering(found)] = 127
    # A second look, with the others painted over: what is not found again was a hat or a chair.
    tallest = max((person.extent for person in people), default=0.0)
    people = [person for person in people if person.extent > 0.4 * tallest]
    sure: list[Detection] = []
    for person in people:
        alone = image.copy()
        for other in people:
            if other is not person:
                alone[covering(other)] = 127
        again = model.detect(alone, window_around(person))
        if (again is not None and same_person(again, person) and again.landmarks.confidence[TORSO].mean() > 0.6
                and not any(same_person(again, known) for known in sure)):
            sure.append(again)
    return sorted(sure, key=lambda person: person.centre[0])


def same_person(a: Detection, b: Detection) -> bool:
    size = min(a.extent, b.extent)
    return bool(np.linalg.norm(a.centre - b.centre) < 0.2 * size and max(a.extent, b.extent) < 2.0 * size)


def covering(found: Detection) -> tuple[slice, slice]:
    """The box of the torso and head, a little enlarged: painting it over hides the person, not the neighbour."""
    pixels = found.landmarks.pixels[:25]
    x0, y0 = np.maximum(pixels[[0, 7, 8, 11, 12, 23, 24]].min(axis=0) - 0.06 * found.extent, 0).astype(int)
    x1, y1 = np.maximum(pixels[[0, 7, 8, 11, 12, 23, 24]].max(axis=0) + 0.06 * found.extent, 0).astype(int)
    return slice(y0, y1), slice(x0, x1)


def _if_in_view(found: Detection, height: int, width: int) -> Detection | None:
    torso = found.landmarks.pixels[TORSO]
    inside = (torso >= 0).all(axis=1) & (torso < (width, height)).all(axis=1)
    return found if found.extent >= SMALLEST_PX and inside.sum() >= 2 else None


def _person_crop(circle: np.ndarray) -> Crop:
    """circle (2, 2): the network's own middle of the person and a point on the circle around it, upwards."""
    up = circle[1] - circle[0]
    return Crop(circle[0], max(2.0 * BODY_AROUND * float(np.hypot(*up)), 16.0), float(np.arctan2(up[0], -up[1])))


def _hand_crop(pixels: np.ndarray) -> Crop:
    """The square the hand network was trained to see: the palm and the fingers' lower halves, twice as wide."""
    up = pixels[[5, 9, 13]].mean(axis=0) - pixels[0]
    turn = float(np.arctan2(up[0], -up[1]))
    c, s = np.cos(turn), np.sin(turn)
    turned = np.array([[c, s], [-s, c]])                # picture to the hand's own right and down
    own = pixels[[0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]] @ turned.T
    low, high = own.min(axis=0), own.max(axis=0)
    side = 2.0 * float((high - low).max())
    middle = (low + high) / 2 - [0.0, 0.05 * side]
    return Crop(middle @ turned, max(side, 8.0), turn)


def _points(told: Any) -> np.ndarray:
    return np.array([(mark.x, mark.y, mark.z) for mark in told.landmark])


def _visibility(told: Any) -> np.ndarray:
    return np.array([mark.visibility for mark in told.landmark])


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
