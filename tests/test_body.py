"""The baked body: counts of the paper, a closed mirrored mesh, shape, pose, regions and atlas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.body.kernels import draw_triangles, nearest_drawn
from pipelines.body.model import (
    Body,
    betas_for_height,
    body_height_m,
    load_body,
    pose_body,
    pose_sequence,
    rest_body,
    rest_pose,
    sequence_frames,
)
from pipelines.body.regions import shortest_border
from pipelines.body.skeleton import JOINT_NAMES, PARENTS, mirrored_joints, subtree
from pipelines.body.surface import (
    OUTSIDE,
    face_charts,
    face_map,
    face_neighbours,
    region_map,
    region_texels,
    vertex_normals,
)
from pipelines.core.errors import AnrError
from pipelines.core.records import BodyPose
from pipelines.geometry.rotations import rotation_from_vector

SHIRT = ("torso", "upper_arm_l", "upper_arm_r", "lower_arm_l", "lower_arm_r")


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body()


@pytest.fixture(scope="module")
def mirror(body: Body) -> np.ndarray:
    """(V,) the vertex on the other side."""
    distance = np.linalg.norm(body.verts[:, None] - body.verts[None] * [-1, 1, 1], axis=2)
    assert distance.min(1).max() < 1e-5
    return distance.argmin(1)


def random_pose(seed: int, largest_rad: float = 1.0) -> BodyPose:
    random = np.random.default_rng(seed)
    rotations = rotation_from_vector(random.uniform(-1, 1, (len(JOINT_NAMES), 3)) * largest_rad)
    return BodyPose(rotations, random.normal(size=3))


def slow_pose(body: Body, betas: np.ndarray, pose: BodyPose) -> tuple[np.ndarray, np.ndarray]:
    """The definition, one joint and one vertex at a time with 4x4 matrices."""
    verts, joints = rest_body(body, betas)
    to_world: list[np.ndarray] = []
    for j, parent in enumerate(body.parents):
        here = np.eye(4)
        here[:3, :3] = pose.joint_rotations[j]
        here[:3, 3] = pose.root_translation if parent < 0 else joints[j] - joints[parent]
        to_world.append(here if parent < 0 else to_world[parent] @ here)
    posed = np.zeros_like(verts)
    for i, vert in enumerate(verts):
        for j, weight in zip(body.skin_indices[i], body.skin_weights[i]):
            posed[i] += weight * (to_world[j] @ np.append(vert - joints[j], 1))[:3]
    return posed, np.array([matrix[:3, 3] for matrix in to_world])


def test_the_mesh_has_the_papers_counts_and_all_arrays_fit(body: Body) -> None:
    assert body.verts.shape == (1831, 3) and body.faces.shape == (3658, 3)
    assert body.shape_dirs.shape == (10, 1831, 3) and body.joint_dirs.shape == (10, 74, 3)
    assert body.joint_names == JOINT_NAMES and len(JOINT_NAMES) == 74
    np.testing.assert_array_equal(body.parents, PARENTS)
    assert body.face_uvs.shape == body.faces.shape and body.face_uvs.max() == len(body.uvs) - 1
    assert body.face_region.shape == (3658,)


def test_the_mesh_is_closed_without_handles_and_faces_outwards(body: Body) -> None:
    import trimesh

    mesh = trimesh.Trimesh(body.verts, body.faces, process=False)
    assert mesh.is_watertight and mesh.is_winding_consistent
    assert mesh.euler_number == 2
    assert 0.05 < mesh.volume < 0.08        # an adult of 58 litres; negative if faces looked inwards


def test_no_face_is_a_sliver_and_no_edge_long(body: Body) -> None:
    corners = body.verts[body.faces]
    sides = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2)
    a, b, c = sides.T
    angles = np.arccos(np.stack([(b * b + c * c - a * a) / (2 * b * c), (c * c + a * a - b * b) / (2 * c * a),
                                 (a * a + b * b - c * c) / (2 * a * b)]))
    assert np.rad2deg(angles.min()) > 13.5
    assert sides.max() < 0.08


def test_parents_come_before_children_and_the_root_first() -> None:
    assert PARENTS[0] == -1 and JOINT_NAMES[0] == "root"
    assert (PARENTS[1:] >= 0).all() and (PARENTS[1:] < np.arange(1, 74)).all()
    for name in ("upperarm01", "lowerarm01", "wrist", "upperleg01", "lowerleg01", "foot"):
        assert f"{name}.L" in JOINT_NAMES and f"{name}.R" in JOINT_NAMES
    assert subtree("wrist.L").sum() == 20 and subtree("root").all()


def test_the_person_stands_upright_facing_z_with_the_left_at_positive_x(body: Body) -> None:
    assert abs(body.verts[:, 1].min()) < 1e-5
    assert body.rest_joints[body.joint("wrist.L"), 0] > 0.3
    assert body.rest_joints[body.joint("head"), 1] > body.rest_joints[body.joint("foot.L"), 1] + 1.2
    face = body.verts[np.unique(body.faces[body.face_region == body.region_names.index("face")])]
    assert face[:, 2].mean() > body.rest_joints[body.joint("head"), 2]


def test_left_and_right_are_mirrored(body: Body, mirror: np.ndarray) -> None:
    np.testing.assert_array_equal(mirror[mirror], np.arange(len(mirror)))
    np.testing.assert_allclose(body.rest_joints[mirrored_joints()] * [-1, 1, 1], body.rest_joints, atol=1e-5)
    faces = {tuple(sorted(face)) for face in body.faces.tolist()}
    assert {tuple(sorted(mirror[list(face)].tolist())) for face in faces} == faces
    other = [body.region_names.index(name[:-2] + {"_l": "_r", "_r": "_l"}[name[-2:]] if name.endswith(("_l", "_r"))
                                     else name) for name in body.region_names]
    region_of = {tuple(sorted(face)): region for face, region in zip(body.faces.tolist(), body.face_region)}
    assert all(region_of[tuple(sorted(mirror[list(face)].tolist()))] == other[region]
               for face, region in region_of.items())


def test_skin_weights_are_four_shares_of_one(body: Body) -> None:
    assert body.skin_indices.shape == body.skin_weights.shape == (1831, 4)
    assert (body.skin_weights >= 0).all() and body.skin_indices.min() >= 0 and body.skin_indices.max() < 74
    np.testing.assert_allclose(body.skin_weights.sum(1), 1, atol=1e-6)


def test_the_rest_pose_leaves_a_shape_as_it_rests(body: Body) -> None:
    betas = np.random.default_rng(0).normal(size=10)
    verts, joints = rest_body(body, betas)
    posed, places = pose_body(body, betas, rest_pose(body, betas))
    np.testing.assert_allclose(posed, verts, atol=1e-6)
    np.testing.assert_allclose(places, joints, atol=1e-9)


def test_the_fast_path_is_the_definition(body: Body) -> None:
    betas = np.random.default_rng(1).normal(size=10)
    pose = random_pose(1)
    verts, joints = pose_body(body, betas, pose)
    slow_verts, slow_joints = slow_pose(body, betas, pose)
    np.testing.assert_allclose(joints, slow_joints, atol=1e-9)
    np.testing.assert_allclose(verts, slow_verts, atol=1e-6)


def test_a_sequence_gives_the_joints_of_each_of_its_poses(body: Body) -> None:
    betas = np.random.default_rng(2).normal(size=10)
    poses = [random_pose(seed) for seed in range(5)]
    rotations = np.stack([pose.joint_rotations for pose in poses])
    roots = np.stack([pose.root_translation for pose in poses])
    joints = pose_sequence(body, betas, rotations, roots)
    for row, pose in enumerate(poses):
        np.testing.assert_allclose(joints[row], pose_body(body, betas, pose)[1], atol=1e-9)
    np.testing.assert_array_equal(joints[:, 0], roots)
    frames, _ = sequence_frames(body, betas, rotations, roots)
    np.testing.assert_allclose(np.linalg.det(frames), 1, atol=1e-9)


def test_turning_the_root_turns_the_whole_body_rigidly(body: Body) -> None:
    pose = random_pose(3)
    turn = rotation_from_vector([0.4, 2.0, -0.3])
    turned = pose.joint_rotations.copy()
    turned[0] = turn @ turned[0]
    verts, _ = pose_body(body, np.zeros(10), pose)
    moved, _ = pose_body(body, np.zeros(10), BodyPose(turned, pose.root_translation))
    expected = (verts - pose.root_translation) @ turn.T + pose.root_translation
    np.testing.assert_allclose(moved, expected, atol=1e-9)


def test_bending_the_left_elbow_moves_the_left_forearm_alone(body: Body) -> None:
    pose = rest_pose(body)
    pose.joint_rotations[body.joint("lowerarm01.L")] = rotation_from_vector([0, 1.0, 0])
    moved = np.linalg.norm(pose_body(body, np.zeros(10), pose)[0] - body.verts, axis=1) > 1e-3
    regions = {body.region_names[r] for r in body.face_region[moved[body.faces].all(1)]}
    assert "hand_l" in regions and regions <= {"upper_arm_l", "lower_arm_l", "hand_l"}


def test_a_shape_of_any_height_is_found_and_an_absurd_one_refused(body: Body) -> None:
    for height_m in (1.45, 1.60, 1.70, 1.85, 2.00):
        betas = betas_for_height(body, height_m)
        assert body_height_m(body, betas) == pytest.approx(height_m, abs=1e-5)
        assert np.linalg.norm(betas) < 3
    assert 1.6 < body_height_m(body, np.zeros(10)) < 1.75
    with pytest.raises(ValueError, match="170"):
        betas_for_height(body, 170)


def test_the_root_stays_while_the_shape_changes(body: Body) -> None:
    np.testing.assert_allclose(body.joint_dirs[:, 0], 0, atol=1e-6)


def test_a_unit_beta_is_one_standard_deviation_of_adults(body: Body) -> None:
    heights = [body_height_m(body, betas) for betas in np.random.default_rng(4).normal(size=(300, 10))]
    assert 0.06 < np.std(heights) < 0.15
    first = np.linalg.norm(body.shape_dirs, axis=(1, 2))
    assert (np.diff(first) < 0).all()       # the largest spread comes first


def test_normals_have_unit_length_and_point_outwards(body: Body) -> None:
    normals = vertex_normals(body.verts, body.faces)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-9)
    crown = body.verts[:, 1].argmax()
    assert normals[crown, 1] > 0.8
    corners = body.verts[body.faces]
    slow = np.zeros_like(body.verts)
    for face, normal in zip(body.faces, np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])):
        slow[face] += normal
    np.testing.assert_allclose(normals, slow / np.linalg.norm(slow, axis=1, keepdims=True), atol=1e-9)


def test_a_gutter_texel_continues_the_nearest_texel_of_a_chart() -> None:
    from scipy.ndimage import distance_transform_edt

    drawn = np.where(np.random.default_rng(5).uniform(size=(60, 60)) < 0.02, 7, -1).astype(np.int32)
    rows, columns, near = nearest_drawn(drawn, 3.0)
    distance = distance_transform_edt(drawn < 0)
    np.testing.assert_array_equal(near, distance <= 3)
    row, column = np.nonzero(near)
    np.testing.assert_allclose(np.hypot(rows[near] - row, columns[near] - column), distance[near])
    assert (drawn[rows[near], columns[near]] == 7).all()


def test_every_region_is_there_in_one_piece_and_where_it_belongs(body: Body) -> None:
    middle = body.verts[body.faces].mean(1)
    neighbours = face_neighbours(body.faces)
    for number, name in enumerate(body.region_names):
        inside = body.face_region == number
        assert inside.sum() >= 50, name
        reached = np.zeros(len(inside), dtype=bool)
        reached[np.flatnonzero(inside)[0]] = True
        while True:
            more = reached | (inside & reached[neighbours].any(1))
            if (more == reached).all():
                break
            reached = more
        assert (reached == inside).all(), f"{name} is in pieces"

    def place(name: str) -> np.ndarray:
        return middle[body.face_region == body.region_names.index(name)]

    height = body_height_m(body, np.zeros(10))
    border = (place("torso")[:, 1].min() + place("hips")[:, 1].max()) / 2
    assert 0.56 < border / height < 0.64    # trousers end at the waist
    assert place("face")[:, 2].min() > place("scalp")[:, 2].mean()
    assert place("face")[:, 1].max() < place("scalp")[:, 1].max() - 0.03
    assert place("hand_l")[:, 0].min() > 0.4 and place("hand_r")[:, 0].max() < -0.4


def test_the_shortest_border_is_not_a_saw(body: Body) -> None:
    middle = body.verts[body.faces].mean(1)

    def border_length(inside: np.ndarray) -> float:
        cut = inside[:, None] & ~inside[face_neighbours(body.faces)]
        corners = body.verts[body.faces]
        return float(np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2)[cut].sum())

    saw = middle[:, 1] > 1.0
    smooth = shortest_border(body.verts, body.faces, middle[:, 1] - 1.0, 0.015)
    assert border_length(smooth) < 0.85 * border_length(saw)
    assert np.abs(middle[saw != smooth, 1] - 1.0).max() < 0.05


def test_the_atlas_turns_no_face_over_and_overlaps_nowhere(body: Body) -> None:
    corners = body.uvs[body.face_uvs].astype(float)
    assert corners.min() > 0 and corners.max() < 1
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    assert (area < 0).all()                 # counter-clockwise outside, with v downwards
    size = 2048
    drawn = draw_triangles(np.ascontiguousarray(corners * size), size) >= 0
    assert drawn.mean() == pytest.approx(-area.sum() / 2, rel=2e-3)
    assert -area.sum() / 2 > 0.55           # the share of the square in use


def test_the_atlas_is_few_charts_of_one_region_each_with_gutters(body: Body) -> None:
    charts = face_charts(body)
    assert 15 <= charts.max() + 1 <= 30
    assert all(len(set(body.face_region[charts == chart])) == 1 for chart in range(charts.max() + 1))
    size = 1024
    drawn = draw_triangles(np.ascontiguousarray(body.uvs[body.face_uvs].astype(float) * size), size)
    chart_of = np.where(drawn >= 0, charts[drawn], -1)
    from scipy.ndimage import distance_transform_edt

    for chart in range(charts.max() + 1):
        away = distance_transform_edt(chart_of != chart)
        assert away[(chart_of >= 0) & (chart_of != chart)].min() >= 3 * size / 256


def test_the_atlas_stretches_little_and_gives_the_face_more_texels(body: Body) -> None:
    corners, flat = body.verts[body.faces], body.uvs[body.face_uvs].astype(float) * 256
    surface = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    first, second = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    texels = np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2

    def per_metre(name: str) -> float:
        inside = body.face_region == body.region_names.index(name)
        return float(np.sqrt(texels[inside].sum() / surface[inside].sum()))

    assert per_metre("face") > 2.2 * per_metre("torso")
    assert per_metre("hand_l") > 1.25 * per_metre("torso")
    torso = np.isin(body.face_region, [body.region_names.index(name) for name in (*SHIRT, "hips")])
    density = np.sqrt(texels[torso] / surface[torso])
    assert np.percentile(density, 95) / np.percentile(density, 5) < 1.3


def test_the_region_map_knows_the_texels_of_all_regions_and_their_gutters(body: Body) -> None:
    regions = region_map(body, 256)
    assert regions.shape == (256, 256) and regions.dtype == np.uint8
    assert set(np.unique(regions)) == {*range(17), OUTSIDE}
    flat = np.floor(body.uvs[body.face_uvs].mean(1) * 256).astype(int)
    assert (regions[flat[:, 1], flat[:, 0]] == body.face_region).mean() > 0.97     # tiny faces miss texel centres
    assert (regions != OUTSIDE).mean() > (-_signed_area(body)) + 0.05


def test_region_weights_soften_where_regions_meet_and_only_there(body: Body) -> None:
    regions, soft_px = region_map(body, 256), 3.0
    shirt = region_texels(body, SHIRT, 256, soft_px)
    assert shirt.shape == (256, 256) and shirt.dtype == np.float32
    # gutters hold what lies across the seam, so they are softer than their chart
    regions = np.where(face_map(body, 256, dilated=False) >= 0, regions, OUTSIDE)
    inside = np.isin(regions, [body.region_names.index(name) for name in SHIRT])
    assert shirt[inside].min() >= 0.5 and shirt[~inside & (regions != OUTSIDE)].max() <= 0.5
    hips = regions == body.region_names.index("hips")
    assert 0.2 < shirt[hips].max() <= 0.5           # the waist is a seam, and soft on its other side too
    assert shirt[regions == body.region_names.index("face")].max() == 0
    assert shirt[region_map(body, 256) == OUTSIDE].max() == 0
    # the seams at the elbows lie within the shirt
    elbow = region_texels(body, ["lower_arm_l"], 256, soft_px)
    upper_arm = regions == body.region_names.index("upper_arm_l")
    assert elbow[upper_arm].max() > 0.2 and (shirt[upper_arm & (elbow > 0.2)] == 1).mean() > 0.95
    np.testing.assert_allclose(region_texels(body, body.region_names, 128), region_map(body, 128) != OUTSIDE, atol=1e-6)
    np.testing.assert_array_equal(region_texels(body, ["face"], 256, 0), region_map(body, 256) == 0)


def test_weights_of_complementary_regions_sum_to_one(body: Body) -> None:
    others = [name for name in body.region_names if name not in SHIRT]
    both = region_texels(body, SHIRT) + region_texels(body, others)
    np.testing.assert_allclose(both, region_map(body) != OUTSIDE, atol=1e-6)


def test_unknown_names_and_wrong_shapes_are_named(body: Body, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"beard.*face"):
        region_texels(body, ["beard"])
    with pytest.raises(ValueError, match="elbow"):
        body.joint("elbow")
    with pytest.raises(ValueError, match=r"\(11,\)"):
        rest_body(body, np.zeros(11))
    with pytest.raises(ValueError, match=r"\(5, 3, 3\)"):
        pose_body(body, np.zeros(10), BodyPose(np.zeros((5, 3, 3)), np.zeros(3)))
    with pytest.raises(AnrError, match="is not there"):
        load_body(tmp_path / "missing.npz")
    np.savez(tmp_path / "old.npz", verts=body.verts, face_uvs=body.face_uvs, version="0")
    with pytest.raises(AnrError, match="lacks region_names"):
        load_body(tmp_path / "old.npz")


def _signed_area(body: Body) -> float:
    corners = body.uvs[body.face_uvs].astype(float)
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return float((first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]).sum() / 2)


def test_texel_positions_are_where_the_surface_has_that_uv() -> None:
    from pipelines.body.surface import face_map, texel_positions

    body = load_body()
    positions, faces = texel_positions(body, 128), face_map(body, 128)
    for row, column in ((int(r), int(c)) for r, c in np.argwhere(faces >= 0)[::997]):
        corners = body.uvs[body.face_uvs[faces[row, column]]] * 128
        texel = np.array([column + 0.5, row + 0.5, 1.0])
        bary = np.linalg.solve(np.vstack([corners.T, np.ones(3)]), texel)
        np.testing.assert_allclose(positions[row, column], bary @ body.verts[body.faces[faces[row, column]]], atol=1e-6)
    assert np.isnan(positions[faces < 0]).all()


@pytest.mark.parametrize("kind", ["glb", "obj"])
def test_a_written_mesh_is_read_back_with_its_surface_and_texture_coordinates(body: Body, tmp_path: Path,
                                                                              kind: str) -> None:
    import trimesh

    from pipelines.body.export import write_mesh

    write_mesh(tmp_path / f"body.{kind}", body, body.verts)
    mesh = trimesh.load(tmp_path / f"body.{kind}", force="mesh", process=False)
    assert len(mesh.faces) == len(body.faces)
    np.testing.assert_allclose(mesh.triangles, body.verts[body.faces], atol=1e-5)
    uvs = mesh.visual.uv[mesh.faces] * [1, -1] + [0, 1]
    np.testing.assert_allclose(uvs, body.uvs[body.face_uvs], atol=1e-5)
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    assert mesh.is_watertight
