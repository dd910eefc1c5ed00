"""Rigid objects: posed pictures, meshes, frames of reference, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import object_helpers
import pytest
from PIL import Image

import anrcli
from pipelines.core.errors import AnrError, UsageError
from pipelines.core.records import Camera
from pipelines.core.split import split_frames
from pipelines.geometry.cameras import project, unproject
from pipelines.geometry.lenses import distort
from pipelines.geometry.rotations import quaternion_from_rotation
from pipelines.rigid.frames import split_views
from pipelines.rigid.mesh import ObjectMesh, atlas_uv, read_mesh, repeating, shared_texture
from pipelines.rigid.paths import keyed_cameras, middle_of, orbit_cameras
from pipelines.rigid.posed import PosedPicture, read_posed, read_transforms, transforms_of
from pipelines.rigid.scene import axes_of, moved_camera, overlap, standing_of
from pipelines.rigid.surface import DIRECTIONS, object_maps

VIEWS, SIZE = 12, 48


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with box.obj, transforms.json and images/ with alpha; only read."""
    folder = tmp_path_factory.mktemp("posed") / "box"
    object_helpers.write_box(folder, VIEWS, SIZE)
    return folder


@pytest.fixture
def own(box: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(box, tmp_path / "own"))


def rewrite(folder: Path, change: Any) -> None:
    """Changes what transforms.json says."""
    stored = json.loads((folder / "transforms.json").read_text())
    change(stored)
    (folder / "transforms.json").write_text(json.dumps(stored))


def look(folder: Path, workspace: Path, **options: Any) -> Any:
    given = {"mesh": str(folder / "box.obj"), "views": str(folder), "name": "box", **options}
    return anrcli.object(workspace=workspace, what="views", **given)


def views_of(workspace: Path) -> Path:
    return workspace / "objects" / "box" / "views" / "v001"


# cameras

def test_cameras_written_to_transforms_json_are_read_back(own: Path) -> None:
    rng = np.random.default_rng(0)
    cameras = [dataclasses.replace(object_helpers.spiral_camera(k, VIEWS, SIZE),
                                   K=np.array([[70 + k, 0, 20 + rng.random()], [0, 75, 30], [0, 0, 1.0]]))
               for k in range(VIEWS)]
    (own / "transforms.json").write_text(json.dumps(transforms_of(cameras, [f"images/view{k}" for k in range(VIEWS)])))
    for camera, read in zip(cameras, read_transforms(own), strict=True):
        np.testing.assert_allclose(read.camera.K, camera.K, atol=1e-12)
        np.testing.assert_allclose(read.camera.world_to_camera, camera.world_to_camera, atol=1e-12)
        assert (read.camera.width, read.camera.height, len(read.camera.distortion)) == (SIZE, SIZE, 0)


