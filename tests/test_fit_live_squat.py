"""Live, without depth: feet that stand stay as far away as they were, and trunks lean as balance asks for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fit_helpers import CAMERA, seen, some_model, standing

from pipelines.core.records import Landmarks
from pipelines.fitting.anatomy import LANDMARKS
from pipelines.fitting.model import Model
from pipelines.fitting.residuals import State, towards
from pipelines.fitting.standing import FEET, Stands
from pipelines.fitting.tracking import LiveFit

FPS = 25.0
LEFT, RIGHT = (list(foot) for foot in FEET)


@pytest.fixture(scope="module")
def model() -> Model:
    return some_model()


def marks_at(left_px: float) -> Landmarks:
    """The left foot `left_px` to the side of where it stands, the right one at its place."""
    pixels = np.full((33, 2), 100.0)
    pixels[LEFT, 0] += left_px
    return Landmarks(pixels, np.ones(33), np.zeros((33, 3)))


def told(stands: Stands, left_px: float, frames: int, start: int, depth_m: float, sure: float = 1.0) -> np.ndarray:
    """What is told after some frames with the left foot at a place, seen at a depth."""
    depths = np.full(33, np.nan)
    for row in range(start, start + frames):
        depths = stands.depths(marks_at(left_px), 300.0, row / FPS)
        stands.add(marks_at(left_px), np.full((33, 3), depth_m), sure, row / FPS)
    return depths


def test_a_foot_that_stands_stays_as_far_away_as_when_the_legs_were_stretched() -> None:
    stands = Stands()
    assert np.isnan(told(stands, 0.0, 6, 0, 3.0)).all(), "a quarter of a second is needed to tell a stand"
    depths = told(stands, 0.0, 30, 6, 2.5, sure=0.02)                   # a squat: what is found counts little
    assert (depths[LEFT + RIGHT] == 3.0).all()
    assert np.isnan(np.delete(depths, LEFT + RIGHT)).all()
    depths = told(stands, 40.0, 3, 36, 2.8, sure=0.2)
    assert np.isnan(depths[LEFT]).all() and (depths[RIGHT] == 3.0).all(), "the left foot steps, the right one stands"
    depths = told(stands, 40.0, 10, 39, 2.8, sure=0.2)
    assert (depths[LEFT] == 2.8).all() and (depths[RIGHT] == 3.0).all()


def test_a_foot_that_creeps_across_the_picture_stands_nowhere_for_long() -> None:
    stands = Stands()
    for row in range(60):                                               # 1.5 px of 300 a frame
        depths = stands.depths(marks_at(1.5 * row), 300.0, row / FPS)
        stands.add(marks_at(1.5 * row), np.full((33, 3), 3.0 - 0.05 * row), 1.0, row / FPS)
        if np.isfinite(depths[LEFT]).any():
            assert abs(depths[LEFT[0]] - (3.0 - 0.05 * row)) < 0.4


def squat(model: Model, bend: float) -> State:
    """Knees bent by so many radians, thighs and trunk as balance asks for, feet where they were."""
    state = standing(model)
    angles = state.angles.copy()
    for side in "LR":
        angles[model.anatomy.first_angle(f"lowerleg01.{side}")] = model.anatomy.natural[
            model.anatomy.first_angle(f"lowerleg01.{side}")] + bend
        angles[model.anatomy.first_angle(f"upperleg01.{side}")] = -0.95 * bend
        angles[model.anatomy.first_angle(f"foot.{side}")] = -0.4 * bend
    lean = 0.4 * bend
    c, s = np.cos(lean), np.sin(lean)
    state = replace(state, angles=angles, turn=state.turn @ np.array([[1.0, 0, 0], [0, c, -s], [0, s, c]]))
    upright = standing(model)
    feet = [LANDMARKS.index(f"ankle_{side}") for side in "lr"]
    moved = model.marks_m(upright)[feet].mean(axis=0) - model.marks_m(state)[feet].mean(axis=0)
    return replace(state, place=state.place + moved)


def faint(model: Model, state: State, row: int) -> Landmarks:
    """As a detector sees it: pixels well, a third of the depth."""
    marks = seen(model, state, 0.5, row)
    world = marks.world_m @ towards(marks, model.camera).T
    world[:, 2] *= 0.33
    return replace(marks, world_m=world @ towards(marks, model.camera))


def test_live_squats_keep_their_feet_and_lean_forwards(model: Model) -> None:
    bends = np.concatenate([np.zeros(10), np.linspace(0, 1.6, 20), np.full(10, 1.6)])
    live = LiveFit(Model(model.anatomy, model.betas, CAMERA))
    for row, bend in enumerate(bends):
        truth = squat(model, float(bend))
        state, _ = live.state(faint(model, truth, row), None, row / FPS)
    assert state is not None
    off = model.marks_m(state) - model.marks_m(truth)
    assert np.abs(off[LEFT + RIGHT, 2]).max() < 0.06
    assert abs(state.place[2] - truth.place[2]) < 0.08
    shoulders, hips = ([LANDMARKS.index(f"{part}_{side}") for side in "lr"] for part in ("shoulder", "hip"))
    assert abs((off[shoulders] - off[hips])[:, 2].mean()) < 0.12, "the trunk leans towards the camera, as it does"
