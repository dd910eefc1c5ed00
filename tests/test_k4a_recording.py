"""Azure Kinect recordings: against the studio's truth, against pyk4a, and with everything that goes wrong."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.core.errors import AnrError
from pipelines.core.records import Camera, Frame
from pipelines.geometry.cameras import project, unproject
from pipelines.geometry.lenses import distort, pixel_rays, straight_camera
from pipelines.sources import Request, open_source
from pipelines.sources.k4a_calibration import COLOUR_WINDOWS, DEPTH_WINDOWS, Rig, in_own_frame, read_calibration
from pipelines.sources.k4a_pictures import decode_colour, made_ahead
from pipelines.sources.k4a_recording import is_k4a, open_k4a
from pipelines.studio.k4a_file import (
    FIRST_US,
    START_OFFSET_US,
    KinectFilm,
    StoredCapture,
    calibration_json,
    device,
    encode_colour,
    write_k4a,
)
from pipelines.studio.matroska import Attachment, MatroskaWriter, Track

DEPTH_CAMERA, COLOUR_CAMERA = device()
CALIBRATION = calibration_json(DEPTH_CAMERA, COLOUR_CAMERA)
FORMATS = ("MJPG", "NV12", "YUY2", "BGRA")


def a_picture(shade: int = 0) -> np.ndarray:
    """(720, 1280, 3) smooth colours, so that neither JPEG nor shared chroma changes them much."""
    v, u = np.mgrid[0:720, 0:1280]
    return np.stack([60 + u // 10, 80 + v // 8, np.full_like(u, 60 + shade)], axis=-1).astype(np.uint8)


def captures(count: int, step_us: int = 33_333, missing: dict[int, str] | None = None) -> list[StoredCapture]:
    """Captures whose depth tells their number: 2000, 2010, 2020 mm ...; `missing` names pictures left out."""
    left_out = missing or {}
    return [StoredCapture(FIRST_US + k * step_us, None if left_out.get(k) == "colour" else a_picture(k),
                          None if left_out.get(k) == "depth" else np.full((576, 640), 2000 + 10 * k, np.uint16))
            for k in range(count)]


def numbers(frames: list[Frame]) -> list[int]:
    """Which captures frames came from: their depth along the depth camera's axis tells."""
    camera = open_cameras().colour
    found = []
    for frame in frames:
        assert frame.depth_m is not None
        row, col = frame.depth_m.shape[0] // 2, frame.depth_m.shape[1] // 2
        scale = frame.depth_m.shape[1] / camera.width
        ray = np.array([(col + 0.5) / scale, (row + 0.5) / scale])
        point = unproject(ray, frame.depth_m[row, col], camera)
        depth = open_cameras().depth.world_to_camera
        found.append(round((float(depth[2, :3] @ point + depth[2, 3]) - 2.0) * 100))
    return found


@lru_cache
def open_cameras() -> Rig:
    """The rig with the straightened colour camera as the world."""
    rig = in_own_frame(read_calibration(CALIBRATION, "NFOV_UNBINNED", "720P", "it"))
    return replace(rig, colour=straight_camera(rig.colour))


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[..., Path]:
    def record(taken: list[StoredCapture], calibration: bytes | None = CALIBRATION, **more: Any) -> Path:
        path = tmp_path / "recording.mkv"
        write_k4a(path, taken, calibration, **more)
        return path

    return record


# ---- the warp against truth ---------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def film() -> KinectFilm:
    return KinectFilm("ben", seconds=1.0, fps=5)


