"""Mattes to look at: the doubtful ones first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from pipelines.media.sheets import caption, fit_height, tile

GROUND = (70, 160, 90)                  # sRGB, behind the person
DOUBT = (255, 40, 40)                   # what was uncertain
FRAMES = 12
COLUMNS = 3
HEIGHT_PX = 420
APART = 6                               # frames between two that are shown


def worst_apart(doubts: Sequence[float], count: int = FRAMES, apart: int = APART) -> list[int]:
    """Positions of the largest `doubts`, largest first, none within `apart` of another one."""
    picked: list[int] = []
    for k in np.argsort(-np.asarray(doubts, float), kind="stable").tolist():
        if all(abs(k - other) >= apart for other in picked):
            picked.append(k)
        if len(picked) == count:
            break
    return picked


def sheet(texts: Iterable[str], frames: Iterable[tuple[np.ndarray, ...]]) -> np.ndarray:
    """A picture of all of them, a text below each: captured, cut out, and what was uncertain.

    frames  what `panel` takes: image (h, w, 3) u8, alpha (h, w), colours (h, w, 3) u8, doubt (h, w)
    """
    return tile([caption(panel(*frame), [text]) for text, frame in zip(texts, frames)], columns=COLUMNS)


def panel(image: np.ndarray, alpha: np.ndarray, colours: np.ndarray, doubt: np.ndarray) -> np.ndarray:
    """One frame: captured, its person on a flat ground, and grey with red where the sources differ."""
    share = alpha[..., None]
    cut = np.round(colours * share + np.array(GROUND) * (1 - share)).astype(np.uint8)
    red = np.clip(2 * doubt, 0, 1)[..., None]
    unsure = np.round((80 + 120 * share) * (1 - red) + np.array(DOUBT) * red).astype(np.uint8)
    return fit_height(np.concatenate([image, cut, np.broadcast_to(unsure, image.shape)], axis=1), HEIGHT_PX)
