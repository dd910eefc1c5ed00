"""Bad input of the fit (units, heights, limbs never seen); hands, floor, focal length, clothes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fit_helpers import CAMERA, UPRIGHT, clip_of, seen, some_model, standing
from scipy.spatial.transform import Rotation

from pipelines.core.errors import AnrError
from pipelines.core.records import BodyFit, Landmarks
from pipelines.fit import FitOptions, check
from pipelines.fitting.anatomy import LANDMARKS
from pipelines.fitting.checks import check_depth, check_height, never_seen
from pipelines.fitting.floor import find_floor, touching
from pipelines.fitting.focal import with_focal
from pipelines.fitting.hands import (
    LEAST_BENT_RAD,
    MOST_BENT_RAD,
    MOST_SPREAD_RAD,
    THUMB_BENT_RAD,
    bend_fingers,
    finger_turns,
    palm_directions,
    thumb_turns,
)
from pipelines.fitting.hands import Hands as SeenHands
from pipelines.fitting.model import Model
from pipelines.fitting.overlay import residual_colours
from pipelines.fitting.solver import focal_told_by


@pytest.fixture(scope="module")
def model() -> Model:
    return some_model()


@pytest.mark.parametrize(("factor", "words"), [(1000.0, "millimetres read as metres"),
                                               (0.001, "metres read as millimetres"), (0.1, "ten times too small")])
def test_depth_in_another_unit_is_refused(model: Model, factor: float, words: str) -> None:
    marks = [seen(model, standing(model))] * 5
    depth = np.full((CAMERA.height, CAMERA.width), 3.0 * factor, np.float32)
    with pytest.raises(AnrError, match=words):
        check_depth(lambda row: depth, marks, np.ones(5, bool), CAMERA)
    check_depth(lambda row: depth / factor, marks, np.ones(5, bool), CAMERA)


@pytest.mark.parametrize("nothing", [0.0, np.nan])
def test_empty_depth_is_refused(model: Model, nothing: float) -> None:
    marks = [seen(model, standing(model))] * 3
    depth = np.full((CAMERA.height, CAMERA.width), nothing, np.float32)
    with pytest.raises(AnrError, match=r"no reading on the person in any of 3 frames") as caught:
        check_depth(lambda row: depth, marks, np.ones(3, bool), CAMERA)
    assert "--no-depth" in str(caught.value.hint)


def test_absurd_heights_are_refused() -> None:
    for height in (0.6, 17.5, float("nan")):
        with pytest.raises(AnrError, match=r"not one the body can have"):
            check_height(height)
    check_height(1.62)
    check_height(None)


def test_limbs_never_in_the_picture_are_named(model: Model) -> None:
    marks = [seen(model, standing(model))] * 4
    low = [Landmarks(m.pixels + np.array([0.0, 150.0]), m.confidence, m.world_m) for m in marks]
    assert never_seen(marks, np.ones(4, bool), CAMERA) == []
    absent = never_seen(low, np.ones(4, bool), CAMERA)
    assert absent == ["left knee", "right knee", "left ankle", "right ankle"]


def test_options_that_name_nothing_are_refused() -> None:
    with pytest.raises(AnrError, match=r"There is no --clothes 'loose'"):
        check(FitOptions(clothes="loose"))
    with pytest.raises(AnrError, match=r"--smooth 9 is out of range"):
        check(FitOptions(smooth=9.0))
    check(FitOptions())


def test_the_floor_is_found_under_the_soles(model: Model) -> None:
    tilt = np.array([[1, 0, 0], [0, np.cos(0.05), -np.sin(0.05)], [0, np.sin(0.05), np.cos(0.05)]])
    floor = np.append(tilt @ [0, -1.0, 0], 1.2)
    states = []
    for k in range(30):
        state = standing(model, 0.2 * k)
        turned = type(state)(state.angles, tilt @ UPRIGHT @ UPRIGHT.T @ state.turn, np.array([0.3 * np.sin(k), 0, 3.0]))
        lowest = (model.surface(turned)[0][model.soles].reshape(-1, 3) @ floor[:3]).min() + floor[3]
        states.append(type(state)(turned.angles, turned.turn, turned.place - lowest * floor[:3]))
    soles = np.array([model.surface(state)[0][model.soles] for state in states])
    found = find_floor(soles, states, np.ones(30))
    assert found is not None
    assert np.degrees(np.arccos(found[:3] @ floor[:3])) < 2.5
    assert np.abs((soles @ found[:3] + found[3]).min(axis=(1, 2))).max() < 0.03
    assert touching(soles[0], found).any(axis=1).all()       # both feet
    raised = soles[0] - np.array([[[0.0] * 3], [[0.0, 0.3, 0.0]]])
    assert touching(raised, found)[0].any() and not touching(raised, found)[1].any()
    assert find_floor(soles, states, np.zeros(30)) is None


def test_fingers_bend_as_the_hand_does(model: Model) -> None:
    body = model.anatomy.body
    state = standing(model)
    pose = model.pose(state)
    names = [f"finger{finger}-{part}.L" for finger in range(1, 6) for part in range(1, 4)]
    joints = [body.joint(name) for name in names]
    bent = pose.joint_rotations.copy()
    at = {name: model.rig.rest[body.joint(f"{name}.L")] for name in ("wrist", "finger2-1", "finger3-1", "finger5-1")}
    across, ahead = at["finger2-1"] - at["finger5-1"], at["finger3-1"] - at["wrist"]
    across = across - ahead * (across @ ahead) / (ahead @ ahead)
    from pipelines.geometry.rotations import rotation_from_vector

    for name, joint in zip(names, joints):
        if not name.startswith("finger1"):
            bent[joint] = rotation_from_vector(-0.7 * across / np.linalg.norm(across))    # the left hand closes
    from pipelines.body.model import sequence_frames

    frames, places = sequence_frames(body, model.betas, bent[None], state.place[None])
    hand = np.zeros((21, 3))
    hand[0] = places[0, body.joint("wrist.L")]
    for finger in range(5):
        ends = joints[3 * finger:3 * finger + 3]
        hand[1 + 4 * finger:4 + 4 * finger] = places[0, ends]
        tip = frames[0, ends[2]] @ (model.rig.rest[ends[2]] - model.rig.rest[ends[1]])
        hand[4 + 4 * finger] = places[0, ends[2]] + tip
    F = 5
    fit = BodyFit(model.betas, np.array(body.joint_names), np.arange(F), np.tile(pose.joint_rotations, (F, 1, 1, 1)),
                  np.tile(state.place, (F, 1)), np.tile(model.joints(state), (F, 1, 1)), np.ones(F), np.ones(F),
                  np.ones(F, bool))
    world = np.tile(hand, (F, 2, 1, 1))
    sure = np.tile([0.9, 0.0], (F, 1))
    after = bend_fingers(body, fit, world, sure, np.arange(F) / 25.0, 0.08)
    right = [body.joint(name.replace(".L", ".R")) for name in names]
    np.testing.assert_array_equal(after.joint_rotations[:, right], fit.joint_rotations[:, right])
    tips = [joints[k] for k in (5, 8, 11, 14)]
    assert np.linalg.norm(fit.joints_m[2, tips] - places[0, tips], axis=1).min() > 0.02
    assert np.linalg.norm(after.joints_m[2, tips] - places[0, tips], axis=1).max() < 0.004
    nobody = bend_fingers(body, fit, world, np.zeros((F, 2)), np.arange(F) / 25.0, 0.08)
    np.testing.assert_array_equal(nobody.joint_rotations, fit.joint_rotations)
    pairs, along = palm_directions(SeenHands(world[0], sure[0]))
    assert len(pairs) == 3 and {LANDMARKS[k][-2:] for k in pairs.ravel()} == {"_l"}
    np.testing.assert_allclose(np.linalg.norm(along, axis=1), 1.0)


def test_fingers_never_bend_beyond_a_hand(model: Model) -> None:
    """Whatever is seen: hinges only hinge, and no joint of a finger leaves its range."""
    random = np.random.default_rng(3)
    closing = np.array([0.0, 0.0, 1.0])
    rest = np.array([1.0, 0.0, 0.0]) + random.normal(0, 0.1, (4, 3, 3))
    rest /= np.linalg.norm(rest, axis=-1, keepdims=True)
    for _ in range(50):
        seen_bones = random.normal(size=(4, 3, 3))
        seen_bones /= np.linalg.norm(seen_bones, axis=-1, keepdims=True)
        turns = finger_turns(rest, seen_bones, closing, 1.0)
        vectors = Rotation.from_matrix(turns[:, 1:].reshape(-1, 3, 3)).as_rotvec()
        np.testing.assert_allclose(vectors[:, :2], 0.0, atol=1e-9)
        assert (vectors[:, 2] >= LEAST_BENT_RAD - 1e-9).all() and (vectors[:, 2] <= MOST_BENT_RAD + 1e-9).all()
        knuckles = Rotation.from_matrix(turns[:, 0]).magnitude()
        assert (knuckles < MOST_BENT_RAD + MOST_SPREAD_RAD).all()
        thumb = Rotation.from_matrix(thumb_turns(rest[0], seen_bones[0], 1.0)).magnitude()
        assert (thumb <= THUMB_BENT_RAD + 1e-9).all()
    nothing = finger_turns(rest, rest, closing, 1.0)
    np.testing.assert_allclose(nothing, np.tile(np.eye(3), (4, 3, 1, 1)), atol=1e-9)
    fist = np.array([[Rotation.from_rotvec((part + 1) * 1.3 * closing).apply(bone) for part, bone in enumerate(finger)]
                     for finger in rest])
    angles = Rotation.from_matrix(finger_turns(rest, fist, closing, 1.0).reshape(-1, 3, 3)).as_rotvec()[:, 2]
    np.testing.assert_allclose(angles, 1.3, atol=0.03)       # in sum more than half a turn


@pytest.mark.parametrize("wrong", [0.75, 1.0, 1.3])
def test_a_person_who_comes_near_tells_the_focal_length(model: Model, wrong: float) -> None:
    states = [type(s)(s.angles, s.turn, np.array([0.0, 0.0, z])) for s, z in
              ((standing(model, 0.3 * k, elbow_l=0.1 * k), 1.5 + 0.35 * k) for k in range(10))]
    clip = replace(clip_of([seen(model, state, 0.3, k) for k, state in enumerate(states)]),
                   camera=with_focal(CAMERA, wrong))
    assert focal_told_by(clip) == pytest.approx(1 / wrong, rel=0.12)


def test_a_person_who_keeps_far_away_does_not_tell_the_focal_length(model: Model) -> None:
    far = [replace(s, place=np.array([0.0, 0.0, 12.0])) for s in (standing(model, 0.1 * k) for k in range(10))]
    assert focal_told_by(clip_of([seen(model, state, 1.0, k) for k, state in enumerate(far)])) is None


def test_residuals_go_from_green_to_red() -> None:
    colours = residual_colours(np.array([0.0, 0.025, 0.05, 1.0])).astype(int)
    assert colours[0, 1] > 200 > colours[0, 0] and colours[2, 0] > 200 > colours[2, 1]
    np.testing.assert_array_equal(colours[2], colours[3])
