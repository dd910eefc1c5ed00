"""Camera paths and framing: smooth, through their keys, nothing cut off; and what is wrong with a file is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from avatar_double import run, sitting, write_avatar

from pipelines import render
from pipelines.body.model import load_body, pose_body
from pipelines.core.errors import AnrError, UsageError
from pipelines.core.records import Camera, Motion
from pipelines.geometry.cameras import project
from pipelines.geometry.rotations import rotation_from_vector
from pipelines.motion.bvh import read_bvh
from pipelines.motion.retarget import retarget
from pipelines.playback.camera_path import CameraPath, read_camera_path
from pipelines.playback.framing import Framing, framed, reach
from pipelines.playback.request import VIEWS, PlaybackOptions, check
from pipelines.playback.shots import filmed_along, orbit, perform, standing

FRAMING = Framing(np.array([[200.0, 0, 64], [0, 200.0, 64], [0, 0, 1]]), 128, 128, away_m=3.0, eye_m=1.1)


def place(camera: Camera) -> np.ndarray:
    """(3,) where a camera stands in the world."""
    return -camera.world_to_camera[:3, :3].T @ camera.world_to_camera[:3, 3]


def path_of(*keys: dict, follow: bool = True) -> CameraPath:
    return CameraPath(keys, follow)


def test_a_key_that_says_nothing_is_the_automatic_camera() -> None:
    camera = path_of({"time_s": 0}).cameras(np.zeros(1), FRAMING)[0]
    np.testing.assert_allclose(camera.world_to_camera, FRAMING.camera(0.0).world_to_camera, atol=1e-12)
    np.testing.assert_allclose(camera.K, FRAMING.K)


@pytest.mark.parametrize("azimuth", [0.0, 90.0, -135.0])
def test_an_angle_is_a_place_and_a_place_an_angle(azimuth: float) -> None:
    angle = np.radians(azimuth)
    position = [2 * np.sin(angle), 0.9, 2 * np.cos(angle)]
    by_angle = path_of({"time_s": 0, "azimuth_deg": azimuth, "distance_m": 2.0, "look_at_m": [0, 0.9, 0]})
    by_place = path_of({"time_s": 0, "position_m": position, "look_at_m": [0, 0.9, 0]})
    one, other = (each.cameras(np.zeros(1), FRAMING)[0] for each in (by_angle, by_place))
    np.testing.assert_allclose(one.world_to_camera, other.world_to_camera, atol=1e-9)
    np.testing.assert_allclose(place(one), position, atol=1e-9)


def test_a_path_goes_through_its_keys_and_rests_beyond_them() -> None:
    keys = ({"time_s": 1.0, "azimuth_deg": 10, "distance_m": 2, "fov_deg": 60},
            {"time_s": 2.0, "azimuth_deg": 100, "elevation_deg": 40, "distance_m": 6, "roll_deg": 20},
            {"time_s": 4.0, "azimuth_deg": 190, "distance_m": 3, "look_at_m": [0.5, 1, 0]})
    path = path_of(*keys)
    alone = [path_of(key).cameras(np.zeros(1), FRAMING)[0] for key in keys]
    at_keys = path.cameras(np.array([0.0, 1.0, 2.0, 4.0, 9.0]), FRAMING)
    for camera, key in zip(at_keys, (alone[0], *alone, alone[2])):
        np.testing.assert_allclose(camera.world_to_camera, key.world_to_camera, atol=1e-9)
        np.testing.assert_allclose(camera.K, key.K)


def test_a_path_is_smooth_also_at_its_keys() -> None:
    path = path_of({"time_s": 0, "azimuth_deg": 0, "distance_m": 2}, {"time_s": 1, "azimuth_deg": 60, "distance_m": 5},
                   {"time_s": 3, "azimuth_deg": 200, "elevation_deg": 30, "distance_m": 3})
    step = 1e-3
    cameras = path.cameras(np.arange(0, 3, step), FRAMING)
    places = np.stack([place(camera) for camera in cameras])
    speeds = np.diff(places, axis=0) / step
    turns = np.stack([camera.world_to_camera[:3, :3] for camera in cameras])
    assert np.abs(np.diff(speeds, axis=0)).max() < 0.05          # a kink at a key would jump by metres per second
    assert np.abs(np.diff(turns, n=2, axis=0)).max() / step < 0.05


def test_distances_change_by_factors_and_never_beyond_the_keys() -> None:
    two = path_of({"time_s": 0, "distance_m": 1}, {"time_s": 1, "distance_m": 4})
    middle = place(two.cameras(np.array([0.5]), FRAMING)[0])
    assert np.hypot(middle[0], middle[2]) == pytest.approx(2.0)
    many = path_of(*({"time_s": k, "distance_m": d} for k, d in enumerate((2.0, 2.0, 8.0, 8.0, 3.0))))
    away = np.array([np.hypot(*place(camera)[[0, 2]]) for camera in many.cameras(np.linspace(0, 4, 200), FRAMING)])
    assert away.min() >= 2 - 1e-9 and away.max() <= 8 + 1e-9


def test_a_path_goes_along_with_the_person_unless_it_stays_in_the_world() -> None:
    body, betas = load_body(), np.zeros(10)
    still = standing(body, betas, 2.0, 10.0)
    walk = Motion(still.joint_rotations, still.root_translation + np.linspace([0, 0, 0], [0, 0, 3], 20), 10.0)
    key = {"time_s": 0, "distance_m": 5}
    along, fixed = (filmed_along(walk, path_of(key, follow=follow), body, betas, sitting(), 128)
                    for follow in (True, False))
    assert np.ptp([place(camera)[2] for camera in along.cameras]) == pytest.approx(3.0, abs=0.2)
    assert np.ptp([place(camera) for camera in fixed.cameras], axis=0) == pytest.approx([0, 0, 0])


def test_left_shows_the_left_side() -> None:
    body, betas = load_body(), np.zeros(10)
    motion = standing(body, betas, 1.0, 2.0)
    left = np.eye(4)
    assert VIEWS["left"] == 90.0 and VIEWS["back"] == 180.0
    for shot in (perform(motion, body, betas, sitting(), 128, VIEWS["left"]),
                 orbit(body, betas, sitting(), 128, 2.0, VIEWS["left"])):
        joints = pose_body(body, betas, shot.pose(0))[1] @ left[:3, :3]
        depth = joints @ shot.cameras[0].world_to_camera[2, :3]
        assert depth[body.joint("upperarm01.L")] < depth[body.joint("upperarm01.R")] - 0.2


def test_no_frame_of_a_motion_is_cut_off(shared_data: Path) -> None:
    body, betas = load_body(), np.zeros(10)
    motion = retarget(read_bvh(shared_data / "bvh" / "cmu1_jumping_jacks.bvh"), body, betas)
    shot = perform(motion, body, betas, sitting(), 256, view_deg=35.0)
    for k in range(len(shot)):
        pixels = project(pose_body(body, betas, shot.pose(k))[0], shot.cameras[k])
        assert pixels.min() > 0 and pixels.max() < 256, k


def test_a_single_quick_gesture_counts_for_the_framing() -> None:
    """One frame of a thousand with an arm raised: framing looks at every frame."""
    body, betas = load_body(), np.zeros(10)
    motion = standing(body, betas, 10.0, 30.0)
    turned = motion.joint_rotations.copy()
    turned[137, body.joint("upperarm01.L")] = rotation_from_vector(np.array([0.0, 0, 1.2]))
    turned[137, body.joint("upperarm01.R")] = rotation_from_vector(np.array([0.0, 0, -1.2]))
    shot = perform(Motion(turned, motion.root_translation, 30.0), body, betas, sitting(), 128, 0.0)
    pixels = project(pose_body(body, betas, shot.pose(137))[0], shot.cameras[137])
    assert pixels.min() > 0 and pixels.max() < 128


def test_the_reach_of_a_motion_is_small_and_holds_its_farthest_points() -> None:
    body, betas = load_body(), np.zeros(10)
    motion = standing(body, betas, 1.0, 12.0)
    cloud = reach(motion, np.zeros((12, 3)), body, betas)
    verts = pose_body(body, betas, orbit(body, betas, sitting(), 128, 3.0).pose(0))[0]
    assert len(cloud) == 256
    np.testing.assert_allclose(cloud.max(axis=0), verts.max(axis=0), atol=0.01)
    framing = framed(cloud, body, betas, sitting(), 128, (0.0,))
    assert framing.height == 128 and framing.away_m > 1


@pytest.mark.parametrize(("text", "message"), [
    ('{"keys": [{"time_s": 0},\n {"time_s": }]}', "path.json, line 2, column 13"),
    ('{"keys": []}', "holds no list of keys"), ("[]", "holds no list of keys"),
    ('{"keys": [{"time_s": 0}], "loop": 1}', "'loop' is not known"),
    ('{"keys": [{"time_s": 0}], "follow": 1}', "follow is 1"),
    ('{"keys": [{"time_s": 0}, 5]}', "key 2: 5 is not a camera"),
    ('{"keys": [{"azimuth_deg": 0}]}', "key 1: time_s is missing"),
    ('{"keys": [{"time_s": 0, "distance_m": -1}]}', "key 1: distance_m is -1"),
    ('{"keys": [{"time_s": 0, "distance_m": NaN}]}', "key 1: distance_m is nan"),
    ('{"keys": [{"time_s": 0, "fov_deg": "wide"}]}', "key 1: fov_deg is 'wide'"),
    ('{"keys": [{"time_s": 0, "zoom": 2}]}', "key 1: 'zoom' is not known"),
    ('{"keys": [{"time_s": 0, "look_at_m": [0, 1]}]}', "key 1: look_at_m is"),
    ('{"keys": [{"time_s": 0, "position_m": [0, 1, 2]}]}', "key 1: position_m without look_at_m"),
    ('{"keys": [{"time_s": 0, "position_m": [0, 1, 2], "look_at_m": [0, 1, 0], "distance_m": 2}]}', "both say where"),
    ('{"keys": [{"time_s": 0, "position_m": [0, 4, 0], "look_at_m": [0, 1, 0]}]}', "right above"),
    ('{"keys": [{"time_s": 1}, {"time_s": 1}]}', "key 2: its time 1 s is not after 1 s"),
    ('{"keys": [{"time_s": 0}, {"time_s": 1, "azimuth_deg": 360}]}', "key 2: azimuth_deg is 360 degrees from"),
    ("[" * 100_000, "nested too deeply"),
])
def test_a_bad_path_is_named_by_line_or_key(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "path.json").write_text(text)
    with pytest.raises(AnrError) as caught:
        read_camera_path(tmp_path / "path.json")
    assert message in caught.value.message and caught.value.hint


@pytest.mark.parametrize(("options", "message"), [
    ({"orbit": True, "view": "above"}, "--view above is not known"),
    ({"replay": True, "view": "left"}, "--view cannot be had"),
    ({"replay": True, "camera": "a.json"}, "--camera cannot be had"),
    ({"orbit": True, "camera": "a.json"}, "so does --orbit"),
    ({"camera": "nowhere.json"}, "nowhere.json cannot be read"),
    ({"orbit": True, "view_deg": float("nan")}, "--view-deg nan is no direction"),
])
def test_cameras_that_contradict_are_refused(options: dict, message: str) -> None:
    with pytest.raises((AnrError, UsageError)) as caught:
        check(PlaybackOptions(**options))
    assert message in caught.value.message and caught.value.hint


def test_a_path_of_hours_is_refused_before_its_poses_are_made(tmp_path: Path) -> None:
    (tmp_path / "path.json").write_text('{"keys": [{"time_s": 0}, {"time_s": 36000}]}')
    with pytest.raises(AnrError, match="A motion of 864000 frames is too long; 100000 can be rendered") as caught:
        check(PlaybackOptions(camera=str(tmp_path / "path.json")))
    assert "shorter" in caught.value.hint
    check(PlaybackOptions(camera=str(tmp_path / "path.json"), fps=2.0))


def test_a_camera_path_alone_films_somebody_who_stands(tmp_path: Path) -> None:
    avatar = write_avatar(tmp_path)
    file = tmp_path / "path.json"
    file.write_text(json.dumps({"keys": [{"time_s": 0}, {"time_s": 1, "azimuth_deg": 90}]}))
    outcome = run(render, avatar, tmp_path / "v001", person="ada", camera=str(file), fps=6.0, size=64)
    told = json.loads((tmp_path / "v001" / "render.json").read_text())
    assert outcome.figures["frames"] == 6 and told["way"] == "stand" and told["camera_follows"]