@pytest.fixture(scope="module")
def filmed(film: KinectFilm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kinect") / "ben.mkv"
    film.write(path)
    return path


def test_depth_on_colour_is_true_and_rims_do_not_smear(film: KinectFilm, filmed: Path) -> None:
    import cv2

    footage = open_k4a(Request(str(filmed)))
    frames = list(footage.frames)
    assert len(frames) == len(film) == footage.frame_count == 5
    for frame in frames:
        assert frame.depth_m is not None
        true, person = film.true_depth(frame.index, footage.camera), film.person(frame.index, footage.camera)
        read, error = frame.depth_m > 0, np.abs(frame.depth_m - true)
        assert read.mean() > 0.6
        assert np.median(error[read]) < 0.0005           # 2 mm are allowed; the device counts in whole millimetres
        assert np.median(error[read & person]) < 0.0005
        assert np.percentile(error[read], 99) < 0.002
        # Hair is finer than a depth pixel: there a reading may belong to the pixel beside it.
        beside = np.stack([np.roll(true, shift, (0, 1)) for shift in itertools.product((-1, 0, 1), repeat=2)])
        between = read & (np.abs(frame.depth_m - beside).min(axis=0) > 0.02)
        assert between.sum() <= 1e-5 * read.sum(), "depths that no surface near has"
        behind = read & (frame.depth_m > true + 0.03)
        assert behind.sum() <= 3e-5 * read.sum(), "readings from behind another surface"
        assert (behind & (_height(true, film, footage.camera) < 1.45)).sum() <= 2      # below the hair
        square = np.ones((7, 7), np.uint8)
        smooth = cv2.dilate(true, square) - cv2.erode(true, square) < 0.015
        assert (person & smooth).sum() > 10_000 and read[person & smooth].mean() > 0.9999, "pin holes"


def _height(depth_m: np.ndarray, film: KinectFilm, camera: Camera) -> np.ndarray:
    """(H, W) metres above the studio's floor."""
    v, u = np.mgrid[0:camera.height, 0:camera.width] + 0.5
    placed = replace(camera, world_to_camera=film.colour_camera.world_to_camera)
    return unproject(np.stack([u, v], axis=-1), depth_m, placed)[..., 1]


def test_straightened_colour_lies_where_a_pinhole_has_it(film: KinectFilm, filmed: Path) -> None:
    """Around every corner of four floor tiles, 2 cm (about four pixels) from it, each tile still has its colour."""
    footage = open_k4a(Request(str(filmed), max_frames=1))
    image, person = next(footage.frames).image.astype(int), film.person(0, footage.camera)
    placed = film.colour_camera.world_to_camera
    seen = 0
    for x, z in itertools.product(np.arange(-5, 6) / 4, np.arange(0, 6) / 4):
        around = np.array([[x + dx, 0.0, z + dz] for dx, dz in ((-.02, -.02), (.02, .02), (-.02, .02), (.02, -.02))])
        pixels = np.floor(project(around @ placed[:3, :3].T + placed[:3, 3], footage.camera)).astype(int)
        if (pixels < 0).any() or (pixels >= [1280, 720]).any() or person[pixels[:, 1], pixels[:, 0]].any():
            continue
        one, same, other, others = image[pixels[:, 1], pixels[:, 0]]
        assert np.abs(one - same).max() <= 5 and np.abs(other - others).max() <= 5
        assert 8 <= np.abs(one - other).max() <= 18          # tiles that share a side differ by 13
        seen += 1
    assert seen > 20


# ---- the calibration and the warp against the device's own library --------------------------------------------------

def test_the_calibration_read_is_the_one_written() -> None:
    rig = read_calibration(CALIBRATION, "NFOV_UNBINNED", "MJPG_720P", "it")
    for camera, written in ((rig.depth, DEPTH_CAMERA), (rig.colour, COLOUR_CAMERA)):
        np.testing.assert_allclose(camera.K, written.K, atol=1e-9)
        np.testing.assert_allclose(camera.distortion, written.distortion)
        assert (camera.width, camera.height) == (written.width, written.height)
    wanted = COLOUR_CAMERA.world_to_camera @ np.linalg.inv(DEPTH_CAMERA.world_to_camera)
    read = rig.colour.world_to_camera @ np.linalg.inv(rig.depth.world_to_camera)
    np.testing.assert_allclose(read, wanted, atol=1e-12)
    at_colour = in_own_frame(rig)
    np.testing.assert_allclose(np.linalg.inv(at_colour.depth.world_to_camera), wanted, atol=1e-12)


@pytest.mark.parametrize("colour_mode", COLOUR_WINDOWS)
@pytest.mark.parametrize("depth_mode", DEPTH_WINDOWS)
def test_every_mode_has_the_cameras_that_pyk4a_has(shared_data: Path, depth_mode: str, colour_mode: str) -> None:
    pyk4a = pytest.importorskip("pyk4a")
    raw = (shared_data / "kinect" / "calibration.json").read_text()
    theirs = pyk4a.Calibration.from_raw(raw, pyk4a.DepthMode[depth_mode], pyk4a.ColorResolution[f"RES_{colour_mode}"])
    ours = read_calibration(raw, depth_mode, colour_mode, "it")
    depth, colour = pyk4a.CalibrationType.DEPTH, pyk4a.CalibrationType.COLOR
    for camera, kind in ((ours.depth, depth), (ours.colour, colour)):
        K = theirs.get_camera_matrix(kind)
        K[:2, 2] += 0.5                                  # the SDK counts from the first pixel's centre
        np.testing.assert_allclose(camera.K, K, rtol=1e-6, atol=1e-3)
        np.testing.assert_allclose(camera.distortion, theirs.get_distortion_coefficients(kind), atol=1e-6)
    turn, place = theirs.get_extrinsic_parameters(depth, colour)
    between = ours.colour.world_to_camera @ np.linalg.inv(ours.depth.world_to_camera)
    np.testing.assert_allclose(between[:3, :3], turn, atol=1e-6)
    np.testing.assert_allclose(between[:3, 3], place[0], atol=1e-6)


def test_depth_pixels_land_where_pyk4a_puts_them(shared_data: Path) -> None:
    """Point by point over the depth picture: its image warp needs the depth engine and with it a GL display."""
    pyk4a = pytest.importorskip("pyk4a")
    raw = (shared_data / "kinect" / "calibration.json").read_text()
    theirs = pyk4a.Calibration.from_raw(raw, pyk4a.DepthMode.NFOV_UNBINNED, pyk4a.ColorResolution.RES_720P)
    ours = in_own_frame(read_calibration(raw, "NFOV_UNBINNED", "720P", "it"))
    depth, colour = pyk4a.CalibrationType.DEPTH, pyk4a.CalibrationType.COLOR
    rays = pixel_rays(ours.depth)
    to_colour = np.linalg.inv(ours.depth.world_to_camera)
    compared = 0
    for row, col, mm in itertools.product(range(20, 576, 50), range(20, 640, 50), (500.0, 2000.0, 4500.0)):
        try:
            there = np.array(theirs.convert_2d_to_3d((col, row), mm, depth, colour))
            pixel = np.array(theirs.convert_3d_to_2d(tuple(there), colour, colour))
        except ValueError:                               # outside the field in which the SDK trusts the lens
            continue
        ours_m = to_colour[:3, :3] @ (np.append(rays[row, col], 1) * mm / 1000) + to_colour[:3, 3]
        np.testing.assert_allclose(ours_m * 1000, there, atol=0.05)
        K = ours.colour.K
        seen = K[:2, :2] @ distort(ours_m[:2] / ours_m[2], ours.colour.distortion) + K[:2, 2]
        np.testing.assert_allclose(seen - 0.5, pixel, atol=0.02)
        compared += 1
    assert compared > 250


def test_the_devices_library_opens_what_the_studio_writes(recorded: Callable[..., Path]) -> None:
    pyk4a = pytest.importorskip("pyk4a")
    path = recorded(captures(3, missing={1: "depth"}), colour_format="YUY2", depth_delay_us=0)
    playback = pyk4a.PyK4APlayback(str(path))
    playback.open()
    assert playback.configuration["color_format"] == pyk4a.ImageFormat.COLOR_YUY2
    assert playback.configuration["start_timestamp_offset_usec"] == START_OFFSET_US
    first, second, third = (playback.get_next_capture() for _ in range(3))
    assert first.depth[0, 0] == 2000 and second.depth is None and third.depth[0, 0] == 2020
    assert first.color.shape == (720, 1280, 2) and first.color_timestamp_usec == FIRST_US + START_OFFSET_US
    playback.close()


# ---- the real recording ---------------------------------------------------------------------------------------------

def test_a_real_recording_gives_its_one_capture(shared_data: Path) -> None:
    path = shared_data / "kinect" / "recording.mkv"
    footage = open_source(Request(str(path)))
    frames = list(footage.frames)
    assert len(frames) == footage.frame_count == 1 and footage.fps == 5
    assert footage.intrinsics_from == "the recording's own calibration (Kinect 001514394512), lens distortion removed"
    assert footage.notes is not None and footage.notes() == []
    frame = frames[0]
    assert frame.time_s == 0 and frame.image.shape == (720, 1280, 3) and frame.depth_m is not None
    assert 0.5 < (frame.depth_m > 0).mean() < 0.65
    # The mug stands on the desk in front of everything; the wall with the window is the farthest.
    assert 0.2 < np.median(frame.depth_m[480:500, 300:320]) < 0.5
    assert 2.0 < np.median(frame.depth_m[200:300, 800:900]) < 3.7


def test_real_depth_has_its_edges_where_colour_has_them(shared_data: Path) -> None:
    """The mug's left rim, 0.33 m away: colour changes most within 3 mm of the outermost depth reading."""
    import cv2

    frame = next(open_k4a(Request(str(shared_data / "kinect" / "recording.mkv"))).frames)
    assert frame.depth_m is not None
    near = ((frame.depth_m > 0) & (frame.depth_m < 0.6)).astype(np.uint8)
    left_rim = [int(np.flatnonzero(near[row])[0]) for row in range(420, 580, 10)]
    blurred = cv2.GaussianBlur(cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY), (0, 0), 2).astype(float)
    found = [col - 12 + int(np.argmax(np.abs(np.gradient(blurred[row, col - 12:col + 13]))))
             for row, col in zip(range(420, 580, 10), left_rim)]
    apart_px = np.median(np.array(found) - left_rim)     # the rim curves away: its last readings are lost
    assert abs(apart_px) / 640 * 0.33 < 0.003            # without the pose of the depth camera it would be 32 mm


