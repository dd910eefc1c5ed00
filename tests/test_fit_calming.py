"""Live poses are calmed: steady motion passes unchanged, noise shrinks, leaps pass at once, limits hold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pipelines.fitting.calming import NEWS_M, NEWS_RAD, Calmer
from pipelines.fitting.residuals import State

WIDE = np.full(2, 9.0)


def state(angle: float, turn: float = 0.0, x: float = 0.0) -> State:
    return State(np.array([angle, 0.5]), Rotation.from_rotvec([0, turn, 0]).as_matrix(), np.array([x, 0.0, 3.0]))


@pytest.mark.parametrize("fps", [15.0, 30.0, 60.0])
def test_steady_motion_comes_through_without_lag(fps: float) -> None:
    calmer = Calmer(-WIDE, WIDE)
    for k in range(90):
        t = k / fps
        calm = calmer.calmed(state(0.8 * t, 0.6 * t, 0.3 * t), t)
    np.testing.assert_allclose(calm.angles, [0.8 * t, 0.5], atol=1e-3)
    np.testing.assert_allclose(calm.place, [0.3 * t, 0, 3], atol=1e-3)
    np.testing.assert_allclose(calm.turn, state(0, 0.6 * t).turn, atol=1e-3)


def test_noise_jitters_less() -> None:
    random, calmer = np.random.default_rng(0), Calmer(-WIDE, WIDE)
    rough = [state(*random.normal(0, (0.02, 0.02, 0.01))) for _ in range(200)]
    calm = [calmer.calmed(each, k / 30.0) for k, each in enumerate(rough)]
    for pick in (lambda s: s.angles[0], lambda s: s.place[0], lambda s: s.turn[0, 2]):
        before, after = (np.abs(np.diff([pick(s) for s in track], n=2)).mean() for track in (rough, calm))
        assert after < 0.65 * before


def test_a_leap_is_news_and_passes_at_once() -> None:
    calmer = Calmer(-WIDE, WIDE)
    for k in range(10):
        calmer.calmed(state(0.0), k / 30.0)
    after = calmer.calmed(state(3 * NEWS_RAD, 3 * NEWS_RAD, 3 * NEWS_M), 10 / 30.0)
    np.testing.assert_allclose(after.angles[0], 3 * NEWS_RAD)
    np.testing.assert_allclose(after.turn, state(0, 3 * NEWS_RAD).turn, atol=1e-12)
    np.testing.assert_allclose(after.place[0], 3 * NEWS_M)


def test_the_guess_ahead_does_not_bend_a_joint_beyond_its_limit() -> None:
    highest = np.array([1.0, 9.0])
    calmer = Calmer(-WIDE, highest)
    angles = [calmer.calmed(state(min(0.12 * k, 1.0)), k / 30.0).angles[0] for k in range(15)]
    assert max(angles) == 1.0


def test_after_a_restart_nothing_is_remembered() -> None:
    calmer = Calmer(-WIDE, WIDE)
    for k in range(5):
        calmer.calmed(state(0.1 * k), k / 30.0)
    calmer.restart()
    np.testing.assert_array_equal(calmer.calmed(state(0.02), 1.0).angles, state(0.02).angles)
    np.testing.assert_allclose(calmer.calmed(state(0.02), 1.03).angles, state(0.02).angles)
