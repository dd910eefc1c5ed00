"""The person's shape: betas that many frames agree on, with the height that is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.body.model import rest_body
from pipelines.fitting.anatomy import Anatomy
from pipelines.fitting.equations import Goal, normal_equations
from pipelines.fitting.residuals import State
from pipelines.fitting.turns import exp_rotation

HEIGHT_ERROR_M = 0.003                  # of a height that was given
GUESSED_HEIGHT_ERROR_M = 0.08
SHAPE_SPREAD = 1.6                      # of betas; wide, since people we met lay up to 5.5 standard deviations out


def solve_shape(anatomy: Anatomy, goals: Sequence[Goal], states: Sequence[State], betas: np.ndarray,
                height_m: float, height_error_m: float = HEIGHT_ERROR_M,
                rounds: int = 8) -> tuple[np.ndarray, list[State]]:
    """Betas for all frames at once, each frame's pose free to follow (Schur complement on the poses).

    height_m  from sole to crown; it decides how far away a person without depth readings is
    returns   betas (S,), the poses that go with them
    source    Triggs et al., Bundle Adjustment: A Modern Synthesis, 1999, section 6.1
    """
    betas, states = betas.copy(), list(states)
    S, P = len(betas), 6 + len(anatomy.natural)
    damping = 1e-2
    cost = _total(anatomy, goals, states, betas, height_m, height_error_m)
    for _ in range(rounds):
        rig, marks, skin = anatomy.at(betas)
        reduced, pull, parts = np.zeros((S, S)), np.zeros(S), []
        for goal, state in zip(goals, states):
            _, H, g = normal_equations(rig, marks, skin, goal, state.angles, state.turn, state.place, betas, True, True)
            pose = H[:P, :P] + np.diag(damping * np.diag(H)[:P] + 1e-9)
            solved = np.linalg.solve(pose, np.column_stack([H[:P, P:], g[:P]]))
            reduced += H[P:, P:] - H[P:, :P] @ solved[:, :S]
            pull += g[P:] - H[P:, :P] @ solved[:, S]
            parts.append(solved)
        H_prior, g_prior = _prior(anatomy, betas, height_m, height_error_m, len(goals))
        reduced += H_prior
        pull += g_prior
        step = -np.linalg.solve(reduced + np.diag(damping * np.diag(reduced)), pull)
        moved = []
        for solved, state in zip(parts, states):
            d = -solved[:, S] - solved[:, :S] @ step
            moved.append(State(state.angles + d[6:], exp_rotation(d[3:6]) @ state.turn, state.place + d[:3]))
        cost_try = _total(anatomy, goals, moved, betas + step, height_m, height_error_m)
        if cost_try < cost:
            converged = cost - cost_try < 1e-4 * cost
            betas, states, cost = betas + step, moved, cost_try
            damping = max(damping * 0.3, 1e-5)
            if converged:
                break
        else:
            damping *= 10.0
    return betas, states


def _total(anatomy: Anatomy, goals: Sequence[Goal], states: Sequence[State], betas: np.ndarray, height_m: float,
           height_error_m: float) -> float:
    rig, marks, skin = anatomy.at(betas)
    cost = sum(normal_equations(rig, marks, skin, goal, s.angles, s.turn, s.place, betas, True, False)[0]
               for goal, s in zip(goals, states))
    height, _ = _height(anatomy, betas)
    prior = len(goals) * (((height - height_m) / height_error_m) ** 2 + (betas ** 2).sum() / SHAPE_SPREAD ** 2)
    return float(cost + prior)


def _prior(anatomy: Anatomy, betas: np.ndarray, height_m: float, height_error_m: float,
           frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Height and shape prior, as heavy as `frames` frames: landmark errors repeat from frame to frame."""
    height, slope = _height(anatomy, betas)
    H = np.outer(slope, slope) / height_error_m ** 2 + np.eye(len(betas)) / SHAPE_SPREAD ** 2
    g = slope * (height - height_m) / height_error_m ** 2 + betas / SHAPE_SPREAD ** 2
    return frames * H, frames * g


def _height(anatomy: Anatomy, betas: np.ndarray) -> tuple[float, np.ndarray]:
    """Height at rest, and its slope (S,)."""
    verts, _ = rest_body(anatomy.body, betas)
    top, bottom = verts[:, 1].argmax(), verts[:, 1].argmin()
    dirs = anatomy.body.shape_dirs
    return float(verts[top, 1] - verts[bottom, 1]), dirs[:, top, 1] - dirs[:, bottom, 1]
