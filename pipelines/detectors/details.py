"""A closer look at one person: hands and face, where they are large enough in the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.core.records import Landmarks
from pipelines.detectors.mediapipe import HAND_COUNT, FaceReader, HandReader, HandReading
from pipelines.detectors.windows import Crop

# Points of the face mesh (MediaPipe's numbers) that tell how the head is turned; left is the person's.
FACE_POINTS = {"nose_tip": 1, "chin": 152, "eye_outer_l": 263, "eye_inner_l": 362, "eye_inner_r": 133,
               "eye_outer_r": 33, "mouth_l": 291, "mouth_r": 61, "cheek_l": 454, "cheek_r": 234, "forehead": 10}
WRISTS, INDEXES, PINKIES = (15, 16), (19, 20), (17, 18)       # of the body's landmarks, left and right
ELBOWS = (13, 14)
EYES, EARS, NOSE, MOUTH = (2, 5), (7, 8), 0, (9, 10)
SMALLEST_HAND_PX = 40.0                 # side of the crop around a hand, twice the hand itself
SMALLEST_FACE_PX = 50.0
SEEN = 0.5                              # confidence of the body's wrist or nose below which nobody looks closer
NEAR_WRIST = 0.35                       # of the crop's side: a hand whose wrist is farther off is another one
HAND_PER_FOREARM = 1.5                  # side of the crop around a hand over the longest forearm seen so far


@dataclass(frozen=True, eq=False)
class Details:
    """Hands and face in one frame; left before right. Confidence 0 = not found, and then the rest is 0."""

    hand_pixels: np.ndarray             # (2, 21, 2)
    hand_world_m: np.ndarray            # (2, 21, 3) metres from the hand's middle, camera axes
    hand_confidence: np.ndarray         # (2,)
    face_pixels: np.ndarray             # (K, 2), K = len(FACE_POINTS)
    face_confidence: float


class DetailReader:
    """Reads hands and face of the person whose body landmarks are known, frame after frame."""

    def __init__(self) -> None:
        self._hands, self._face = HandReader(), FaceReader()
        self._last: list[HandReading | None] = [None, None]

    def read(self, image: np.ndarray, body: Landmarks | None) -> Details:
        """image (H, W, 3) uint8 sRGB; body = None where the person was not found."""
        pixels, world = np.zeros((2, HAND_COUNT, 2)), np.zeros((2, HAND_COUNT, 3))
        confidence = np.zeros(2)
        for side in (0, 1):
            hand, sure = self._hand(image, body, side) if body is not None else (None, 0.0)
            self._last[side] = hand
            if hand is not None:
                pixels[side], world[side], confidence[side] = hand.pixels, hand.world_m, sure
        face = self._look_at_face(image, body) if body is not None else None
        where = np.zeros((len(FACE_POINTS), 2)) if face is None else face[list(FACE_POINTS.values())]
        return Details(pixels, world, confidence, where, 0.0 if face is None or body is None
                       else float(body.confidence[NOSE]))

    def close(self) -> None:
        self._hands.close()
        self._face.close()

    def _hand(self, image: np.ndarray, body: Landmarks, side: int) -> tuple[HandReading | None, float]:
        """The hand and how sure it is this one; None when it is too small, hidden, or not where the arm ends."""
        start = hand_crop(body, side)
        if start.side < SMALLEST_HAND_PX or body.confidence[WRISTS[side]] < SEEN:
            return None, 0.0
        before = self._last[side]
        found = None
        if before is not None and np.linalg.norm(before.crop.centre - start.centre) < 0.5 * start.side:
            found = self._hands.read(image, before.crop)
        if found is None:
            rough = self._hands.read(image, start)
            found = None if rough is None else self._hands.read(image, rough.crop)
        if found is None:
            return None, 0.0
        off = np.linalg.norm(found.pixels[0] - body.pixels[WRISTS[side]]) / start.side
        right_size = 0.35 < found.crop.side / start.side < 1.6
        of_this_side = found.left if side == 0 else 1.0 - found.left
        sure = of_this_side * float(np.clip(1.5 - off / NEAR_WRIST, 0.0, 1.0)) * float(body.confidence[WRISTS[side]])
        return (found, sure) if off < NEAR_WRIST and right_size and of_this_side > 0.5 else (None, 0.0)

    def _look_at_face(self, image: np.ndarray, body: Landmarks) -> np.ndarray | None:
        """(468, 2) pixels; None when it is too small, turned away, or not where the head is."""
        start = face_crop(body)
        if start.side < SMALLEST_FACE_PX or body.confidence[NOSE] < SEEN or not faces_camera(body):
            return None
        face = self._face.read(image, start)
        if face is None:
            return None
        nose = face[FACE_POINTS["nose_tip"]]
        return face if np.linalg.norm(nose - body.pixels[NOSE]) < 0.25 * start.side else None


def hand_crop(body: Landmarks, side: int) -> Crop:
    """Where the hand should be, seen from the arm: beyond the wrist, as wide as one and a half forearms in space."""
    wrist, elbow = body.pixels[WRISTS[side]], body.pixels[ELBOWS[side]]
    knuckles = (2 * body.pixels[INDEXES[side]] + body.pixels[PINKIES[side]]) / 3
    along = knuckles - wrist
    if np.hypot(*along) < 0.2 * np.hypot(*(wrist - elbow)):       # seen end on: the arm tells more
        along = wrist - elbow
    side_px = HAND_PER_FOREARM * pixels_per_m(body) * float(np.linalg.norm(body.world_m[WRISTS[side]]
                                                                          - body.world_m[ELBOWS[side]]))
    up = along / max(float(np.hypot(*along)), 1e-6)
    return Crop(wrist + 0.22 * side_px * up, max(side_px, 1.0), float(np.arctan2(up[0], -up[1])))


def face_crop(body: Landmarks) -> Crop:
    """Around the face, level with the eyes, 26 cm wide."""
    eyes, mouth = body.pixels[list(EYES)], body.pixels[list(MOUTH)]
    across = eyes[0] - eyes[1]
    middle = (eyes.mean(axis=0) + mouth.mean(axis=0)) / 2
    down = mouth.mean(axis=0) - eyes.mean(axis=0)
    up = -down if np.hypot(*down) > 0.5 * np.hypot(*across) else np.array([across[1], -across[0]])
    return Crop(middle, max(0.26 * pixels_per_m(body), 1.0), float(np.arctan2(up[0], -up[1])))


def faces_camera(body: Landmarks) -> bool:
    """Whether the nose is nearer to the camera than the ears."""
    return bool(body.world_m[NOSE, 2] < body.world_m[list(EARS), 2].mean())


def pixels_per_m(body: Landmarks) -> float:
    """The picture's scale at the person: the body's spread in pixels over that of its world landmarks."""
    sure = body.confidence > SEEN
    if sure.sum() < 4:
        sure = np.ones(len(body.confidence), bool)
    flat = body.world_m[sure, :2] - body.world_m[sure, :2].mean(axis=0)
    seen = body.pixels[sure] - body.pixels[sure].mean(axis=0)
    return float(np.linalg.norm(seen) / max(float(np.linalg.norm(flat)), 1e-6))
