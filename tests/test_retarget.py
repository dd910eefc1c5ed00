"""Motions on our body: limbs point as the actor's do, feet stand on the floor, our own motions come back unchanged."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.body.model import Body, betas_for_height, load_body, pose_sequence, sequence_frames
from pipelines.core.errors import AnrError
from pipelines.core.records import Motion
from pipelines.geometry.rotations import rotation_from_vector
from pipelines.motion.bvh import BvhFile, read_bvh, write_bvh
from pipelines.motion.grounding import lowest_points
from pipelines.motion.jointmap import match_joints
from pipelines.motion.retarget import Retargeted, limb_errors_deg, retarget, retarget_fully
from pipelines.motion.timing import frame_range, resample

SHAPE = np.zeros(10)


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body()


@cache
def retargeted(path: Path) -> Retargeted:
    return retarget_fully(read_bvh(path), load_body(), SHAPE)


def joints_of(motion: Motion, body: Body, betas: np.ndarray = SHAPE) -> np.ndarray:
    return pose_sequence(body, betas, motion.joint_rotations, motion.root_translation)


def march(body: Body, frames: int = 30) -> Motion:
    """Arms and legs swinging, a step forward: nothing symmetric, nothing degenerate."""
    at = np.arange(frames) / frames * 2 * np.pi
    vectors = np.zeros((frames, len(body.joint_names), 3))
    for name, axis, size, phase in (("upperleg01.L", 0, 0.5, 0), ("upperleg01.R", 0, 0.5, 3),
                                    ("lowerleg01.L", 0, 0.6, 1), ("lowerleg01.R", 0, 0.6, 4),
                                    ("upperarm01.L", 0, 0.6, 3), ("upperarm01.R", 2, 0.6, 0),
                                    ("lowerarm01.L", 1, 0.5, 0), ("spine03", 1, 0.1, 0), ("head", 1, 0.3, 1)):
        vectors[:, body.joint_names.index(name), axis] = size * (0.6 + 0.5 * np.sin(at + phase))
    root = np.stack([0.02 * np.sin(at), body.rest_joints[0, 1] + 0.02 * np.cos(at), 0.03 * np.arange(frames)], axis=1)
    return Motion(rotation_from_vector(vectors), root - root[0] * [1, 0, 1], 24.0)


def write_ours(path: Path, body: Body, motion: Motion, names: tuple[str, ...] | None = None) -> None:
    above = np.where(body.parents[:, None] >= 0, body.rest_joints[np.maximum(body.parents, 0)], 0.0)
    write_bvh(path, names or body.joint_names, body.parents, body.rest_joints - above, motion)


def test_a_motion_of_our_own_skeleton_comes_back_as_it_was(body: Body, tmp_path: Path) -> None:
    motion = march(body)
    write_ours(tmp_path / "a.bvh", body, motion)
    again = retarget(read_bvh(tmp_path / "a.bvh"), body, SHAPE)
    np.testing.assert_allclose(joints_of(again, body), joints_of(motion, body), atol=1e-6)
    assert abs(again.fps - motion.fps) < 1e-6


def test_our_own_motion_fits_a_taller_person(body: Body, tmp_path: Path) -> None:
    write_ours(tmp_path / "a.bvh", body, march(body))
    tall = betas_for_height(body, 1.95)
    motion = retarget(read_bvh(tmp_path / "a.bvh"), body, tall)
    lowest = lowest_points(motion, body, tall)
    assert lowest.min() > -1e-6 and np.median(lowest) < 0.02


RENAMED = {"root": "Hips", "head": "Head", "neck01": "Neck", "spine03": "Spine", "spine01": "Spine1",
           **{f"{ours}.{s}": f"{side}{theirs}" for s, side in (("L", "Left"), ("R", "Right"))
              for ours, theirs in (("upperleg01", "UpLeg"), ("lowerleg01", "Leg"), ("foot", "Foot"),
                                   ("upperarm01", "Arm"), ("lowerarm01", "ForeArm"), ("wrist", "Hand"))}}


def test_our_skeleton_under_foreign_names_keeps_every_limb_in_place(body: Body, tmp_path: Path) -> None:
    """The general path, with the truth known: same skeleton, but nothing gives that away."""
    motion = march(body)
    names = tuple(RENAMED.get(name, f"x{j}") for j, name in enumerate(body.joint_names))
    write_ours(tmp_path / "a.bvh", body, motion, names)
    again = retarget(read_bvh(tmp_path / "a.bvh"), body, SHAPE)
    ours, truth = joints_of(again, body), joints_of(motion, body)
    for name in ("lowerleg01.L", "foot.R", "lowerarm01.L", "wrist.L", "wrist.R", "head"):
        j = body.joint_names.index(name)
        error_m = np.linalg.norm((ours - ours[:, :1])[:, j] - (truth - truth[:, :1])[:, j], axis=-1)
        assert error_m.max() < 0.03, name


def shared_motions(shared_data: Path) -> list[Path]:
    return [*sorted(shared_data.glob("bvh/*.bvh")), shared_data / "bvh_odd" / "mixed_orders_per_joint.bvh"]


def test_limbs_point_as_the_actors_do_before_feet_are_locked(shared_data: Path, body: Body) -> None:
    for path in shared_motions(shared_data):
        result = retargeted(path)
        for limb, error in limb_errors_deg(result, body, joints_of(result.free, body)).items():
            assert error.max() < (2.0 if limb.startswith("hand") else 0.1), f"{path.name} {limb}"


def test_people_stand_upright_on_the_floor_and_start_facing_forward(shared_data: Path, body: Body) -> None:
    for path in shared_motions(shared_data):
        motion = retargeted(path).motion
        joints = joints_of(motion, body)
        head, hips = body.joint_names.index("head"), body.joint_names.index("root")
        upright = (joints[:, head, 1] > joints[:, hips, 1] + 0.3).mean()
        assert upright > (0.4 if "mocapbank" in path.name else 0.99), path.name    # that one bends to the floor
        lowest = lowest_points(motion, body, SHAPE)
        assert lowest.min() > -1e-6, path.name
        assert np.percentile(lowest, 20) < 0.015, path.name
        facing = motion.joint_rotations[0, 0] @ [0, 0, 1]
        assert facing[2] > 0.85, path.name
        np.testing.assert_allclose(motion.root_translation[0, [0, 2]], 0, atol=1e-9)


def test_left_stays_left(shared_data: Path, body: Body) -> None:
    for path in shared_motions(shared_data):
        joints = joints_of(retargeted(path).motion, body)
        across = joints[0, body.joint_names.index("upperleg01.L")] - joints[0, body.joint_names.index("upperleg01.R")]
        assert across[0] > 0.1, path.name


def test_calibration_frames_are_left_out(shared_data: Path) -> None:
    path = shared_data / "bvh" / "cmu_12_01_walk.bvh"
    assert len(retargeted(path).motion.joint_rotations) == read_bvh(path).frame_count - 1
    assert retargeted(path).reference == "frame 0"


def test_elbows_and_knees_bend_about_their_own_hinge(shared_data: Path, body: Body) -> None:
    """Twist is right when a bent joint's axis lies in our bone where it lies at rest: knees back, elbows as ours."""
    at = {name: body.rest_joints[body.joint_names.index(name)] for name in body.joint_names}
    for path in shared_motions(shared_data):
        motion = retargeted(path).motion
        frames, joints = sequence_frames(body, SHAPE, motion.joint_rotations, motion.root_translation)
        for side in "LR":
            elbow_axis = np.cross(at[f"lowerarm01.{side}"] - at[f"upperarm01.{side}"],
                                  at[f"wrist.{side}"] - at[f"lowerarm01.{side}"])
            for chain, axis in ((("upperleg01", "lowerleg01", "foot"), np.array([1.0, 0, 0])),
                                (("upperarm01", "lowerarm01", "wrist"), elbow_axis / np.linalg.norm(elbow_axis))):
                a, b, c = (body.joint_names.index(f"{name}.{side}") for name in chain)
                bend = np.cross(joints[:, b] - joints[:, a], joints[:, c] - joints[:, b])
                lengths = np.linalg.norm(joints[:, b] - joints[:, a], axis=1) * np.linalg.norm(
                    joints[:, c] - joints[:, b], axis=1)
                bent = np.linalg.norm(bend, axis=1) / lengths > np.sin(np.radians(40))
                if bent.sum() < 5:
                    continue
                own = np.einsum("fba,fb->fa", frames[bent, a], bend[bent])
                along = own @ axis / np.linalg.norm(own, axis=1)
                assert np.median(along) > 0.85, f"{path.name} {chain[1]}.{side}: {np.median(along):.2f}"


