"""Rotations: laws that hold for any of them, and the cases where formulas lose their digits."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.geometry.rotations import (
    nearest_rotation,
    quaternion_from_rotation,
    rotation_between,
    rotation_from_quaternion,
    rotation_from_vector,
    slerp,
    smooth_rotations,
    vector_from_rotation,
)


def random_vectors(count: int = 200, longest: float = np.pi - 1e-3) -> np.ndarray:
    random = np.random.default_rng(0)
    axis = random.normal(size=(count, 3))
    return axis / np.linalg.norm(axis, axis=1, keepdims=True) * random.uniform(0, longest, (count, 1))


def test_vectors_become_proper_rotations() -> None:
    rotation = rotation_from_vector(random_vectors())
    np.testing.assert_allclose(rotation @ np.swapaxes(rotation, 1, 2), np.tile(np.eye(3), (200, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=1e-12)


def test_a_vector_comes_back_from_its_rotation() -> None:
    vectors = random_vectors()
    np.testing.assert_allclose(vector_from_rotation(rotation_from_vector(vectors)), vectors, atol=1e-9)


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-7, 1e-4, 1.0, np.pi - 1e-7, np.pi])
def test_tiny_angles_and_half_turns_keep_their_angle(angle: float) -> None:
    axis = np.array([2.0, -1.0, 2.0]) / 3
    back = vector_from_rotation(rotation_from_vector(angle * axis))
    assert np.linalg.norm(back) == pytest.approx(angle, abs=1e-9)
    assert abs(back @ axis) == pytest.approx(angle, abs=1e-9)   # a half turn's axis may point either way


def test_a_quarter_turn_about_z_takes_x_to_y() -> None:
    np.testing.assert_allclose(rotation_from_vector([0, 0, np.pi / 2]) @ [1, 0, 0], [0, 1, 0], atol=1e-15)


def test_quaternions_and_rotations_say_the_same() -> None:
    rotation = rotation_from_vector(random_vectors())
    np.testing.assert_allclose(rotation_from_quaternion(quaternion_from_rotation(rotation)), rotation, atol=1e-12)


def test_rotation_between_turns_the_first_direction_into_the_second_by_the_angle_between_them() -> None:
    random = np.random.default_rng(1)
    a, b = random.normal(size=(2, 300, 3))
    rotation = rotation_between(a, b)
    turned = (rotation @ a[..., None])[..., 0]
    np.testing.assert_allclose(turned / np.linalg.norm(a, axis=1, keepdims=True),
                               b / np.linalg.norm(b, axis=1, keepdims=True), atol=1e-12)
    between = np.arccos((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))
    np.testing.assert_allclose(np.linalg.norm(vector_from_rotation(rotation), axis=1), between, atol=1e-7)


@pytest.mark.parametrize("a", [[1, 0, 0], [0, -3, 0], [0.2, 0.5, -1]])
def test_opposite_directions_are_half_a_turn_apart(a: list[float]) -> None:
    rotation = rotation_between(np.array(a), -2 * np.array(a))
    np.testing.assert_allclose(rotation @ a, -np.array(a), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_a_zero_direction_is_refused() -> None:
    with pytest.raises(ValueError, match="not zero"):
        rotation_between([0, 0, 0], [1, 0, 0])


def test_slerp_meets_both_ends_and_halves_the_way() -> None:
    start, end = rotation_from_vector(random_vectors(50)), rotation_from_vector(random_vectors(50)[::-1])
    np.testing.assert_allclose(slerp(start, end, 0.0), start, atol=1e-12)
    np.testing.assert_allclose(slerp(start, end, 1.0), end, atol=1e-9)
    half = slerp(start, end, 0.5)
    np.testing.assert_allclose(half @ np.swapaxes(start, 1, 2), end @ np.swapaxes(half, 1, 2), atol=1e-9)


def test_smoothing_keeps_what_stands_still_and_calms_what_trembles() -> None:
    still = np.tile(rotation_from_vector([0.3, -1.0, 2.0]), (30, 4, 1, 1))
    np.testing.assert_allclose(smooth_rotations(still, 2.0), still, atol=1e-12)
    noise = np.random.default_rng(2).normal(0, 0.05, (30, 4, 3))
    trembling = still @ rotation_from_vector(noise)
    smooth = smooth_rotations(trembling, 2.0)

    def jitter(rotations: np.ndarray) -> float:
        step = np.swapaxes(rotations[:-1], -1, -2) @ rotations[1:]
        return float(np.linalg.norm(vector_from_rotation(step), axis=-1).mean())

    assert jitter(smooth) < 0.2 * jitter(trembling)


def test_smoothing_leaves_an_even_turn_as_it_is_away_from_the_ends() -> None:
    turn = rotation_from_vector(np.arange(60)[:, None] * np.array([0.0, 0.05, 0.0]))
    np.testing.assert_allclose(smooth_rotations(turn, 2.0)[10:-10], turn[10:-10], atol=1e-9)
    np.testing.assert_array_equal(smooth_rotations(turn, 0.0), turn)


def test_the_nearest_rotation_to_a_rotation_is_itself_and_never_a_reflection() -> None:
    rotation = rotation_from_vector(random_vectors())
    np.testing.assert_allclose(nearest_rotation(3 * rotation), rotation, atol=1e-12)
    assert (np.linalg.det(nearest_rotation(np.random.default_rng(3).normal(size=(50, 3, 3)))) > 0).all()


def test_a_wrong_shape_is_named() -> None:
    with pytest.raises(ValueError, match=r"\(2, 4\)"):
        rotation_from_vector(np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"\(5, 3\)"):
        smooth_rotations(np.zeros((5, 3)), 1.0)
