"""Planted feet: they stay, nothing goes through the floor, knees bend forwards, nothing pops."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.body.model import Body, betas_for_height, load_body, pose_sequence, sequence_frames
from pipelines.core.records import Motion
from pipelines.geometry.rotations import rotation_from_vector
from pipelines.motion.bvh import read_bvh
from pipelines.motion.contacts import SLIDES_M, contacts_of, standing, touching
from pipelines.motion.grounding import grounded, lowest_points
from pipelines.motion.legs import STRETCH, lowering, put_ankle, reach_of
from pipelines.motion.retarget import Retargeted, figures_of, limb_errors_deg, retarget_fully
from pipelines.motion.rig import Rig, relative
from pipelines.motion.soles import feet_of, levelled, resting_tilts

SHAPE = np.zeros(10)
HUMAN = ("blender_walk01", "cmu1_jumping_jacks", "cmu_12_01_walk", "fair1_wave_hello", "mixamo_freebvh",
         "mocapbank_crlf", "pymo_AV_8Walk", "rokoko_jesse_dance")


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body()


@cache
def retargeted(path: Path) -> Retargeted:
    return retarget_fully(read_bvh(path), load_body(), SHAPE)


def joints_of(motion: Motion, body: Body) -> np.ndarray:
    return pose_sequence(body, SHAPE, motion.joint_rotations, motion.root_translation)


@pytest.mark.parametrize("name", HUMAN)
def test_standing_feet_do_not_skate_and_nothing_is_under_the_floor(shared_data: Path, body: Body, name: str) -> None:
    result = retargeted(shared_data / "bvh" / f"{name}.bvh")
    figures = figures_of(result, body, SHAPE)
    assert figures["contacts"] >= 4 and figures["skate_max_mm"] < 5.0
    assert figures["limb_error_deg"] < 0.1 and figures["hand_error_deg"] < 1.0
    assert figures["limb_error_locked_mean_deg"] < 5.0 and figures["limb_error_locked_deg"] < 20.0
    assert lowest_points(result.motion, body, SHAPE).min() > -1e-6
    for contact in result.contacts:
        assert contact.stop - contact.start >= 0.08 * result.motion.fps - 1


@pytest.mark.parametrize("name", HUMAN)
def test_locking_feet_moves_nothing_above_the_hips_and_pops_nowhere(shared_data: Path, body: Body, name: str) -> None:
    result = retargeted(shared_data / "bvh" / f"{name}.bvh")
    before, after = joints_of(result.free, body), joints_of(result.motion, body)
    for limb, error in limb_errors_deg(result, body, after).items():
        if limb.split(".")[0] in ("upper arm", "forearm", "hand"):
            assert error.max() < 1.0, limb
    legs = [body.joint(f"{joint}.{side}") for joint in ("foot", "lowerleg01", "upperleg01") for side in "LR"]

    def most(joints: np.ndarray) -> float:
        """m/s^2"""
        return float(np.linalg.norm(np.diff(joints[:, legs], 2, axis=0), axis=-1).max()) * result.motion.fps**2

    assert most(after) < 1.7 * most(before) + 10.0


@pytest.mark.parametrize("name", HUMAN)
def test_knees_never_bend_backwards(shared_data: Path, body: Body, name: str) -> None:
    motion = retargeted(shared_data / "bvh" / f"{name}.bvh").motion
    frames, places = sequence_frames(body, SHAPE, motion.joint_rotations, motion.root_translation)
    for side in "LR":
        hip, knee, ankle = (places[:, body.joint(f"{joint}.{side}")] for joint in ("upperleg01", "lowerleg01", "foot"))
        bend = np.cross(knee - hip, ankle - knee)
        own = np.einsum("fab,b->fa", frames[:, body.joint(f"upperleg01.{side}")], np.array([1.0, 0.0, 0.0]))
        lengths = np.linalg.norm(knee - hip, axis=1) * np.linalg.norm(ankle - knee, axis=1)
        assert ((bend * own).sum(axis=1) / lengths).min() > -0.03, side      # two degrees


def test_feet_stay_on_a_short_and_on_a_tall_body(shared_data: Path, body: Body) -> None:
    bvh = read_bvh(shared_data / "bvh" / "mixamo_freebvh.bvh")
    for height_m in (1.45, 2.0):
        betas = betas_for_height(body, height_m)
        result = retarget_fully(bvh, body, betas)
        assert max(contact.skate_mm for contact in result.contacts) < 5.0
        assert lowest_points(result.motion, body, betas).min() > -1e-6


def test_a_dancer_without_a_calibration_pose_stands_on_level_soles(shared_data: Path, body: Body) -> None:
    """Rokoko's file has no standing pose; its feet are taken as level where they stand."""
    result = retargeted(shared_data / "bvh" / "rokoko_jesse_dance.bvh")
    frames, _ = sequence_frames(body, SHAPE, result.motion.joint_rotations, result.motion.root_translation)
    flat = [c for c in result.contacts if c.point == "heel"]
    assert flat
    for contact in flat:
        up = frames[contact.start:contact.stop, body.joint(f"foot.{contact.side}"), 1, 1]
        assert np.degrees(np.arccos(up)).max() < 15