def test_a_nerf_camera_looks_along_its_minus_z_with_y_up(own: Path) -> None:
    """Worked by hand: a camera at (0, 0, 3) without rotation, 90 degrees wide, 48 pixels: focal length 24."""
    (own / "transforms.json").write_text(json.dumps({"camera_angle_x": np.pi / 2, "frames": [
        {"file_path": "./images/view0",
         "transform_matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 3], [0, 0, 0, 1]]}]}))
    camera = read_transforms(own)[0].camera
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 1.0]])
    np.testing.assert_allclose(project(points, camera), [[24, 24], [32, 24], [24, 16], [36, 12]], atol=1e-9)


def test_what_a_frame_says_counts_before_what_stands_above(own: Path) -> None:
    def change(stored: dict[str, Any]) -> None:
        stored.update(fl_x=10.0, cx=1.0)
        for key in ("fl_x", "fl_y", "cx", "cy"):
            del stored["frames"][1][key]

    rewrite(own, change)
    first, second, *_ = read_transforms(own)
    assert first.camera.K[0, 0] > 60 and first.camera.K[0, 2] == SIZE / 2
    np.testing.assert_allclose(second.camera.K, [[10, 0, 1], [0, 10, SIZE / 2], [0, 0, 1]])


def test_pictures_come_in_the_order_people_count(box: Path) -> None:
    assert [each.path.stem for each in read_posed(box)] == [f"view{k}" for k in range(VIEWS)]


def test_colmap_text_tells_the_same_cameras(own: Path) -> None:
    wanted = [each.camera for each in read_posed(own)]
    (own / "transforms.json").unlink()
    (own / "sparse" / "0").mkdir(parents=True)
    K = wanted[0].K
    (own / "sparse" / "0" / "cameras.txt").write_text(
        f"# cameras\n1 PINHOLE {SIZE} {SIZE} {K[0, 0]} {K[1, 1]} {K[0, 2]} {K[1, 2]}\n")
    lines = ["# images"]
    for k, camera in enumerate(wanted):
        q = quaternion_from_rotation(camera.world_to_camera[:3, :3])
        numbers = " ".join(repr(float(x)) for x in (*q, *camera.world_to_camera[:3, 3]))
        lines += [f"{k + 1} {numbers} 1 view{k}.png", ""]
    (own / "sparse" / "0" / "images.txt").write_text("\n".join(lines))
    for camera, read in zip(wanted, read_posed(own), strict=True):
        np.testing.assert_allclose(read.camera.world_to_camera, camera.world_to_camera, atol=1e-9)
        np.testing.assert_allclose(read.camera.K, camera.K)


@pytest.mark.parametrize("model, parameters, distortion", [
    ("SIMPLE_PINHOLE", "50 24 23", []), ("SIMPLE_RADIAL", "50 24 23 0.1", [0.1, 0, 0, 0]),
    ("RADIAL", "50 24 23 0.1 0.2", [0.1, 0.2, 0, 0]), ("OPENCV", "50 50 24 23 .1 .2 .3 .4", [0.1, 0.2, 0.3, 0.4])])
def test_colmap_models_mean_what_its_manual_says(own: Path, model: str, parameters: str,
                                                 distortion: list[float]) -> None:
    (own / "transforms.json").unlink()
    (own / "cameras.txt").write_text(f"7 {model} {SIZE} {SIZE} {parameters}\n")
    (own / "images.txt").write_text("1 1 0 0 0 0 0 3 7 view0.png\n\n")
    camera = read_posed(own)[0].camera
    np.testing.assert_allclose(camera.K, [[50, 0, 24], [0, 50, 23], [0, 0, 1]])
    np.testing.assert_allclose(camera.distortion, distortion)
    np.testing.assert_allclose(camera.world_to_camera[:3, 3], [0, 0, 3])


# the mesh in the pictures

def test_the_corners_of_the_box_project_where_they_should(box: Path) -> None:
    """Worked by hand: before the front face at distance 3 and 48 pixels of focal length."""
    mesh = read_mesh(box / "box.obj")
    camera = Camera(np.array([[48, 0, 24], [0, 48, 24], [0, 0, 1.0]]), SIZE, SIZE,
                    np.array([[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 3.4], [0, 0, 0, 1.0]]))
    pixels = project(mesh.verts[mesh.verts[:, 2] > 0.39], camera)
    wanted = [[24 + 16 * x, 24 + 16 * y] for x in (-0.5, 0.5) for y in (-0.35, 0.35)]
    assert {tuple(np.round(each, 6)) for each in pixels} == {tuple(np.round(each, 6)) for each in wanted}


def test_the_mesh_covers_what_rays_hit(box: Path) -> None:
    mesh = read_mesh(box / "box.obj")
    for each in read_posed(box):
        maps = object_maps(mesh, each.camera)
        alpha = np.asarray(Image.open(each.path))[..., 3]
        x0, y0, x1, y1 = maps.box
        assert alpha.sum() == alpha[y0:y1, x0:x1].sum()
        part = alpha[y0:y1, x0:x1]
        assert maps.inside[part == 255].all() and not maps.inside[part == 0].any()


def test_texture_coordinates_lead_to_the_colours_that_were_photographed(box: Path) -> None:
    """The pattern read through the maps' uv is what rays saw (without highlight and light, so by its hue)."""
    mesh = read_mesh(box / "box.obj")
    camera = read_posed(box)[5].camera
    maps = object_maps(mesh, camera)
    column, row = np.floor(maps.uv[..., 0] * 3).astype(int), np.floor((1 - maps.uv[..., 1]) * 2).astype(int)
    face = np.clip(column, 0, 2) + 3 * np.clip(row, 0, 1)
    across = ((maps.uv[..., 0] * 3 - column) - 0.04) / 0.92
    high = (((1 - maps.uv[..., 1]) * 2 - row) - 0.04) / 0.92
    wanted = object_helpers.pattern(face, across, high)
    x0, y0, x1, y1 = maps.box
    seen = object_helpers.photograph(camera, shine=0.0)[y0:y1, x0:x1]
    solid = maps.inside & (seen[..., 3] == 255)
    light = (seen[..., :3].astype(float) / 255 / wanted)[solid]
    agree = np.abs(light - light.mean(axis=1, keepdims=True)).max(axis=1) < 0.05
    assert agree.mean() > 0.75                  # the others lie on edges of the pattern, finer than a pixel


def test_directions_point_from_the_surface_to_the_camera(box: Path) -> None:
    mesh, camera = read_mesh(box / "box.obj"), read_posed(box)[3].camera
    maps = object_maps(mesh, camera, DIRECTIONS)
    v, u = np.nonzero(maps.inside)
    points = unproject(np.stack([u + maps.box[0] + 0.5, v + maps.box[1] + 0.5], -1), maps.depth_m[v, u], camera)
    place = -camera.world_to_camera[:3, :3].T @ camera.world_to_camera[:3, 3]
    towards = (place - points) / np.linalg.norm(place - points, axis=1, keepdims=True)
    np.testing.assert_allclose(maps.normal[v, u], towards, atol=1e-5)
    assert not maps.normal[~maps.inside].any()


# frames of reference

@pytest.mark.parametrize("z_up", [False, True])
def test_an_object_put_on_its_feet_looks_the_same(box: Path, z_up: bool) -> None:
    cameras = [each.camera for each in read_posed(box)]
    mesh = read_mesh(box / "box.obj")
    if z_up:
        cameras, mesh = [object_helpers.turned_world(camera) for camera in cameras], axes_of(mesh, "gltf")
    standing = standing_of(mesh, cameras, "auto")
    assert standing.up == ("z" if z_up else "y")
    stood = mesh.moved(standing.matrix)
    low, high = stood.verts.min(axis=0), stood.verts.max(axis=0)
    np.testing.assert_allclose(np.linalg.norm(high - low), 1.0)
    np.testing.assert_allclose([low[1], *(low + high)[[0, 2]]], 0.0, atol=1e-12)
    for camera in cameras:
        moved = moved_camera(camera, standing)
        np.testing.assert_allclose(project(stood.verts, moved), project(mesh.verts, camera), atol=1e-9)
        rotation = moved.world_to_camera[:3, :3]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)


def test_the_views_that_are_written_are_a_posed_folder_again(box: Path, tmp_path: Path) -> None:
    report = look(box, tmp_path)
    assert report.figures == {"views": VIEWS, "triangles": 12, "materials": 1, "shared_texture": 0}
    again = read_posed(views_of(tmp_path))
    assert len(again) == VIEWS
    for wanted, each in zip(read_posed(box), again, strict=True):
        assert (np.asarray(Image.open(each.path)) == np.asarray(Image.open(wanted.path))).all()


def test_lens_distortion_is_taken_out_of_pictures_and_cameras(own: Path, tmp_path: Path) -> None:
    """Pictures bent by a lens lie on the mesh again once they are read; as they are they do not."""
    import cv2

    bend = np.array([1.0, 0.0, 0.0, 0.0])
    mesh, posed = read_mesh(own / "box.obj"), read_posed(own)
    K = posed[0].camera.K
    v, u = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1]], -1)
    flat = rays.copy()
    for _ in range(30):                         # the ray that the lens bends to each pixel
        flat -= distort(flat, bend) - rays
    back = np.float32(flat * K[0, 0] + K[0, 2] - 0.5)
    for each in posed:
        straight = np.asarray(Image.open(each.path))
        Image.fromarray(cv2.remap(straight, back[..., 0], back[..., 1], cv2.INTER_LINEAR)).save(each.path)
    rewrite(own, lambda stored: stored.update(k1=bend[0]))
    look(own, tmp_path)
    read = read_posed(views_of(tmp_path))
    assert all(len(each.camera.distortion) == 0 for each in read)
    stood = mesh.moved(standing_of(mesh, [each.camera for each in posed], "auto").matrix)

    def lies_on(mesh: ObjectMesh, each: PosedPicture) -> float:
        return overlap(mesh, each.camera, np.asarray(Image.open(each.path))[..., 3] / 255.0)

    assert min(lies_on(stood, each) for each in read) > 0.95
    assert max(lies_on(mesh, each) for each in posed) < 0.92


