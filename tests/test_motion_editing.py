"""Motions cut, repeated, mirrored, slowed: laws that hold for any motion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.body.skeleton import JOINT_NAMES
from pipelines.core.errors import AnrError
from pipelines.core.records import Motion
from pipelines.geometry.rotations import rotation_from_vector, vector_from_rotation
from pipelines.motion.curves import curved_rotations, faded
from pipelines.motion.editing import at_speed, looped, mirrored, trimmed
from pipelines.motion.timing import seconds_range

J = len(JOINT_NAMES)


def wandering(seed: int, frames: int = 40, speed_m_s: float = 0.0) -> Motion:
    """Joints swinging and drifting, a root that travels: its ends are nothing alike."""
    chance = np.random.default_rng(seed)
    at = np.arange(frames)[:, None, None] / 24.0
    vectors = chance.normal(0, 0.3, (1, J, 3)) * np.sin(2 * np.pi * at * chance.uniform(0.3, 1.2, (1, J, 1))
                                                        + chance.uniform(0, 6, (1, J, 1)))
    vectors = vectors + chance.normal(0, 0.1, (1, J, 3)) * at
    heading = rotation_from_vector(np.array([0.0, chance.uniform(-3, 3), 0.0]))
    rotations = rotation_from_vector(vectors)
    rotations[:, 0] = heading @ rotations[:, 0]
    root = heading @ np.array([0, 0, speed_m_s]) * at[:, :, 0] + [0.3, 0.9, -0.2]
    root = root + 0.02 * np.sin(6 * at[:, :, 0]) * [0, 1, 0]
    return Motion(rotations, root, 24.0)


def steps(motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    turns = vector_from_rotation(np.swapaxes(motion.joint_rotations[:-1], -1, -2) @ motion.joint_rotations[1:])
    return np.linalg.norm(turns, axis=-1), np.linalg.norm(np.diff(motion.root_translation, axis=0), axis=-1)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), speed=st.sampled_from([0.0, 0.5, 1.4]), times=st.integers(2, 4))
def test_nothing_moves_faster_in_a_loop_than_in_the_motion(seed: int, speed: float, times: int) -> None:
    motion = wandering(seed, speed_m_s=speed)
    again = looped(motion, times)
    turns, moves = steps(motion)
    loop_turns, loop_moves = steps(again)
    assert loop_turns.max() <= turns.max() + 1e-5
    assert loop_moves.max() <= moves.max() + 1e-5
    assert len(again.joint_rotations) > (times - 0.4) * len(motion.joint_rotations)
    # what stands at the beginning of the first round and at the end of the last one is untouched
    np.testing.assert_array_equal(again.joint_rotations[:20], motion.joint_rotations[:20])
    np.testing.assert_allclose(again.joint_rotations[-20:, 1:], motion.joint_rotations[-20:, 1:], atol=1e-12)
    identity = np.swapaxes(again.joint_rotations, -1, -2) @ again.joint_rotations
    np.testing.assert_allclose(identity, np.broadcast_to(np.eye(3), identity.shape), atol=1e-6)


def test_the_seam_of_a_loop_has_no_kink() -> None:
    """Velocities run on: the largest change of velocity from frame to frame is hardly more than the motion's own."""
    for seed in range(8):
        motion = wandering(seed, speed_m_s=1.0)
        again = looped(motion, 3)
        for before, after in ((motion.joint_rotations, again.joint_rotations),
                              (motion.root_translation, again.root_translation)):
            own = np.abs(np.diff(before, 2, axis=0)).max()
            assert np.abs(np.diff(after, 2, axis=0)).max() < 2.5 * own + 2e-3, seed


def test_a_walk_goes_on_where_it_ended_and_a_dance_returns() -> None:
    walk, dance = wandering(3, speed_m_s=1.4), wandering(3)
    gone = np.linalg.norm(walk.root_translation[-1] - walk.root_translation[0])
    went_on = looped(walk, 3)
    assert np.linalg.norm(went_on.root_translation[-1] - went_on.root_translation[0]) > 2.5 * gone
    assert np.linalg.norm(np.ptp(looped(dance, 3).root_translation, axis=0)[[0, 2]]) < 0.05


def test_a_motion_that_is_a_loop_already_is_repeated_without_a_pause() -> None:
    at = np.arange(49) / 48 * 2 * np.pi                  # the last frame is the first one
    vectors = np.zeros((49, J, 3))
    vectors[:, 5, 0] = 0.5 * np.sin(at)
    motion = Motion(rotation_from_vector(vectors), np.tile([0.0, 0.9, 0.0], (49, 1)), 24.0)
    again = looped(motion, 3)
    period = (len(again.joint_rotations) - 1) / 3
    assert abs(period - 48) <= 2
    turns, _ = steps(again)
    assert turns[:, 5].max() < 1.05 * steps(motion)[0][:, 5].max()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_mirrored_twice_is_the_motion_itself(seed: int) -> None:
    motion = wandering(seed, speed_m_s=1.0)
    twice = mirrored(mirrored(motion))
    np.testing.assert_allclose(twice.joint_rotations, motion.joint_rotations, atol=1e-12)
    np.testing.assert_allclose(twice.root_translation, motion.root_translation, atol=1e-12)


