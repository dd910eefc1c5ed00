"""Rasterizers: the fast z-buffer against a brute-force one, and laws of coverage. Runs over the whole table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pipelines.core.errors import AnrError
from pipelines.core.records import Camera
from pipelines.geometry.cameras import camera_from_fov, project, to_camera, unproject, weak_perspective
from pipelines.rasterizers import RASTERIZERS, load_rasterizer
from pipelines.rasterizers.cpu import interpolate
from pipelines.rasterizers.cpu import rasterize as rasterize_cpu


@pytest.fixture(params=list(RASTERIZERS))
def rasterize(request: pytest.FixtureRequest) -> Callable:
    try:
        return load_rasterizer(request.param)
    except AnrError as reason:
        pytest.skip(str(reason))


@pytest.fixture(params=["perspective", "weak"])
def camera(request: pytest.FixtureRequest) -> Camera:
    seen = camera_from_fov(96, 80, 60)
    return weak_perspective(seen, 3.0) if request.param == "weak" else seen


def triangle_soup(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    centres = rng.uniform([-1.5, -1.5, 2], [1.5, 1.5, 4], (count, 1, 3))
    return (centres + rng.normal(0, 0.4, (count, 3, 3))).reshape(-1, 3), np.arange(3 * count).reshape(count, 3)


def sphere(rings: int = 12, segments: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """A closed mesh around (0, 0, 3): (V, 3), (T, 3)."""
    across, around = np.meshgrid(np.linspace(0, np.pi, rings + 1)[1:-1], np.arange(segments) * 2 * np.pi / segments,
                                 indexing="ij")
    ring = np.stack([np.sin(across) * np.cos(around), np.cos(across), np.sin(across) * np.sin(around)], -1)
    verts = np.concatenate([ring.reshape(-1, 3), [[0, 1, 0], [0, -1, 0]]])
    index = np.arange((rings - 1) * segments).reshape(rings - 1, segments)
    right = np.roll(index, -1, axis=1)
    north, south = len(verts) - 2, len(verts) - 1
    faces = [np.stack([index[:-1], right[:-1], index[1:]], -1).reshape(-1, 3),
             np.stack([right[:-1], right[1:], index[1:]], -1).reshape(-1, 3),
             np.stack([np.full(segments, north), right[0], index[0]], -1),
             np.stack([np.full(segments, south), index[-1], right[-1]], -1)]
    return verts + np.array([0, 0, 3]), np.concatenate(faces)


def brute_force(verts: np.ndarray, faces: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A ray through each pixel centre against every triangle: face_index, bary, depth_m and the margin to any edge.

    Rays meet planes in the world (Moeller and Trumbore), so nothing is shared with the rasterizer.
    """
    ys, xs = np.mgrid[:camera.height, :camera.width] + 0.5
    pixels = np.stack([xs, ys], -1)
    near, far = (unproject(pixels, np.full(xs.shape, z), camera) for z in (1.0, 2.0))
    best = np.full(xs.shape, np.inf)
    face_index = np.full(xs.shape, -1)
    bary = np.zeros((*xs.shape, 3))
    margin = np.full(xs.shape, np.inf)
    for t, (a, b, c) in enumerate(verts[faces]):
        ray = far - near
        h = np.cross(ray, c - a)
        det = h @ (b - a)
        with np.errstate(divide="ignore", invalid="ignore"):
            u = np.einsum("hwc,hwc->hw", near - a, h) / det
            q = np.cross(near - a, b - a)
            v = np.einsum("hwc,hwc->hw", ray, q) / det
            z = 1.0 + (q @ (c - a)) / det
        weights = np.stack([1 - u - v, u, v], -1)
        least = np.nan_to_num(weights.min(-1), nan=-1.0)
        hit = (least >= 0) & (z > 0.02) & (z < best)
        best[hit], face_index[hit], bary[hit] = z[hit], t, weights[hit]
        margin = np.minimum(margin, np.abs(least))
    return face_index, bary, np.where(face_index >= 0, best, 0), margin