# textures

def test_a_texture_that_repeats_is_read_again_and_again() -> None:
    corners = np.array([[[0, 0], [2.5, 0], [0, 1.0]], [[0, 0], [1, 0], [1, 1]]])
    mesh = ObjectMesh(np.zeros((3, 3)), np.zeros((2, 3), np.int32), corners, np.zeros(2, np.int32), 1)
    assert repeating(mesh).tolist() == [True, False]
    face = np.array([0, 0, 1, 1, -1])
    uv = np.array([[0.25, 0.5], [2.25, 0.5], [1.0, 1.0], [1.0000001, -1e-9], [7, 7]])
    np.testing.assert_allclose(atlas_uv(mesh, face, uv), [[0.25, 0.5], [0.25, 0.5], [1, 1], [1, 0], [0, 0]], atol=1e-6)


def test_a_face_in_another_copy_of_the_texture_is_shifted_back(own: Path) -> None:
    text = (own / "box.obj").read_text().splitlines()
    moved = [f"vt {float(line.split()[1]) - 3} {float(line.split()[2]) + 2}" if line.startswith("vt ") else line
             for line in text]
    (own / "moved.obj").write_text("\n".join(moved))
    a, b = read_mesh(own / "box.obj"), read_mesh(own / "moved.obj")
    np.testing.assert_allclose(a.corner_uvs, b.corner_uvs, atol=1e-6)
    assert not repeating(b).any()


