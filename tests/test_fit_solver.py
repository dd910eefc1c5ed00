"""The fit's solvers against slow plain references: scipy on one frame, dense algebra on a clip."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from fit_helpers import CAMERA, UPRIGHT, seen, some_model, standing

from pipelines.core.records import Landmarks
from pipelines.fitting.batch import _banded_step, _changes, _moved, flow_of, loosened, solve_clip
from pipelines.fitting.equations import Goal, normal_equations
from pipelines.fitting.model import Model
from pipelines.fitting.residuals import PIXEL_KERNEL, State, goal_for
from pipelines.fitting.turns import exp_rotation
from pipelines.geometry.cameras import project


@pytest.fixture(scope="module")
def model() -> Model:
    return some_model()


def plain_residuals(model: Model, goal: Goal, state: State) -> np.ndarray:
    """The residuals of landmarks, directions, natural angles and limits, written down as one would on paper.

    Robust ones are shortened so that their squares add up to the cost of Geman and McClure, k^2 e^2 / (k^2 + e^2).
    """
    where = model.marks_m(state)

    def robust(errors: np.ndarray, kernel: float) -> np.ndarray:
        e2 = (errors ** 2).sum(axis=1, keepdims=True)
        return np.asarray(errors * kernel / np.sqrt(kernel ** 2 + e2)).ravel()

    off_px = project(where, CAMERA) - goal.pixels
    marks = robust(off_px * goal.metres_per_px * goal.pixel_weight[:, None], goal.pixel_kernel)
    along = where[goal.pair[:, 1]] - where[goal.pair[:, 0]]
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    ways = robust((along - goal.direction) * goal.direction_weight[:, None], goal.direction_kernel)
    over = np.maximum(state.angles - goal.highest, 0) + np.minimum(state.angles - goal.lowest, 0)
    return np.concatenate([marks, ways, (state.angles - goal.prior) * goal.prior_weight, over * goal.limit_weight])


def spoilt_goal(model: Model) -> tuple[Goal, State]:
    """A frame with noise, one landmark far off, and a start beside the truth."""
    truth = standing(model, 0.4, elbow_l=0.6, arm_r=-0.5, knee_l=0.5, leg_l=-0.4)
    marks = seen(model, truth, noise_px=1.5, seed=3)
    pixels = marks.pixels.copy()
    pixels[15] += 60.0
    goal = goal_for(model.anatomy, Landmarks(pixels, marks.confidence, marks.world_m), CAMERA, 3.0)
    return goal, State(truth.angles + 0.05, truth.turn, truth.place + 0.02)


def test_the_cost_is_the_sum_of_the_plain_residuals(model: Model) -> None:
    goal, state = spoilt_goal(model)
    cost, *_ = normal_equations(model.rig, model.marks, model.skin, goal, state.angles, state.turn, state.place,
                                np.zeros(0), False, False)
    assert cost == pytest.approx(float((plain_residuals(model, goal, state) ** 2).sum()), rel=1e-9)


def test_scipy_finds_the_same_pose(model: Model) -> None:
    from scipy.optimize import least_squares

    goal, start = spoilt_goal(model)
    fast, cost = model.solve(goal, start, 200)

    def at(step: np.ndarray) -> np.ndarray:
        return plain_residuals(model, goal, _moved(start, step))

    slow = least_squares(at, np.zeros(6 + len(start.angles)), xtol=1e-10, ftol=1e-10)     # differences, numerical
    assert cost == pytest.approx(2 * slow.cost, rel=2e-3)
    joints = model.joints(_moved(start, slow.x))
    assert np.linalg.norm(model.joints(fast) - joints, axis=1).max() < 0.005


def test_a_far_off_landmark_does_not_pull_the_wrist(model: Model) -> None:
    goal, start = spoilt_goal(model)
    fast, _ = model.solve(goal, start, 60)
    truth = standing(model, 0.4, elbow_l=0.6, arm_r=-0.5, knee_l=0.5, leg_l=-0.4)
    wrist = model.anatomy.body.joint("wrist.L")
    assert np.linalg.norm(model.joints(fast)[wrist] - model.joints(truth)[wrist]) < 0.05
    assert goal.pixel_kernel == PIXEL_KERNEL


def test_knees_and_elbows_bend_one_way_only(model: Model) -> None:
    for name, low, high in (("lowerleg01.L", -10, 150), ("lowerarm01.R", -55, 120)):
        handle = model.rig.handle[model.anatomy.body.joint(name)]
        assert model.rig.width[handle] == 1
        first = model.rig.first[handle]
        assert np.degrees(model.anatomy.lowest[first]) > low and np.degrees(model.anatomy.highest[first]) < high
    twist = model.rig.handle[model.anatomy.body.joint("lowerarm02.L")]
    assert model.rig.width[twist] == 1 and np.degrees(model.anatomy.highest[model.rig.first[twist]]) <= 90


def test_the_banded_step_is_the_dense_one(model: Model) -> None:
    random = np.random.default_rng(0)
    times = np.cumsum(random.uniform(0.03, 0.06, 5))
    flow = flow_of(model.anatomy, times, 0.08)
    P = 6 + len(model.anatomy.natural)
    A = random.normal(0, 1, (5, P, P))
    H, g = A @ A.transpose(0, 2, 1) * 100, random.normal(0, 1, (5, P))
    dense = np.zeros((5 * P, 5 * P))
    for f in range(5):
        dense[f * P:(f + 1) * P, f * P:(f + 1) * P] += H[f]
    for frames, factors, weight in zip(flow.frames, flow.factors, flow.weight):
        for i in range(P):
            row = np.zeros(5 * P)
            for frame, factor in zip(frames, factors):
                row[frame * P + i] += factor * weight[i]
            dense += np.outer(row, row)
    dense += np.diag(np.diag(dense) * 0.01 + 1e-9)
    np.testing.assert_allclose(_banded_step(H, g, flow, 0.01), -np.linalg.solve(dense, g.ravel()).reshape(5, P),
                               rtol=1e-6, atol=1e-12)


def test_steady_motion_has_no_acceleration(model: Model) -> None:
    times = np.array([0.0, 0.04, 0.07, 0.12, 0.16])
    states = [State(model.anatomy.natural + 0.3 * t, UPRIGHT @ exp_rotation(np.array([0, 0.8 * t, 0])),
                    np.array([0.5 * t, 0, 3.0])) for t in times]
    flow = flow_of(model.anatomy, times, 0.08)
    values = _changes(states, flow)
    np.testing.assert_allclose(values[4:], 0.0, atol=1e-9)
    np.testing.assert_allclose(values[:4, 0], 0.5)
    np.testing.assert_allclose(values[:4, 6:], 0.3)
    assert len(values) == 4 + 3


def test_frames_without_sight_go_on_with_the_motion(model: Model) -> None:
    times = np.arange(20) / 25.0
    truth = [standing(model, 0.6 * t, elbow_l=0.5 * t) for t in times]
    goals = [model.nothing_seen(s) if 8 <= k < 12 else model.goal(_sight(model, s), s)
             for k, s in enumerate(truth)]
    start = [truth[7] if 8 <= k < 12 else state for k, state in enumerate(truth)]
    solved = solve_clip(model.rig, model.marks, model.skin, goals, start, flow_of(model.anatomy, times, 0.08), 6)
    for before, after in pairwise(solved):
        assert np.abs(after.angles - before.angles).max() < 0.06
    elbow = model.rig.first[model.rig.handle[model.anatomy.body.joint("lowerarm01.L")]]
    assert solved[10].angles[elbow] == pytest.approx(truth[10].angles[elbow], abs=0.08)


def test_a_quick_swing_keeps_its_width_and_slow_motion_its_smoothing(model: Model) -> None:
    times = np.arange(24) / 25.0
    swing = 0.7 + 0.6 * np.sin(2 * np.pi * 1.6 * times)
    truth = [standing(model, 0.3, elbow_l=angle) for angle in swing]
    goals = [model.goal(_sight(model, s), s) for s in truth]
    flow = flow_of(model.anatomy, times, 0.16)
    elbow = model.rig.first[model.rig.handle[model.anatomy.body.joint("lowerarm01.L")]]
    told = np.array([state.angles[elbow] for state in truth])

    def miss(states: list[State]) -> float:
        return float(np.abs(np.array([s.angles[elbow] for s in states]) - told)[2:-2].mean())

    smoothed = solve_clip(model.rig, model.marks, model.skin, goals, truth, flow, 6)
    lightly = solve_clip(model.rig, model.marks, model.skin, goals, truth, flow_of(model.anatomy, times, 0.08), 6)
    looser = loosened(flow, lightly)
    again = solve_clip(model.rig, model.marks, model.skin, goals, lightly, looser, 6)
    assert miss(again) < 0.4 * miss(smoothed)
    still = model.rig.first[model.rig.handle[model.anatomy.body.joint("lowerleg01.R")]]
    np.testing.assert_allclose(looser.weight[:, 6 + still], flow.weight[:, 6 + still], rtol=0.05)
    np.testing.assert_array_equal(looser.weight[:23], flow.weight[:23])


def test_a_trunk_leans_forwards_as_far_as_told_and_bent_legs_are_not_stretched(model: Model) -> None:
    state = standing(model, 0.3)
    up = np.array([0.0, -1.0, 0.0])
    upright, leaning = (model._upright(state, up, angle) for angle in (0.0, 0.5))
    for a, b in zip(upright, leaning):
        assert a @ b == pytest.approx(np.cos(0.5), abs=0.03)
        assert b @ state.turn[:, 2] > a @ state.turn[:, 2] + 0.3              # towards where the person looks
    assert model.stretched(standing(model, 0.3)) > 0.7 > 0.1 > model.stretched(standing(model, 0.3, knee_l=1.2))


def _sight(model: Model, state: State):  # type: ignore[no-untyped-def]
    from pipelines.fitting.model import Sight

    return Sight(seen(model, state))