# ---- formats, times, parts ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("colour_format", FORMATS)
def test_every_colour_format_is_decoded(colour_format: str) -> None:
    image = a_picture(20)
    image[100:200, 100:200] = [200, 30, 40]
    raw = np.frombuffer(encode_colour(image, colour_format), np.uint8)
    decoded = decode_colour(raw, colour_format, 1280, 720)
    assert decoded is not None
    apart = np.abs(decoded[..., ::-1].astype(int) - image)
    assert apart.mean() < 1.5 and apart[110:190, 110:190].max() < 8
    assert decode_colour(raw[:-200], colour_format, 1280, 720) is None


@pytest.mark.parametrize("colour_format", FORMATS)
def test_every_colour_format_is_read_from_a_recording(recorded: Callable[..., Path], colour_format: str) -> None:
    footage = open_k4a(Request(str(recorded(captures(3), colour_format=colour_format))))
    frames = list(footage.frames)
    assert numbers(frames) == [0, 1, 2]
    assert [round(frame.time_s, 6) for frame in frames] == [0.0, 0.033333, 0.066666]
    centre = frames[2].image[340:380, 600:680].reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(centre, [124, 125, 62], atol=3)


@pytest.mark.parametrize("fps", [5, 15, 30])
def test_all_rates_pair_by_time(recorded: Callable[..., Path], fps: int) -> None:
    """Colour and depth that are a few milliseconds apart belong together."""
    taken = captures(6, step_us=round(1e6 / fps))
    shifted = [part for one in taken for part in (StoredCapture(one.time_us, one.image, None),
                                                  StoredCapture(one.time_us + 4000, None, one.depth_mm))]
    footage = open_k4a(Request(str(recorded(shifted, fps=fps))))
    frames = list(footage.frames)
    assert footage.fps == fps and numbers(frames) == list(range(6)) and footage.frame_count == 6
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(6) / fps, atol=1e-5)