def test_materials_lie_apart_in_the_atlas(tmp_path: Path) -> None:
    import trimesh

    scene = trimesh.Scene()
    for number in range(3):
        part = trimesh.creation.box()
        part.unmerge_vertices()
        corners = np.tile([[0, 0], [1, 0], [1, 1.0]], (len(part.faces), 1))
        material = trimesh.visual.material.PBRMaterial(name=f"material {min(number, 1)}",
                                                       baseColorFactor=[90 * min(number, 1), 0, 0, 255])
        part.visual = trimesh.visual.TextureVisuals(uv=corners, material=material)
        scene.add_geometry(part, transform=trimesh.transformations.translation_matrix([2.0 * number, 0, 0]))
    scene.export(tmp_path / "three.glb")
    mesh = read_mesh(tmp_path / "three.glb")
    assert mesh.tiles == 2 and len(mesh.faces) == 36
    np.testing.assert_allclose(sorted({round(float(x), 3) for x in mesh.verts[:, 0]}), [-0.5, 0.5, 1.5, 2.5, 3.5, 4.5])
    everywhere = np.random.default_rng(0).random((36, 2))
    uv = atlas_uv(mesh, np.arange(36), everywhere)
    first, second = uv[mesh.face_tile == 0], uv[mesh.face_tile == 1]
    assert first[:, 0].max() < 0.5 < second[:, 0].min() and uv.min() >= 0 and uv.max() <= 1
    # two parts of one material are one texture, used twice
    assert shared_texture(mesh) > 0.9


def test_only_texels_of_several_places_count_as_shared(box: Path) -> None:
    mesh = read_mesh(box / "box.obj")
    assert shared_texture(mesh) == 0.0
    both = dataclasses.replace(mesh, corner_uvs=np.where((np.arange(12) < 4)[:, None, None],
                                                         mesh.corner_uvs[[0, 1, 0, 1, *range(4, 12)]], mesh.corner_uvs))
    assert shared_texture(both) == pytest.approx(1 / 5, abs=0.02)    # one of five squares in use


# held-out views, new cameras

