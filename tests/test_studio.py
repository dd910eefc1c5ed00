"""The synthetic people: what they deliver is exact, repeatable and consistent with its own truth."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from pipelines.body.skeleton import JOINT_NAMES, PARENTS, joint_index
from pipelines.core.errors import AnrError
from pipelines.core.records import BodyPose, Frame
from pipelines.sources.synthetic import NAMES, open_synthetic
from pipelines.studio import actors, motions, puppet, walking


@lru_cache(maxsize=8)
def session(name: str, size: int = 192, frames: int = 6) -> tuple[tuple[Frame, ...], dict[str, np.ndarray]]:
    """A capture session in a few small frames, with its truth."""
    footage = open_synthetic(name, seconds=frames / 2, fps=2.0, size=size)
    assert footage.truth is not None
    return tuple(footage.frames), footage.truth()


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_an_unknown_person_is_refused_by_naming_the_known_ones() -> None:
    with pytest.raises(AnrError, match="'zoe'") as caught:
        open_synthetic("zoe", 1.0, 2.0, 128, "capture")
    assert "ada" in caught.value.hint and "ben" in caught.value.hint


@pytest.mark.parametrize(
    "wrong, word",
    [(dict(motion="swim"), "swim"), (dict(size=8), "8"), (dict(seconds=0.0), "0 s"), (dict(fps=-1.0), "-1 frames")],
)
def test_what_the_studio_cannot_do_is_refused_with_the_value(wrong: dict, word: str) -> None:
    with pytest.raises(AnrError, match=word):
        open_synthetic("ada", **{"seconds": 1.0, "fps": 2.0, "size": 128, "motion": "capture", **wrong})


def test_all_assets_together_are_small() -> None:
    assert sum(path.stat().st_size for path in Path(actors.ASSETS).iterdir()) < 0.5e6 * len(NAMES)


def test_frames_come_in_order_with_the_promised_shapes(name: str) -> None:
    frames, truth = session(name)
    assert [frame.index for frame in frames] == list(range(6))
    assert [frame.time_s for frame in frames] == [0, 0.5, 1.0, 1.5, 2.0, 2.5]
    for frame in frames:
        assert frame.image.shape == (192, 192, 3) and frame.image.dtype == np.uint8
        assert frame.depth_m is not None and frame.depth_m.dtype == np.float32 and (frame.depth_m > 0).all()
        assert frame.alpha is not None and frame.alpha.min() >= 0 and frame.alpha.max() <= 1
    assert truth["joints_m"].shape == (6, 74, 3) and np.isfinite(truth["joints_m"]).all()
    assert truth["joint_rotations"].shape == (6, 74, 3, 3) and truth["root_translation"].shape == (6, 3)


def test_the_same_arguments_give_the_same_pixels() -> None:
    first, second = (next(open_synthetic("ada", 3.0, 2.0, 192, "capture").frames) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.alpha, second.alpha)


def test_an_eight_second_session_has_120_frames_by_default() -> None:
    assert open_synthetic("ben").frame_count == 120


def test_true_rotations_and_root_give_the_true_joints(name: str) -> None:
    """Forward kinematics in the camera's frame, the slow way."""
    _, truth = session(name)
    rest = actors.load_actor(name).rest_joints
    for row in range(6):
        turns, places = [], []
        for joint, parent in enumerate(PARENTS):
            turn = truth["joint_rotations"][row, joint]
            if parent < 0:
                turns.append(turn)
                places.append(truth["root_translation"][row])
            else:
                turns.append(turns[parent] @ turn)
                places.append(places[parent] + turns[parent] @ (rest[joint] - rest[parent]))
        np.testing.assert_allclose(places, truth["joints_m"][row], atol=1e-9)


def test_joints_lie_inside_the_matte_and_near_the_depth(name: str) -> None:
    """Elbows, knees and the pelvis are covered by the person, whose surface is at most 25 cm before them."""
    frames, truth = session(name)
    footage = open_synthetic(name, 3.0, 2.0, 192, "capture")
    K = footage.camera.K
    for frame in frames:
        assert frame.alpha is not None and frame.depth_m is not None
        for joint in ("root", "spine02", "lowerarm01.L", "lowerarm01.R", "lowerleg01.L", "lowerleg01.R", "head"):
            x, y, z = truth["joints_m"][frame.index, joint_index(joint)]
            row, column = int(K[1, 1] * y / z + K[1, 2]), int(K[0, 0] * x / z + K[0, 2])
            assert frame.alpha[row, column] > 0.9, (frame.index, joint)
            # one limb may hide another, so the surface may be well in front, but not behind
            assert -0.9 < frame.depth_m[row, column] - z < 0.02, (frame.index, joint)


