"""The studio's rooms, lights and faulty camera: exact where they promise truth, the same again for the same seed."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from pipelines.body.model import load_body
from pipelines.core.errors import AnrError
from pipelines.core.records import BodyPose, Frame
from pipelines.geometry.cameras import project, scale_camera, unproject
from pipelines.rasterizers.cpu import rasterize
from pipelines.sources import Request, catalogue_of, open_source
from pipelines.sources.synthetic import Setting, open_synthetic
from pipelines.studio import scene
from pipelines.studio.actors import NAMES, load_actor, pose_actor
from pipelines.studio.lights import LIGHTS
from pipelines.studio.motions import make_motion
from pipelines.studio.rooms import ROOMS, boxes_of, build_room, depth_of_room, studio_camera
from pipelines.studio.sensor import Sensor, edges, exposure_gain, facing_cosine, noisy_depth, noisy_light, row_times
from pipelines.studio.truth import true_maps

RANDOM = np.random.default_rng


@lru_cache(maxsize=4)
def filmed(sensor: bool, seed: int = 0) -> Frame:
    """The second frame of a dance in the living room."""
    setting = Setting(room="living", seed=seed, sensor=sensor)
    return list(islice(open_synthetic("ada", 1.0, 10.0, 160, "dance", setting).frames, 2))[1]


# rooms and lights


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_as_deep_as_its_points_are_far(room: str) -> None:
    built = build_room(96, 64, room)
    seen = built.depth_m > 0
    v, u = np.mgrid[0:64, 0:96] + 0.5
    points = unproject(np.stack([u, v], -1), built.depth_m.astype(float), built.camera)
    np.testing.assert_allclose(points[seen], built.points[seen], atol=1e-4)
    np.testing.assert_allclose(depth_of_room(room, built.camera), built.depth_m, rtol=1e-6)


@pytest.mark.parametrize("room", ROOMS)
def test_every_point_of_a_room_lies_on_one_of_its_boxes(room: str) -> None:
    built = build_room(48, 48, room)
    boxes, _, _, _ = boxes_of(room)
    points = built.points[built.depth_m > 0].astype(float)
    outside = np.maximum(np.maximum(boxes[:, :3] - points[:, None], points[:, None] - boxes[:, 3:]), 0).max(-1)
    assert outside.min(1).max() < 1e-4


def test_the_sky_gives_no_depth_and_a_closed_room_has_depth_everywhere() -> None:
    court, plaster = build_room(64, 64, "court"), build_room(64, 64, "plaster")
    assert (court.depth_m[0] == 0).any() and (court.depth_m[-1] > 0).all()
    assert (plaster.depth_m > 0).all()


def test_the_lamp_takes_more_light_away_than_daylight_does() -> None:
    """On the floor beside the person, where nothing else hides the light."""
    soft, hard = (build_room(64, 64, "plaster", light).taken[-4, 30] for light in LIGHTS)
    assert 0.3 < soft < 0.75 < hard <= 1.0


def test_names_that_are_not_there_are_refused_with_those_that_are() -> None:
    for setting, word, known in ((Setting(room="moon"), "'moon'", "court"), (Setting(light="moon"), "'moon'", "lamp")):
        with pytest.raises(AnrError, match=word) as caught:
            open_synthetic("ada", 1.0, 2.0, 64, "walk", setting)
        assert known in caught.value.hint


def test_a_wide_picture_shows_the_same_in_its_middle() -> None:
    square, wide = studio_camera(120), studio_camera(200, 120)
    point = np.array([[0.2, 1.3, 0.1]])
    np.testing.assert_allclose(project(point, wide) - project(point, square), [[40.0, 0.0]], atol=1e-9)
    frame = next(open_synthetic("ben", 1.0, 2.0, 96, "walk", Setting(width=160)).frames)
    assert frame.image.shape == (96, 160, 3) and frame.alpha is not None and frame.alpha.max() == 1


# drawing


def test_the_studios_drawing_agrees_with_the_reference_rasterizer() -> None:
    """Everywhere but on edges that pass a pixel's centre within rounding."""
    actor, camera = load_actor("ada"), studio_camera(96)
    moves = make_motion("squat", actor, 1.0, 4.0)
    verts, _, _ = pose_actor(actor, BodyPose(moves.joint_rotations[2], moves.root_translation[2]))
    drawn = scene.draw(actor, verts, camera)
    h, w = drawn.face_index.shape
    box = (drawn.x0, drawn.y0, drawn.x0 + w, drawn.y0 + h)
    face_index, _, depth_m = rasterize(verts, actor.faces, scale_camera(camera, 2), box)
    both = (face_index >= 0) & (drawn.face_index >= 0)
    assert ((face_index >= 0) != (drawn.face_index >= 0)).mean() < 2e-3
    assert np.percentile(np.abs(1 / drawn.nearness[both] - depth_m[both]), 99) < 2e-3


