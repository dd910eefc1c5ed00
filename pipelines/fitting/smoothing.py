"""Tracks over time: calm without lag, and bridged where frames are missing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.spatial.transform import Rotation

from pipelines.fitting.residuals import State


def smooth(states: Sequence[State], trust: np.ndarray, times_s: np.ndarray, sigma_s: float | np.ndarray,
           leave_out_self: bool = False) -> list[State]:
    """Each frame from a parabola through its neighbours, weighted by a Gaussian in time.

    A plain Gaussian mean shortens kicks and swings (a 1.5 Hz motion keeps 75 % of its reach at 80 ms); the parabola
    keeps any motion of constant acceleration exactly.
    sigma_s         seconds, one for all frames or (F,) one for each; 0 = as it is
    trust           (F,) 0..1 weight of each frame; 0 where a frame is to be bridged
    leave_out_self  each frame is told by its neighbours alone
    source          Cleveland, Robust locally weighted regression, JASA 1979
    """
    trust, times_s = np.asarray(trust, float), np.asarray(times_s, float)
    if len(states) != len(trust) or len(states) != len(times_s):
        raise ValueError(f"{len(states)} states, {trust.shape} weights and {times_s.shape} times do not go together")
    angles = np.array([state.angles for state in states])
    places = np.array([state.place for state in states])
    turns = np.array([state.turn for state in states])
    known = np.flatnonzero(trust > 0)
    sigmas = np.broadcast_to(np.asarray(sigma_s, float), times_s.shape)
    if (sigmas <= 0).all() or len(known) < 2:
        return list(states)
    out = []
    for row in range(len(states)):
        sigma = max(float(sigmas[row]), 1e-4)
        reach = 3.0 * sigma
        near = np.arange(*np.searchsorted(times_s, (times_s[row] - reach, times_s[row] + reach + 1e-9)))
        near = near[trust[near] > 0]
        if leave_out_self:
            near = near[near != row]
        if len(near) < 4 and trust[row] > 0 and not leave_out_self and sigma < 0.6 * _spacing(times_s):
            out.append(states[row])
            continue
        if len(near) < 4:               # a gap or the end: the nearest known ones on both sides decide
            others = known[known != row] if leave_out_self and len(known) > 2 else known
            at = np.searchsorted(others, row)
            near = others[max(0, at - 2):at + 2]
        away = times_s[near] - times_s[row]
        width = max(sigma, np.abs(away).max() / 3.0)
        weights = trust[near] * np.exp(-0.5 * (away / width) ** 2)
        centre = turns[near[np.argmin(np.abs(away))]]
        turned = Rotation.from_matrix(turns[near] @ centre.T).as_rotvec()
        values = np.concatenate([angles[near], places[near], turned], axis=1)
        degree = 2 if len(near) >= 5 else 1 if len(near) >= 2 and away.min() < 0 < away.max() else 0
        now = _value_at_zero(away / width, values, weights, degree)
        Q = angles.shape[1]
        out.append(State(now[:Q], Rotation.from_rotvec(now[Q + 3:]).as_matrix() @ centre, now[Q:Q + 3]))
    return out


def _spacing(times_s: np.ndarray) -> float:
    return float(np.median(np.diff(times_s)))


def _value_at_zero(x: np.ndarray, values: np.ndarray, weights: np.ndarray, degree: int) -> np.ndarray:
    """(C,) value at x = 0 of the weighted polynomial through values (N, C)."""
    A = np.vander(x, degree + 1, increasing=True)
    root = np.sqrt(weights / max(weights.max(), 1e-12))[:, None]
    return np.linalg.lstsq(A * root, values * root, rcond=1e-9)[0][0]


def longest_gaps(ok: np.ndarray, times_s: np.ndarray, longest_s: float) -> np.ndarray:
    """(F,) bool: frames without trust that lie in a gap short enough to bridge, with trusted frames on both sides."""
    known = np.flatnonzero(ok)
    bridged = np.zeros(len(ok), bool)
    for a, b in pairwise(known):
        if b - a > 1 and times_s[b] - times_s[a] <= longest_s + 1e-9:
            bridged[a + 1:b] = True
    return bridged
