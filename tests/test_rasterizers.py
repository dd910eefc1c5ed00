"""Rasterizers: the fast z-buffer against a brute-force one, and laws of coverage. Runs over the whole table."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.core.errors import AnrError
from pipelines.core.records import Camera
from pipelines.geometry.cameras import (
    camera_from_fov,
    project,
    scale_camera,
    to_camera,
    unproject,
    weak_perspective,
)
from pipelines.rasterizers import RASTERIZERS, load_rasterizer
from pipelines.rasterizers.cpu import interpolate
from pipelines.rasterizers.cpu import rasterize as rasterize_cpu

DOUBLE = "nvdiffrast over a double"


@pytest.fixture(params=[*RASTERIZERS, DOUBLE])
def rasterize(request: pytest.FixtureRequest) -> Callable:
    """Every backend; where nvdiffrast itself cannot run, what we make of it is run over a slow double of it."""
    if request.param == DOUBLE:
        return request.getfixturevalue("nvdiffrast_double").rasterize
    try:
        return load_rasterizer(request.param)
    except AnrError as reason:
        pytest.skip(str(reason))


@pytest.fixture
def nvdiffrast_double(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Our adapter, told that nvdiffrast and a GPU are there."""
    import nvdiffrast_double as double

    from pipelines.rasterizers import nvdiffrast as adapter

    package = types.ModuleType("nvdiffrast")
    package.torch = double  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nvdiffrast", package)
    monkeypatch.setitem(sys.modules, "nvdiffrast.torch", double)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr(adapter, "_device", lambda: "cpu")
    monkeypatch.setattr(adapter, "_context", double.RasterizeCudaContext)
    adapter.check()
    return adapter


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


def test_what_crosses_the_near_plane_is_cut_as_rays_see_it(rasterize: Callable, camera: Camera) -> None:
    """Triangles on both sides of the camera, many of them through it: what rays see that begin 2 cm before it."""
    rng = np.random.default_rng(11)
    centres = rng.uniform([-0.4, -0.4, -0.3], [0.4, 0.4, 1.2], (30, 1, 3))
    verts = (centres + rng.normal(0, 0.5, (30, 3, 3))).reshape(-1, 3)
    faces = np.arange(90).reshape(30, 3)
    before = (verts[faces][..., 2] < 0.02).sum(axis=1)
    assert ((before == 1) | (before == 2)).sum() > 10
    face_index, bary, depth_m = rasterize(verts, faces, camera)
    expected_index, expected_bary, expected_depth, margin = brute_force(verts, faces, camera)
    sure = (margin > 0.02) & ((expected_depth > 0.04) | (expected_index < 0))
    assert sure.mean() > 0.3 and (expected_index[sure] >= 0).mean() > 0.2
    assert (face_index[sure] != expected_index[sure]).mean() < 0.002
    same = sure & (face_index == expected_index)
    np.testing.assert_allclose(depth_m[same], expected_depth[same], rtol=0.05, atol=0.02)
    assert np.quantile(np.abs(bary[same] - expected_bary[same]), 0.999) < 0.03


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


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 32)), min_size=3, max_size=14, unique=True),
       st.sampled_from([1.0, 0.5, 1 / 256, 37 / 256]), st.booleans())
def test_each_pixel_on_a_shared_edge_belongs_to_exactly_one_face(points: list[tuple[int, int]], grid: float,
                                                                 weak: bool) -> None:
    """Any triangulation of any points; on grids of 1 and 1/2 pixel many edges run through pixel centres."""
    from scipy.spatial import Delaunay, QhullError

    pixels = np.array(points, float) * grid + 0.5
    try:
        faces = Delaunay(pixels).simplices
    except QhullError:                  # all on one line
        return
    camera = camera_from_fov(48, 40, 60)
    camera = weak_perspective(camera, 3.0) if weak else camera
    verts = unproject(pixels, 3.0 + np.arange(len(pixels)) % 5 / 4, camera)
    times_drawn = sum((rasterize_cpu(verts, np.array([face]), camera)[0] >= 0).astype(int) for face in faces)
    assert times_drawn.max() <= 1
    np.testing.assert_array_equal(times_drawn == 1, rasterize_cpu(verts, faces, camera)[0] >= 0)
    hull = Delaunay(pixels)
    rows, columns = np.nonzero(times_drawn == 0)
    free = np.stack([columns, rows], -1) + 0.5
    well_inside = [hull.find_simplex(free + step) >= 0 for step in ([0.01, 0], [-0.01, 0], [0, 0.01], [0, -0.01])]
    assert not np.all(well_inside, axis=0).any()