def test_outside_the_person_and_the_shadow_the_plate_is_what_is_seen(name: str) -> None:
    footage = open_synthetic(name, 3.0, 2.0, 192, "capture")
    frame = next(footage.frames)
    assert footage.background is not None and frame.alpha is not None
    upper_left = np.s_[:60, :60]
    difference = frame.image[upper_left].astype(int) - footage.background[upper_left].astype(int)
    assert abs(difference.mean()) < 0.3 and 0.5 < difference.std() < 2.5  # the sensor's noise only
    assert (frame.alpha[upper_left] == 0).all()


def test_the_matte_is_soft_at_its_edge_and_solid_inside(name: str) -> None:
    frames, _ = session(name)
    for frame in frames:
        assert frame.alpha is not None
        soft = ((frame.alpha > 0.02) & (frame.alpha < 0.98)).sum()
        solid = (frame.alpha >= 0.98).sum()
        assert 0.03 < soft / solid < 0.6


def test_ada_and_ben_do_not_look_alike() -> None:
    colours = []
    for who in NAMES:
        frame = session(who)[0][0]
        assert frame.alpha is not None
        chest = frame.image[70:100][frame.alpha[70:100] > 0.98]
        colours.append(chest.mean(0))
    assert np.abs(colours[0] - colours[1]).max() > 60


def test_rest_pose_gives_the_rest_surface_pushed_by_folds_only(name: str) -> None:
    actor = actors.load_actor(name)
    pose = BodyPose(np.tile(np.eye(3), (74, 1, 1)), actor.rest_joints[0])
    verts, normals, joints = actors.pose_actor(actor, pose)
    np.testing.assert_allclose(joints, actor.rest_joints, atol=1e-12)
    assert np.linalg.norm(verts - actor.verts, axis=1).max() < 0.03
    still = actor.folds.max(1) == 0
    np.testing.assert_allclose(verts[still], actor.verts[still], atol=2e-6)
    lengths = np.linalg.norm(normals, axis=1)
    np.testing.assert_allclose(lengths[lengths > 0], 1, atol=1e-5)


def test_bending_an_elbow_deepens_the_folds_of_that_sleeve_only(name: str) -> None:
    actor = actors.load_actor(name)
    straight = np.tile(np.eye(3), (74, 1, 1))
    bent = straight.copy()
    bent[joint_index("lowerarm01.L")] = puppet.turn_y(-1.2)
    drives = []
    for rotations in (straight, bent):
        turns, places = actors.posed_joints(actor.rest_joints, PARENTS, BodyPose(rotations, actor.rest_joints[0]))
        drives.append(actors.fold_drives(turns, places))
    change = drives[1] - drives[0]
    assert abs(change[0]) > 0.1 and np.abs(np.delete(change, 0)).max() < 1e-9
    pushed = drives[1][0] * actor.folds[:, 0]
    assert 0.006 <= np.percentile(pushed[pushed > 1e-4], 95) <= 0.012  # metres, of a sleeve bent all the way


def test_the_face_is_seen_first_and_the_back_of_the_head_half_a_turn_later() -> None:
    """The nose lies before the head in frame 0 of the session and behind it when the back is shown."""
    actor = actors.load_actor("ben")
    moves = motions.capture_session(actor, 8.0, 15.0)
    facing = moves.joint_rotations[:, 0, 2, 2]
    assert facing[0] > 0.99 and facing[:50].min() < -0.99 and facing[60:].min() > 0.9