def test_it_sees_what_rays_through_the_pixel_centres_see(rasterize: Callable, camera: Camera) -> None:
    verts, faces = triangle_soup(40, seed=3)
    face_index, bary, depth_m = rasterize(verts, faces, camera)
    expected_index, expected_bary, expected_depth, margin = brute_force(verts, faces, camera)
    sure = margin > 0.02                # corners are snapped to 1/256 pixel, so pixels on an edge may differ
    assert sure.mean() > 0.5
    np.testing.assert_array_equal(face_index[sure], expected_index[sure])
    np.testing.assert_allclose(depth_m[sure], expected_depth[sure], atol=0.02)
    np.testing.assert_allclose(bary[sure], expected_bary[sure], atol=0.02)
    assert (face_index != expected_index).mean() < 0.01


def test_barycentrics_rebuild_the_point_that_projects_to_the_pixel(rasterize: Callable, camera: Camera) -> None:
    verts, faces = sphere()
    face_index, bary, depth_m = rasterize(verts, faces, camera)
    points = interpolate(face_index, bary, verts, faces)
    inside = face_index >= 0
    rows, columns = np.nonzero(inside)
    pixels = project(points[inside], camera)
    np.testing.assert_allclose(pixels, np.stack([columns, rows], -1) + 0.5, atol=0.02)
    np.testing.assert_allclose(to_camera(points[inside], camera)[:, 2], depth_m[inside], atol=2e-3)
    np.testing.assert_allclose(bary[inside].sum(-1), 1, atol=1e-5)
    assert not bary[~inside].any() and not depth_m[~inside].any()


def test_triangles_that_share_edges_cover_each_pixel_once(rasterize: Callable, camera: Camera) -> None:
    """A fan of slivers and a grid whose corners lie on pixel centres: drawn one by one, no pixel twice, none missed."""
    rng = np.random.default_rng(5)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 23))
    fan = np.concatenate([[[48.5, 40.5]], 30 * np.stack([np.cos(angles), np.sin(angles)], -1) + [48.5, 40.5]])
    fan_faces = [(0, k, k % 23 + 1) for k in range(1, 24)]
    grid = np.stack(np.meshgrid(np.arange(8.5, 80, 10), np.arange(4.5, 72, 10)), -1).reshape(-1, 2)
    columns = len(np.arange(8.5, 80, 10))
    corners = [k for k in range(len(grid) - columns) if k % columns < columns - 1]
    grid_faces = [f for k in corners for f in ((k, k + 1, k + columns), (k + 1, k + columns + 1, k + columns))]
    for pixels, faces in ((fan, fan_faces), (grid, grid_faces)):
        verts = unproject(pixels, np.full(len(pixels), 3.0), camera)
        times_drawn = sum((rasterize(verts, np.array([face]), camera)[0] >= 0).astype(int) for face in faces)
        together = rasterize(verts, np.array(faces), camera)[0] >= 0
        assert times_drawn.max() == 1
        np.testing.assert_array_equal(times_drawn == 1, together)


def test_a_closed_mesh_has_no_holes(rasterize: Callable) -> None:
    from scipy.ndimage import binary_fill_holes

    camera = camera_from_fov(512, 512, 50)
    verts, faces = sphere(rings=40, segments=61)
    covered = rasterize(verts, faces, camera)[0] >= 0
    np.testing.assert_array_equal(covered, binary_fill_holes(covered))
    outline = (camera.K[0, 0] / np.sqrt(3.0**2 - 1)) ** 2 * np.pi      # a unit sphere's disc seen from 3 m
    assert abs(covered.sum() / outline - 1) < 0.01


def test_winding_does_not_matter(camera: Camera) -> None:
    verts, faces = triangle_soup(20, seed=8)
    for one, other in zip(rasterize_cpu(verts, faces, camera), rasterize_cpu(verts, faces[:, [0, 2, 1]], camera)):
        np.testing.assert_allclose(one if one.ndim == 2 else one[..., [0, 2, 1]], other, atol=1e-6)


def test_a_box_is_the_same_part_of_the_whole_picture(rasterize: Callable, camera: Camera) -> None:
    verts, faces = triangle_soup(30, seed=4)
    whole = rasterize(verts, faces, camera)
    part = rasterize(verts, faces, camera, (17, 9, 60, 71))
    for all_of_it, cut in zip(whole, part):
        np.testing.assert_allclose(all_of_it[9:71, 17:60], cut, atol=1e-5)