def test_skeletons_without_limbs_are_refused_by_name(shared_data: Path, body: Body) -> None:
    with pytest.raises(AnrError, match=r"no joint that is known as hip\.L.*it has: base, child1"):
        retarget(read_bvh(shared_data / "bvh_odd" / "no_end_sites.bvh"), body, SHAPE)


def test_a_limb_without_length_is_refused(body: Body, tmp_path: Path) -> None:
    write_ours(tmp_path / "a.bvh", body, march(body), tuple(RENAMED.get(n, n + "x") for n in body.joint_names))
    bvh = read_bvh(tmp_path / "a.bvh")
    offsets = bvh.offsets.copy()
    offsets[bvh.joint_names.index("LeftLeg")] = offsets[bvh.joint_names.index("upperleg02.Lx")] = 0
    with pytest.raises(AnrError, match="from LeftUpLeg to LeftLeg has no length"):
        retarget(replace(bvh, offsets=offsets), body, SHAPE)


def test_a_single_frame_is_a_motion_too(shared_data: Path, body: Body) -> None:
    bvh = read_bvh(shared_data / "bvh" / "mixamo_freebvh.bvh")
    motion = retarget(replace(bvh, values=bvh.values[20:21]), body, SHAPE)
    assert len(motion.joint_rotations) == 1 and abs(lowest_points(motion, body, SHAPE)[0]) < 1e-6
    assert len(resample(motion, 24.0).joint_rotations) == 1


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_wild_skeletons_and_angles_give_finite_motions_or_an_explanation(body: Body, seed: int) -> None:
    chance = np.random.default_rng(seed)
    names = [*RENAMED.values()]
    parts = {name: k for k, name in enumerate(names)}
    above = {"Hips": -1, "Head": parts["Neck"], "Neck": parts["Spine1"], "Spine": 0, "Spine1": parts["Spine"]}
    for side in ("Left", "Right"):
        above |= {f"{side}UpLeg": 0, f"{side}Leg": parts[f"{side}UpLeg"], f"{side}Foot": parts[f"{side}Leg"],
                  f"{side}Arm": parts["Spine1"], f"{side}ForeArm": parts[f"{side}Arm"],
                  f"{side}Hand": parts[f"{side}ForeArm"]}
    order = ["Hips", "Spine", "Spine1", "Neck", "Head",
             *(f"{s}{p}" for s in ("Left", "Right") for p in ("UpLeg", "Leg", "Foot", "Arm", "ForeArm", "Hand"))]
    parents = np.array([-1 if above[n] < 0 else order.index(names[above[n]]) for n in order])
    channels = (("Xposition", "Yposition", "Zposition", "Zrotation", "Xrotation", "Yrotation"),
                *((("Zrotation", "Xrotation", "Yrotation"),) * (len(order) - 1)))
    offsets = chance.normal(0, 1, (len(order), 3)) * 10.0 ** chance.integers(-3, 4)
    offsets[chance.random(len(order)) < 0.1] = 0.0
    values = chance.normal(0, 90, (int(chance.integers(1, 6)), 3 + 3 * len(order)))
    try:
        motion = retarget(BvhFile(tuple(order), parents, offsets, channels, (), values, 0.04), body, SHAPE)
    except AnrError:
        return
    assert np.isfinite(motion.joint_rotations).all() and np.isfinite(motion.root_translation).all()
    identity = np.swapaxes(motion.joint_rotations, -1, -2) @ motion.joint_rotations
    np.testing.assert_allclose(identity, np.broadcast_to(np.eye(3), identity.shape), atol=1e-6)