@pytest.mark.parametrize("seconds", [5.0, 8.0])
def test_a_session_fits_into_the_seconds_given_and_moves_smoothly(name: str, seconds: float) -> None:
    actor = actors.load_actor(name)
    moves = motions.capture_session(actor, seconds, 15.0)
    assert len(moves.joint_rotations) == round(seconds * 15)
    joints = np.stack(
        [
            actors.posed_joints(actor.rest_joints, PARENTS, BodyPose(r, t))[1]
            for r, t in zip(moves.joint_rotations, moves.root_translation)
        ]
    )
    assert np.linalg.norm(np.diff(joints, axis=0), axis=2).max() * 15 < 6.5 * 8 / seconds  # m/s, a brisk fingertip
    right = moves.joint_rotations @ np.swapaxes(moves.joint_rotations, -1, -2)
    np.testing.assert_allclose(right, np.broadcast_to(np.eye(3), right.shape), atol=1e-9)


def lowest_point(actor: actors.Actor, moves, frame: int) -> float:
    return float(
        actors.pose_actor(actor, BodyPose(moves.joint_rotations[frame], moves.root_translation[frame]))[0][:, 1].min()
    )


@pytest.mark.parametrize("motion", motions.MOTIONS)
def test_soles_stay_on_the_floor(name: str, motion: str) -> None:
    actor = actors.load_actor(name)
    moves = motions.make_motion(motion, actor, 4.0, 15.0)
    lowest = [lowest_point(actor, moves, frame) for frame in range(0, 60, 3)]
    assert min(lowest) > -0.025 and max(lowest) < 0.025


def test_a_walk_goes_forward_and_a_foot_on_the_floor_stays_put() -> None:
    actor = actors.load_actor("ada")
    moves = motions.walk(actor, 4.0, 30.0)
    joints = np.stack(
        [
            actors.posed_joints(actor.rest_joints, PARENTS, BodyPose(r, t))[1]
            for r, t in zip(moves.joint_rotations, moves.root_translation)
        ]
    )
    pelvis = joints[:, 0]
    assert 0.9 < (pelvis[-1, 2] - pelvis[0, 2]) / (119 / 30) < 1.5  # m/s
    assert np.ptp(pelvis[:, 0]) < 0.10
    cycle = walking.CYCLE_S
    for side, offset in (("L", 0.0), ("R", 0.5)):
        phase = (np.arange(120) / 30 / cycle - offset) % 1
        flat = (phase > 0.12) & (phase < 0.31)
        ankle = joints[:, joint_index(f"foot.{side}")]
        both = flat[1:] & flat[:-1]
        assert both.sum() > 10
        assert np.linalg.norm(np.diff(ankle, axis=0)[both], axis=1).max() < 1e-3
        assert np.ptp(ankle[:, 1]) > 0.05


def test_arms_swing_against_the_legs_in_a_walk() -> None:
    actor = actors.load_actor("ben")
    moves = motions.walk(actor, 3 * walking.CYCLE_S, 30.0)
    joints = np.stack(
        [
            actors.posed_joints(actor.rest_joints, PARENTS, BodyPose(r, t))[1]
            for r, t in zip(moves.joint_rotations, moves.root_translation)
        ]
    )

    def ahead(joint: str) -> np.ndarray:
        return joints[:, joint_index(joint), 2] - joints[:, 0, 2]

    assert np.corrcoef(ahead("wrist.L"), ahead("foot.L"))[0, 1] < -0.7
    assert np.corrcoef(ahead("wrist.L"), ahead("foot.R"))[0, 1] > 0.7


def test_a_walk_also_suits_the_coarse_body() -> None:
    """The demo drives the coarse body with it: knees bend forwards, nothing is upside down."""
    model = pytest.importorskip("pipelines.body.model")
    body = model.load_body()
    moves = motions.walk(body, 2.0, 15.0)
    assert moves.joint_rotations.shape == (30, len(JOINT_NAMES), 3, 3)
    for frame in range(0, 30, 3):
        _, joints = model.pose_body(
            body, np.zeros(len(body.shape_dirs)), BodyPose(moves.joint_rotations[frame], moves.root_translation[frame])
        )
        hip, knee, ankle = (joints[joint_index(f"{bone}.L")] for bone in ("upperleg01", "lowerleg01", "foot"))
        middle = hip + (ankle - hip) * np.linalg.norm(knee - hip) / (
            np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee)
        )
        assert knee[2] > middle[2] - 0.005
        assert joints[joint_index("head"), 1] > joints[0, 1] + 0.3


