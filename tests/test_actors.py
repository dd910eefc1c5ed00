"""The people of the studio: what an asset promises, whoever it is; how assets are packed; what cloth looks like."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipelines.body.model import load_body
from pipelines.core.errors import AnrError
from pipelines.core.records import BodyPose, Camera, Motion
from pipelines.studio import materials
from pipelines.studio.actors import (
    ASSETS,
    FOLD_SCALE_M,
    NAMES,
    Actor,
    fold_drives,
    load_actor,
    pose_actor,
    posed_joints,
)
from pipelines.studio.deltas import packed_faces, packed_rows, unpacked_faces, unpacked_rows
from pipelines.studio.identities import IDENTITIES
from pipelines.studio.motions import make_motion

LIMIT_BYTES = 4_200_000


@pytest.fixture(params=NAMES)
def actor(request: pytest.FixtureRequest) -> Actor:
    return load_actor(request.param)


@lru_cache
def session(name: str) -> Motion:
    return make_motion("capture", load_actor(name), 8.0, 2.0)


def poses(name: str) -> list[BodyPose]:
    moves = session(name)
    return [BodyPose(turns, place) for turns, place in zip(moves.joint_rotations, moves.root_translation)]


def test_the_coarse_truth_is_a_body_of_our_model_with_the_actors_joints(actor: Actor) -> None:
    body = load_body()
    assert actor.coarse_verts.shape == body.verts.shape
    # The nearest body of the shape space lies millimetres away: the same vertices, a person it has not seen.
    target = (actor.coarse_verts - actor.rest_joints[0]) - (body.verts - body.rest_joints[0])
    dirs = (body.shape_dirs - body.joint_dirs[:, :1]).reshape(len(body.shape_dirs), -1)
    betas = np.linalg.lstsq(dirs.T, target.ravel(), rcond=None)[0]
    off = np.linalg.norm(target - (betas @ dirs).reshape(-1, 3), axis=1)
    assert off.mean() < 0.008
    joints = body.rest_joints + np.tensordot(betas, body.joint_dirs, 1)
    joint_off = np.linalg.norm((joints - joints[0]) - (actor.rest_joints - actor.rest_joints[0]), axis=1)
    assert joint_off.mean() < 0.012


def test_the_coarse_truth_stands_where_the_actor_stands(actor: Actor) -> None:
    assert abs(actor.coarse_verts[:, 1].min()) < 0.004      # the bare sole is y = 0
    assert np.ptp(actor.coarse_verts[:, 1]) == pytest.approx(actor.height_m, abs=0.006)


def test_the_coarse_truth_lies_inside_the_clothes_and_on_the_skin(actor: Actor) -> None:
    from scipy.spatial import cKDTree

    skin = np.unique(actor.faces[actor.material == materials.SKIN])
    gap, _ = cKDTree(actor.verts[skin]).query(actor.coarse_verts)
    assert np.mean(gap < 1e-4) > 0.25       # what is bare: its vertices are the skin's own
    reach, _ = cKDTree(actor.verts).query(actor.coarse_verts)
    assert np.percentile(reach, 99) < 0.09  # and the rest is close under cloth


def test_an_actor_is_a_mesh_that_can_be_posed(actor: Actor) -> None:
    count = len(actor.verts)
    assert actor.faces.min() >= 0 and actor.faces.max() < count <= 65536
    assert len(actor.material) == len(actor.faces)
    for rows in (actor.skin_indices, actor.skin_weights, actor.folds, actor.tint, actor.occlusion, actor.normals):
        assert len(rows) == count
    np.testing.assert_allclose(actor.skin_weights.sum(1), 1, atol=1e-5)
    assert actor.skin_indices.max() < len(actor.joint_names)
    length = np.linalg.norm(actor.normals, axis=1)
    assert np.mean(np.abs(length - 1) < 1e-3) > 0.9995     # a few corners of slivers have none
    kinds = set((actor.material % materials.GARMENT_STEP).tolist())
    assert {materials.SKIN, materials.EYE, materials.LEATHER} < kinds
    garments = set((actor.material[actor.material > materials.LEATHER] // materials.GARMENT_STEP).tolist())
    assert len(actor.cut) == len(actor.colours) == max(garments) + 1 == len(IDENTITIES[actor.name].outfit)


def test_the_skin_comes_first_and_has_a_place_in_the_texture(actor: Actor) -> None:
    skin = actor.material == materials.SKIN
    assert skin[: len(actor.face_uvs)].all() and not skin[len(actor.face_uvs) :].any()
    assert actor.face_uvs.max() < len(actor.uvs)
    corners = actor.uvs[actor.face_uvs]
    spread = np.linalg.norm(np.diff(corners, axis=1), axis=2).max(1)
    assert np.percentile(spread, 99.9) < 0.06      # triangles are whole in the texture


def test_eyes_look_ahead(actor: Actor) -> None:
    eyes = np.unique(actor.faces[actor.material == materials.EYE])
    ahead = actor.verts[eyes]
    dark = actor.tint[eyes].sum(1) < 0.01           # the pupils
    for side in (ahead[:, 0] > 0, ahead[:, 0] < 0):
        pupil, ball = ahead[side & dark].mean(0), ahead[side].mean(0)
        gaze = (pupil - ball) / np.linalg.norm(pupil - ball)
        assert gaze[2] > 0.9


def test_the_same_person_is_loaded_again_and_a_stranger_is_refused() -> None:
    assert load_actor(NAMES[0]) is load_actor(NAMES[0])
    with pytest.raises(AnrError) as refused:
        load_actor("zoe")
    assert "'zoe'" in refused.value.message
    assert refused.value.hint is not None and all(name in refused.value.hint for name in NAMES)


def test_the_people_differ_in_sex_height_skin_hair_and_clothes() -> None:
    assert len(NAMES) == 8 and set(NAMES) == set(IDENTITIES)
    people = [IDENTITIES[name] for name in NAMES]
    assert sum(person.phenotype["gender"] == 1 for person in people) == 4
    heights = [load_actor(name).height_m for name in NAMES]
    assert min(heights) < 1.56 and max(heights) > 1.90
    tones = [max(person.skin) for person in people]
    assert min(tones) < 0.3 and max(tones) > 0.93
    assert len({person.hair.style for person in people}) >= 7
    outfits = {tuple((garment.cut, garment.material) for garment in person.outfit) for person in people}
    assert len(outfits) == 8
    cuts = {garment.cut for person in people for garment in person.outfit}
    assert {"shirt", "hoodie", "collared", "trousers", "dress"} <= cuts
    assert any("opening_m" in garment.style for person in people for garment in person.outfit)
    assert any("length" in garment.style for person in people for garment in person.outfit)     # shorts


def test_all_assets_together_stay_small() -> None:
    sizes = {path.name: path.stat().st_size for path in ASSETS.iterdir()}
    assert sum(sizes.values()) < LIMIT_BYTES, sizes


def test_folds_of_moving_cloth_are_as_deep_as_real_ones() -> None:
    """6 to 10 mm: the median over the people of the 95th percentile over cloth and frames of a capture."""
    deep = []
    for name in NAMES:
        actor = load_actor(name)
        cloth = np.unique(actor.faces[actor.material > materials.LEATHER])
        pushes = []
        for pose in poses(name):
            drives = fold_drives(*posed_joints(actor.rest_joints, actor.parents, pose))
            assert (drives >= 0).all() and (drives <= 1).all()
            pushes.append(actor.folds[cloth] @ drives)
        deep.append(np.percentile(pushes, 95))
        still = fold_drives(*posed_joints(actor.rest_joints, actor.parents, poses(name)[0]))
        assert np.abs(np.array(pushes) - actor.folds[cloth] @ still).max() > 0.004      # they come and go
    assert 0.006 < np.median(deep) < 0.010, dict(zip(NAMES, deep))


def test_cloth_does_not_tear(actor: Actor) -> None:
    """Hems, skirts between the legs and flaps: hardly an edge grows to three times its length, none by 4 cm."""
    cloth = actor.faces[actor.material > materials.LEATHER]
    edges = np.unique(np.sort(np.concatenate([cloth[:, [0, 1]], cloth[:, [1, 2]], cloth[:, [2, 0]]]), axis=1), axis=0)

    def lengths(verts: np.ndarray) -> np.ndarray:
        return np.linalg.norm(verts[edges[:, 0]] - verts[edges[:, 1]], axis=1)

    rest = lengths(actor.verts)
    for pose in poses(actor.name)[::3]:
        grown = lengths(pose_actor(actor, pose)[0])
        assert np.mean(grown > 3 * np.maximum(rest, 0.003)) < 0.005
        assert (grown - rest).max() < 0.04


def test_no_skin_comes_through_cloth_in_a_capture(actor: Actor) -> None:
    """Specks of one thing wholly inside another's cloth are less than 0.1 % of a person's pixels."""
    from scipy import ndimage

    from pipelines.rasterizers.cpu import rasterize

    K = np.array([[500.0, 0, 192], [0, 500.0, 192], [0, 0, 1]])
    placed = np.diag([1.0, -1.0, -1.0, 1.0])
    placed[:3, 3] = [0, 0.95, 3.1]
    camera = Camera(K=K, width=384, height=384, world_to_camera=placed)
    specks = person = 0
    for pose in poses(actor.name)[::2]:
        face_index, _, _ = rasterize(pose_actor(actor, pose)[0], actor.faces, camera)
        seen = np.where(face_index >= 0, actor.material[np.maximum(face_index, 0)].astype(int), -1)
        person += int((seen >= 0).sum())
        for kind in set(np.unique(seen).tolist()) - {-1, materials.EYE, materials.HAIR, materials.PLAIN}:
            pieces, _ = ndimage.label(seen == kind, np.ones((3, 3)))
            for k, box in enumerate(ndimage.find_objects(pieces)):
                wide = tuple(slice(max(0, part.start - 1), part.stop + 1) for part in box)
                own = pieces[wide] == k + 1
                around = seen[wide][ndimage.binary_dilation(own, np.ones((3, 3))) & ~own]
                if own.sum() < 40 and (around > materials.LEATHER).mean() > 0.95:
                    specks += int(own.sum())
    assert person > 8 * 4000
    assert specks < 0.001 * person


@given(arrays(np.int16, st.tuples(st.integers(1, 30), st.integers(1, 4))))
def test_packed_rows_come_back(rows: np.ndarray) -> None:
    planes = packed_rows(rows)
    assert planes.dtype == np.uint8 and planes.shape == (2, rows.shape[1], rows.shape[0])
    np.testing.assert_array_equal(unpacked_rows(planes), rows)


@given(arrays(np.uint16, st.tuples(st.integers(1, 30), st.just(3))))
def test_packed_faces_come_back(faces: np.ndarray) -> None:
    np.testing.assert_array_equal(unpacked_faces(packed_faces(faces)), faces)


def test_rows_to_pack_are_a_table() -> None:
    with pytest.raises(ValueError, match=r"\(5,\)"):
        packed_rows(np.zeros(5, np.int16))


def test_stored_folds_reach_as_far_as_the_scale(actor: Actor) -> None:
    steps = actor.folds / FOLD_SCALE_M
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-2)
    assert actor.folds.min() >= 0 and actor.folds.max() < 0.040


def test_every_cloth_has_a_pattern_and_a_colour(actor: Actor) -> None:
    from pipelines.studio.cloth import cloth_colour

    rows = np.flatnonzero(actor.material > materials.LEATHER)[::97]
    tones: dict[int, list[tuple[float, float, float]]] = {}
    for t in rows:
        x, y, z = actor.verts[actor.faces[t]].mean(0).tolist()
        side = float(actor.normals[actor.faces[t], 2].mean())
        colour = cloth_colour(int(actor.material[t]), x, y, z, side, actor.cut, actor.leg, actor.colours,
                              actor.print_front, actor.print_back)
        assert np.isfinite(colour).all() and min(colour) >= 0 and max(colour) < 1.5
        tones.setdefault(int(actor.material[t]), []).append(colour)
    for material, seen in tones.items():
        assert (np.std(seen, axis=0) / np.mean(seen, axis=0)).max() > 0.015, material      # no cloth is one flat colour
