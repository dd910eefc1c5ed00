"""Pose refinement: the derivative of the picture by the pose, the warp by it, and corrections that are recovered."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipelines.body.model import load_body, pose_body
from pipelines.body.surface import chart_map
from pipelines.core.records import BodyFit, SurfaceMaps
from pipelines.geometry.cameras import camera_for_maps, camera_from_fov, project
from pipelines.geometry.rotations import rotation_from_vector
from pipelines.rasterizers.cpu import surface_maps
from pipelines.renderers.texture import chart_of
from pipelines.training.refinement import texel_corners
from pipelines.training.refinement_body import COUNT, JOINTS, SHIFTS, FittedBody, corrected, leverage, shares
from pipelines.training.refinement_warp import pixel_displacement, texel_displacement, warped

CAMERA = camera_from_fov(512, 512, 40.0)
BENT = {"upperarm01.L": (0.1, 0.2, -0.3), "lowerarm01.R": (0.0, -0.5, 0.0), "upperleg01.L": (0.3, 0.0, 0.1),
        "head": (0.1, 0.2, 0.0), "spine03": (0.1, -0.1, 0.1)}
FRAME = 7


def fitted(projection: str = "perspective", angle: float = 0.4) -> FittedBody:
    """One frame of a bent body, seen from the front."""
    body = load_body()
    rotations = np.tile(np.eye(3), (1, len(body.joint_names), 1, 1))
    for name, vector in BENT.items():
        rotations[0, body.joint(name)] = rotation_from_vector(np.array(vector))
    rotations[0, 0] = np.diag([1.0, -1.0, -1.0]) @ rotation_from_vector(np.array([0, angle, 0]))
    joints = np.zeros((1, len(body.joint_names), 3))
    fit = BodyFit(np.zeros(len(body.shape_dirs)), np.array(body.joint_names), np.array([FRAME]), rotations,
                  np.array([[0.1, -0.1, 3.0]]), joints, np.zeros(1), np.full(1, np.nan), np.ones(1, bool))
    return FittedBody(fit, CAMERA, projection)


def in_picture(body: FittedBody, value: np.ndarray) -> np.ndarray:
    """(V, 2) pixels of the vertices after a correction (COUNT,) of the pose itself."""
    fit = corrected(body, np.array([FRAME]), value[None])
    verts, _ = pose_body(load_body(), fit.betas, fit.pose(0))
    return project(verts, camera_for_maps(body.camera, verts, body.projection))


def maps_of(body: FittedBody, value: np.ndarray) -> SurfaceMaps:
    asset = load_body()
    fit = corrected(body, np.array([FRAME]), value[None])
    verts, _ = pose_body(asset, fit.betas, fit.pose(0))
    return surface_maps(asset.faces, asset.uvs, asset.face_uvs, verts, CAMERA)


def tensors(maps: SurfaceMaps) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Grid, normal and coverage as a batch has them."""
    return (torch.from_numpy(maps.uv * 2 - 1)[None], torch.from_numpy(maps.normal).permute(2, 0, 1)[None],
            torch.from_numpy(maps.inside.astype(np.float32))[None, None])


def charts() -> torch.Tensor:
    return torch.from_numpy(chart_map(load_body()))


def moved_pixels(body: FittedBody, maps: SurfaceMaps, value: np.ndarray) -> torch.Tensor:
    """(1, H, W, 2) what the pixels of maps move by."""
    corners, bary = (torch.from_numpy(x) for x in texel_corners(load_body(), 256))
    vertex_px = torch.from_numpy(leverage(body, FRAME)) @ torch.from_numpy(value).float()
    grid, _, inside = tensors(maps)
    return pixel_displacement(texel_displacement(vertex_px, corners, bary)[None], grid, inside, 5)


@pytest.mark.parametrize("projection", ["perspective", "weak"])
def test_leverage_is_the_derivative_of_where_vertices_are_seen(projection: str) -> None:
    body, step = fitted(projection), 1e-3
    lever = leverage(body, FRAME)
    for number in range(COUNT):
        value = np.eye(COUNT)[number] * step
        true = (in_picture(body, value) - in_picture(body, -value)) / (2 * step)
        error = np.linalg.norm(lever[:, :, number] - true, axis=1)
        size = np.sqrt((true ** 2).sum(1).mean())
        assert np.sqrt((error ** 2).mean()) < 0.07 * size, number       # between bones the mean place stands for each
        if number < SHIFTS + 3:                                         # the whole body: no bones to be between
            assert error.max() < 2e-3, number


def test_a_unit_of_a_shift_is_a_pixel_and_a_turn_moves_only_what_hangs_below() -> None:
    lever = leverage(fitted(), FRAME)
    turned = lever[:, :, SHIFTS:].reshape(len(lever), 2, len(JOINTS), 3)
    assert lever[:, 0, 0].mean() == pytest.approx(1.0, abs=0.05)
    np.testing.assert_allclose(lever[:, 1, 0], 0, atol=1e-9)
    for k, name in enumerate(JOINTS):
        share = shares(load_body())[:, k]
        assert np.abs(turned[share == 0, :, k]).max(initial=0) < 1e-6, name
        assert np.abs(turned[share > 0, :, k]).max() > 0.3, name