def test_a_walk_in_the_studio_stays_in_the_picture() -> None:
    for frame in islice(open_synthetic("ada", 4.0, 1.0, 128, "walk").frames, 4):
        assert frame.alpha is not None
        assert frame.alpha[0].max() == 0 and frame.alpha[:, 0].max() == 0 and frame.alpha[-1].max() == 0
        assert frame.alpha.mean() > 0.03


def joints_of(rig: actors.Actor, moves) -> np.ndarray:
    """(F, J, 3) world."""
    return np.stack([actors.posed_joints(rig.rest_joints, PARENTS, BodyPose(r, t))[1]
                     for r, t in zip(moves.joint_rotations, moves.root_translation)])


@pytest.mark.parametrize("motion", motions.MOTIONS)
def test_every_motion_is_smooth_stays_before_the_camera_and_moves(motion: str) -> None:
    actor = actors.load_actor("dan")
    moves = motions.make_motion(motion, actor, 12.0, 15.0)
    assert moves.joint_rotations.shape == (180, 74, 3, 3)
    joints = joints_of(actor, moves)
    assert np.linalg.norm(np.diff(joints, axis=0), axis=2).max() * 15 < 7.5  # m/s, a brisk fingertip
    assert np.abs(joints[..., 0]).max() < 1.35 and np.abs(joints[..., 2]).max() < 1.0
    assert joints[..., 1].max() < 2.35
    assert np.ptp(joints[:, joint_index("wrist.L")], axis=0).max() > 0.25
    right = moves.joint_rotations @ np.swapaxes(moves.joint_rotations, -1, -2)
    np.testing.assert_allclose(right, np.broadcast_to(np.eye(3), right.shape), atol=1e-9)


@pytest.mark.parametrize("motion", ["turn", "squat", "dance", "face", "range"])
def test_a_foot_that_stands_does_not_slide(motion: str) -> None:
    """Between two frames with an ankle at its lowest height, it stays where it is."""
    actor = actors.load_actor("ada")
    joints = joints_of(actor, motions.make_motion(motion, actor, 9.0, 30.0))
    for side in "LR":
        ankle = joints[:, joint_index(f"foot.{side}")]
        stands = ankle[:, 1] < ankle[:, 1].min() + 5e-4
        both = stands[1:] & stands[:-1]
        assert both.sum() > 20
        assert np.linalg.norm(np.diff(ankle, axis=0)[both], axis=1).max() < 2.5e-3


def test_hands_come_near_the_face_and_to_the_floor() -> None:
    actor = actors.load_actor("cleo")
    face = joints_of(actor, motions.make_motion("face", actor, 10.0, 15.0))
    head = face[:, joint_index("head")] + [0, 0, 0.08]
    for side in "LR":
        assert np.linalg.norm(face[:, joint_index(f"finger3-1.{side}")] - head, axis=1).min() < 0.19
    squat = joints_of(actor, motions.make_motion("squat", actor, 9.0, 15.0))
    assert squat[:, joint_index("finger3-3.L"), 1].min() < 0.22
    assert squat[:, joint_index("finger3-3.R"), 1].min() < 0.22
    assert squat[:, 0, 1].min() < 0.68 * actor.rest_joints[0, 1]


def test_seed_zero_is_the_plain_performance_and_each_other_seed_always_the_same_one() -> None:
    actor = actors.load_actor("ada")
    for motion in motions.MOTIONS:
        plain, first, again, other = (motions.make_motion(motion, actor, 2.0, 5.0, seed) for seed in (0, 1, 1, 2))
        np.testing.assert_array_equal(first.joint_rotations, again.joint_rotations)
        assert np.abs(first.joint_rotations - plain.joint_rotations).max() > 0.01, motion
        assert np.abs(first.joint_rotations - other.joint_rotations).max() > 0.01, motion


def test_the_mirror_of_a_mirrored_pose_is_the_pose() -> None:
    from pipelines.studio.choreography import other_side

    pose = {"yaw": 0.3, "lean": 0.2, "dx": 0.1, "L.out": 1.0, "R.hand_x": -0.1, "L.foot_yaw": 0.2}
    assert other_side(other_side(pose)) == pose
    assert other_side(pose)["R.out"] == 1.0 and other_side(pose)["L.hand_x"] == 0.1