@pytest.mark.parametrize("count", [8, 24, 40, 100, 333, 700])
def test_held_out_views_are_a_recordings_and_away_from_training_ones(count: int) -> None:
    taught, held_out = split_views(count)
    assert held_out == split_frames(count).held_out.tolist()
    gap = min(abs(a - b) for a in taught for b in held_out)
    assert gap == min(5, count // 20) + 1
    assert len(held_out) >= 0.15 * count and len(taught) > 0.5 * count


def test_an_orbit_goes_once_around_and_cuts_nothing_off(box: Path) -> None:
    cameras = [each.camera for each in read_posed(box)]
    mesh = read_mesh(box / "box.obj")
    standing = standing_of(mesh, cameras, "auto")
    own, seen = mesh.moved(standing.matrix), [moved_camera(camera, standing) for camera in cameras]
    orbit = orbit_cameras(own, seen, 20.0, 36)
    places = np.stack([-c.world_to_camera[:3, :3].T @ c.world_to_camera[:3, 3] for c in orbit]) - middle_of(own)
    away = np.linalg.norm(places, axis=1)
    np.testing.assert_allclose(away, away[0])
    np.testing.assert_allclose(np.degrees(np.arcsin(places[:, 1] / away)), 20.0)
    turned = np.unwrap(np.arctan2(places[:, 0], places[:, 2]))
    np.testing.assert_allclose(np.diff(turned), 2 * np.pi / 36)
    for camera in orbit:
        np.testing.assert_allclose(project(middle_of(own), camera), [SIZE / 2, SIZE / 2], atol=1e-9)
        pixels = project(own.verts, camera)
        assert (pixels > 0).all() and (pixels < SIZE).all()
        assert np.linalg.det(camera.world_to_camera[:3, :3]) == pytest.approx(1.0)


def test_a_keyed_camera_stands_where_its_angles_say(box: Path, tmp_path: Path) -> None:
    cameras = [each.camera for each in read_posed(box)]
    mesh = read_mesh(box / "box.obj")
    standing = standing_of(mesh, cameras, "auto")
    own, seen = mesh.moved(standing.matrix), [moved_camera(camera, standing) for camera in cameras]
    path = tmp_path / "path.json"
    path.write_text(json.dumps({"keys": [{"time_s": 0, "azimuth_deg": 90, "distance_m": 3},
                                         {"time_s": 1, "azimuth_deg": 120, "distance_m": 3}]}))
    found = keyed_cameras(path, own, seen, 10.0)
    assert len(found) == 11
    place = -found[0].world_to_camera[:3, :3].T @ found[0].world_to_camera[:3, 3]
    np.testing.assert_allclose(place, middle_of(own) * [0, 1, 0] + [3, 0, 0], atol=1e-9)


# what is refused

def refused(folder: Path, workspace: Path, **options: Any) -> AnrError:
    with pytest.raises(AnrError) as caught:
        look(folder, workspace, **options)
    assert not (workspace / "objects" / "box" / "views" / "v001").exists()
    return caught.value


@pytest.mark.parametrize("written, message, hint", [
    ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "has no texture coordinates (UV)", "Smart UV Project"),
    ("v 0 0 0\nv 1 0 0\nv 0 1 0\nvt .5 .5\nf 1/1 2/1 3/1\n", "that cover no area", "Smart UV Project"),
    ("hello\n", "holds no triangles", "as a mesh"),
    ("v 0 0 0\nv nan 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nf 1/1 2/2 3/3\n", "are no numbers", "Export it again"),
], ids=["no UV", "one UV", "no mesh", "nan"])
def test_a_mesh_that_cannot_be_painted_is_refused(own: Path, tmp_path: Path, written: str, message: str,
                                                  hint: str) -> None:
    (own / "box.obj").write_text(written)
    error = refused(own, tmp_path)
    assert message in error.message and hint in error.hint


def test_a_mesh_file_that_is_none_is_refused(own: Path, tmp_path: Path) -> None:
    (own / "box.glb").write_bytes(b"no glb at all, just some words" * 9)
    assert "cannot be read as a mesh" in refused(own, tmp_path, mesh=str(own / "box.glb")).message
    assert "There is no mesh" in refused(own, tmp_path, mesh=str(own / "other.obj")).message
    (own / "box.stl").write_text("solid")
    assert ".obj, .glb, .gltf" in refused(own, tmp_path, mesh=str(own / "box.stl")).hint


