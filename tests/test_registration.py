"""Depth warped into the colour camera beside it: exact on surfaces, empty where unknown, never from behind."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.core.records import Camera
from pipelines.geometry.cameras import unproject
from pipelines.geometry.lenses import distort, pixel_rays
from pipelines.geometry.registration import DepthWarp, depth_warp, register_depth
from pipelines.geometry.rotations import rotation_from_vector

DEPTH_LENS = np.array([0.548, -0.021, 2.1e-5, -7.2e-5, -0.0027, 0.890, 0.086, -0.014])
COLOUR_LENS = np.array([0.330, -2.489, -1.6e-4, -1.3e-4, 1.454, 0.209, -2.303, 1.375])

Rectangle = tuple[float, float, float, float, float]     # x0, x1, y0, y1 at depth z, in the world


def a_camera(width: int, height: int, focal: float, at: tuple[float, float, float] = (0, 0, 0),
             turn: tuple[float, float, float] = (0, 0, 0), lens: np.ndarray | None = None) -> Camera:
    placed = np.eye(4)
    placed[:3, :3] = rotation_from_vector(np.array(turn))
    placed[:3, 3] = -placed[:3, :3] @ np.array(at)
    K = np.array([[focal, 0, width / 2 + 1.3], [0, focal * 1.01, height / 2 - 0.8], [0, 0, 1]])
    return Camera(K, width, height, placed, np.zeros(0) if lens is None else lens)


def seen(scene: list[Rectangle], camera: Camera) -> np.ndarray:
    """(H, W) the true depth along every pixel's ray; 0 = nothing."""
    rays = np.concatenate([pixel_rays(camera), np.ones((camera.height, camera.width, 1))], axis=-1)
    turn, place = camera.world_to_camera[:3, :3], camera.world_to_camera[:3, 3]
    eye, ahead = -turn.T @ place, rays @ turn
    nearest = np.full(ahead.shape[:2], np.inf)
    for x0, x1, y0, y1, z in scene:
        depth = (z - eye[2]) / ahead[..., 2]             # rays have length 1 along the camera's axis
        x, y = eye[0] + depth * ahead[..., 0], eye[1] + depth * ahead[..., 1]
        hit = (x > x0) & (x < x1) & (y > y0) & (y < y1) & (depth > 0)
        nearest[hit] = np.minimum(nearest[hit], depth[hit])
    return np.where(np.isfinite(nearest), nearest, 0).astype(np.float32)


