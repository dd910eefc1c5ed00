"""Landmarks and masks: nobody, one person, the right one of two."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.core.errors import AnrError
from pipelines.core.records import Camera, Frame, Landmarks
from pipelines.core.stage import Job, Progress
from pipelines.detectors.details import FACE_POINTS, DetailReader, face_crop, hand_crop, pixels_per_m
from pipelines.detectors.following import Follower, SecondLooks
from pipelines.detectors.mediapipe import BodyReader, Window, whole_window
from pipelines.detectors.sides import EXCHANGED, Sides, exchanged, side_vote
from pipelines.detectors.windows import Crop, Detection, colours
from pipelines.keypoints import STAGE, KeypointOptions
from pipelines.media.images import read_alpha
from pipelines.media.recording import RecordingWriter


def write_capture(folder: Path, images: list[np.ndarray], track: int | None = None) -> Path:
    h, w = images[0].shape[:2]
    writer = RecordingWriter(folder, Camera(np.array([[w, 0, w / 2], [0, w, h / 2], [0, 0, 1.0]]), w, h))
    for row, image in enumerate(images):
        writer.add(Frame(row, row / 25.0, image))
    writer.close(fps=25.0, height_m=None, intrinsics_from="a test", intrinsics_known=False, track=track)
    return folder


def clip_images(path: Path, rows: list[int]) -> list[np.ndarray]:
    """Frames of a shared clip, sRGB."""
    import cv2

    if not path.exists():
        pytest.skip(f"{path.name} is not in ../shared/data")
    reader = cv2.VideoCapture(str(path))
    images = []
    for row in range(max(rows) + 1):
        image = reader.read()[1]
        if row in rows:
            images.append(image[:, :, ::-1].copy())
    return images


def run_stage(folder: Path, capture: Path, body_only: bool = True) -> dict[str, np.ndarray]:
    folder.mkdir()
    STAGE.run(Job(folder, KeypointOptions(body_only=body_only), {"capture": capture}, Progress()))
    with np.load(folder / "keypoints.npz") as stored:
        return dict(stored)


def test_nobody_in_the_clip_is_an_error_that_says_how_far_it_looked(tmp_path: Path) -> None:
    capture = write_capture(tmp_path / "capture", [np.full((96, 128, 3), 120, np.uint8)] * 7)
    with pytest.raises(AnrError, match=r"Nobody was found.*7 frames searched"):
        run_stage(tmp_path / "keypoints", capture)


def test_one_person_is_found_with_a_mask(tmp_path: Path, shared_data: Path) -> None:
    images = clip_images(shared_data / "videos" / "gymtrainer_bicepcurl.mp4", [0, 1, 2, 3])
    found = run_stage(tmp_path / "keypoints", write_capture(tmp_path / "capture", images))
    assert found["found"].all() and found["pixels"].shape == (4, 33, 2) and found["world_m"].shape == (4, 33, 3)
    assert found["frame_index"].tolist() == [0, 1, 2, 3]
    for row in range(4):
        mask = read_alpha(tmp_path / "keypoints" / "person_mask" / f"{row:05d}.png")
        assert mask.shape == images[0].shape[:2] and 0.05 < (mask > 0.5).mean() < 0.6
        x, y = found["pixels"][row, [11, 12, 23, 24]].mean(axis=0).astype(int)
        assert mask[y, x] > 0.9
    # The person faces the camera, so the left shoulder is on the right side of the picture.
    assert (found["pixels"][:, 11, 0] > found["pixels"][:, 12, 0]).all()


@pytest.mark.parametrize("track", [0, 1])
def test_of_two_people_the_one_asked_for_is_kept(tmp_path: Path, shared_data: Path, track: int) -> None:
    images = clip_images(shared_data / "videos_hard" / "mmaction2_two_people.mp4", [0, 6, 12, 18])
    found = run_stage(tmp_path / "keypoints", write_capture(tmp_path / "capture", images, track))
    assert found["found"].all()
    middle = found["pixels"][:, [11, 12, 23, 24], 0].mean(axis=1)
    assert ((middle < 900) if track == 0 else (middle > 900)).all(), middle


def test_a_window_pastes_masks_back_where_they_were_cut() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    image[10:20, 50:60] = 255
    for window in (whole_window(image), Window(35, -5, 30), Window(48, 8, 14)):
        cut = window.cut(image)
        assert cut.shape[0] == cut.shape[1] >= 512
        back = window.paste(cut[..., 0].astype(np.float32) / 255, 40, 60)
        np.testing.assert_allclose(back > 0.5, image[..., 0] > 0)


def lawn_with(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """(120, 160, 3) uint8 green, with red boxes x0, y0, x1, y1."""
    image = np.full((120, 160, 3), (30, 120, 40), np.uint8)
    for x0, y0, x1, y1 in boxes:
        image[y0:y1, x0:x1] = (200, 20, 20)
    return image


@pytest.mark.parametrize("crop", [Crop(np.array([80.0, 60.0]), 64.0), Crop(np.array([70.0, 50.0]), 80.0, 0.6),
                                  Crop(np.array([10.0, 5.0]), 50.0, -2.0)])
def test_a_turned_square_shows_the_pixels_it_says_it_shows(crop: Crop) -> None:
    v, u = np.mgrid[0:120, 0:160]
    image = np.stack([u, v, 0 * u], axis=-1).astype(np.uint8)          # each pixel tells where it is
    cut = crop.cut(image, 40)
    rows, columns = np.mgrid[4:36:5, 4:36:5]
    where = crop.to_picture((np.stack([columns, rows], -1) + 0.5) / 40)
    inside = ((where > 1) & (where < (159, 119))).all(axis=-1)
    assert inside.any()
    np.testing.assert_allclose(cut[rows, columns][inside][:, :2], where[inside] - 0.5, atol=1.1)


def test_the_upwards_of_a_turned_square_is_up_in_its_cut() -> None:
    crop = Crop(np.array([80.0, 60.0]), 60.0, np.radians(30))
    up, down = crop.to_picture(np.array([0.5, 0.0])), crop.to_picture(np.array([0.5, 1.0]))
    np.testing.assert_allclose(up - down, 60 * np.array([np.sin(np.radians(30)), -np.cos(np.radians(30))]), atol=1e-9)


def test_a_mask_pasted_from_a_turned_square_covers_what_the_square_saw() -> None:
    image = lawn_with((60, 30, 100, 90))
    for crop in (Crop(np.array([80.0, 60.0]), 110.0, 0.4), Crop(np.array([120.0, 60.0]), 200.0, -0.9)):
        cut = crop.cut(image, 256)
        whole = crop.paste((cut[..., 0] > 128).astype(np.float32), 120, 160)
        assert whole.shape == (120, 160)
        assert ((whole > 0.5) != (image[..., 0] > 128)).mean() < 0.01
    assert not Crop(np.array([-300.0, 0.0]), 50.0).paste(np.ones((8, 8), np.float32), 120, 160).any()


def test_mirroring_twice_gives_every_landmark_its_own_name_back() -> None:
    assert (EXCHANGED[EXCHANGED] == np.arange(33)).all()
    assert EXCHANGED[11] == 12 and EXCHANGED[0] == 0 and EXCHANGED[31] == 32 and EXCHANGED[9] == 10


def standing(x: float, height_px: float = 100.0) -> Landmarks:
    """Somebody upright in the middle of a picture, seen from the front, their left at larger x; pixels per metre 50."""
    world = np.zeros((33, 3))
    world[[11, 12, 23, 24, 25, 26, 27, 28]] = [[0.2, -0.5, 0], [-0.2, -0.5, 0], [0.1, 0, 0], [-0.1, 0, 0],
                                               [0.1, 0.45, 0], [-0.1, 0.45, 0], [0.1, 0.9, 0], [-0.1, 0.9, 0]]
    world[[13, 14]], world[[15, 16]] = [[0.3, -0.2, 0], [-0.3, -0.2, 0]], [[0.3, 0.06, 0], [-0.3, 0.06, 0]]
    world[[17, 19, 21]], world[[18, 20, 22]] = [0.3, 0.14, 0], [-0.3, 0.14, 0]
    world[:11] = [0, -0.7, -0.1]
    world[[2, 5]] = [[0.03, -0.72, -0.1], [-0.03, -0.72, -0.1]]
    world[[9, 10]] = [[0.03, -0.65, -0.1], [-0.03, -0.65, -0.1]]
    world[[7, 8]] = [[0.08, -0.7, 0], [-0.08, -0.7, 0]]
    world[[29, 30, 31, 32]] = [[0.1, 0.95, 0], [-0.1, 0.95, 0], [0.1, 0.95, -0.1], [-0.1, 0.95, -0.1]]
    pixels = world[:, :2] * height_px / 2 + (x, 60)
    return Landmarks(pixels, np.ones(33), world)


def test_crops_of_hands_and_face_lie_where_the_body_says() -> None:
    body = standing(80.0)
    assert pixels_per_m(body) == pytest.approx(50.0)
    left, right = hand_crop(body, 0), hand_crop(body, 1)
    assert left.centre[0] > 80 > right.centre[0]
    assert left.centre[1] > body.pixels[15, 1]                          # beyond the wrist, along the hanging arm
    assert abs(np.cos(left.turn) + 1) < 1e-6                            # fingers point down
    face = face_crop(body)
    assert face.side == pytest.approx(0.26 * 50) and abs(face.turn) < 1e-6
    np.testing.assert_allclose(face.centre, [80, 60 - 0.685 * 50])


def test_somebody_small_far_away_or_hidden_costs_no_closer_look() -> None:
    reader = DetailReader()
    for body in (standing(80.0), None):
        told = reader.read(lawn_with(), body)
        assert told.hand_pixels.shape == (2, 21, 2) and told.face_pixels.shape == (len(FACE_POINTS), 2)
        assert not told.hand_confidence.any() and told.face_confidence == 0
    reader.close()


def test_colours_tell_shirts_apart_and_do_not_mind_a_larger_picture() -> None:
    def person(image: np.ndarray, scale: float = 1.0) -> Detection:
        mask = (image[..., 1] != 120).astype(np.float32)
        return Detection(Landmarks(standing(80.0).pixels * scale, np.ones(33), np.zeros((33, 3))), mask)

    red, blue = lawn_with((60, 30, 100, 110)), lawn_with((60, 30, 100, 110))[..., ::-1].copy()
    blue[(blue != lawn_with()[..., ::-1]).any(axis=-1) == 0] = (30, 120, 40)
    large = red.repeat(8, 0).repeat(8, 1)
    ours = colours(red, person(red))
    assert ours.sum() == pytest.approx(1.0)
    assert np.minimum(ours, colours(large, person(large, 8.0))).sum() > 0.95
    assert np.minimum(ours, colours(blue, person(blue))).sum() < 0.05


def test_a_second_look_agrees_and_lowers_confidence_where_it_does_not(shared_data: Path) -> None:
    image = clip_images(shared_data / "videos" / "gymtrainer_bicepcurl.mp4", [0])[0]
    follower, again, reader = Follower(25.0), SecondLooks(25.0), BodyReader()
    seen = follower.see(image)
    assert seen is not None and seen.crop is not None
    both = again.at(image, seen)
    assert both is not None and again.at(image, None) is None
    away = np.linalg.norm(both.landmarks.pixels - seen.landmarks.pixels, axis=1) / seen.extent
    assert away.max() < 0.05 and (away > 0).any()
    assert (both.landmarks.confidence <= 1.0).all()
    # The mirror image's left shoulder is the person's left shoulder again.
    mirrored = reader.read(image, seen.crop, mirrored=True)
    assert mirrored is not None
    there, here, shoulders = mirrored.landmarks, seen.landmarks, [11, 12]
    np.testing.assert_allclose(there.pixels[shoulders], here.pixels[shoulders], atol=0.05 * seen.extent)
    np.testing.assert_allclose(there.world_m[shoulders], here.world_m[shoulders], atol=0.12)
    for each in (follower, again, reader):
        each.close()


def test_sides_are_exchanged_or_the_same_or_it_cannot_be_told() -> None:
    front = standing(80.0)
    assert side_vote(front, front, 100.0) == 1 and side_vote(exchanged(front), front, 100.0) == -1
    profile = replace(front, pixels=front.pixels * [0.05, 1.0] + [76.0, 0.0])
    assert side_vote(profile, profile, 100.0) == side_vote(exchanged(profile), profile, 100.0) == 0
    half = replace(front, pixels=(front.pixels + exchanged(front).pixels) / 2)
    assert side_vote(half, front, 100.0) == 0
    np.testing.assert_array_equal(exchanged(exchanged(front)).world_m, front.world_m)


def test_looks_that_are_exchanged_for_a_moment_are_read_the_right_way_round() -> None:
    """A whole swap of both looks, one of one look, and frames whose looks lie half-way between."""
    right, sides = standing(80.0), Sides(30.0)
    wrong, half = exchanged(right), replace(right, pixels=(right.pixels + exchanged(right).pixels) / 2)
    shown = [(right, right)] * 5 + [(wrong, wrong)] * 6 + [(wrong, right)] * 6 + [(right, wrong), (half, right),
                                                                                (wrong, half), (wrong, wrong)] * 2
    for looks in shown:
        for named, look in zip(sides.settled(looks, 100.0), looks):
            np.testing.assert_array_equal(named.pixels, look.pixels if look is half else right.pixels)


def test_a_first_look_that_was_wrong_is_given_up_within_half_a_second() -> None:
    right, sides = standing(80.0), Sides(30.0)
    named = [sides.settled([look, look], 100.0)[0] for look in [exchanged(right)] + [right] * 14]
    assert named[1].pixels[11, 0] < named[1].pixels[12, 0]              # held to the first look at first
    assert named[-1].pixels[11, 0] > named[-1].pixels[12, 0]


def test_somebody_who_turns_round_keeps_the_sides_they_show() -> None:
    """Half a turn in a second at 15 frames per second; and at once, in a clip of five frames per second."""
    front = standing(80.0)

    def turned(angle: float) -> Landmarks:
        return replace(front, pixels=(front.pixels - [80, 0]) * [np.cos(angle), 1.0] + [80, 0])

    sides = Sides(15.0)
    for angle in np.linspace(0, np.pi, 16):
        shown = turned(angle)
        np.testing.assert_array_equal(sides.settled([shown, shown], 100.0)[0].pixels, shown.pixels)
    slow = Sides(5.0)
    for shown in (turned(0.0), turned(np.pi)):
        np.testing.assert_array_equal(slow.settled([shown, shown], 100.0)[0].pixels, shown.pixels)


def test_looks_of_a_slow_clip_still_agree_with_each_other() -> None:
    right, sides = standing(80.0), Sides(5.0)
    one, two = sides.settled([right, exchanged(right)], 100.0)
    np.testing.assert_array_equal(one.pixels, two.pixels)


def test_reading_two_frames_at_once_finds_what_reading_one_by_one_finds(shared_data: Path) -> None:
    images = clip_images(shared_data / "videos" / "gymtrainer_squat.mp4", list(range(6)))
    one, two = Follower(30.0), Follower(30.0)
    apart = [one.see(image) for image in images]
    together = list(two.follow(images))
    assert all(image is shown for image, (shown, _) in zip(images, together))
    for a, (_, b) in zip(apart, together):
        assert a is not None and b is not None
        away = np.linalg.norm(a.landmarks.pixels - b.landmarks.pixels, axis=1)
        assert np.median(away) < 0.01 * a.extent
    one.close()
    two.close()


def test_hands_and_face_of_somebody_near_are_on_the_right_side(tmp_path: Path, shared_data: Path) -> None:
    images = clip_images(shared_data / "videos" / "gymtrainer_bicepcurl.mp4", [0, 1])
    found = run_stage(tmp_path / "keypoints", write_capture(tmp_path / "capture", images), body_only=False)
    assert found["hand_pixels"].shape == (2, 2, 21, 2) and found["hand_world_m"].shape == (2, 2, 21, 3)
    assert found["face_pixels"].shape == (2, len(found["face_names"]), 2)
    assert (found["face_confidence"] > 0.5).all()
    names = list(found["face_names"])
    nose, chin, left, right = (found["face_pixels"][0, names.index(name)]
                               for name in ("nose_tip", "chin", "eye_outer_l", "eye_outer_r"))
    assert left[0] > right[0] and chin[1] > nose[1]                     # faces the camera, upright
    seen = found["hand_confidence"] > 0
    assert seen.any()
    reach = np.ptp(found["pixels"][0, :, 1])
    for row, side in zip(*np.nonzero(seen)):
        assert np.linalg.norm(found["hand_pixels"][row, side, 0] - found["pixels"][row, 15 + side]) < 0.06 * reach


def test_body_landmarks_alone_leave_out_hands_and_face(tmp_path: Path, shared_data: Path) -> None:
    images = clip_images(shared_data / "videos" / "gymtrainer_bicepcurl.mp4", [0])
    found = run_stage(tmp_path / "keypoints", write_capture(tmp_path / "capture", images))
    assert set(found) == {"frame_index", "pixels", "confidence", "world_m", "found"}


@pytest.mark.parametrize("body_only", [True, False])
def test_frames_without_the_person_are_not_made_up(tmp_path: Path, shared_data: Path, body_only: bool) -> None:
    near = clip_images(shared_data / "videos" / "gymtrainer_bicepcurl.mp4", [0])[0]
    empty = np.full_like(near, 120)
    capture = write_capture(tmp_path / "capture", [near, near, empty, empty, near])
    found = run_stage(tmp_path / "keypoints", capture, body_only)
    assert found["found"].tolist() == [True, True, False, False, True]
    assert not found["pixels"][2:4].any() and not found["confidence"][2:4].any()
    assert not read_alpha(tmp_path / "keypoints" / "person_mask" / "00002.png").any()