def test_depth_from_the_studios_camera_is_the_frames_depth() -> None:
    actor, room = load_actor("ada"), build_room(96, 96, "living")
    moves = make_motion("turn", actor, 1.0, 4.0)
    pose = BodyPose(moves.joint_rotations[1], moves.root_translation[1])
    frame, _ = scene.picture(actor, pose, room, 0, 0.0, 0)
    assert frame.depth_m is not None and frame.alpha is not None
    solid = frame.alpha > 0.999
    difference = np.abs(scene.depth_from(actor, pose, "living", room.camera) - frame.depth_m)
    assert np.median(difference[solid]) < 1e-3  # a frame's depth is the mean of four samples
    assert difference[frame.alpha == 0].max() < 1e-4


def test_from_another_camera_the_same_points_are_seen() -> None:
    """Depth from a camera 5 cm to the side, taken into the world, lies on the person or the room."""
    actor, room = load_actor("ben"), build_room(96)
    moves = make_motion("turn", actor, 1.0, 4.0)
    pose = BodyPose(moves.joint_rotations[0], moves.root_translation[0])
    moved = room.camera.world_to_camera.copy()
    moved[0, 3] += 0.05
    camera = replace(room.camera, world_to_camera=moved)
    depth_m = scene.depth_from(actor, pose, "plaster", camera)
    v, u = np.mgrid[0:96, 0:96] + 0.5
    points = unproject(np.stack([u, v], -1), depth_m.astype(float), camera)
    assert points[..., 1].min() > -1e-3 and points[..., 2].min() > -1.16
    person = np.abs(points[..., 2]) < 0.3
    assert 0.03 < person.mean() < 0.4


# truth


def test_the_true_coarse_body_lies_under_the_clothes() -> None:
    """Nearly all of its outline is covered by the matte, and the matte reaches further."""
    footage = open_synthetic("ada", 2.0, 2.0, 192, "turn")
    frames = list(footage.frames)
    assert footage.truth is not None
    truth = footage.truth()
    assert truth["vertices_m"].shape == (4, *load_body().verts.shape) and truth["vertices_m"].dtype == np.float32
    for frame in frames:
        maps = true_maps(truth["vertices_m"][frame.index], footage.camera)
        body = np.zeros((192, 192), bool)
        x0, y0, x1, y1 = maps.box
        body[y0:y1, x0:x1] = maps.inside
        assert frame.alpha is not None
        assert (frame.alpha[body] > 0.5).mean() > 0.97
        assert body.sum() < (frame.alpha > 0.5).sum()


def test_true_maps_say_which_shape_they_want() -> None:
    with pytest.raises(ValueError, match=r"\(5, 3\)"):
        true_maps(np.zeros((5, 3)), studio_camera(64))


# the sensor


def test_a_sensor_changes_pixels_but_not_what_is_true() -> None:
    exact, faulty = filmed(False), filmed(True)
    assert exact.alpha is not None and faulty.alpha is not None
    assert np.abs(exact.image.astype(int) - faulty.image).mean() > 0.5
    assert np.abs(exact.alpha - faulty.alpha).mean() < 0.02
    assert exact.depth_m is not None and faulty.depth_m is not None and (faulty.depth_m == 0).mean() > 0.005


def test_the_same_seed_gives_the_same_faults_and_another_seed_others() -> None:
    filmed.cache_clear()
    first = filmed(True)
    filmed.cache_clear()
    again, other = filmed(True), filmed(True, 3)
    np.testing.assert_array_equal(first.image, again.image)
    assert first.depth_m is not None and again.depth_m is not None
    np.testing.assert_array_equal(first.depth_m, again.depth_m)
    assert (first.image != other.image).any()


@pytest.mark.parametrize("distance", [1.0, 2.0, 4.0])
def test_depth_noise_grows_with_the_square_of_the_distance(distance: float) -> None:
    wall = np.full((200, 200), distance, np.float32)
    read = noisy_depth(wall, np.full((200, 200, 3), 0.5, np.float32), 500.0, Sensor(), RANDOM(0))
    assert (read > 0).all()
    np.testing.assert_allclose(read.std(), np.hypot(1.425e-3 * distance**2, 0.001 / 12**0.5), rtol=0.03)
    np.testing.assert_allclose(read.mean(), distance, atol=1e-3)
    np.testing.assert_allclose(read / 0.001, np.round(read / 0.001), atol=1e-2)


def test_flying_pixels_lie_between_the_sides_of_an_edge_and_nowhere_else() -> None:
    step = np.full((100, 100), 3.0, np.float32)
    step[:, 50:] = 1.5
    read = noisy_depth(step, np.full((100, 100, 3), 0.5, np.float32), 500.0, Sensor(noise_per_m=0.0), RANDOM(1))
    between = (read > 1.51) & (read < 2.99)
    assert between[:, 49:51].mean() > 0.25 and not between[:, :49].any() and not between[:, 51:].any()
    assert 0.15 < (read[:, 49:51] == 0).mean() < 0.35