WALL: Rectangle = (-9, 9, -9, 9, 3.0)
PAIRS = {
    "larger": (a_camera(160, 144, 126), a_camera(320, 180, 152, (0.032, 0.002, -0.004), (-0.08, 0.01, 0.002))),
    "smaller": (a_camera(320, 288, 252), a_camera(160, 90, 76, (0.032, 0.002, -0.004), (-0.08, 0.01, 0.002))),
    "lenses": (a_camera(160, 144, 126, lens=DEPTH_LENS),
               a_camera(320, 180, 152, (0.032, 0.002, -0.004), (-0.08, 0.01, 0.002), COLOUR_LENS)),
    "turned": (a_camera(160, 144, 126), a_camera(200, 200, 120, (-0.1, 0.05, 0), (0.05, -0.1, 0.6))),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
def test_a_wall_is_measured_in_every_pixel_that_both_cameras_see(pair: tuple[Camera, Camera]) -> None:
    depth_camera, colour_camera = pair
    warped = register_depth(seen([WALL], depth_camera), depth_camera, colour_camera)
    true = seen([WALL], colour_camera)
    assert warped.shape == (colour_camera.height, colour_camera.width) and warped.dtype == np.float32
    both = _reach(true, colour_camera, depth_camera)
    assert both.mean() > 0.3
    np.testing.assert_allclose(warped[both], true[both], atol=2e-4)      # no pin hole, no wrong depth


def _reach(depth_m: np.ndarray, camera: Camera, other: Camera) -> np.ndarray:
    """(H, W) bool: pixels of a camera whose points lie inside the other camera's picture, a pixel from its border."""
    at = _pixels_in_other(depth_m, camera, other)
    size = np.array([other.width, other.height])
    return np.asarray(np.all((at > 1.5) & (at < size - 1.5), axis=-1))


def _pixels_in_other(depth_m: np.ndarray, camera: Camera, other: Camera) -> np.ndarray:
    rays = pixel_rays(camera)
    straight = replace(camera, K=np.eye(3), distortion=np.zeros(0))
    world = unproject(rays, depth_m, straight)
    points = world @ other.world_to_camera[:3, :3].T + other.world_to_camera[:3, 3]
    return distort(points[..., :2] / points[..., 2:], other.distortion) @ other.K[:2, :2].T + other.K[:2, 2]


def test_a_slanted_floor_has_no_holes() -> None:
    """Depth changes by 3 cm and more from row to row there, which is no edge."""
    depth_camera = a_camera(160, 144, 126, (0, -1.2, 0), (0.5, 0, 0))
    colour_camera = a_camera(320, 180, 152, (0.032, -1.2, 0), (0.42, 0, 0))
    floor = _floor_depth(depth_camera)
    warped, true = register_depth(floor, depth_camera, colour_camera), _floor_depth(colour_camera)
    both = (true > 0) & (true < 4) & _reach(np.maximum(true, 0.1), colour_camera, depth_camera)
    assert both.mean() > 0.3 and (warped[both] > 0).all()
    np.testing.assert_allclose(warped[both], true[both], atol=5e-4)


def _floor_depth(camera: Camera) -> np.ndarray:
    """The plane y = 0 (y is down) in the world; 0 beyond 6 m."""
    turn, place = camera.world_to_camera[:3, :3], camera.world_to_camera[:3, 3]
    ahead = np.concatenate([pixel_rays(camera), np.ones((camera.height, camera.width, 1))], axis=-1) @ turn
    with np.errstate(divide="ignore"):
        depth = np.where(ahead[..., 1] > 0, (turn.T @ place)[1] / ahead[..., 1], 0)
    return np.where(depth < 6, depth, 0).astype(np.float32)


@pytest.mark.parametrize("sensor", ["time of flight", "disparity"])
def test_noise_and_coarse_steps_tear_no_holes(sensor: str) -> None:
    """A wall seen at an angle, 2 to 4 m away, with 2.5 mm of noise, or in the steps of a Kinect v1 (2.9 mm per m^2)."""
    depth_camera, colour_camera = PAIRS["larger"]
    rays = pixel_rays(depth_camera)
    depth_m = 2.9 / (1 - 0.35 * rays[..., 0])
    if sensor == "disparity":
        noisy = 1 / (np.round(1 / depth_m / 0.00285) * 0.00285)
    else:
        noisy = depth_m + 0.0025 * np.random.default_rng(0).standard_normal(depth_m.shape)
    exact = register_depth(depth_m.astype(np.float32), depth_camera, colour_camera)
    warped = register_depth(noisy.astype(np.float32), depth_camera, colour_camera)
    inside = exact > 0
    assert inside.sum() > 20_000 and (warped[inside] > 0).mean() > 0.999
    assert np.abs(warped - exact)[inside & (warped > 0)].max() < (0.03 if sensor == "disparity" else 0.015)


@pytest.mark.parametrize("baseline_m", [(0.032, 0.0), (-0.08, 0.03), (0.15, -0.1)])
@pytest.mark.parametrize("size", [(320, 180, 152), (120, 80, 60)], ids=["larger", "smaller"])
def test_nothing_shines_through_and_edges_do_not_smear(baseline_m: tuple[float, float],
                                                       size: tuple[int, int, float]) -> None:
    """A board, a thin pole and a block of boards one behind the other, before a wall."""
    scene = [WALL, (-0.35, 0.1, -0.3, 0.25, 1.2), (0.30, 0.33, -0.4, 0.4, 0.9),
             *((0.45, 0.75, -0.2, 0.3, 1.5 + 0.01 * k) for k in range(30))]
    depth_camera = a_camera(160, 144, 126)
    colour_camera = a_camera(*size, (*baseline_m, 0.0))
    warped = register_depth(seen(scene, depth_camera), depth_camera, colour_camera)
    true = seen(scene, colour_camera)
    read = warped > 0
    assert read.mean() > 0.4
    assert not (read & (warped > true + 0.03)).any(), "a reading from behind another surface"
    levels = np.array([0.9, 1.2, 1.5, 3.0])
    stray = read & (np.abs(warped[..., None] - levels).min(axis=-1) > 0.03) & ~((warped > 1.49) & (warped < 1.80))
    assert not stray.any(), "a depth between two surfaces"
    assert (read & (warped < true - 0.03)).sum() <= 0.002 * read.sum()   # rims, to the pixel


def test_what_the_depth_camera_cannot_see_is_left_empty() -> None:
    """A board 1 m away hides a strip of wall from a camera that stands 10 cm to the side: 152 px x 0.1 x (1 - 1/3)."""
    scene = [WALL, (-0.3, 0.3, -0.4, 0.4, 1.0)]
    depth_camera, colour_camera = a_camera(160, 144, 126), a_camera(320, 180, 152, (0.1, 0, 0))
    warped = register_depth(seen(scene, depth_camera), depth_camera, colour_camera)
    row = warped[90]
    board = np.flatnonzero(np.abs(row - 1.0) < 1e-3)
    after = np.flatnonzero(np.abs(row - 3.0) < 1e-3)
    gap = after[after > board[-1]][0] - board[-1] - 1
    assert abs(gap - 152 * 0.1 * (1 - 1 / 3)) <= 2.5
    assert not row[board[-1] + 1:board[-1] + 1 + gap].any()


@lru_cache
def _prepared() -> DepthWarp:
    return depth_warp(*PAIRS["lenses"])


@lru_cache
def _colour_rays() -> np.ndarray:
    camera = PAIRS["lenses"][1]
    return np.concatenate([pixel_rays(camera), np.ones((camera.height, camera.width, 1))], axis=-1)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_every_reading_was_measured(seed: int) -> None:
    """Taken back into the depth camera, a warped depth lies between the readings around it, whatever the input."""
    random = np.random.default_rng(seed)
    depth_camera, colour_camera = PAIRS["lenses"]
    rays = _colour_rays()
    depth_m = (1.5 + 0.4 * random.standard_normal((144, 160)).cumsum(axis=1) / 20
               + (random.random((144, 160)) < 0.05) * random.uniform(-1, 1, (144, 160))).astype(np.float32)
    depth_m[random.random((144, 160)) < 0.1] = 0
    depth_m = np.maximum(depth_m, 0)
    warped = _prepared().depth(depth_m)
    read = warped > 0
    assert read.any()
    at = _pixels_in_other(np.where(read, warped, 1.0), colour_camera, depth_camera)[read] - 0.5
    col, row = np.floor(at).astype(int).T
    inside = (col >= 1) & (row >= 1) & (col < 157) & (row < 141)
    around = np.stack([depth_m[row[inside] + dy, col[inside] + dx] for dy in (-1, 0, 1, 2) for dx in (-1, 0, 1, 2)])
    turned = colour_camera.world_to_camera @ np.linalg.inv(depth_camera.world_to_camera)
    back = ((rays[read][inside] * warped[read][inside][:, None] - turned[:3, 3]) @ turned[:3, :3])[:, 2]
    lowest, highest = np.where(around > 0, around, np.inf).min(axis=0), around.max(axis=0)
    assert (back > lowest - 2e-3).all() and (back < highest + 2e-3).all()


def test_a_camera_warped_to_itself_keeps_its_depth() -> None:
    camera = a_camera(160, 144, 126)
    v, u = np.mgrid[0:144, 0:160]
    depth_m = (2 + 0.1 * np.sin(u / 9) + 0.08 * np.cos(v / 7)).astype(np.float32)
    np.testing.assert_allclose(register_depth(depth_m, camera, camera)[1:-1, 1:-1], depth_m[1:-1, 1:-1], atol=2e-3)


def test_a_flying_pixel_is_left_out_and_one_missing_reading_costs_its_own_cell() -> None:
    camera = a_camera(64, 48, 50)
    depth_m = np.full((48, 64), 2.0, np.float32)
    depth_m[20, 30] = 1.4                                # alone in the air
    warped = register_depth(depth_m, camera, camera)
    assert not np.any(np.abs(warped - 1.4) < 0.3)
    depth_m[20, 30] = 0
    warped = register_depth(depth_m, camera, camera)
    assert (warped[1:-1, 1:-1] == 0).sum() <= 1
    assert np.all((warped == 0) | (np.abs(warped - 2.0) < 1e-4))


def test_no_readings_give_none_and_other_sizes_are_refused() -> None:
    depth_camera, colour_camera = PAIRS["larger"]
    warp = depth_warp(depth_camera, colour_camera)
    assert not warp.depth(np.zeros((144, 160), np.float32)).any()
    assert not warp.depth(np.full((144, 160), np.nan, np.float32)).any()
    with pytest.raises(ValueError, match=r"expected depth \(144, 160\), got \(10, 10\)"):
        warp.depth(np.zeros((10, 10), np.float32))
