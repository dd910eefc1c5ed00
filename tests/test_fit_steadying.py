"""The last touch on a clip: trembling goes where a limb hardly moves, movement stays as it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fit_helpers import some_model, standing

from pipelines.core.records import Landmarks
from pipelines.fitting.anatomy import load_anatomy
from pipelines.fitting.model import Model
from pipelines.fitting.residuals import State
from pipelines.fitting.standing import standing_runs
from pipelines.fitting.steadying import parts, steadied
from pipelines.fitting.turns import exp_rotation

TIMES = np.arange(45) / 30.0


@pytest.fixture(scope="module")
def model() -> Model:
    return some_model()


def trembling(states: list[State], seed: int = 0) -> list[State]:
    random = np.random.default_rng(seed)
    return [State(s.angles + random.normal(0, 0.004, len(s.angles)), exp_rotation(random.normal(0, 0.003, 3)) @ s.turn,
                  s.place + random.normal(0, 0.001, 3)) for s in states]


def jitter_m(model: Model, states: list[State]) -> float:
    joints = np.array([model.joints(state) for state in states])
    return float(np.linalg.norm(np.diff(joints, n=2, axis=0), axis=-1).mean())


def test_every_unknown_belongs_to_one_part() -> None:
    anatomy = load_anatomy()
    columns = np.concatenate(parts(anatomy))
    assert sorted(columns) == list(range(len(anatomy.natural) + 6))
    left, right, head, rest = parts(anatomy)
    assert len(left) == len(right) and anatomy.first_angle("wrist.L") in left and anatomy.first_angle("head") in head
    assert anatomy.first_angle("lowerleg01.L") in rest and {*rest} >= {*range(len(anatomy.natural), len(columns))}


def test_who_stands_still_hardly_trembles_after_it(model: Model) -> None:
    rough = trembling([standing(model)] * len(TIMES))
    calm = steadied(model.anatomy, rough, TIMES)
    assert jitter_m(model, calm) < 0.25 * jitter_m(model, rough)
    away = [np.abs(model.joints(state) - model.joints(standing(model))).max() for state in calm]
    assert max(away[5:-5]) < 0.008


@pytest.mark.parametrize("fps", [15.0, 30.0, 60.0])
def test_steady_accelerations_pass_unchanged(model: Model, fps: float) -> None:
    times = np.arange(40) / fps
    moves = [replace(standing(model, 0.4 * t, arm_l=-0.5 * t * t), place=np.array([0.1 * t, 0.2 * t * t, 3.0]))
             for t in times]
    for before, after in zip(moves, steadied(model.anatomy, moves, times)):
        np.testing.assert_allclose(after.angles, before.angles, atol=2e-3)
        np.testing.assert_allclose(after.place, before.place, atol=2e-3)
        np.testing.assert_allclose(after.turn, before.turn, atol=2e-3)


def test_a_swinging_arm_keeps_its_reach_beside_a_head_that_is_calmed(model: Model) -> None:
    swing = [standing(model, arm_l=0.6 * np.sin(2 * np.pi * 1.2 * t)) for t in TIMES]
    calm = steadied(model.anatomy, trembling(swing, 1), TIMES)
    arm, head = model.anatomy.first_angle("upperarm01.L"), model.anatomy.first_angle("head")
    width = np.ptp([state.angles[arm] for state in calm]) / np.ptp([state.angles[arm] for state in swing])
    assert width > 0.95
    assert np.std(np.diff([state.angles[head] for state in calm], n=2)) < 0.2 * 0.004 * np.sqrt(6)


def test_a_foot_whose_landmarks_creep_stands_once_and_one_that_steps_stands_twice() -> None:
    for far_px, stands in ((5.0, [(0, 40)]), (30.0, [(0, 20), (20, 40)])):
        pixels = np.zeros((40, 33, 2))
        pixels[20:, [27, 29, 31], 0] = far_px                # of a person of 200 pixels
        marks = [Landmarks(p, np.ones(33), np.zeros((33, 3))) for p in pixels]
        runs = standing_runs(marks, np.ones(40, bool), np.arange(40) / 25, np.full(40, 200.0))
        assert [(start, end) for foot, start, end in runs if foot[0] == 27] == stands
