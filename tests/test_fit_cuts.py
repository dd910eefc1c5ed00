"""Cuts in a video: found where everything leaps at once, and nothing is smoothed across them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fit_helpers import clip_of, limb_errors_m, seen, some_model, standing

from pipelines.core.records import Landmarks
from pipelines.fitting.batch import flow_of
from pipelines.fitting.cuts import APART_S, cuts, parted, shots
from pipelines.fitting.model import Model
from pipelines.fitting.residuals import State
from pipelines.fitting.solver import fit_clip
from pipelines.fitting.swaps import SWAPS, exchanged_landmarks

FPS, CUT = 25.0, 14


@pytest.fixture(scope="module")
def model() -> Model:
    return some_model()


def two_shots(model: Model, frames: int = 28) -> list[State]:
    """Arms swing slowly; from frame `CUT` on the person stands half a metre aside, turned, with the arms up."""
    states = []
    for row in range(frames):
        x = row / FPS
        if row < CUT:
            states.append(standing(model, 0.1 * x, arm_l=-0.3 * np.sin(3 * x), elbow_l=0.3))
        else:
            state = standing(model, 0.6 + 0.1 * x, arm_l=-1.4, arm_r=-1.4 + 0.3 * np.sin(3 * x), elbow_l=0.6)
            states.append(replace(state, place=np.array([0.5, 0.0, 2.7])))
    return states


def marks_of(model: Model, states: list[State], noise_px: float = 1.0) -> list[Landmarks]:
    return [seen(model, state, noise_px, row) for row, state in enumerate(states)]


def found_in(marks: list[Landmarks], fps: float = FPS, found: np.ndarray | None = None) -> list[int]:
    return cuts(marks, np.ones(len(marks), bool) if found is None else found, np.arange(len(marks)) / fps)


def test_a_cut_is_found_where_the_second_shot_begins(model: Model) -> None:
    marks = marks_of(model, two_shots(model))
    assert found_in(marks) == [CUT]
    assert found_in(marks[:CUT]) == found_in(marks[CUT:]) == []
    gone = np.arange(len(marks)) != CUT                 # the detector needs a frame to find the person again
    assert found_in(marks, found=gone) == [CUT + 1]
    assert found_in(marks, fps=8.0) == [], "in an eighth of a second a person can be somewhere else"
    assert found_in(marks, found=np.arange(len(marks)) == 3) == []


def test_what_leaps_and_is_no_cut(model: Model) -> None:
    still = marks_of(model, two_shots(model)[:CUT])
    for order in SWAPS.values():                        # the detector takes left for right from frame 7 on
        assert found_in(still[:7] + [exchanged_landmarks(each, order) for each in still[7:]]) == []
    elsewhere = replace(still[7], pixels=still[7].pixels + 60.0)
    assert found_in([*still[:7], elsewhere, *still[8:]]) == [], "one frame that is mistaken"
    arms = marks_of(model, [standing(model, arm_l=-1.5 * (row > 6), arm_r=-1.5 * (row > 6)) for row in range(14)])
    assert found_in(arms) == [], "both arms at once, nothing else"
    quick = [replace(still[0], pixels=still[0].pixels + 12.0 * row) for row in range(14)]
    assert found_in(quick) == [], "somebody who rushes through the picture"


def test_times_are_parted_into_shots() -> None:
    times = np.arange(6) / FPS
    assert parted(times, []) is times and shots(times) == [slice(0, 6)]
    later = parted(times, [2, 5])
    assert shots(later) == [slice(0, 2), slice(2, 5), slice(5, 6)]
    np.testing.assert_allclose(np.diff(later), [0.04, 0.04 + 2 * APART_S, 0.04, 0.04, 0.04 + 2 * APART_S])


def test_speeds_and_accelerations_across_a_cut_may_be_anything(model: Model) -> None:
    times = np.arange(8) / FPS
    whole, cut = (flow_of(model.anatomy, each, 0.08) for each in (times, parted(times, [4])))
    across = np.any(cut.frames < 4, axis=1) & np.any(cut.frames >= 4, axis=1)
    assert across.sum() == 3 and (cut.weight[across] == 0).all()
    np.testing.assert_allclose(cut.weight[~across], whole.weight[~across], rtol=1e-12)


def test_each_shot_of_a_clip_is_a_motion_of_its_own(model: Model) -> None:
    states = two_shots(model)
    clip = replace(clip_of(marks_of(model, states, 0.5), fps=FPS), smooth_s=0.16)
    across = fit_clip(clip, lambda rows, label, total: rows)
    apart = fit_clip(replace(clip, times_s=parted(clip.times_s, [CUT])), lambda rows, label, total: rows)
    assert apart.ok.all()
    errors, before = (limb_errors_m(model, fit.joints_m, states).mean(axis=1) for fit in (apart, across))
    beside = slice(CUT - 2, CUT + 2)
    assert errors[beside].max() < 1.5 * errors.max(where=np.abs(np.arange(28) - CUT + 0.5) > 3, initial=0.0)
    assert errors[beside].mean() < 0.7 * before[beside].mean(), "smoothed across, both shots are spoilt"