def test_grounding_again_changes_little(shared_data: Path, body: Body) -> None:
    once = retargeted(shared_data / "bvh" / "mixamo_freebvh.bvh").motion
    twice = grounded(once, body, SHAPE)
    assert np.abs(joints_of(twice.motion, body) - joints_of(once, body)).max() < 0.03
    assert twice.skate_mm.max() < 5.0


def test_a_body_that_slides_while_standing_is_held(body: Body) -> None:
    """Standing still on a floor that drifts 4 cm and back: both feet stay, the hips sway."""
    frames = 90
    rotations = np.tile(np.eye(3), (frames, len(body.joint_names), 1, 1))
    bent = rotation_from_vector(np.array([-0.25, 0.0, 0.0]))
    for side in "LR":
        rotations[:, body.joint(f"upperleg01.{side}")] = bent
        rotations[:, body.joint(f"lowerleg01.{side}")] = bent.T @ bent.T
        rotations[:, body.joint(f"foot.{side}")] = bent
    sway = 0.02 * np.sin(np.arange(frames) / frames * 2 * np.pi)
    root = np.stack([sway, np.full(frames, 0.9), np.zeros(frames)], axis=1)
    result = grounded(Motion(rotations, root, 30.0), body, SHAPE)
    assert len(result.contacts) == 4 and result.skate_mm.max() < 1.0
    assert all(contact.stop - contact.start == frames for contact in result.contacts)
    assert np.ptp(result.motion.root_translation[:, 0]) > 0.03


def bent_legs(body: Body, seed: int) -> tuple[np.ndarray, np.ndarray, Rig]:
    chance = np.random.default_rng(seed)
    vectors = np.zeros((6, len(body.joint_names), 3))
    for side in "LR":
        vectors[:, body.joint(f"upperleg01.{side}")] = chance.normal(0, 0.4, (6, 3)) - [0.5, 0, 0]
        vectors[:, body.joint(f"lowerleg01.{side}"), 0] = chance.uniform(0.3, 1.5, 6)
        vectors[:, body.joint(f"foot.{side}")] = chance.normal(0, 0.2, (6, 3))
    return *sequence_frames(body, SHAPE, rotation_from_vector(vectors), np.zeros((6, 3))), Rig.of(body, SHAPE)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_an_ankle_goes_where_it_is_put_and_the_knee_keeps_its_plane(body: Body, seed: int) -> None:
    rotations, places, rig = bent_legs(body, seed)
    foot, knee, hip = (body.joint(f"{joint}.L") for joint in ("foot", "lowerleg01", "upperleg01"))
    target = places[:, foot] + np.random.default_rng(seed + 1).normal(0, 0.04, (6, 3))
    reach = reach_of(places[:, hip], places[:, foot], rig, "L", np.ones(6))
    turned = put_ankle(rotations, places, target, reach, rig, "L")
    after = pose_sequence(body, SHAPE, relative(turned, body.parents), places[:, 0])
    reachable = np.linalg.norm(target - places[:, hip], axis=1) <= reach
    np.testing.assert_allclose(after[reachable][:, foot], target[reachable], atol=1e-9)
    np.testing.assert_allclose(turned[:, foot], rotations[:, foot], atol=1e-12)          # the foot keeps its turn
    np.testing.assert_array_equal(turned[:, body.joint("foot.R")], rotations[:, body.joint("foot.R")])

    def plane(joints: np.ndarray) -> np.ndarray:
        normal = np.cross(joints[:, knee] - joints[:, hip], joints[:, foot] - joints[:, knee])
        return normal / np.linalg.norm(normal, axis=1, keepdims=True)

    assert ((plane(after) * plane(places)).sum(axis=1) > 0.9).all()


def test_an_ankle_put_where_it_is_turns_nothing(body: Body) -> None:
    rotations, places, rig = bent_legs(body, 5)
    foot, hip = body.joint("foot.R"), body.joint("upperleg01.R")
    reach = reach_of(places[:, hip], places[:, foot], rig, "R", np.zeros(6))
    np.testing.assert_allclose(put_ankle(rotations, places, places[:, foot], reach, rig, "R"), rotations, atol=1e-9)


def test_a_leg_reaches_as_far_as_it_can_and_hips_come_down_for_the_rest(body: Body) -> None:
    rotations, places, rig = bent_legs(body, 7)
    foot, hip = body.joint("foot.L"), body.joint("upperleg01.L")
    far = places[:, hip] + [0.2, -1.0, 0.1]
    reach = reach_of(places[:, hip], places[:, foot], rig, "L", np.ones(6))
    np.testing.assert_allclose(reach, STRETCH * rig.leg_length(), rtol=0.01)
    after = pose_sequence(body, SHAPE, relative(put_ankle(rotations, places, far, reach, rig, "L"), body.parents),
                          places[:, 0])
    np.testing.assert_allclose(np.linalg.norm(after[:, foot] - after[:, hip], axis=1), reach, rtol=1e-6)
    down = lowering(places[:, hip], far, reach)
    assert (down > 0).all()
    lowered = places[:, hip] - down[:, None] * [0, 1, 0]
    np.testing.assert_allclose(np.linalg.norm(far - lowered, axis=1), reach, rtol=1e-9)
    assert not lowering(places[:, hip], places[:, foot], reach).any()


