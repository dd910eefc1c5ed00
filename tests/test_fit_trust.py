"""Which frames of a fit are believed: limbs that are off, limbs nobody saw, gaps across which too much happens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fit_helpers import CAMERA, UPRIGHT, seen, some_model, standing
from scipy.spatial.transform import Rotation

from pipelines.core.records import BodyFit, Landmarks
from pipelines.fit import reasons
from pipelines.fitting.anatomy import LANDMARKS
from pipelines.fitting.model import Model
from pipelines.fitting.residuals import State
from pipelines.fitting.trust import heights_px, with_doubts

FRAMES = 50
TIMES = np.arange(FRAMES) / 25.0


@pytest.fixture(scope="module")
def model() -> Model:
    return some_model()


def fit_of(model: Model, states: list[State], residual: float = 1.0) -> BodyFit:
    poses = [model.pose(state) for state in states]
    F = len(states)
    return BodyFit(model.betas, np.array(model.anatomy.body.joint_names), np.arange(F),
                   np.array([pose.joint_rotations for pose in poses]),
                   np.array([pose.root_translation for pose in poses]), np.array([model.joints(s) for s in states]),
                   np.full(F, residual), np.full(F, np.nan), np.ones(F, bool))


def still(model: Model) -> tuple[BodyFit, list[Landmarks]]:
    states = [standing(model)] * FRAMES
    return fit_of(model, states), [seen(model, state, 0.5, k) for k, state in enumerate(states)]


def moved(marks: Landmarks, parts: tuple[str, ...], by_px: float, confidence: float | None = None) -> Landmarks:
    which = [LANDMARKS.index(part) for part in parts]
    pixels, sure = marks.pixels.copy(), marks.confidence.copy()
    pixels[which, 0] += by_px
    sure[which] = sure[which] if confidence is None else confidence
    return replace(marks, pixels=pixels, confidence=sure)


def judged(fit: BodyFit, marks: list[Landmarks], found: np.ndarray | None = None) -> tuple[np.ndarray, dict[str, int]]:
    new, doubts = with_doubts(fit, marks, np.ones(len(marks), bool) if found is None else found, TIMES, CAMERA)
    return new.ok, {name: int(flags.sum()) for name, flags in doubts.items()}


def test_a_body_where_it_is_seen_is_believed(model: Model) -> None:
    ok, doubts = judged(*still(model))
    assert ok.all() and doubts == {}


@pytest.mark.parametrize(("parts", "reason"), [(("ankle_l", "ankle_r"), "both ankles are off"),
                                               (("elbow_r", "wrist_r"), "the right arm is off"),
                                               (("knee_l", "ankle_l"), "the left leg is off")])
def test_a_limb_beside_what_is_seen_spoils_its_frames(model: Model, parts: tuple[str, ...], reason: str) -> None:
    fit, marks = still(model)
    off = 0.1 * heights_px(fit, CAMERA)[0]
    ok, doubts = judged(fit, marks[:20] + [moved(seen, parts, off) for seen in marks[20:30]] + marks[30:])
    assert np.flatnonzero(~ok).tolist() == list(range(20, 30)) and doubts[reason] == 10
    if len({part[-1] for part in parts}) == 1:               # one limb may hide: nobody claims to see it there
        assert judged(fit, [moved(seen, parts, off, confidence=0.05) for seen in marks])[0].all()


def test_legs_that_nobody_sees_for_long_are_not_believed_and_for_a_moment_are(model: Model) -> None:
    fit, marks = still(model)
    legs = ("knee_l", "knee_r", "ankle_l", "ankle_r")
    for frames, spoilt in ((4, False), (25, True)):
        guessed = marks[:10] + [moved(seen, legs, 0.0, 0.03) for seen in marks[10:10 + frames]] + marks[10 + frames:]
        ok, doubts = judged(fit, guessed)
        assert ok.all() != spoilt and ("the legs are hidden" in doubts) == spoilt
    assert not ok[13:32].any() and ok[:8].all() and ok[38:].all()


def test_limbs_that_are_never_seen_and_accepted_spoil_nothing(model: Model) -> None:
    fit, marks = still(model)
    legs = ("knee_l", "knee_r", "ankle_l", "ankle_r")
    cut = [moved(seen, legs, 100.0, 0.15) for seen in marks]
    assert not judged(fit, cut)[0].any()
    accepted, doubts = with_doubts(fit, cut, np.ones(FRAMES, bool), TIMES, CAMERA, legs)
    assert accepted.ok.all() and doubts == {}
    arms_too = [moved(seen, ("elbow_l", "wrist_l"), 100.0) for seen in cut]
    assert not with_doubts(fit, arms_too, np.ones(FRAMES, bool), TIMES, CAMERA, legs)[0].ok.any()


def test_a_swap_that_was_followed_is_not_believed(model: Model) -> None:
    """The body keeps its legs while the landmarks cross them, wide apart and surely seen."""
    fit, marks = still(model)
    order = np.arange(33)
    for part in ("knee", "ankle"):
        l, r = LANDMARKS.index(f"{part}_l"), LANDMARKS.index(f"{part}_r")
        order[[l, r]] = r, l
    marks[5:9] = [replace(seen, pixels=seen.pixels[order]) for seen in marks[5:9]]
    assert np.flatnonzero(~judged(fit, marks)[0]).tolist() == [5, 6, 7, 8]


def test_gaps_are_bridged_only_where_little_happens(model: Model) -> None:
    found = np.ones(FRAMES, bool)
    found[20:26] = False
    for degrees, believed in ((40, True), (120, False)):
        turn = UPRIGHT @ Rotation.from_rotvec([np.radians(degrees), 0, 0]).as_matrix()
        states = [standing(model)] * 22 + [replace(standing(model), turn=turn)] * (FRAMES - 22)
        marks = [seen(model, state) for state in states]
        ok, doubts = judged(fit_of(model, states), marks, found)
        assert ok[20:26].all() == believed and ok[:20].all() and ok[26:].all()
        assert doubts == ({} if believed else {"too much happens unseen": 6})


def test_what_is_no_body_for_a_moment_is_told_by_its_neighbours(model: Model) -> None:
    fit, marks = still(model)
    for frames, believed in ((2, True), (8, False)):
        spoilt = [replace(m, pixels=m.pixels[::-1] + 40.0) if 10 <= k < 10 + frames else m for k, m in enumerate(marks)]
        errors = np.where((np.arange(FRAMES) >= 10) & (np.arange(FRAMES) < 10 + frames), 60.0, 1.0)
        ok, _ = judged(replace(fit, residual_px=errors), spoilt)
        assert ok[10:10 + frames].all() == believed and ok[:10].all() and ok[10 + frames:].all()


def test_reasons_are_told_most_frequent_first(model: Model) -> None:
    some = {"the legs are hidden": np.array([1, 0, 0], bool), "nobody is found": np.array([0, 1, 1], bool)}
    assert reasons(some) == "nobody is found in 2, the legs are hidden in 1"
    fit, marks = still(model)
    lost = replace(fit, ok=np.arange(FRAMES) < 40)
    found = np.arange(FRAMES) < 45
    assert judged(lost, marks, found)[1] == {"nobody is found": 5, "what is seen is no body": 5}