def test_a_floor_that_runs_under_the_camera_is_cut_at_the_near_plane(rasterize: Callable) -> None:
    """A floor 1 m below the eye: each row's depth follows from similar triangles, no holes below the horizon."""
    camera = camera_from_fov(64, 64, 90)
    verts = np.array([[-500.0, 1, -500], [500, 1, -500], [500, 1, 500], [-500, 1, 500]])
    face_index, bary, depth_m = rasterize(verts, np.array([[0, 1, 2], [0, 2, 3]]), camera)
    assert (face_index[33:] >= 0).all() and (face_index[:31] == -1).all()
    rows = np.arange(34, 64)
    np.testing.assert_allclose(depth_m[34:, 10], 32 / (rows + 0.5 - 32), rtol=0.02)
    points = interpolate(face_index, bary, verts, np.array([[0, 1, 2], [0, 2, 3]]))
    np.testing.assert_allclose(points[40:, :, 1], 1, atol=1e-3)
    np.testing.assert_allclose(points[40:, :, 2], depth_m[40:], rtol=0.02)


def test_triangles_behind_the_camera_or_without_numbers_are_left_out(rasterize: Callable, camera: Camera) -> None:
    verts = np.array([[-1.0, -1, -3], [1, -1, -3], [0, 1, -3], [np.nan, 0, 3], [1, 0, 3], [0, 1, 3]])
    assert (rasterize(verts, np.array([[0, 1, 2], [3, 4, 5]]), camera)[0] == -1).all()


def test_depth_under_weak_perspective_is_the_points_own() -> None:
    verts = np.array([[-1.0, -1, 2], [1, -1, 4], [0, 1, 3]])
    camera = weak_perspective(camera_from_fov(64, 64, 60), 3.0)
    _, bary, depth_m = rasterize_cpu(verts, np.array([[0, 1, 2]]), camera)
    np.testing.assert_allclose(depth_m, bary @ verts[:, 2], atol=1e-5)


def test_surface_maps_of_a_body_carry_uv_and_unit_normals_that_face_the_camera(camera: Camera) -> None:
    from pipelines.rasterizers.cpu import surface_maps

    verts, faces = sphere(rings=30, segments=40)
    uvs = np.random.default_rng(0).uniform(0, 1, (len(verts), 2)).astype(np.float32)
    maps = surface_maps(faces, uvs, faces, verts, camera, (10, 10, 90, 75))
    assert maps.face_index.shape == (65, 80) and maps.box == (10, 10, 90, 75)
    inside = maps.inside
    np.testing.assert_allclose(np.linalg.norm(maps.normal[inside], axis=-1), 1, atol=1e-5)
    assert ((maps.uv >= 0) & (maps.uv <= 1)).all()
    rows, columns = np.nonzero(inside)
    points = unproject(np.stack([columns + 10.5, rows + 10.5], -1), maps.depth_m[inside].astype(float), camera)
    outward = points - [0, 0, 3]
    assert (np.sum(maps.normal[inside] * outward, -1) > 0.97).all()
    assert not maps.normal[~inside].any() and not maps.uv[~inside].any()


def test_the_gpu_rasterizer_is_told_where_points_land(camera: Camera) -> None:
    """Clip coordinates, divided by w, are the pixels that `project` gives; depth keeps its order."""
    from pipelines.rasterizers.nvdiffrast import clip_positions

    points = np.random.default_rng(3).uniform([-1, -1, 2], [1, 1, 4], (50, 3))
    clip = clip_positions(to_camera(points, camera), camera, camera.width, camera.height)
    pixels = (clip[:, :2] / clip[:, 3:] + 1) / 2 * [camera.width, camera.height]
    np.testing.assert_allclose(pixels, project(points, camera), atol=1e-9)
    depth = clip[:, 2] / clip[:, 3]
    assert (np.abs(depth) <= 1).all() and (np.argsort(depth) == np.argsort(points[:, 2])).all()


def test_an_unknown_rasterizer_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(AnrError, match=r"'embree'.*cpu, nvdiffrast"):
        load_rasterizer("embree")


def test_wrong_shapes_are_named(camera: Camera) -> None:
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        rasterize_cpu(np.zeros((3, 2)), np.array([[0, 1, 2]]), camera)
    with pytest.raises(ValueError, match="empty box"):
        rasterize_cpu(np.zeros((3, 3)), np.array([[0, 1, 2]]), camera, (4, 4, 4, 9))
