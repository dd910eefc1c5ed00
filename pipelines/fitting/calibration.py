"""The person's shape: betas that many frames agree on, with the height that is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.body.model import rest_body
from pipelines.fitting.anatomy import Anatomy
from pipelines.fitting.equations import Goal, normal_equations
from pipelines.fitting.residuals import State
from pipelines.fitting.sharing import shared_equations
from pipelines.fitting.traits import Traits, cloth_shares, traits_prior, with_thickness
from pipelines.fitting.turns import exp_rotation

HEIGHT_ERROR_M = 0.003                  # of a height that was given
GUESSED_HEIGHT_ERROR_M = 0.08
SHAPE_SPREAD = 1.6                      # of betas; wide, since people we met lay up to 5.5 standard deviations out


@dataclass(frozen=True, eq=False)
class Person:
    """What all frames of a clip share."""

    betas: np.ndarray                   # (S,)
    traits: Traits


def solve_shape(anatomy: Anatomy, goals: Sequence[Goal], states: Sequence[State], person: Person,
                height_m: float, height_error_m: float = HEIGHT_ERROR_M, rounds: int = 8,
                normals: Sequence[np.ndarray] | None = None) -> tuple[Person, list[State]]:
    """Betas and traits for all frames at once, each frame's pose free to follow (Schur complement on the poses).

    height_m  from sole to crown; it decides how far away a person without depth readings is
    normals   (C, 3) of each frame's depth readings, which clothes move along; None: traits stay as they are
    returns   the person, the poses that go with it
    source    Triggs et al., Bundle Adjustment: A Modern Synthesis, 1999, section 6.1
    """
    start, states, now = person, list(states), list(goals)
    S, P = len(person.betas), 6 + len(anatomy.natural)
    known = _Known(anatomy, height_m, height_error_m, len(goals))
    damping = 1e-2
    cost = _total(known, now, states, person)
    for _ in range(rounds):
        H_prior, g_prior = _prior(known, person)
        E = S if normals is None else len(g_prior)
        reduced, pull, parts = H_prior[:E, :E], g_prior[:E], []
        for H, g in _equations(anatomy, now, states, person, normals is not None):
            pose = H[:P, :P] + np.diag(damping * np.diag(H)[:P] + 1e-9)
            solved = np.linalg.solve(pose, np.column_stack([H[:P, P:], g[:P]]))
            reduced = reduced + H[P:, P:] - H[P:, :P] @ solved[:, :-1]
            pull = pull + g[P:] - H[P:, :P] @ solved[:, -1]
            parts.append(solved)
        step = -np.linalg.solve(reduced + np.diag(damping * np.diag(reduced)), pull)
        moved = []
        for solved, state in zip(parts, states):
            d = -solved[:, -1] - solved[:, :-1] @ step
            moved.append(State(state.angles + d[6:], exp_rotation(d[3:6]) @ state.turn, state.place + d[:3]))
        other, goals_try = Person(person.betas + step[:S], person.traits), now
        if normals is not None:
            other = Person(other.betas, person.traits.moved(step[S:]))
            thicker = other.traits.cloth_m - start.traits.cloth_m
            goals_try = [with_thickness(goal, thicker, along) for goal, along in zip(goals, normals)]
        cost_try = _total(known, goals_try, moved, other)
        if cost_try < cost:
            converged = cost - cost_try < 1e-4 * cost
            person, states, cost, now = other, moved, cost_try, goals_try
            damping = max(damping * 0.3, 1e-5)
            if converged:
                break
        else:
            damping *= 10.0
    return person, states


def _equations(anatomy: Anatomy, goals: Sequence[Goal], states: Sequence[State], person: Person,
               with_traits: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each frame's matrix and gradient: its pose, the betas, and the traits if asked for."""
    rig, marks, skin = anatomy.at(person.betas)
    marks = person.traits.marks(marks)
    regions = np.ascontiguousarray(cloth_shares()[:, :len(person.traits.cloth_m)])
    for goal, state in zip(goals, states):
        _, H, g = normal_equations(rig, marks, skin, goal, state.angles, state.turn, state.place, person.betas, True,
                                   True)
        if with_traits:
            cross, own, pull = shared_equations(rig, marks, skin, goal, state.angles, state.turn, state.place, regions)
            H, g = np.block([[H, cross], [cross.T, own]]), np.concatenate([g, pull])
        yield H, g


@dataclass(frozen=True, eq=False)
class _Known:
    """What is known of the person before a frame is seen."""

    anatomy: Anatomy
    height_m: float
    height_error_m: float
    frames: int


def _total(known: _Known, goals: Sequence[Goal], states: Sequence[State], person: Person) -> float:
    rig, marks, skin = known.anatomy.at(person.betas)
    marks = person.traits.marks(marks)
    cost = sum(normal_equations(rig, marks, skin, goal, s.angles, s.turn, s.place, person.betas, True, False)[0]
               for goal, s in zip(goals, states))
    height, _ = _height(known.anatomy, person.betas)
    prior = ((height - known.height_m) / known.height_error_m) ** 2 + (person.betas ** 2).sum() / SHAPE_SPREAD ** 2
    return float(cost + known.frames * prior + traits_prior(person.traits, known.frames)[0])


def _prior(known: _Known, person: Person) -> tuple[np.ndarray, np.ndarray]:
    """Height, shape and traits, as heavy as many frames: landmark errors repeat from frame to frame."""
    betas = person.betas
    height, slope = _height(known.anatomy, betas)
    H = np.outer(slope, slope) / known.height_error_m ** 2 + np.eye(len(betas)) / SHAPE_SPREAD ** 2
    g = slope * (height - known.height_m) / known.height_error_m ** 2 + betas / SHAPE_SPREAD ** 2
    _, stiff, pull = traits_prior(person.traits, known.frames)
    both = np.zeros((len(g) + len(stiff), len(g) + len(stiff)))
    both[:len(g), :len(g)] = known.frames * H
    both[len(g):, len(g):] = np.diag(stiff)
    return both, np.concatenate([known.frames * g, pull])


def _height(anatomy: Anatomy, betas: np.ndarray) -> tuple[float, np.ndarray]:
    """Height at rest, and its slope (S,)."""
    verts, _ = rest_body(anatomy.body, betas)
    top, bottom = verts[:, 1].argmax(), verts[:, 1].argmin()
    dirs = anatomy.body.shape_dirs
    return float(verts[top, 1] - verts[bottom, 1]), dirs[:, top, 1] - dirs[:, bottom, 1]
