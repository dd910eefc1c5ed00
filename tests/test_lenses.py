"""Lens distortion and its removal."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.core.records import Camera
from pipelines.geometry.lenses import distort, folded, pixel_rays, straightener, undistort, undistort_image

# An Azure Kinect's two lenses, rounded: k1 k2 p1 p2 k3 k4 k5 k6.
COLOUR_LENS = np.array([0.330, -2.489, -1.6e-4, -1.3e-4, 1.454, 0.209, -2.303, 1.375])
DEPTH_LENS = np.array([0.548, -0.021, 2.1e-5, -7.2e-5, -0.0027, 0.890, 0.086, -0.014])
BARREL = np.array([-0.3, 0.08, 0.001, -0.002])
PINCUSHION = np.array([0.12, 0.0, 0.0, 0.0, 0.0])
LENSES = {"colour": COLOUR_LENS, "depth": DEPTH_LENS, "barrel": BARREL, "pincushion": PINCUSHION, "none": np.zeros(0)}


def a_camera(lens: np.ndarray, width: int = 320, height: int = 240) -> Camera:
    return Camera(np.array([[250.0, 0, 161.3], [0, 251.0, 118.2], [0, 0, 1]]), width, height, distortion=lens)


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
def test_undistorting_what_was_distorted_gives_the_ray_back(lens: np.ndarray) -> None:
    rays = np.random.default_rng(0).uniform(-0.7, 0.7, (500, 2))
    np.testing.assert_allclose(undistort(distort(rays, lens), lens), rays, atol=1e-9)


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
def test_the_model_is_opencvs(lens: np.ndarray) -> None:
    import cv2

    rays = np.random.default_rng(1).uniform(-0.6, 0.6, (100, 2))
    points = np.concatenate([rays, np.ones((100, 1))], axis=1)
    theirs, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), np.eye(3), lens if len(lens) else None)
    np.testing.assert_allclose(distort(rays, lens), theirs[:, 0], atol=1e-12)


def test_one_radial_coefficient_by_hand() -> None:
    np.testing.assert_allclose(distort(np.array([0.5, 0.0]), np.array([0.2, 0, 0, 0])), [0.5 * (1 + 0.2 * 0.25), 0])
    np.testing.assert_allclose(distort(np.array([0.5, 0.0]), np.array([0, 0, 0.1, 0])), [0.5, 0.1 * 0.25])


def test_the_way_back_says_where_there_is_none() -> None:
    """r (1 - 0.3 r^2) is largest at r = 1.054, where it is 0.703: nothing is bent further out."""
    back = undistort(np.array([[0.70, 0.0], [0.71, 0.0], [5.0, 5.0]]), np.array([-0.3, 0, 0, 0]))
    assert np.isfinite(back[0]).all() and np.isnan(back[1:]).all()
    assert not folded(np.array([1.05, 0.0]), np.array([-0.3, 0, 0, 0]))
    assert folded(np.array([1.06, 0.0]), np.array([-0.3, 0, 0, 0]))


def test_other_numbers_of_coefficients_are_refused() -> None:
    with pytest.raises(ValueError, match="0, 4, 5, 8 distortion coefficients, got 3"):
        distort(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match=r"expected points \(..., 2\), got \(3,\)"):
        undistort(np.zeros(3), np.zeros(4))


def test_without_distortion_the_picture_is_the_same_array() -> None:
    image = np.zeros((240, 320, 3), np.uint8)
    straight, camera = undistort_image(image, a_camera(np.zeros(0)))
    assert straight is image and len(camera.distortion) == 0


@pytest.mark.parametrize("lens", [COLOUR_LENS, BARREL, PINCUSHION], ids=["colour", "barrel", "pincushion"])
def test_a_straightened_picture_shows_every_ray_where_a_pinhole_has_it(lens: np.ndarray) -> None:
    """A smooth pattern over the rays, seen through the lens and straightened, is the pattern seen by a pinhole."""
    def pattern(rays: np.ndarray) -> np.ndarray:
        x, y = rays[..., 0], rays[..., 1]
        return np.stack([128 + 100 * np.sin(9 * x), 128 + 100 * np.cos(7 * y), 128 + 100 * np.sin(5 * (x + y))], -1)

    camera = a_camera(lens)
    seen = np.round(np.nan_to_num(pattern(pixel_rays(camera)))).astype(np.uint8)
    straight = straightener(camera)
    assert (straight.camera.width, straight.camera.height) == (320, 240) and len(straight.camera.distortion) == 0
    wanted = pattern(pixel_rays(straight.camera))
    assert np.abs(straight.picture(seen).astype(float) - wanted)[2:-2, 2:-2].max() < 3


def test_the_pinhole_keeps_k_unless_borders_would_be_black() -> None:
    white = np.full((240, 320, 3), 255, np.uint8)
    barrel, pincushion = straightener(a_camera(BARREL)), straightener(a_camera(PINCUSHION))
    np.testing.assert_array_equal(barrel.camera.K, a_camera(BARREL).K)
    zoom = pincushion.camera.K[0, 0] / 250.0
    assert 1.0 < zoom < 1.2 and pincushion.camera.K[0, 2] == 161.3
    assert barrel.picture(white).min() == pincushion.picture(white).min() == 255


def test_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(240, 320, C\), got \(10, 10, 3\)"):
        straightener(a_camera(BARREL)).picture(np.zeros((10, 10, 3), np.uint8))
