"""In which order a participant sees what: worked out from a seed, here and in the page alike.

`page/logic.js` has the same three functions; tests/test_study_page.py runs both on the same seeds. With the seed in
the answers, whoever analyses them knows that what was shown is what should have been.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
WORD = 0xFFFFFFFF
GOLDEN = 0x9E3779B9                     # 2^32 over the golden ratio: the steps of a Weyl sequence


@dataclass(frozen=True)
class Showing:
    """One trial as a participant sees it."""

    trial: int                          # which one of the study's
    places: tuple[int, ...]             # places[k]: which of the trial's clips stands in place k
    again: bool                         # shown before, to see whether the answer is the same


class Draws:
    """Random whole numbers from a seed: a Weyl sequence whose words are mixed, all in 32 bits as in the page."""

    def __init__(self, seed: int) -> None:
        self._state = seed & WORD

    def below(self, count: int) -> int:
        """One of 0 .. count - 1."""
        self._state = (self._state + GOLDEN) & WORD
        word = self._state
        word = ((word ^ (word >> 16)) * 0x21F0AAAD) & WORD
        word = ((word ^ (word >> 15)) * 0x735A2D97) & WORD
        return ((word ^ (word >> 15)) * count) >> 32

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """All of them in a random order, each order equally likely (Fisher and Yates)."""
        order = list(items)
        for k in range(len(order) - 1, 0, -1):
            other = self.below(k + 1)
            order[k], order[other] = order[other], order[k]
        return order


def showings(trials: int, alternatives: int, repeats: int, seed: int) -> list[Showing]:
    """All trials in a random order, `repeats` of the first half once more in the second, clips in random places.

    repeats  at most half of the trials, rounded up; with three trials or more, another lies between the two showings
    """
    draws = Draws(seed)
    order = draws.shuffled(range(trials))
    half = (trials + 1) // 2
    shown = [(trial, False) for trial in order]
    for trial in draws.shuffled(order[:half])[:repeats]:
        first = min(half + 1, len(shown))
        shown.insert(first + draws.below(len(shown) - first + 1), (trial, True))
    return [Showing(trial, tuple(draws.shuffled(range(alternatives))), again) for trial, again in shown]