def test_a_file_without_rotations_is_refused(body: Body) -> None:
    bvh = BvhFile(("Hips",), np.array([-1]), np.zeros((1, 3)), (("Xposition",),), (), np.zeros((2, 1)), 0.04)
    with pytest.raises(AnrError, match="no rotations"):
        retarget(bvh, body, SHAPE)


@pytest.mark.parametrize("style", ["mixamorig:{S}{p}", "{S}{p}", "{p}_{s}", "{p}.{s}", "Bip01 {s} {p}", "{s}{p}"])
def test_names_of_many_programs_are_known(style: str) -> None:
    parts = ("UpLeg", "Leg", "Foot", "Arm", "ForeArm", "Hand") if "{S}" in style else \
        ("Thigh", "Calf", "Foot", "UpperArm", "Forearm", "Hand")
    names = ["Hips", *(style.format(S=long, s=long[0], p=part) for long in ("Left", "Right") for part in parts)]
    parents = np.array([-1, *([0, 1, 2, 0, 4, 5]), *([0, 7, 8, 0, 10, 11])])
    bvh = BvhFile(tuple(names), parents, np.ones((13, 3)), (("Xrotation",),) * 13, (), np.zeros((1, 13)), 0.04)
    found = match_joints(bvh).joints
    assert names[found["knee.L"]] == names[2] and names[found["elbow.R"]] == names[11]