def test_the_depth_delay_is_taken_into_account(recorded: Callable[..., Path]) -> None:
    """Depth taken 16 ms later on purpose is as near to the next colour as to its own."""
    footage = open_k4a(Request(str(recorded(captures(5), depth_delay_us=16_000))))
    assert numbers(list(footage.frames)) == list(range(5))
    assert footage.notes is not None and footage.notes() == []


def test_start_seconds_and_number_are_honoured(recorded: Callable[..., Path]) -> None:
    path = str(recorded(captures(12)))
    some = open_k4a(Request(path, start_s=0.1, seconds=0.2))
    frames = list(some.frames)
    assert numbers(frames) == [3, 4, 5, 6, 7, 8] and some.frame_count == 6
    assert [frame.index for frame in frames] == list(range(6))
    assert 0 <= frames[0].time_s < 0.001
    assert numbers(list(open_k4a(Request(path, max_frames=2)).frames)) == [0, 1]


def test_frames_are_reduced_together_with_their_camera(recorded: Callable[..., Path]) -> None:
    path = str(recorded(captures(1)))
    whole, small = open_k4a(Request(path)), open_k4a(Request(path, max_side=640))
    assert (small.camera.width, small.camera.height) == (640, 360)
    np.testing.assert_allclose(small.camera.K[:2], whole.camera.K[:2] / 2)
    big, little = next(whole.frames), next(small.frames)
    assert little.image.shape == (360, 640, 3) and little.depth_m is not None and big.depth_m is not None
    assert little.depth_m.shape == (360, 640)
    both = (little.depth_m > 0) & (big.depth_m[::2, ::2] > 0) & (big.depth_m[1::2, 1::2] > 0)
    mean = (big.depth_m[::2, ::2] + big.depth_m[1::2, 1::2]) / 2
    np.testing.assert_allclose(little.depth_m[both], mean[both], atol=1e-3)


