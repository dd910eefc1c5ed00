"""Left and right confused by the detector: found by what was expected, and undone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipelines.core.records import Landmarks
from pipelines.fitting.anatomy import LANDMARKS

FAR_SHARE = 0.05                        # of the person's height: nearer to what was expected is no swap
MUCH_BETTER = 0.5                       # the swapped reading must leave at most this share of the distance
LONGEST_S = 0.5                         # a swap that lasts longer was no swap: the person really turned


def _partners(*parts: str) -> np.ndarray:
    """(33,) permutation of the landmarks that exchanges left and right of some parts."""
    order = np.arange(len(LANDMARKS))
    for n, name in enumerate(LANDMARKS):
        part, _, side = name.rpartition("_")
        if part in parts and side in ("l", "r"):
            order[n] = LANDMARKS.index(f"{part}_{'r' if side == 'l' else 'l'}")
    return order


ARMS = ("elbow", "wrist", "pinky", "index", "thumb")
LEGS = ("knee", "ankle", "heel", "toe")
FACE = ("eye_inner", "eye", "eye_outer", "ear", "mouth")
SWAPS = {"arms": _partners("shoulder", *ARMS), "forearms": _partners(*ARMS), "legs": _partners("hip", *LEGS),
         "shins": _partners(*LEGS), "everything": _partners("shoulder", "hip", *ARMS, *LEGS, *FACE)}


def unswapped(landmarks: Landmarks, expected_px: np.ndarray, tall_px: float) -> tuple[Landmarks, str]:
    """The landmarks with left and right as expected, and the name of the swap that was undone ("" = none).

    expected_px  (33, 2) where the body of a moment ago has its landmarks; tall_px the person's height in the picture
    """
    best, name = landmarks, ""
    gain = FAR_SHARE * tall_px
    for swap, order in SWAPS.items():
        moved = order != np.arange(len(order))
        as_is = _distance(landmarks.pixels, landmarks.confidence, expected_px, moved)
        exchanged = _distance(landmarks.pixels[order], landmarks.confidence[order], expected_px, moved)
        # Compared by all the limbs there are, so that a swap of everything beats one of the arms alone.
        won = (as_is - exchanged) * moved.sum() / 12.0
        if as_is > FAR_SHARE * tall_px and exchanged < MUCH_BETTER * as_is and won > gain:
            best, name, gain = exchanged_landmarks(landmarks, order), swap, won
    return best, name


def exchanged_landmarks(landmarks: Landmarks, order: np.ndarray) -> Landmarks:
    """The landmarks in another order (33,)."""
    return replace(landmarks, pixels=landmarks.pixels[order], confidence=landmarks.confidence[order],
                   world_m=landmarks.world_m[order])


def _distance(pixels: np.ndarray, confidence: np.ndarray, expected_px: np.ndarray, which: np.ndarray) -> float:
    weight = np.clip(confidence[which], 0.05, 1)
    away = np.linalg.norm(pixels[which] - expected_px[which], axis=1)
    return float((away * weight).sum() / weight.sum())
