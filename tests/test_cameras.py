"""Cameras: projecting and its inverse, and what cropping and scaling leave unchanged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.core.records import Camera
from pipelines.geometry.cameras import (
    camera_from_fov,
    crop_camera,
    project,
    scale_camera,
    to_camera,
    unproject,
    weak_perspective,
)


@pytest.fixture(params=["perspective", "weak"])
def camera(request: pytest.FixtureRequest) -> Camera:
    """Looks from an odd place, with unequal focal lengths and an off-centre axis."""
    angle = 0.4
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    world_to_camera[:3, 3] = [0.1, -0.2, 4.0]
    seen = Camera(K=np.array([[600.0, 0, 300], [0, 620, 250], [0, 0, 1]]), width=640, height=480,
                  world_to_camera=world_to_camera)
    return weak_perspective(seen, 4.0) if request.param == "weak" else seen


def test_unprojecting_what_was_projected_gives_the_point_back(camera: Camera) -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (100, 3))
    depth_m = to_camera(points, camera)[:, 2]
    np.testing.assert_allclose(unproject(project(points, camera), depth_m, camera), points, atol=1e-9)


def test_a_point_on_the_axis_lands_at_the_middle_of_the_picture() -> None:
    np.testing.assert_allclose(project(np.array([0.0, 0, 3]), camera_from_fov(640, 480, 60)), [320, 240])


def test_the_field_of_view_reaches_the_edges_of_the_picture() -> None:
    edge = np.array([np.tan(np.radians(35)), 0, 1.0])
    np.testing.assert_allclose(project(edge, camera_from_fov(800, 600, 70)), [800, 300])


def test_points_behind_a_perspective_camera_are_nowhere() -> None:
    assert np.isnan(project(np.array([[0.0, 0, -1], [0, 0, 0]]), camera_from_fov(64, 64, 50))).all()


def test_weak_perspective_agrees_with_perspective_at_its_depth(camera: Camera) -> None:
    full = replace(camera, weak_depth_m=None)
    pixels = np.random.default_rng(1).uniform(0, 400, (20, 2))
    points = unproject(pixels, np.full(20, 4.0), full)
    np.testing.assert_allclose(project(points, weak_perspective(full, 4.0)), pixels, atol=1e-9)


def test_scaling_and_cropping_move_pixels_and_nothing_else(camera: Camera) -> None:
    points = np.random.default_rng(2).uniform(-1, 1, (20, 3))
    pixels = project(points, camera)
    np.testing.assert_allclose(project(points, scale_camera(camera, 0.5)), pixels * 0.5, atol=1e-9)
    np.testing.assert_allclose(project(points, crop_camera(camera, (10, -20, 110, 90))), pixels - [10, -20], atol=1e-9)


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"\(4, 2\)"):
        to_camera(np.zeros((4, 2)), camera_from_fov(8, 8, 50))
    with pytest.raises(ValueError, match=r"\(4, 2\).*\(3,\)"):
        unproject(np.zeros((4, 2)), np.zeros(3), camera_from_fov(8, 8, 50))
    with pytest.raises(ValueError, match="empty box"):
        crop_camera(camera_from_fov(8, 8, 50), (4, 0, 4, 8))