def test_resampling_keeps_what_lies_on_the_grid(body: Body) -> None:
    motion = march(body, frames=25)
    faster = resample(motion, 48.0)
    np.testing.assert_allclose(faster.joint_rotations[::2], motion.joint_rotations, atol=1e-9)
    np.testing.assert_allclose(faster.root_translation[1], motion.root_translation[:2].mean(axis=0), atol=1e-9)
    assert len(resample(motion, 12.0).root_translation) == 13
    same = resample(motion, 24.003)
    assert same.fps == 24.003 and len(same.root_translation) == 25


def test_ranges_of_frames() -> None:
    assert frame_range("", 5) == range(5)
    assert frame_range("2:100", 5) == range(2, 5) and frame_range(":3", 5) == range(3)
    for wrong in ("7:9", "3:3", "a:b", "4", "-2:4"):
        with pytest.raises(AnrError, match="--frames"):
            frame_range(wrong, 5)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_absurd_numbers_in_a_real_file_give_finite_motions_or_an_explanation(
        shared_data: Path, body: Body, seed: int) -> None:
    chance = np.random.default_rng(seed)
    bvh = read_bvh(shared_data / "bvh" / "mixamo_freebvh.bvh")
    offsets, values = bvh.offsets.copy(), bvh.values[:6].copy()
    for table in (offsets, values):
        for _ in range(int(chance.integers(0, 4))):
            table[tuple(chance.integers(table.shape))] = chance.choice([0.0, 1e308, -1e308, 1e15, 1e-300, 1e9])
    with np.errstate(all="ignore"):
        try:
            motion = retarget(replace(bvh, offsets=offsets, values=values), body, SHAPE)
        except AnrError:
            return
    assert np.isfinite(motion.joint_rotations).all() and np.isfinite(motion.root_translation).all()