def test_a_pixel_on_the_border_belongs_to_what_lies_right_of_or_below_it() -> None:
    """The top-left rule: a rectangle with corners on pixel centres has its upper and left sides, not the others."""
    camera = camera_from_fov(32, 32, 60)
    verts = unproject(np.array([[4.5, 6.5], [20.5, 6.5], [20.5, 15.5], [4.5, 15.5]]), np.full(4, 2.0), camera)
    for faces in ([[0, 1, 2], [0, 2, 3]], [[0, 1, 3], [3, 1, 2]], [[2, 1, 0], [3, 2, 0]]):
        covered = rasterize_cpu(verts, np.array(faces), camera)[0] >= 0
        expected = np.zeros((32, 32), bool)
        expected[6:15, 4:20] = True
        np.testing.assert_array_equal(covered, expected)


def test_interpolation_is_perspective_correct_to_the_last_bits(camera: Camera) -> None:
    """Corners on the subpixel grid, so that nothing is lost by snapping: the plane's own depth and coordinates."""
    pixels = np.array([[3.25, 5.5], [90.125, 20.75], [30.0, 77.5]])
    verts = unproject(pixels, np.array([1.5, 6.0, 3.0]), camera)
    face_index, bary, depth_m = rasterize_cpu(verts, np.array([[0, 1, 2]]), camera)
    rows, columns = np.nonzero(face_index == 0)
    assert len(rows) > 2000
    centres = np.stack([columns, rows], -1) + 0.5
    start, end = (unproject(centres, np.full(len(rows), z), camera) for z in (1.0, 2.0))
    normal = np.cross(verts[1] - verts[0], verts[2] - verts[0])
    along = (verts[0] - start) @ normal / ((end - start) @ normal)
    on_plane = start + along[:, None] * (end - start)
    np.testing.assert_allclose(depth_m[rows, columns], to_camera(on_plane, camera)[:, 2], rtol=2e-6)
    np.testing.assert_allclose(bary[rows, columns].astype(float) @ verts, on_plane, atol=4e-6)


def test_the_picture_is_the_same_whatever_the_number_of_cores(camera: Camera) -> None:
    from pipelines.rasterizers import cpu

    verts, faces = triangle_soup(300, seed=6)
    uvs = np.random.default_rng(0).uniform(0, 1, (len(verts), 2)).astype(np.float32)
    large = scale_camera(camera, 5.0)
    pictures = [cpu.surface_maps(faces, uvs, faces, verts, large, cores=cores) for cores in (1, 2, 3, 7)]
    face_index, _, depth_m = rasterize_cpu(verts, faces, large)
    for maps in pictures:
        np.testing.assert_array_equal(maps.face_index, face_index)
        np.testing.assert_array_equal(maps.depth_m, depth_m)
        np.testing.assert_array_equal(maps.uv, pictures[0].uv)
        np.testing.assert_array_equal(maps.normal, pictures[0].normal)


def test_surface_maps_are_the_same_through_any_backend(rasterize: Callable, camera: Camera) -> None:
    """UV, normals and depth of the table's backends, where they see the same face."""
    from pipelines.rasterizers.cpu import surface_maps

    verts, faces = sphere(rings=20, segments=30)
    uvs = ((verts[:, :2] + 1.5) / 3).astype(np.float32)
    ours = surface_maps(faces, uvs, faces, verts, camera, (10, 5, 90, 75))
    theirs = surface_maps(faces, uvs, faces, verts, camera, (10, 5, 90, 75), rasterize)
    same = ours.inside & (ours.face_index == theirs.face_index)
    assert same.sum() > 0.98 * max(ours.inside.sum(), theirs.inside.sum())
    np.testing.assert_allclose(theirs.uv[same], ours.uv[same], atol=0.02)
    np.testing.assert_allclose(theirs.normal[same], ours.normal[same], atol=0.01)
    np.testing.assert_allclose(theirs.depth_m[same], ours.depth_m[same], atol=2e-3)


def test_the_body_looks_the_same_through_any_backend(rasterize: Callable) -> None:
    """All 3,658 faces of it: but for pixels that an edge passes through, the same face, UV and depth."""
    from pipelines.body.model import load_body
    from pipelines.rasterizers.cpu import surface_maps

    body, seen = load_body(), camera_from_fov(200, 240, 40)
    verts = body.verts * [1, -1, -1] + [0, body.verts[:, 1].mean(), 2.8]
    ours = surface_maps(body.faces, body.uvs, body.face_uvs, verts, seen)
    theirs = surface_maps(body.faces, body.uvs, body.face_uvs, verts, seen, None, rasterize)
    assert ours.inside.sum() > 4000
    assert (ours.inside != theirs.inside).sum() < 0.005 * ours.inside.sum()
    same = ours.inside & (ours.face_index == theirs.face_index)
    assert same.sum() > 0.97 * ours.inside.sum()
    assert np.quantile(np.abs(ours.uv - theirs.uv)[same] * 256, 0.99) < 1 / 8
    assert np.quantile(np.abs(ours.depth_m - theirs.depth_m)[same], 0.99) < 1e-3