def test_reading_may_stop_early(recorded: Callable[..., Path]) -> None:
    footage = open_k4a(Request(str(recorded(captures(10)))))
    assert next(footage.frames).index == 0
    footage.frames.close()                               # type: ignore[attr-defined]


def test_what_is_made_ahead_keeps_its_order_and_its_errors() -> None:
    assert list(made_ahead((lambda k=k: k * k for k in range(20)), ahead=5)) == [k * k for k in range(20)]   # type: ignore[misc]
    with pytest.raises(ZeroDivisionError):
        list(made_ahead(iter([lambda: 1, lambda: 1 // 0, lambda: 3]), ahead=2))


# ---- bad input ------------------------------------------------------------------------------------------------------

def test_pictures_without_their_partner_are_left_out_and_counted(recorded: Callable[..., Path]) -> None:
    path = recorded(captures(10, missing={0: "colour", 4: "depth", 5: "depth", 7: "colour", 9: "depth"}))
    footage = open_k4a(Request(str(path)))
    frames = list(footage.frames)
    assert numbers(frames) == [1, 2, 3, 6, 8]
    np.testing.assert_allclose([frame.time_s for frame in frames], np.array([0, 1, 2, 5, 7]) * 0.033333, atol=1e-5)
    assert footage.notes is not None
    assert footage.notes() == ["Left out: 3 colour pictures without depth and 2 depth pictures without colour."]


@pytest.mark.parametrize("share", [0.35, 0.6, 0.93])
def test_of_a_recording_cut_off_what_is_whole_is_used(recorded: Callable[..., Path], share: float) -> None:
    path = recorded(captures(12), colour_format="NV12")
    content = path.read_bytes()
    path.write_bytes(content[:int(len(content) * share)])
    footage = open_k4a(Request(str(path)))
    frames = list(footage.frames)
    assert numbers(frames) == list(range(len(frames)))
    assert abs(len(frames) - 12 * share) < 1.5
    assert footage.notes is not None
    told = footage.notes()[0]
    assert told.startswith("recording.mkv is cut off after 0.") and f"{len(frames)} whole frames are used" in told


def test_a_recording_that_was_never_closed_is_told_to_be_cut_off(tmp_path: Path) -> None:
    """As after a crash of the recorder: no duration in the header, and nothing at its end."""
    path = tmp_path / "crashed.mkv"
    writer = MatroskaWriter(path, [Track("COLOR", "BGRA", 1280, 720, 30.0, {"K4A_COLOR_MODE": "BGRA_720P"}),
                                   Track("DEPTH", "b16g", 640, 576, 30.0, {"K4A_DEPTH_MODE": "NFOV_UNBINNED"})],
                            {"title": "Azure Kinect"}, (Attachment("calibration.json", CALIBRATION),))
    for one in captures(6):
        assert one.image is not None and one.depth_mm is not None
        writer.add(0, one.time_us, encode_colour(one.image, "BGRA"))
        writer.add(1, one.time_us, one.depth_mm.astype(">u2").tobytes())
    writer._file.close()
    footage = open_k4a(Request(str(path)))
    frames = list(footage.frames)
    assert 4 <= len(frames) < 6 and numbers(frames) == list(range(len(frames)))
    assert footage.notes is not None and "is cut off after" in footage.notes()[0]


def test_a_damaged_picture_is_left_out_and_counted(recorded: Callable[..., Path]) -> None:
    path = recorded(captures(4))
    content = bytearray(path.read_bytes())
    ends = [at for at in range(len(content) - 1) if content[at:at + 2] == b"\xff\xd9"]
    content[ends[1]:ends[1] + 2] = b"\0\0"               # the second picture's end of JPEG
    path.write_bytes(bytes(content))
    footage = open_k4a(Request(str(path)))
    assert numbers(list(footage.frames)) == [0, 2, 3]
    assert footage.notes is not None and footage.notes() == ["Left out: 1 damaged picture."]


def test_without_its_calibration_a_recording_is_refused(recorded: Callable[..., Path]) -> None:
    path = recorded(captures(1), calibration=None)
    with pytest.raises(AnrError, match="has no calibration attached") as caught:
        open_k4a(Request(str(path)))
    assert "k4arecorder" in caught.value.hint and f'ffmpeg -i "{path}"' in caught.value.hint


@pytest.mark.parametrize(("change", "told"), [
    (lambda stored: stored["CalibrationInformation"]["Cameras"].pop(0), "one of its two cameras is missing"),
    (lambda stored: stored.pop("CalibrationInformation"), "CalibrationInformation is missing"),
    (lambda stored: stored["CalibrationInformation"]["Cameras"][1]["Rt"].pop("Rotation"), "Rotation is missing"),
    (lambda stored: stored["CalibrationInformation"]["Cameras"][1]["Intrinsics"]["ModelParameters"].pop(),
     "13 lens parameters"),
    (lambda stored: stored["CalibrationInformation"]["Cameras"][0]["Intrinsics"]["ModelParameters"]
     .__setitem__(2, -0.5), "focal lengths -0.5"),
    (lambda stored: stored["CalibrationInformation"]["Cameras"][0]["Intrinsics"]["ModelParameters"]
     .__setitem__(10, 0.1), "centred on"),
    (lambda stored: stored["CalibrationInformation"]["Cameras"][1]["Rt"].__setitem__("Rotation", [0] * 9),
     "no rotation"),
    (lambda stored: stored["CalibrationInformation"]["Cameras"][1]["Rt"].__setitem__("Translation", [-32, -2, 4]),
     "32.311 m apart"),
    (lambda stored: stored["CalibrationInformation"]["Cameras"][1]["Intrinsics"]["ModelParameters"]
     .__setitem__(3, 10**400), "too large"),
    (lambda stored: stored["CalibrationInformation"].__setitem__("Cameras", [3]), "text for a number"),
    (lambda stored: stored["CalibrationInformation"]["Cameras"][0]["Intrinsics"]
     .__setitem__("ModelType", "CALIBRATION_LensDistortionModelRational6KT"), "the lens model .*Rational6KT"),
])
def test_a_wrong_calibration_is_refused_by_name(change: Callable[[dict], Any], told: str) -> None:
    stored = json.loads(CALIBRATION.rstrip(b"\0"))
    change(stored)
    with pytest.raises(AnrError, match=told):
        read_calibration(json.dumps(stored), "NFOV_UNBINNED", "720P", "The calibration")


def test_a_calibration_that_is_no_json_and_unknown_modes_are_refused() -> None:
    with pytest.raises(AnrError, match="The calibration cannot be used as a calibration: "):
        read_calibration(b"\x01\x02 not json", "NFOV_UNBINNED", "720P", "The calibration")
    with pytest.raises(AnrError, match="it: 'PASSIVE_IR' is not a mode") as caught:
        read_calibration(CALIBRATION, "PASSIVE_IR", "720P", "it")
    assert "NFOV_UNBINNED" in caught.value.hint
    with pytest.raises(AnrError, match="'480P' is not a mode"):
        read_calibration(CALIBRATION, "NFOV_UNBINNED", "MJPG_480P", "it")


def a_file(path: Path, *tracks: Track) -> Path:
    with MatroskaWriter(path, list(tracks), {"K4A_START_OFFSET_NS": "0"},
                        (Attachment("calibration.json", CALIBRATION),)) as writer:
        for index, track in enumerate(tracks):
            size = {"b16g": 2, "Y800": 1, "BGRA": 4}[track.fourcc] * track.width * track.height
            writer.add(index, 0, bytes(size))
    return path


COLOUR = Track("COLOR", "BGRA", 1280, 720, 30.0, {"K4A_COLOR_MODE": "BGRA_720P"})
DEPTH = Track("DEPTH", "b16g", 640, 576, 30.0, {"K4A_DEPTH_MODE": "NFOV_UNBINNED"})


@pytest.mark.parametrize(("tracks", "told", "hint"), [
    ([COLOUR], "has no depth track", "To use its colour as a plain video: ffmpeg"),
    ([DEPTH], "has no colour track", "k4arecorder"),
    ([COLOUR, Track("DEPTH", "Y800", 640, 576, 30.0, {"K4A_DEPTH_MODE": "NFOV_UNBINNED"})],
     r"depth of .* is not 16-bit \(rawvideo, gray\)", "original recording"),
    ([COLOUR, Track("DEPTH", "b16g", 320, 288, 30.0, {"K4A_DEPTH_MODE": "NFOV_UNBINNED"})],
     "depth of .* is 320x288, but its mode means 640x576", "original recording"),
    ([Track("COLOR", "BGRA", 1280, 720, 30.0, {}), DEPTH], "in the mode that it does not name", "MJPG"),
])
def test_wrong_tracks_are_refused(tmp_path: Path, tracks: list[Track], told: str, hint: str) -> None:
    path = a_file(tmp_path / "odd.mkv", *tracks)
    assert is_k4a(path)
    with pytest.raises(AnrError, match=told) as caught:
        open_k4a(Request(str(path)))
    assert hint in caught.value.hint


def test_only_its_tags_make_a_file_a_kinect_recording(tmp_path: Path) -> None:
    plain = tmp_path / "plain.mkv"
    with MatroskaWriter(plain, [Track("COLOR", "BGRA", 64, 48, 30.0)], {"title": "holiday"}) as writer:
        writer.add(0, 0, bytes(64 * 48 * 4))
    nothing = tmp_path / "nothing.mkv"
    nothing.write_bytes(b"")
    assert not is_k4a(plain) and not is_k4a(nothing) and not is_k4a(tmp_path / "absent.mkv")
    with pytest.raises(AnrError, match=r"absent\.mkv cannot be opened"):
        open_k4a(Request(str(tmp_path / "absent.mkv")))


def test_a_field_of_view_told_by_hand_contradicts_the_calibration(recorded: Callable[..., Path]) -> None:
    with pytest.raises(AnrError, match=r"--fov-deg 60 contradicts the calibration in .*: 92\.\d degrees"):
        open_k4a(Request(str(recorded(captures(1))), fov_deg=60))


def test_a_track_of_an_unknown_format_is_refused(recorded: Callable[..., Path]) -> None:
    path = recorded(captures(2))
    path.write_bytes(path.read_bytes().replace(b"b16g", b"b?6g"))
    with pytest.raises(AnrError, match="no format that is known"):
        open_k4a(Request(str(path)))
