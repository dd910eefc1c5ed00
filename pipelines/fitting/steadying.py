"""The last touch on a whole clip: what is left of noise goes, most where a limb hardly moves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.fitting.anatomy import HANDLES, Anatomy
from pipelines.fitting.residuals import State
from pipelines.fitting.smoothing import smooth
from pipelines.fitting.turns import exp_rotation, log_rotation

QUICK_S, SLOW_S = 0.05, 0.11            # widths of the parabolas through what moves quickly, and what hardly moves
MOVES_RAD, MOVES_M = 0.010, 0.004       # how much the two differ where something moves
AROUND_S = 0.1                          # that long before and after it is left alone, too
ARM = ("clavicle", "upperarm01", "lowerarm01", "lowerarm02", "wrist")
PARTS: tuple[tuple[str, ...], ...] = (tuple(f"{joint}.L" for joint in ARM), tuple(f"{joint}.R" for joint in ARM),
                                      ("neck01", "head"))


def steadied(anatomy: Anatomy, states: Sequence[State], times_s: np.ndarray) -> list[State]:
    """The poses without the trembling that is left; steady accelerations pass unchanged.

    Each arm, the head, and the trunk with the legs (or planted feet would slide) are judged for themselves: the wider
    parabola where it agrees with the narrower one.
    """
    quick, slow = (smooth(states, np.ones(len(states)), times_s, width) for width in (QUICK_S, SLOW_S))
    ends = {row for row in (0, 1, len(states) - 2, len(states) - 1) if 0 <= row < len(states)}
    for row in ends:                    # nothing on one side to tell a parabola by
        quick[row] = slow[row] = states[row]
    apart = np.array([np.concatenate([b.angles - a.angles, log_rotation(np.ascontiguousarray(b.turn @ a.turn.T)),
                                      b.place - a.place]) for a, b in zip(quick, slow)])
    Q = len(anatomy.natural)
    usual = np.concatenate([np.full(Q + 3, MOVES_RAD), np.full(3, MOVES_M)])
    for columns in parts(anatomy):
        moves = np.sqrt(((apart[:, columns] / usual[columns]) ** 2).max(axis=1))
        near = np.abs(times_s[:, None] - times_s) <= AROUND_S
        most = np.where(near, moves, 0.0).max(axis=1)
        apart[:, columns] *= (1.0 / (1.0 + most ** 2))[:, None]
    return [State(a.angles + d[:Q], exp_rotation(d[Q:Q + 3]) @ a.turn, a.place + d[Q + 3:])
            for a, d in zip(quick, apart)]


def parts(anatomy: Anatomy) -> list[np.ndarray]:
    """Columns of (angles, turn, place) that belong together: left arm, right arm, head, all others."""
    whole = np.arange(len(anatomy.natural) + 6)
    names = [spec.joints[0][0] for spec in HANDLES]
    limbs = [np.concatenate([anatomy.first[h] + np.arange(anatomy.count[h]) for h, name in enumerate(names)
                             if name in part]) for part in PARTS]
    return [*limbs, np.setdiff1d(whole, np.concatenate(limbs))]