def test_dark_far_and_grazing_places_are_not_read() -> None:
    sensor, bright = Sensor(noise_per_m=0.0), np.full((60, 60, 3), 0.5, np.float32)
    flat = np.full((60, 60), 2.0, np.float32)
    assert (noisy_depth(flat, bright * 0.002, 500.0, sensor, RANDOM(0)) == 0).all()
    assert (noisy_depth(flat + 4, bright, 500.0, sensor, RANDOM(0)) == 0).all()
    assert (noisy_depth(flat * 0, bright, 500.0, sensor, RANDOM(0)) == 0).all()
    grazing = np.broadcast_to(2 + 0.050 * np.arange(60, dtype=np.float32)[:, None], (60, 60))
    assert facing_cosine(grazing, 500.0).max() < 0.20
    assert (noisy_depth(grazing, bright, 500.0, sensor, RANDOM(0)) == 0).mean() > 0.5


def test_a_plane_has_no_edges_however_steep_it_is() -> None:
    slanted = np.broadcast_to(1 + 0.2 * np.arange(30, dtype=np.float32), (30, 30))
    assert not edges(slanted, 0.05)[2][:, 1:-1].any()


def test_shot_noise_is_the_root_of_the_light() -> None:
    sensor = Sensor(read_electrons=0.0)
    for light in (0.1, 0.4):
        read = noisy_light(np.full((300, 300, 3), light, np.float32), 1.0, sensor, RANDOM(2))
        np.testing.assert_allclose(read.std(), np.sqrt(light / sensor.electrons), rtol=0.02)


def test_rows_are_exposed_one_after_the_other_within_the_readout() -> None:
    late = row_times(np.array([0.0, 50.0, 100.0]), 100, Sensor(readout_s=0.02))
    np.testing.assert_allclose(late, [-0.01, 0.0, 0.01])


def test_the_automatic_exposure_wanders_within_its_share() -> None:
    gains = np.array([exposure_gain(t, Sensor(), 0) for t in np.linspace(0, 30, 300)])
    assert np.ptp(gains) > 0.04 and np.abs(gains - 1).max() <= 0.06
    assert np.abs(np.diff(gains)).max() < 0.02


def test_what_stands_still_is_not_blurred() -> None:
    """A camera without noise and with a long exposure sees a still person as a perfect one does."""
    from pipelines.studio.filming import Filming

    actor, room = load_actor("ada"), build_room(96)
    one = make_motion("turn", actor, 1.0, 1.0)
    quiet = Sensor(electrons=1e12, read_electrons=0.0, exposure_drift=0.0, exposure_s=0.1)
    seen = Filming(actor, one, room, quiet).frame(0)[0].image.astype(int)
    perfect = Filming(actor, one, replace(room, grain=np.zeros_like(room.grain))).frame(0)[0].image
    assert np.abs(seen - perfect).max() <= 1


def test_motion_blurs_the_hand_along_its_way() -> None:
    """In a dance the matte of a long exposure is softer than that of a short one."""
    from pipelines.studio.filming import Filming

    actor, room = load_actor("ada"), build_room(128)
    moves = make_motion("dance", actor, 2.0, 15.0)
    soft = []
    for exposure_s in (1e-4, 0.12):
        alpha = Filming(actor, moves, room, Sensor(exposure_s=exposure_s, sub_frames=4)).frame(20)[0].alpha
        assert alpha is not None
        soft.append(((alpha > 0.05) & (alpha < 0.95)).sum())
    assert soft[1] > 1.15 * soft[0]


# what a user asks for


def test_a_list_of_people_is_a_table_and_a_picture(tmp_path: Path) -> None:
    catalogue = catalogue_of("synthetic:list", tmp_path)
    assert catalogue is not None
    assert [row[0] for row in catalogue.table[1:]] == list(NAMES)
    assert catalogue.table[1][1:3] == ("woman", "1.61 m") and "shirt" in catalogue.table[1][4]
    assert catalogue.picture.is_file() and catalogue.picture.stat().st_size < 1e6
    assert catalogue_of("synthetic:ada", tmp_path) is None and catalogue_of("clip.mp4", tmp_path) is None


def test_a_request_reaches_the_studio() -> None:
    footage = open_source(Request("synthetic:ben", seconds=2.0, studio_fps=12.0, studio_size=64, studio_width=96,
                                  studio_room="court", studio_light="lamp", studio_seed=4, studio_motion="face"))
    assert (footage.camera.width, footage.camera.height, footage.frame_count) == (96, 64, 24)
    plain = open_source(Request("synthetic:ben", seconds=2.0, studio_fps=12.0, studio_size=64))
    assert footage.background is not None and plain.background is not None
    assert np.abs(footage.background[:, 16:-16].astype(int) - plain.background).mean() > 20