def test_mirrored_lifts_the_other_arm() -> None:
    vectors = np.zeros((1, J, 3))
    vectors[0, JOINT_NAMES.index("upperarm01.L")] = [0.1, 0.2, 0.9]
    other = mirrored(Motion(rotation_from_vector(vectors), np.array([[0.4, 1.0, 0.2]]), 24.0))
    turned = vector_from_rotation(other.joint_rotations[0])
    np.testing.assert_allclose(turned[JOINT_NAMES.index("upperarm01.R")], [0.1, -0.2, -0.9], atol=1e-12)
    assert np.abs(turned[JOINT_NAMES.index("upperarm01.L")]).max() < 1e-12
    np.testing.assert_allclose(other.root_translation, [[-0.4, 1.0, 0.2]])
    with pytest.raises(ValueError, match=r"74 joints"):
        mirrored(Motion(np.tile(np.eye(3), (1, 3, 1, 1)), np.zeros((1, 3)), 24.0))


def test_speeds_keep_what_lies_on_the_grid_and_the_frame_rate() -> None:
    motion = wandering(1, speed_m_s=1.0)
    slow = at_speed(motion, 0.25)
    np.testing.assert_allclose(slow.joint_rotations[::4], motion.joint_rotations, atol=1e-9)
    np.testing.assert_allclose(slow.root_translation[::4], motion.root_translation, atol=1e-9)
    assert slow.fps == motion.fps
    fast = at_speed(motion, 2.0)
    np.testing.assert_allclose(fast.joint_rotations, motion.joint_rotations[::2], atol=1e-9)
    assert at_speed(motion, 1.0) is motion
    for wrong in (0.0, -1.0, float("nan"), 1e9):
        with pytest.raises(AnrError, match="cannot be played"):
            at_speed(motion, wrong)


def test_slow_motion_is_smooth_between_frames() -> None:
    """A steady swing sampled coarsely and slowed comes near to the swing itself, nearer than straight lines do."""
    def swing(times: np.ndarray) -> np.ndarray:
        vectors = np.zeros((len(times), J, 3))
        vectors[:, 3, 2] = np.sin(2 * np.pi * times)
        return rotation_from_vector(vectors)

    coarse = np.arange(13) / 12
    slow = at_speed(Motion(swing(coarse), np.zeros((13, 3)), 12.0), 0.125)
    truth = swing(np.arange(len(slow.joint_rotations)) / 96)
    error = np.linalg.norm(vector_from_rotation(np.swapaxes(truth, -1, -2) @ slow.joint_rotations), axis=-1)
    assert error[8:-8].max() < 0.01                      # straight lines: 0.034


def test_trimming_takes_the_frames_of_a_stretch_of_time() -> None:
    motion = wandering(0, frames=48)                     # two seconds
    half = trimmed(motion, 0.5, 1.5)
    np.testing.assert_array_equal(half.joint_rotations, motion.joint_rotations[12:36])
    assert len(trimmed(motion, 1.0).joint_rotations) == 24 and len(trimmed(motion, 0.0, 99).joint_rotations) == 48
    with pytest.raises(AnrError, match=r"From 3 s to 4 s the motion holds no frame; it lasts 2\.00 s"):
        trimmed(motion, 3, 4)


def test_ranges_of_seconds() -> None:
    assert seconds_range("1.5:4") == (1.5, 4.0) and seconds_range(":2") == (0.0, 2.0)
    assert seconds_range("3:") == (3.0, None) and seconds_range(":") == (0.0, None)
    for wrong in ("", "4", "4:1", "2:2", "-1:3", "a:b", "1:2:3", "nan:2", "0:inf", "inf:"):
        with pytest.raises(AnrError, match="--trim"):
            seconds_range(wrong)


def test_what_cannot_be_repeated_is_refused() -> None:
    motion = wandering(0)
    assert looped(motion, 1) is motion
    with pytest.raises(AnrError, match="cannot be played 0 times"):
        looped(motion, 0)
    with pytest.raises(AnrError, match="one frame cannot be looped"):
        looped(trimmed(motion, 0, 0.01), 2)


def test_a_still_motion_can_be_repeated() -> None:
    still = Motion(np.tile(np.eye(3), (5, J, 1, 1)), np.tile([0.0, 0.9, 0.0], (5, 1)), 24.0)
    assert np.abs(np.diff(looped(still, 3).joint_rotations, axis=0)).max() < 1e-9


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_curves_start_and_end_where_they_should_with_the_velocities_asked_for(seed: int) -> None:
    chance = np.random.default_rng(seed)
    start, end = rotation_from_vector(chance.normal(0, 1, (2, 3)))
    leaving, arriving = chance.normal(0, 1, (2, 3))
    tiny = 1e-6
    for at, place, turning in ((0.0, start, leaving), (1.0 - tiny, None, arriving)):
        pair = curved_rotations(start, end, leaving, arriving, np.array([at, at + tiny]))
        if place is not None:
            np.testing.assert_allclose(pair[0], place, atol=1e-9)
        np.testing.assert_allclose(vector_from_rotation(pair[0].T @ pair[1]) / tiny, turning, atol=1e-3)
    np.testing.assert_allclose(curved_rotations(start, end, leaving, arriving, np.array(1.0)), end, atol=1e-9)


def test_corrections_fade_without_a_step() -> None:
    known = np.zeros(200, bool)
    known[40:60] = known[70:90] = True                   # a short gap and long ones
    values = np.where(known, np.linspace(0, 1, 200), 0.0)[:, None] + 0.3 * known[:, None]
    filled = faded(values, known, fps=60.0)
    np.testing.assert_array_equal(filled[known], values[known])
    assert np.abs(np.diff(filled[:, 0])).max() < 0.09 and not filled[:20].any() and not filled[110:].any()
