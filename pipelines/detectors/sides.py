"""Left and right, kept as they were: some pictures can be read as a front and as a back, and each look decides anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipelines.core.records import Landmarks

EXCHANGED = np.array([0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9, *(k + 1 if k % 2 else k - 1 for k in range(11, 33))])
COMPARED = np.array([11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28])      # shoulders to wrists, hips to ankles
FAR = 0.04                              # of the extent: sides nearer together than this cannot be told apart
MUCH_NEARER = 0.5                       # exchanged, at most this share of the distance must remain
DOUBT_S = 0.5                           # so long the looks of before count
OVERRULED = -0.6                        # of -1..1: most looks for a while say the other side
TURN_S = 0.1                            # in a longer time between two frames a person may turn about


class Sides:
    """Names the sides of one person from frame to frame as in the frames before.

    A person cannot turn about from one frame to the next, so a look whose sides are exchanged against the frame before
    is read the other way round. Where most looks contradict for a while, the first ones were wrong, and their reading
    is given up. Below ten frames per second only the looks at one frame are held against each other.
    """

    def __init__(self, fps: float) -> None:
        self._remembers = fps * TURN_S >= 1.0
        self._fading = float(np.exp(-1.0 / max(DOUBT_S * fps, 1.0)))
        self._last: Landmarks | None = None
        self._agreed, self._count = 0.0, 0      # -1..1, how far the looks of late agree with the names given

    def settled(self, looks: Sequence[Landmarks], extent: float) -> list[Landmarks]:
        """The looks at one frame, all with the same person's left; extent is the person's longest side in pixels.

        Of the first frame, and after `forget`, the first look is believed.
        """
        if not self._remembers:
            self.forget()
        reference = looks[0] if self._last is None else self._last
        votes = np.array([side_vote(look, reference, extent) for look in looks])
        self._count += 1
        self._agreed += max(1.0 / self._count, 1.0 - self._fading) * (float(votes.mean()) - self._agreed)
        if self._agreed < OVERRULED:
            votes, self._agreed = -votes, -self._agreed
        named = [exchanged(look) if vote < 0 else look for look, vote in zip(looks, votes)]
        # A frame whose looks differ, half one way and half the other, says nothing about the next one.
        if self._last is None or _apart(named[0].pixels, named[-1].pixels) < FAR * extent:
            self._last = named[0]
        return named

    def forget(self) -> None:
        """The next frame begins anew: the person was out of sight."""
        self._last, self._agreed, self._count = None, 0.0, 0


def side_vote(look: Landmarks, reference: Landmarks, extent: float) -> int:
    """1 where the sides are as in the reference, -1 where they are exchanged, 0 where it does not tell."""
    straight = _apart(look.pixels, reference.pixels)
    crossed = _apart(look.pixels[EXCHANGED], reference.pixels)
    near, far = min(straight, crossed), max(straight, crossed)
    if far < FAR * extent or near > MUCH_NEARER * far:
        return 0
    return 1 if straight < crossed else -1


def exchanged(look: Landmarks) -> Landmarks:
    """The landmarks with left and right exchanged."""
    return replace(look, pixels=look.pixels[EXCHANGED], confidence=look.confidence[EXCHANGED],
                   world_m=look.world_m[EXCHANGED])


def _apart(pixels: np.ndarray, others: np.ndarray) -> float:
    return float(np.linalg.norm(pixels[COMPARED] - others[COMPARED], axis=1).mean())