@pytest.mark.parametrize("name", ["head", "spine03", "upperarm01.L", "upperleg01.L", "lowerarm01.R"])
def test_warping_the_maps_gives_those_of_the_turned_body(name: str) -> None:
    """On every pixel that both show, uv comes within a fraction of what it differs by without the correction."""
    body = fitted()
    value = np.zeros(COUNT)
    first = SHIFTS + 3 * JOINTS.index(name)
    value[first:first + 3] = np.array([0.8, 1.0, -1.2])
    before, after = maps_of(body, np.zeros(COUNT)), maps_of(body, value)
    wanted, moved = tensors(after), moved_pixels(body, before, value)
    got = warped(*tensors(before), moved, charts())
    own = chart_of(got[0], charts()) == chart_of(wanted[0], charts())
    common = before.inside & after.inside & (got[2][0, 0] > 0).numpy() & (moved[0].norm(dim=-1) > 0.3).numpy()
    compared = common & (np.abs(before.uv - after.uv).max(-1) < 0.05) & own[0].numpy()     # else another part is seen
    assert compared.sum() > 100
    assert compared.sum() > 0.9 * common.sum()
    was = np.abs(before.uv - after.uv)[compared].max(-1)
    now = np.abs(got[0][0].numpy() - wanted[0][0].numpy())[compared].max(-1) / 2
    assert np.median(now) < 0.1 * np.median(was)
    assert now.mean() < 0.5 * was.mean()
    outline = [float(np.abs(inside - wanted[2]).sum()) for inside in (tensors(before)[2], got[2])]
    assert outline[1] < 0.7 * outline[0] or outline[0] < 50


def test_no_correction_gives_the_maps_back_to_the_bit() -> None:
    body = fitted()
    maps = maps_of(body, np.zeros(COUNT))
    moved = moved_pixels(body, maps, np.zeros(COUNT)).requires_grad_()
    for got, was in zip(warped(*tensors(maps), moved, charts()), tensors(maps)):
        assert torch.equal(got, was)


def test_what_is_beside_the_body_moves_with_it_and_the_rest_stays() -> None:
    body = fitted()
    maps = maps_of(body, np.zeros(COUNT))
    _, _, inside = tensors(maps)
    moved = moved_pixels(body, maps, np.eye(COUNT)[0])[0].norm(dim=-1)
    near = torch.nn.functional.max_pool2d(inside, 11, 1, 5)[0, 0] > 0
    assert (moved[near] > 0.8).all()                  # a hand behind the others moves less
    assert (moved[~near] == 0).all()


def test_uv_follows_its_slope_and_never_mixes_charts() -> None:
    """Two charts side by side: uv runs on within each, and the pixel beside the border belongs to one of them."""
    size = 64
    chart = torch.zeros(size, size, dtype=torch.int32)
    chart[:, size // 2:] = 1
    columns = torch.arange(8) / 64.0
    u = torch.cat([columns - 0.8, columns + 0.3])                   # 16 pixels; the charts lie apart in the atlas
    grid = torch.stack([u, torch.zeros(16)], -1).expand(1, 8, 16, 2).contiguous()
    normal, inside = torch.zeros(1, 3, 8, 16), torch.ones(1, 1, 8, 16)
    moved = torch.zeros(1, 8, 16, 2)
    moved[..., 0] = 0.4
    got, _, _ = warped(grid, normal, inside, moved, chart)
    np.testing.assert_allclose(got[0, 4, :, 0], u - 0.4 / 64, atol=1e-6)
    moved[..., 0] = 1.3
    got, _, _ = warped(grid, normal, inside, moved, chart)
    np.testing.assert_allclose(got[0, 4, 2:8, 0], u[2:8] - 1.3 / 64, atol=1e-6)
    np.testing.assert_allclose(got[0, 4, 10:, 0], u[10:] - 1.3 / 64, atol=1e-6)
    assert got[0, 4, 8, 0] == pytest.approx(float(u[7]) - 0.3 / 64, abs=1e-6)       # what the border pixel shows now


def test_the_derivative_of_the_warped_uv_is_that_of_its_values() -> None:
    body = fitted()
    maps = maps_of(body, np.zeros(COUNT))
    start = 0.4 * np.random.default_rng(0).standard_normal(COUNT)
    weight = torch.rand((1, 512, 512, 2), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    moved = moved_pixels(body, maps, start).double().requires_grad_()
    grid, normal, inside = (x.double() for x in tensors(maps))

    def value(moved: torch.Tensor) -> torch.Tensor:
        return (warped(grid, normal, inside, moved, charts())[0] * weight).sum()

    value(moved).backward()
    assert moved.grad is not None
    way = torch.randn(moved.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    rest = moved.detach() - moved.detach().round()
    way = way * (rest.abs() < 0.49).all(-1, keepdim=True)           # where the nearest pixel changes, uv jumps a little
    step = 1e-4
    with torch.no_grad():
        slope = (value(moved + step * way) - value(moved - step * way)) / (2 * step)
    assert float((moved.grad * way).sum()) == pytest.approx(float(slope), rel=1e-3)


def test_coverage_has_the_derivative_of_a_soft_edge() -> None:
    """A block that moves right: its right edge gains cover, its left edge loses it; off the body nothing has one."""
    inside = torch.zeros(1, 1, 5, 9)
    inside[..., 3:6] = 1
    moved = torch.zeros(1, 5, 9, 2, requires_grad=True)
    grid, normal = torch.zeros(1, 5, 9, 2), torch.zeros(1, 3, 5, 9)
    warped(grid, normal, inside, moved, torch.zeros(8, 8, dtype=torch.int32))[2].sum().backward()
    assert moved.grad is not None
    np.testing.assert_allclose(moved.grad[0, 2, :, 0], [0, 0, 0, -0.5, 0, 0.5, 0, 0, 0])