def test_contacts_begin_low_and_slow_and_end_later_than_they_would_begin() -> None:
    """Hysteresis: a point that trembles between the two heights keeps standing; one that was higher does not land."""
    height = np.full(120, 0.1)
    height[20:40] = 0.01
    height[40:80] = 0.03 + 0.002 * np.sin(np.arange(40))         # between landing (0.025) and leaving (0.035)
    places = np.stack([np.zeros(120), height, np.zeros(120)], axis=1)
    stands = touching(places, fps=60.0)
    assert stands[25:75].all() and not stands[:18].any() and not stands[84:].any()
    height[20:40] = 0.1
    assert not touching(np.stack([np.zeros(120), height, np.zeros(120)], axis=1), fps=60.0)[45:80].any()


def test_what_slides_does_not_stand() -> None:
    fast, slow = (np.stack([speed * np.arange(120) / 60.0, np.zeros(120), np.zeros(120)], axis=1)
                  for speed in (0.8, 0.2))
    assert not touching(fast, fps=60.0).any()
    pieces = contacts_of(np.repeat(touching(slow, fps=60.0)[:, None], 2, axis=1), np.repeat(slow[:, None], 2, axis=1),
                         "L")
    assert pieces and all(1e-3 * piece.skate_mm <= SLIDES_M + 0.005 for piece in pieces)


def test_skate_is_the_largest_distance_within_a_contact() -> None:
    places = np.zeros((10, 2, 3))
    places[3:7, 0, 0] = [0.0, 0.003, 0.0, -0.001]
    places[3:7, 0, 1] = 5.0                                       # heights do not count
    stands = np.zeros((10, 2), bool)
    stands[3:7, 0] = True
    (contact,) = contacts_of(stands, places, "R")
    assert (contact.side, contact.point, contact.start, contact.stop) == ("R", "heel", 3, 7)
    assert abs(contact.skate_mm - 4.0) < 0.01


def test_a_foot_rolls_over_heel_and_toes(body: Body) -> None:
    """Heel first, then flat, then the toes: both ends of the roll stand, and not longer than they stay."""
    foot = feet_of(body, SHAPE)[0]
    pitch = np.interp(np.arange(60), [0, 15, 40, 59], [-0.4, 0.0, 0.0, 0.5])
    turned = rotation_from_vector(np.stack([pitch, np.zeros(60), np.zeros(60)], axis=1))
    ankle = np.stack([np.zeros(60), foot.clearance(turned), np.zeros(60)], axis=1)
    held = np.where(np.arange(60) < 20, 0, 1)             # rolling about the heel, then about the toes
    points = np.einsum("fab,pb->fpa", turned, foot.points)
    ankle[:, ::2] -= points[np.arange(60), held][:, ::2]
    ankle[20:, ::2] += (points[20, 1] - points[20, 0])[::2]
    stands = standing(foot.places(turned, ankle), 60.0)
    assert stands[2:40, 0].all() and not stands[50:, 0].any()
    assert stands[20:56, 1].all() and not stands[:5, 1].any()


def test_a_foot_through_the_floor_is_tilted_out_of_it(body: Body) -> None:
    foot = feet_of(body, SHAPE)[1]
    tilted = np.tile(rotation_from_vector(np.array([0.4, 0.3, 0.0])), (8, 1, 1))
    ankle = np.tile([0.0, 0.10, 0.0], (8, 1))             # the toes would be 4 cm under the floor
    assert foot.clearance(tilted)[0] > 0.13
    free = levelled(tilted, ankle, foot, np.zeros((8, 2), bool), 30.0)
    assert abs(foot.clearance(free)[0] - 0.10) < 1e-3
    heading = np.arctan2(free[0, 0, 2], free[0, 2, 2])
    assert abs(heading - np.arctan2(tilted[0, 0, 2], tilted[0, 2, 2])) < 0.02


def test_a_foot_that_always_stands_crooked_is_taken_as_level() -> None:
    crooked = rotation_from_vector(np.array([0.15, 0.0, 0.1]))
    rotations = np.tile(crooked, (50, 2, 1, 1))
    ankles = np.zeros((50, 2, 3))
    tilts = resting_tilts(rotations, ankles, 30.0, known_rest=True)
    np.testing.assert_allclose((crooked @ tilts[0])[1], [0, 1, 0], atol=1e-9)
    tiptoe = np.tile(rotation_from_vector(np.array([0.7, 0.0, 0.0])), (50, 2, 1, 1))
    np.testing.assert_array_equal(resting_tilts(tiptoe, ankles, 30.0, known_rest=True), np.stack([np.eye(3)] * 2))
