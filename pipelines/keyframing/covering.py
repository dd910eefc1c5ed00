"""Rows chosen one by one so that together they cover most: greedy, with lazy evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

TIE = 1e-6                              # of the best gain: rows that add so nearly the same tie


@dataclass(frozen=True, eq=False)
class Wishes:
    """What a choice should respect besides coverage."""

    first: Sequence[int] = ()           # rows that are chosen before any other; they count
    times: np.ndarray | None = None     # (N,) when each row is
    gap: float = 0.0                    # rows closer in time to a chosen one wait until no other is left
    liking: np.ndarray | None = None    # (N,) of rows that add the same the one with most is chosen; else the first
    tie: float = field(default=TIE)     # what "the same" is


def greedy_cover(quality: np.ndarray, weights: np.ndarray, count: int,
                 wishes: Wishes | None = None) -> tuple[list[int], list[float]]:
    """Rows chosen one by one, each the one that adds most to what the chosen rows together cover.

    quality  (N, E) 0..1: how well row n covers element e; together rows cover an element as well as the best of them
    weights  (E,) what each element is worth
    returns  `count` rows in order of choice, and the covered weight after each. Covering so is submodular: without a
             gap and without `first` this is at least 1 - 1/e = 63 % of the best choice (Nemhauser, Wolsey and Fisher
             1978), and gains only shrink, so a row whose old gain is below the best new one need not be looked at
             again (Minoux 1978)
    """
    if quality.ndim != 2 or weights.shape != quality.shape[1:] or not 0 < count <= len(quality):
        raise ValueError(f"cannot choose {count} of quality {quality.shape} with weights {weights.shape}")
    wishes = wishes or Wishes()
    covered = np.zeros(quality.shape[1], quality.dtype)
    bound = np.asarray(quality @ weights)
    order: list[int] = []
    values: list[float] = []
    for step in range(count):
        row = int(wishes.first[step]) if step < len(wishes.first) else \
            _best_row(quality, weights, covered, bound, _free(len(quality), order, wishes), wishes)
        order.append(row)
        covered = np.maximum(covered, quality[row])
        values.append(float(covered @ weights))
    return order, values


def evenly(candidates: int, count: int) -> list[int]:
    """`count` rows of so many candidates at even spacing, each in the middle of its share."""
    if not 0 < count <= candidates:
        raise ValueError(f"cannot choose {count} of {candidates} candidates")
    return [int(k) for k in np.floor((np.arange(count) + 0.5) * candidates / count)]


def reached(quality: np.ndarray, weights: np.ndarray, order: Sequence[int]) -> list[float]:
    """Share of what all rows cover that the first 1, 2, ... rows of `order` cover."""
    everything = float(quality.max(axis=0) @ weights)
    together = np.maximum.accumulate(quality[list(order)], axis=0) @ weights
    return [float(value) / everything if everything > 0 else 0.0 for value in together]


def _free(total: int, order: list[int], wishes: Wishes) -> np.ndarray:
    """(N,) bool: rows that may be chosen now."""
    free = np.ones(total, bool)
    free[order] = False
    if wishes.times is not None and order:
        apart = free & (np.abs(wishes.times[:, None] - wishes.times[order]).min(axis=1) >= wishes.gap)
        free = apart if apart.any() else free
    return free


def _best_row(quality: np.ndarray, weights: np.ndarray, covered: np.ndarray, bound: np.ndarray, free: np.ndarray,
              wishes: Wishes) -> int:
    """The free row that adds most; `bound` (N,), what each row added when last looked at, is brought up to date."""
    looked_at: list[int] = []
    best = 0.0
    for row in np.argsort(-np.where(free, bound, -np.inf), kind="stable")[:free.sum()]:
        if looked_at and bound[row] < (1 - wishes.tie) * best:
            break
        if bound[row] > 0:
            bound[row] = np.maximum(quality[row] - covered, 0) @ weights
        best = max(best, float(bound[row]))
        looked_at.append(int(row))
    tied = [row for row in looked_at if bound[row] >= (1 - wishes.tie) * best]
    liking = wishes.liking if wishes.liking is not None else np.zeros(len(quality))
    return max(tied, key=lambda row: (liking[row], -row))
