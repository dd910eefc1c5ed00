"""All frames of a clip solved together: each sees its own picture, and motion has no jerks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from pipelines.fitting.anatomy import Anatomy
from pipelines.fitting.cuts import APART_S
from pipelines.fitting.equations import Goal, normal_equations
from pipelines.fitting.posing import Points, Rig
from pipelines.fitting.residuals import State
from pipelines.fitting.turns import exp_rotation, log_rotation

REFERENCE_S = 1.0 / 30.0                # the rate at which the figures below count in full
USUAL_SMOOTH_S = 0.08                   # the width of smoothing they stand for
PLACE_M_S2, TURN_RAD_S2, ANGLE_RAD_S2 = (4.0, 4.0, 2.0), 10.0, 16.0     # accelerations
STEP_RAD_S2 = 48.0                      # of hips, knees and ankles as they bend: a heel that strikes stops the leg
PLACE_M_S, TURN_RAD_S, ANGLE_RAD_S = 2.0, 6.0, 8.0                      # speeds; they only count where nothing is seen
MEANT_S = 0.08                          # accelerations that last so long before and after are meant
QUICK = 1.0                             # accelerations beyond so many expected ones are meant, not noise
LARGEST_STEP = 0.5                      # radians or metres in one iteration


@dataclass(frozen=True, eq=False)
class Flow:
    """How a motion may change from frame to frame: rows of differences over (x[first], ..., x[first + width])."""

    frames: np.ndarray                  # (R, 3) the frames that a row looks at; a frame that does not count repeats
    factors: np.ndarray                 # (R, 3)
    weight: np.ndarray                  # (R, P) 1 / expected value


def flow_of(anatomy: Anatomy, times_s: np.ndarray, smooth_s: float) -> Flow:
    """Accelerations and speeds of all unknowns, small; smooth_s is the width of smoothing that they amount to.

    Across pauses as long as `cuts.parted` makes them they may be anything.
    source  Kalman smoothing with white-noise acceleration: Bar-Shalom et al., Estimation with Applications, section 6.2
    """
    Q, F = len(anatomy.natural), len(times_s)
    looser = (USUAL_SMOOTH_S / smooth_s) ** 2
    bends = np.full(Q, ANGLE_RAD_S2)
    bends[[anatomy.first_angle(f"{joint}.{side}") for joint in ("upperleg01", "lowerleg01", "foot") for side in "LR"]
          ] = STEP_RAD_S2
    acceleration = looser * np.concatenate([PLACE_M_S2, [TURN_RAD_S2] * 3, bends])
    speed = np.concatenate([[PLACE_M_S] * 3, [TURN_RAD_S] * 3, np.full(Q, ANGLE_RAD_S)])
    gaps = np.maximum(np.diff(times_s), 1e-3)
    first = np.arange(F - 1)
    frames, factors = [np.stack([first, first + 1, first + 1], 1)], [np.stack([-1 / gaps, 1 / gaps, 0 * gaps], 1)]
    told = gaps < APART_S               # nothing of a motion goes on across a cut
    weight = [(told * np.sqrt(gaps / REFERENCE_S))[:, None] / speed]
    if F > 2:
        before, after = gaps[:-1], gaps[1:]
        middle = (before + after) / 2
        frames.append(np.stack([first[:-1], first[:-1] + 1, first[:-1] + 2], 1))
        factors.append(np.stack([1 / before, -1 / before - 1 / after, 1 / after], 1) / middle[:, None])
        weight.append((told[:-1] * told[1:] * np.sqrt(middle / REFERENCE_S))[:, None] / acceleration)
    return Flow(np.concatenate(frames), np.concatenate(factors), np.concatenate(weight))


def loosened(flow: Flow, states: Sequence[State]) -> Flow:
    """The flow with less weight on what the states do quickly: noise is smoothed, a swing keeps its width.

    flow    as `flow_of` has it
    source  weights of the Cauchy loss, as iteratively reweighted least squares; Huber, Robust Statistics, 1981
    """
    speeds = len(states) - 1            # rows of speeds come first and keep their weight
    off = _changes(states, flow)[speeds:] * flow.weight[speeds:]
    reach = max(1, round(MEANT_S * float(np.median(flow.factors[:speeds, 1])))) if len(off) else 1
    window = np.hanning(2 * reach + 3)[1:-1]
    # Noise changes its sign from frame to frame and a swing does not: averaged with their signs, only swings are left.
    among = np.convolve(np.ones(len(off)), window)[reach:-reach]
    moving = np.array([np.convolve(column, window)[reach:-reach] for column in off.T]).T / among[:, None]
    weight = flow.weight.copy()
    weight[speeds:] /= np.sqrt(1.0 + (moving / QUICK) ** 2)
    return replace(flow, weight=weight)


def solve_clip(rig: Rig, marks: Points, skin: Points, goals: Sequence[Goal], states: Sequence[State],
               flow: Flow, rounds: int = 4) -> list[State]:
    """Gauss-Newton on all frames at once (damped); the matrix is banded, since frames only touch their neighbours.

    returns  the states with the least cost met
    source   Triggs et al., Bundle Adjustment: A Modern Synthesis, 1999, section 6
    """
    states = list(states)
    damping = 1e-3
    cost, H, g = _equations(rig, marks, skin, goals, states, flow)
    for _ in range(rounds):
        step = _banded_step(H, g, flow, damping)
        moved = [_moved(state, d) for state, d in zip(states, step)]
        cost_try, H_try, g_try = _equations(rig, marks, skin, goals, moved, flow)
        if cost_try < cost:
            small = cost - cost_try < 1e-4 * cost
            states, cost, H, g = moved, cost_try, H_try, g_try
            damping = max(damping * 0.3, 1e-6)
            if small:
                break
        else:
            damping *= 10.0
    return states


def _equations(rig: Rig, marks: Points, skin: Points, goals: Sequence[Goal], states: Sequence[State],
               flow: Flow) -> tuple[float, np.ndarray, np.ndarray]:
    """Cost, H (F, P, P) of the frames alone, gradient (F, P) of everything."""
    none = np.zeros(0)
    parts = [normal_equations(rig, marks, skin, goal, s.angles, s.turn, s.place, none, False, True)
             for goal, s in zip(goals, states)]
    cost = float(sum(part[0] for part in parts))
    H, g = np.array([part[1] for part in parts]), np.array([part[2] for part in parts])
    residual = _changes(states, flow) * flow.weight
    for k in range(3):
        np.add.at(g, flow.frames[:, k], flow.factors[:, k, None] * flow.weight * residual)
    return cost + float((residual ** 2).sum()), H, g


def _changes(states: Sequence[State], flow: Flow) -> np.ndarray:
    """(R, P) accelerations and speeds; turns by the rotations from frame to frame."""
    x = np.array([np.concatenate([state.place, np.zeros(3), state.angles]) for state in states])
    values = np.einsum("rk,rkp->rp", flow.factors, x[flow.frames])
    steps = np.array([log_rotation(np.ascontiguousarray(b.turn @ a.turn.T)) for a, b in pairwise(states)])
    away = np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)]) if len(steps) else np.zeros((1, 3))
    values[:, 3:6] = np.einsum("rk,rkp->rp", flow.factors, away[flow.frames])
    return np.asarray(values)


def _banded_step(H: np.ndarray, g: np.ndarray, flow: Flow, damping: float) -> np.ndarray:
    """(F, P) the step that the damped normal equations ask for, no longer than `LARGEST_STEP` in any frame."""
    from scipy.linalg import solveh_banded

    F, P = g.shape
    band = np.zeros((2 * P + 1, F, P))
    for k in range(P):                  # band[i - j, j] = A[i, j], LAPACK's lower form
        band[k, :, :P - k] = H[:, np.arange(k, P), np.arange(P - k)]
    stiff = flow.weight ** 2
    for a in range(3):
        for b in range(3):
            apart = flow.frames[:, a] - flow.frames[:, b]
            for gap in range(3):
                rows = apart == gap
                both = (flow.factors[rows, a] * flow.factors[rows, b])[:, None] * stiff[rows]
                np.add.at(band[gap * P], flow.frames[rows, b], both)
    band[0] = band[0] * (1.0 + damping) + 1e-9
    step = -solveh_banded(band.reshape(2 * P + 1, F * P), g.ravel(), overwrite_ab=True, lower=True,
                          check_finite=False).reshape(F, P)
    longest = np.abs(step).max(axis=1, keepdims=True)
    return np.asarray(step * np.minimum(1.0, LARGEST_STEP / np.maximum(longest, 1e-12)))


def _moved(state: State, step: np.ndarray) -> State:
    return State(state.angles + step[6:], exp_rotation(step[3:6]) @ state.turn, state.place + step[:3])