def test_faces_without_area_change_nothing(rasterize: Callable, camera: Camera) -> None:
    """A corner named twice, three corners on a line, three in one place: as if they were not there."""
    verts, faces = sphere()
    more = np.concatenate([verts, [verts[0], (verts[0] + verts[1]) / 2]])
    flat = np.array([[0, 0, 1], [0, len(verts), 0], [0, len(verts) + 1, 1], [5, 5, 5]])
    alone, _, _ = rasterize(more, flat, camera)
    assert (alone >= 0).sum() <= 1      # the point halfway is rounded, which may leave a sliver
    plain, with_flat = rasterize(verts, faces, camera), rasterize(more, np.concatenate([faces, flat]), camera)
    for one, other in zip(plain, with_flat):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_vertex_without_numbers_spoils_its_own_faces_only(camera: Camera) -> None:
    from pipelines.rasterizers.cpu import surface_maps

    verts, faces = sphere(rings=20, segments=30)
    uvs = np.full((len(verts), 2), 0.5, np.float32)
    whole = surface_maps(faces, uvs, faces, verts, camera)
    broken = verts.copy()
    centre = np.argmin(np.linalg.norm(verts - [0, 0, 2], axis=1))
    broken[centre] = np.nan
    maps = surface_maps(faces, uvs, faces, broken, camera)
    touched = (faces == centre).any(axis=1)
    kept = whole.inside & ~touched[whole.face_index]
    np.testing.assert_array_equal(maps.face_index[kept], whole.face_index[kept])
    assert not touched[maps.face_index[maps.inside]].any()
    for each in (maps.uv, maps.normal, maps.depth_m):
        assert np.isfinite(each).all()
    np.testing.assert_allclose(np.linalg.norm(maps.normal[maps.inside], axis=-1), 1, atol=1e-5)


def test_a_body_out_of_the_picture_gives_an_empty_map(rasterize: Callable, camera: Camera) -> None:
    verts, faces = sphere()
    for aside in ([30, 0, 0], [0, -30, 0], [0, 0, -20]):
        face_index, bary, depth_m = rasterize(verts + aside, faces, camera)
        assert (face_index == -1).all() and not bary.any() and not depth_m.any()


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


def test_the_double_keeps_to_the_documentation() -> None:
    """(u, v) is (1, 0) at the first corner, (0, 1) at the second; row 0 is y/w = -1; numbers count from one."""
    import nvdiffrast_double as double
    import torch

    pos = torch.tensor([[[-0.8, -0.8, 0.0, 1], [0.8, -0.8, 0.5, 1], [-0.8, 0.8, -0.5, 1]]])
    triangle = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    drawn, _ = double.rasterize(double.RasterizeCudaContext(), pos, triangle, [40, 40])
    picture = drawn[0].numpy()
    first, second, third = picture[4, 4], picture[4, 34], picture[34, 4]
    np.testing.assert_allclose([first[:2], second[:2], third[:2]], [[1, 0], [0, 1], [0, 0]], atol=0.07)
    np.testing.assert_allclose([first[2], second[2], third[2]], [0, 0.5, -0.5], atol=0.05)
    assert set(np.unique(picture[..., 3])) == {0, 1} and not picture[picture[..., 3] == 0].any()


def test_a_buffer_of_ours_can_be_interpolated_by_nvdiffrast(nvdiffrast_double: types.ModuleType,
                                                            camera: Camera) -> None:
    import nvdiffrast_double as double
    import torch

    verts, faces = sphere()
    colours = np.random.default_rng(2).uniform(0, 1, (len(verts), 4)).astype(np.float32)
    face_index, bary, _ = rasterize_cpu(verts, faces, camera)
    buffer = nvdiffrast_double.buffer_of(face_index, bary)
    theirs, _ = double.interpolate(torch.from_numpy(colours)[None], torch.from_numpy(buffer)[None],
                                   torch.from_numpy(faces.astype(np.int32)))
    np.testing.assert_allclose(theirs[0].numpy(), interpolate(face_index, bary, colours, faces), atol=1e-5)


def test_without_nvdiffrast_the_remedy_and_the_licence_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nvdiffrast", None)
    with pytest.raises(AnrError, match=r"not installed.*--rasterizer cpu.*pip install git\+https.*non-commercial"):
        load_rasterizer("nvdiffrast")


def test_without_a_gpu_nvdiffrast_is_refused(nvdiffrast_double: types.ModuleType,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(AnrError, match=r"needs a CUDA GPU.*--rasterizer cpu"):
        load_rasterizer("nvdiffrast")


def test_an_unknown_rasterizer_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(AnrError, match=r"'embree'.*cpu, nvdiffrast"):
        load_rasterizer("embree")


def test_wrong_shapes_are_named(camera: Camera) -> None:
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        rasterize_cpu(np.zeros((3, 2)), np.array([[0, 1, 2]]), camera)
    with pytest.raises(ValueError, match="empty box"):
        rasterize_cpu(np.zeros((3, 3)), np.array([[0, 1, 2]]), camera, (4, 4, 4, 9))