def test_cameras_that_cannot_be_read_are_refused_with_their_place(own: Path, tmp_path: Path) -> None:
    for change, message in (
            (lambda s: s.update(frames=[]), "names no frames"),
            (lambda s: s["frames"][2].pop("file_path"), "frame 3, has no file_path"),
            (lambda s: s["frames"][1].update(file_path="images/gone.png"), "frame 2, names the picture"),
            (lambda s: s["frames"][0].update(w=99), f"is {SIZE}x{SIZE}, but its camera is said to see 99x{SIZE}"),
            (lambda s: s["frames"][0].update(fl_x="wide"), "frame 1, says fl_x is 'wide'"),
            (lambda s: s["frames"][0].update(fl_x=0), "frame 1, has no focal length"),
            (lambda s: s["frames"][4].update(transform_matrix=[[1, 2], [3, 4]]), "frame 5, has no transform_matrix"),
            (lambda s: s["frames"][4].update(transform_matrix=np.ones((4, 4)).tolist()), "is no rotation and place"),
            (lambda s: s["frames"][4].update(transform_matrix=np.diag([1, 1, -1, 1.0]).tolist()), "no rotation"),
            (lambda s: s.update(camera_model="OPENCV_FISHEYE"), "fisheye"),
            (lambda s: s["frames"][3].update(file_path="images/view2.png"), "is there twice"),
            (lambda s: s.update(frames=s["frames"][:5]), "has 5 pictures; an object needs 8 or more")):
        kept = (own / "transforms.json").read_text()
        rewrite(own, change)
        error = refused(own, tmp_path)
        assert message in error.message and error.hint, (message, error.message)
        (own / "transforms.json").write_text(kept)
    (own / "transforms.json").write_text('{"frames": [\n  {"file_path" 3}]}')
    assert "transforms.json, line 2, column 16" in refused(own, tmp_path).message
    (own / "transforms.json").write_bytes(b"\xff\xfe\x00\x9f")
    assert "is no text" in refused(own, tmp_path).message
    (own / "transforms.json").unlink()
    assert "holds no transforms.json, nor COLMAP's" in refused(own, tmp_path).message
    assert "There is no folder" in refused(own, tmp_path, views=str(own / "gone")).message


