"""Following a person: causal, with swaps undone, limbs hidden and people lost and found again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fit_helpers import CAMERA, clip_of, limb_errors_m, seen, some_model, standing

from pipelines.core.records import BodyFit, Landmarks
from pipelines.fitting.model import Model
from pipelines.fitting.solver import fit_clip, fit_live
from pipelines.fitting.swaps import SWAPS, exchanged_landmarks, unswapped
from pipelines.fitting.tracking import LiveFit


def quiet(rows, label, total):  # type: ignore[no-untyped-def]
    return rows


@pytest.fixture(scope="module")
def model() -> Model:
    return some_model()


def moving(model: Model, frames: int) -> list:  # type: ignore[type-arg]
    """Arms swing against each other, the body turns a little."""
    t = np.arange(frames) / 25.0
    return [standing(model, 0.3 * np.sin(2 * x), arm_l=-0.6 * np.sin(4 * x), arm_r=0.6 * np.sin(4 * x), elbow_l=0.3)
            for x in t]


def test_live_answers_do_not_know_the_future(model: Model) -> None:
    truth = moving(model, 14)
    marks = [seen(model, state, 1.0, k) for k, state in enumerate(truth)]
    other = marks[:8] + [seen(model, standing(model, 2.0), 5.0, k) for k in range(6)]

    def answers(frames: list[Landmarks]) -> list[np.ndarray]:
        live = LiveFit(model)
        poses = [live.see(frame, None, k / 25.0)[0] for k, frame in enumerate(frames)]
        return [pose.joint_rotations for pose in poses if pose is not None]

    a, b = answers(marks), answers(other)
    assert len(a) == len(b) == 14
    for k in range(8):
        np.testing.assert_array_equal(a[k], b[k])
    assert np.abs(a[-1] - b[-1]).max() > 0.1


def test_live_poses_never_leave_the_joints_limits(model: Model) -> None:
    """Knees and elbows that are seen to bend the wrong way, or too far."""
    anatomy, live = model.anatomy, LiveFit(model)
    for k in range(20):
        bend = 0.15 * k
        wrong = standing(model, 0.4, knee_l=-bend, elbow_r=-bend, elbow_l=bend, leg_l=-bend)
        state, _ = live.state(seen(model, wrong, 1.0, k), None, k / 25.0)
        assert state is not None
        assert (state.angles >= anatomy.lowest).all() and (state.angles <= anatomy.highest).all()


def test_live_keeps_up_with_a_moving_person(model: Model) -> None:
    truth = moving(model, 30)
    fit = fit_live(clip_of([seen(model, state, 1.0, k) for k, state in enumerate(truth)]), quiet)
    assert isinstance(fit, BodyFit) and fit.ok.all()
    assert limb_errors_m(model, fit.joints_m, truth)[3:].mean() < 0.05


def test_after_a_loss_the_live_fit_begins_anew(model: Model) -> None:
    live = LiveFit.from_height(CAMERA, 1.75)
    live.see(seen(model, standing(model)), None, 0.0)
    pose, error = live.see(None, None, 0.1)
    assert pose is not None and np.isnan(error)              # for a moment the last pose stands in
    pose, _ = live.see(None, None, 2.1)
    assert pose is None
    back = replace(standing(model, 2.8), place=np.array([0.5, 0.1, 4.0]))
    pose, error = live.see(seen(model, back), None, 2.2)
    assert pose is not None and error < 3.0
    assert np.linalg.norm(pose.root_translation - back.place) < 0.1


@pytest.mark.parametrize("swap", sorted(SWAPS))
def test_a_swap_is_found_and_undone(model: Model, swap: str) -> None:
    state = standing(model, 0.2, arm_l=-0.9, elbow_l=0.9, leg_l=-0.7, knee_l=0.8)
    marks = seen(model, state, 1.0)
    swapped = exchanged_landmarks(marks, SWAPS[swap])
    right, name = unswapped(swapped, model.marks_px(state), model.tall_px(state))
    assert name == swap
    np.testing.assert_array_equal(right.pixels, marks.pixels)
    assert unswapped(marks, model.marks_px(state), model.tall_px(state))[1] == ""


def test_swapped_frames_of_a_clip_do_not_show_in_the_fit(model: Model) -> None:
    truth = moving(model, 30)
    marks = [seen(model, state, 1.0, k) for k, state in enumerate(truth)]
    spoilt = [exchanged_landmarks(m, SWAPS["everything"]) if k in (9, 10, 11) else
              exchanged_landmarks(m, SWAPS["legs"]) if k in (20, 21) else m for k, m in enumerate(marks)]
    clean, fit = (limb_errors_m(model, fit_clip(clip_of(m), quiet).joints_m, truth) for m in (marks, spoilt))
    assert fit.max() < clean.max() + 0.02


def test_a_hidden_arm_stays_plausible_and_comes_back(model: Model) -> None:
    truth = moving(model, 45)
    arm = [13, 15, 17, 19, 21]                               # the left one
    marks = []
    for k, state in enumerate(truth):
        m = seen(model, state, 1.0, k)
        if 12 <= k < 27:                                     # a guess on the trunk, as detectors do, hardly believed
            pixels, confidence = m.pixels.copy(), m.confidence.copy()
            pixels[arm], confidence[arm] = m.pixels[24] + np.array([10.0, -20.0]), 0.05
            m = replace(m, pixels=pixels, confidence=confidence)
        marks.append(m)
    fit = fit_clip(clip_of(marks), quiet)
    errors = limb_errors_m(model, fit.joints_m, truth)
    assert fit.ok.all() and errors[12:27, 1:3].max() < 0.45  # an elbow and a wrist of an arm that hangs or swings
    assert errors[30:, :3].mean() < 0.04
    angles = fit.joint_rotations[:, model.anatomy.body.joint("lowerarm01.L")]
    bend = np.degrees(np.arccos(np.clip((np.trace(angles, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert bend.max() < 117                                  # the elbow's limit


def test_outlier_frames_are_told_by_their_neighbours(model: Model) -> None:
    truth = moving(model, 30)
    marks = [seen(model, state, 1.0, k) for k, state in enumerate(truth)]
    marks[15] = replace(marks[15], pixels=marks[15].pixels[::-1] + 40.0)
    fit = fit_clip(clip_of(marks), quiet)
    assert limb_errors_m(model, fit.joints_m, truth)[15].max() < 0.08
    assert fit.ok.all()                                      # a gap of one frame is bridged