def test_pictures_that_do_not_fit_are_refused_by_name(own: Path, tmp_path: Path) -> None:
    Image.new("RGBA", (SIZE, SIZE // 2)).save(own / "images" / "view3.png")
    rewrite(own, lambda s: s["frames"][3].update(h=SIZE // 2))
    error = refused(own, tmp_path)
    assert f"view3.png is {SIZE}x{SIZE // 2}, but view0.png is {SIZE}x{SIZE}" in error.message
    (own / "images" / "view3.png").write_bytes(b"no picture")
    assert "view3.png is not a picture that can be read" in refused(own, tmp_path).message
    whole = (own / "images" / "view4.png").read_bytes()
    rewrite(own, lambda s: s["frames"].pop(3))
    (own / "images" / "view4.png").write_bytes(whole[:len(whole) // 2])
    assert "view4.png is not a picture that can be read" in refused(own, tmp_path).message


def test_masks_must_be_there_fit_and_show_the_object(own: Path, tmp_path: Path) -> None:
    assert "There is no folder" in refused(own, tmp_path, masks=str(own / "masks")).message
    (own / "masks").mkdir()
    assert "has no mask for view0.png" in refused(own, tmp_path, masks=str(own / "masks")).message
    for k in range(VIEWS):
        Image.new("L", (SIZE, SIZE)).save(own / "masks" / f"view{k}.png")
    assert "The masks show nothing" in refused(own, tmp_path, masks=str(own / "masks")).message
    Image.new("L", (5, 5)).save(own / "masks" / "view0.png")
    assert f"is 5x5, its picture {SIZE}x{SIZE}" in refused(own, tmp_path, masks=str(own / "masks")).message


def test_a_mesh_with_other_axes_than_the_cameras_is_told_apart(tmp_path: Path) -> None:
    object_helpers.write_box(tmp_path / "blender", VIEWS, SIZE, z_up=True)
    error = refused(tmp_path / "blender", tmp_path / "ws")
    assert "overlaps the masks by" in error.message and "--mesh-axes gltf they overlap by" in error.hint
    look(tmp_path / "blender", tmp_path / "ws", mesh_axes="gltf")
    assert json.loads((views_of(tmp_path / "ws") / "views.json").read_text())["up"] == "z"


def test_a_mesh_elsewhere_is_refused(own: Path, tmp_path: Path) -> None:
    text = (own / "box.obj").read_text().splitlines()
    (own / "box.obj").write_text("\n".join(
        f"v {float(line.split()[1]) + 50} {line.split()[2]} {line.split()[3]}" if line.startswith("v ") else line
        for line in text))
    error = refused(own, tmp_path)
    assert "The mesh is out of the picture in" in error.message and "one frame and unit" in error.hint


def test_pictures_without_alpha_are_cut_by_the_mesh(tmp_path: Path) -> None:
    object_helpers.write_box(tmp_path / "plain", VIEWS, SIZE, alpha=False)
    look(tmp_path / "plain", tmp_path / "ws")
    assert json.loads((views_of(tmp_path / "ws") / "views.json").read_text())["masks"] == "the mesh's outline"
    plain = np.asarray(Image.open(views_of(tmp_path / "ws") / "images" / "00004.png"))
    truth = object_helpers.photograph(object_helpers.spiral_camera(4, VIEWS, SIZE), 0.5)[..., 3]
    assert set(np.unique(plain[..., 3])) == {0, 255}
    assert (plain[truth == 255][..., 3] == 255).all() and (plain[truth == 0][..., 3] == 0).all()


def test_options_that_are_wrong_are_refused_before_any_work(box: Path, tmp_path: Path) -> None:
    given = {"mesh": str(box / "box.obj"), "views": str(box), "name": "box"}
    for what, options, message in (
            ("", {}, "What to do with the object was not said"), ("paint", {}, "anr object paint is not known"),
            ("views", {"orbit": True}, "--orbit is not for anr object views"),
            ("views", {"mesh_axes": "upside"}, "--mesh-axes upside is not known"),
            ("views", {"up": "w"}, "--up w is not known"), ("views", {"mesh": ""}, "--mesh was not given"),
            ("train", {"renderer": "tna"}, "The renderer 'tna' cannot learn an object"),
            ("train", {"renderer": "anr", "view_term": True}, "--view-term is not for the renderer 'anr'"),
            ("train", {"texture_start": "blue"}, "texture start 'blue' is not known"),
            ("train", {"images": -1}, "--images -1 is out of range"),
            ("render", {"orbit": True, "replay": True}, "Only one of --orbit, --replay"),
            ("render", {"background": "capture"}, "before many backgrounds"),
            ("render", {"elevation_deg": 120.0}, "--elevation-deg 120"),
            ("render", {"seconds": 0.0}, "is no video"),
            ("render", {"background": "transparent", "format": "mp4"}, "A transparent video is")):
        with pytest.raises(AnrError, match=message) as caught:
            anrcli.object(workspace=tmp_path, what=what, **{**given, **options})
        assert caught.value.hint
        assert not (tmp_path / "objects").exists()
    with pytest.raises(AnrError, match="There is no object 'cup'") as nothing:
        anrcli.object(workspace=tmp_path, what="render", name="cup")
    assert "anr object train --mesh" in nothing.value.hint
    with pytest.raises(UsageError):
        anrcli.object(workspace=tmp_path, what="")


def test_up_must_be_told_where_cameras_are_held_all_ways_round(box: Path) -> None:
    cameras = [each.camera for each in read_posed(box)][:2]
    turned = dataclasses.replace(cameras[0], world_to_camera=np.diag([-1, -1, 1, 1.0]) @ cameras[0].world_to_camera)
    with pytest.raises(AnrError, match="Which way is up") as caught:
        standing_of(read_mesh(box / "box.obj"), [cameras[0], turned], "auto")
    assert "--up" in caught.value.hint
    assert standing_of(read_mesh(box / "box.obj"), [cameras[0], turned], "z").up == "z"
