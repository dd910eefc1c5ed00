"""Folders as recordings: pictures, RGB-D in Open3D's and TUM's layout; what is wrong is named by file and number."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.capture import STAGE, CaptureOptions
from pipelines.core.errors import AnrError
from pipelines.core.records import Camera, Footage
from pipelines.core.stage import Job, Progress
from pipelines.geometry.cameras import project, unproject
from pipelines.geometry.lenses import distort
from pipelines.media.images import write_depth, write_image
from pipelines.media.recording import Recording
from pipelines.sources import Request, open_source

WIDTH, HEIGHT = 160, 96
K = np.array([[200.0, 0, 80], [0, 210, 48], [0, 0, 1]])


class Listening(Progress):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def capture(folder: Path, source: Path, progress: Progress | None = None, **options: Any) -> Recording:
    folder.mkdir(parents=True, exist_ok=True)
    STAGE.run(Job(folder, CaptureOptions(source=str(source), coach=False, **options), {}, progress or Progress()))
    return Recording(folder)


def opened(folder: Path, **request: Any) -> Footage:
    return open_source(Request(str(folder), **request))


def grey(level: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    return np.full((*size, 3), level, np.uint8)


def picture_folder(folder: Path, names: list[str]) -> Path:
    """Pictures whose grey level counts up in the order of `names`."""
    folder.mkdir(parents=True)
    for level, name in enumerate(names):
        write_image(folder / name, grey(8 * level))
    return folder


def rgbd_folder(folder: Path, frames: int = 24, **more: Any) -> np.ndarray:
    """Returns the depth (H, W) metres that every frame has."""
    depth_m = np.round(np.linspace(1, 3, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH), 3).astype(np.float32)
    (folder / "color").mkdir(parents=True)
    (folder / "depth").mkdir()
    for n in range(frames):
        write_image(folder / "color" / f"{n}.png", grey(8 * n))
        write_depth(folder / "depth" / f"{n}.png", depth_m)
    described = {"width": WIDTH, "height": HEIGHT, "intrinsic_matrix": K.T.ravel().tolist(), "fps": 12, **more}
    (folder / "intrinsic.json").write_text(json.dumps(described))
    return depth_m


def refusal(folder: Path, **request: Any) -> AnrError:
    with pytest.raises(AnrError) as caught:
        list(opened(folder, **request).frames)
    assert caught.value.hint and "\n" not in caught.value.message
    return caught.value


# ---------------------------------------------------------------- pictures


def test_pictures_come_in_the_order_people_count(tmp_path: Path) -> None:
    folder = picture_folder(tmp_path / "shots", ["a1.png", "a2.png", "a10.png", "a11.bmp", "b1.tif"])
    frames = list(opened(folder, folder_fps=10).frames)
    assert [int(frame.image.mean()) for frame in frames] == [0, 8, 16, 24, 32]
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(5) / 10)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff"])
@pytest.mark.parametrize("code", range(1, 9))
def test_exif_orientation_is_obeyed_once(tmp_path: Path, suffix: str, code: int) -> None:
    """EXIF 2.32, section 4.6.4 A: what the first row and the first column of the stored picture are."""
    from PIL import Image

    image = np.zeros((48, 80, 3), np.uint8)
    image[:24, :40], image[:24, 40:], image[24:, :40] = (220, 30, 30), (30, 200, 30), (40, 40, 220)
    stored = Image.fromarray(image)
    exif = Image.Exif()
    exif[0x0112] = code
    path = tmp_path / f"turned{suffix}"
    stored.save(path, exif=exif, **({"lossless": True} if suffix == ".webp" else {}))
    swapped = image.transpose(1, 0, 2)
    expected = {1: image, 2: image[:, ::-1], 3: image[::-1, ::-1], 4: image[::-1], 5: swapped, 6: swapped[:, ::-1],
                7: swapped[::-1, ::-1], 8: swapped[::-1]}[code]
    seen = next(opened(tmp_path).frames).image
    assert seen.shape == expected.shape
    assert opened(tmp_path).camera.width == expected.shape[1]
    off = np.abs(seen.astype(int) - expected.astype(int)).mean()
    assert off < 4 if suffix == ".jpg" else off == 0        # another orientation is off by more than 60


@pytest.mark.parametrize(
    ("settings", "focal_over_diagonal"),
    [
        ({0xA405: 26}, 26 / 43.267),
        # 4.25 mm behind a sensor of 80 pixels in 5 mm: 16 pixels per millimetre
        ({0x920A: 4.25, 0xA20E: 16.0, 0xA210: 4, 0xA002: 80}, 4.25 * 16 / math.hypot(80, 48)),
        # the same, taken with 160 pixels across and reduced since
        ({0x920A: 4.25, 0xA20E: 32.0, 0xA210: 4, 0xA002: 160}, 4.25 * 16 / math.hypot(80, 48)),
        ({0x920A: 4.25, 0xA20E: 160.0, 0xA210: 3, 0xA002: 80}, 4.25 * 16 / math.hypot(80, 48)),
    ],
)
def test_the_lens_is_read_from_exif(tmp_path: Path, settings: dict[int, float], focal_over_diagonal: float) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif.get_ifd(0x8769).update(settings)
    Image.fromarray(grey(90, (48, 80))).save(tmp_path / "phone.jpg", exif=exif)
    footage = opened(tmp_path)
    assert footage.camera.K[0, 0] == pytest.approx(focal_over_diagonal * math.hypot(80, 48), rel=1e-3)
    assert "EXIF of phone.jpg" in footage.intrinsics_from
    assert "given" in opened(tmp_path, fov_deg=70).intrinsics_from      # the person's word wins


@pytest.mark.parametrize("settings", [{0xA405: 0}, {0x920A: 4.25}, {0x920A: 4.25, 0xA20E: 0.0, 0xA002: 80}])
def test_unknown_exif_is_no_lens(tmp_path: Path, settings: dict[int, float]) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif.get_ifd(0x8769).update(settings)
    Image.fromarray(grey(90)).save(tmp_path / "phone.jpg", exif=exif)
    assert opened(tmp_path).intrinsics_from.startswith("assumed")


def test_mixed_sizes_are_refused_naming_the_first_odd_one(tmp_path: Path) -> None:
    folder = picture_folder(tmp_path / "shots", [f"{n}.png" for n in range(30)])
    write_image(folder / "7.png", grey(0, (50, 60)))
    write_image(folder / "9.png", grey(0, (50, 61)))
    message = refusal(folder).message
    assert "7.png is 60x50" in message and f"0.png is {WIDTH}x{HEIGHT}" in message


def test_what_is_no_picture_is_left_out_and_said(tmp_path: Path) -> None:
    folder = picture_folder(tmp_path / "shots", [f"{n}.png" for n in range(24)])
    (folder / "notes.txt").write_text("lamp left of the door")
    (folder / ".hidden").write_text("")
    (folder / "raw").mkdir()
    listening = Listening()
    assert len(capture(tmp_path / "out", folder, listening)) == 24
    assert listening.warnings == [f"Not pictures, and left out of {folder}: notes.txt, raw/."]


@pytest.mark.parametrize(("content", "says"), [(None, "is empty"), ("a.heic", "holds no pictures (there: a.heic)")])
def test_a_folder_without_pictures_tells_the_three_layouts(tmp_path: Path, content: str | None, says: str) -> None:
    folder = tmp_path / "shots"
    folder.mkdir()
    if content:
        (folder / content).write_bytes(b"x")
    error = refusal(folder)
    assert error.message.startswith(f"{folder} {says}")
    assert all(word in error.hint for word in ("jpg", "intrinsic.json", "rgb.txt"))


def test_a_picture_too_large_for_any_camera_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    folder = picture_folder(tmp_path / "pictures", ["1.png", "2.png"])
    assert "1.png is not a picture that can be read" in refusal(folder).message


def test_names_too_long_for_the_file_system_are_only_missing(tmp_path: Path) -> None:
    assert "There is no recording at" in refusal(tmp_path / ("x" * 300)).message
    picture_folder(tmp_path / "tum", ["1.png"])
    (tmp_path / "tum" / "rgb.txt").write_text(f"0 {'z' * 5000}")
    assert "is missing, but" in refusal(tmp_path / "tum").message


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    folder = picture_folder(tmp_path / "shots", [f"{n}.png" for n in range(24)])
    (folder / "5.png").write_bytes(b"not a picture")
    assert "5.png is not a picture" in refusal(folder).message
    whole = (folder / "4.png").read_bytes()
    (folder / "5.png").write_bytes(whole[: len(whole) // 2])
    assert "5.png is not a picture that can be read whole" in refusal(folder).message


def test_sixteen_bit_pictures_keep_their_brightness(tmp_path: Path) -> None:
    import cv2

    for name, shape in (("grey.png", (40, 60)), ("colour.png", (40, 60, 3)), ("grey.tif", (40, 60))):
        cv2.imwrite(str(tmp_path / name), np.full(shape, 120 * 256 + 7, np.uint16))
    assert {int(frame.image.mean().round()) for frame in opened(tmp_path).frames} == {120}


def test_a_start_behind_the_end_is_said(tmp_path: Path) -> None:
    folder = picture_folder(tmp_path / "shots", [f"{n}.png" for n in range(24)])
    assert "--start 9" in refusal(folder, start_s=9.0).message


# ---------------------------------------------------------------- Open3D's layout


def test_max_side_reduces_rgbd_folders_without_mixing_depths(tmp_path: Path) -> None:
    depth_m = rgbd_folder(tmp_path / "rgbd")
    frame = next(opened(tmp_path / "rgbd", max_side=80).frames)
    camera = opened(tmp_path / "rgbd", max_side=80).camera
    assert frame.image.shape == (48, 80, 3) and frame.depth_m is not None and frame.depth_m.shape == (48, 80)
    np.testing.assert_allclose(camera.K, [[100, 0, 40], [0, 105, 24], [0, 0, 1]])
    assert np.isin(frame.depth_m, depth_m).all()


def test_fov_contradicts_a_calibration_file(tmp_path: Path) -> None:
    rgbd_folder(tmp_path / "rgbd")
    message = refusal(tmp_path / "rgbd", fov_deg=70.0).message
    assert "--fov-deg 70" in message and "43.6 degrees" in message


def test_depth_is_stored_in_the_devices_own_steps(tmp_path: Path) -> None:
    depth_m = rgbd_folder(tmp_path / "rgbd", depth_scale=5000)
    recording = capture(tmp_path / "out", tmp_path / "rgbd")
    stored = recording.depth_m(0)
    assert stored is not None
    np.testing.assert_array_equal(stored, np.round(depth_m * 1000).astype(np.float32) / np.float32(5000))


def test_eight_bit_depth_is_refused_by_name(tmp_path: Path) -> None:
    rgbd_folder(tmp_path / "rgbd")
    write_image(tmp_path / "rgbd" / "depth" / "3.png", grey(80))
    message = refusal(tmp_path / "rgbd").message
    assert "depth/3.png" in message and "8-bit with 3 channels" in message


def test_counts_that_differ_are_said(tmp_path: Path) -> None:
    rgbd_folder(tmp_path / "rgbd")
    write_depth(tmp_path / "rgbd" / "depth" / "99.png", np.ones((HEIGHT, WIDTH), np.float32))
    listening = Listening()
    assert len(capture(tmp_path / "out", tmp_path / "rgbd", listening)) == 24
    assert "depth/ holds 25 pictures, color/ 24" in listening.warnings[0]
    for name in ("4.png", "11.png"):
        (tmp_path / "rgbd" / "depth" / name).unlink()
    message = refusal(tmp_path / "rgbd").message
    assert "color/ holds 24 pictures, depth/ 23; depth/4.png and 1 more are missing" in message


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"intrinsic_matrix": [200, 0, 80, 0, 210, 48, 0, 0, 1]}, "not a pinhole camera"),     # row by row
        ({"intrinsic_matrix": [200, 0, 80]}, "cannot be used"),
        ({"width": None}, "cannot be used"),
        ({"distortion": [0.1, 0.2, 0.3]}, "distortion has 3 numbers"),
        ({"distortion": [1e308, 0, 0, 0]}, "distortion has 4 numbers"),
        ({"width": float("inf")}, "infinity"),
        ({"width": 10**9}, "not a pinhole camera"),
        ({"intrinsic_matrix": [10**400, 0, 0, 0, 210, 0, 80, 48, 1]}, "too large"),
        ({"depth_scale": 0}, "depth_scale is 0"),
        ({"depth_scale": 1e-300}, "depth_scale is 1e-300"),
        ({"fps": "fast"}, "fps is 'fast'"),
        ({"depth": {"width": 8, "height": 8, "intrinsic_matrix": [9, 0, 0, 0, 9, 0, 4, 4, 1]}}, "16 numbers"),
    ],
)
def test_a_calibration_that_cannot_be_is_refused(tmp_path: Path, more: dict[str, Any], says: str) -> None:
    rgbd_folder(tmp_path / "rgbd", **more)
    message = refusal(tmp_path / "rgbd").message
    assert says in message and "intrinsic.json" in message


def test_millimetres_between_the_cameras_are_noticed(tmp_path: Path) -> None:
    moved = np.eye(4)
    moved[0, 3] = 32.0
    beside = {"width": WIDTH, "height": HEIGHT, "intrinsic_matrix": K.T.ravel().tolist(),
              "depth_to_color": moved.T.ravel().tolist()}
    rgbd_folder(tmp_path / "rgbd", depth=beside)
    assert "32 m apart" in refusal(tmp_path / "rgbd").message


def test_depth_of_another_size_needs_its_camera(tmp_path: Path) -> None:
    rgbd_folder(tmp_path / "rgbd")
    write_depth(tmp_path / "rgbd" / "depth" / "0.png", np.ones((48, 80), np.float32))
    error = refusal(tmp_path / "rgbd")
    assert "depth/0.png is 80x48" in error.message and 'entry "depth"' in error.hint


def wall_seen_by(camera: Camera, point: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """(H, W) float32: where the rays of a distorted camera meet a plane (in the world), by a fine search."""
    from pipelines.geometry.lenses import pixel_rays

    rays = np.concatenate([pixel_rays(camera), np.ones((camera.height, camera.width, 1))], axis=-1)
    to_world = np.linalg.inv(camera.world_to_camera)
    directions = rays @ to_world[:3, :3].T
    return (((point - to_world[:3, 3]) @ normal) / (directions @ normal)).astype(np.float32)


def test_unregistered_distorted_depth_lands_where_colour_sees_it(tmp_path: Path) -> None:
    """A slanted wall, seen by a depth camera beside the colour camera: after capture, every reading lies on it."""
    turn = np.radians(4.0)
    depth_to_color = np.array([[np.cos(turn), 0, np.sin(turn), 0.05], [0, 1, 0, 0.01],
                               [-np.sin(turn), 0, np.cos(turn), 0.0], [0, 0, 0, 1.0]])
    bend = [0.08, -0.02, 0.001, -0.001, 0.0]
    depth_camera = Camera(np.array([[70.0, 0, 52], [0, 70, 48], [0, 0, 1]]), 104, 96,
                          np.linalg.inv(depth_to_color), np.array(bend))
    point, normal = np.array([0.0, 0.0, 2.0]), np.array([0.3, 0.1, -1.0])
    beside = {"width": 104, "height": 96, "intrinsic_matrix": depth_camera.K.T.ravel().tolist(), "distortion": bend,
              "depth_to_color": depth_to_color.T.ravel().tolist()}
    rgbd_folder(tmp_path / "rgbd", frames=1, depth=beside, distortion=[-0.1, 0.03, 0, 0])
    write_depth(tmp_path / "rgbd" / "depth" / "0.png", wall_seen_by(depth_camera, point, normal))
    footage = opened(tmp_path / "rgbd")
    seen_m = next(footage.frames).depth_m
    assert seen_m is not None and not np.any(footage.camera.distortion)
    assert "distortion removed" in footage.intrinsics_from
    expected_m = wall_seen_by(footage.camera, point, normal)
    there = seen_m > 0
    assert there[20:-20, 20:-20].mean() > 0.98
    assert np.median(np.abs(seen_m - expected_m)[there]) < 0.001
    assert np.percentile(np.abs(seen_m - expected_m)[there], 99) < 0.004


def test_colour_distortion_is_removed_once(tmp_path: Path) -> None:
    """A white dot drawn where the lens bends a point to is found where the pinhole camera sees that point."""
    bend = np.array([-0.2, 0.05, 0.001, 0.002])
    rgbd_folder(tmp_path / "rgbd", frames=1, distortion=bend.tolist())
    lens = Camera(K, WIDTH, HEIGHT)
    points = unproject(np.array([[30.0, 20], [130, 20], [30, 75], [128, 78]]), np.full(4, 2.0), lens)
    bent = distort(points[:, :2] / points[:, 2:], bend) @ K[:2, :2].T + K[:2, 2]
    image = grey(0)
    for x, y in bent:
        v, u = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
        image[np.hypot(u - x, v - y) < 3] = 255
    write_image(tmp_path / "rgbd" / "color" / "0.png", image)
    footage = opened(tmp_path / "rgbd")
    straight = next(footage.frames).image[..., 0].astype(float)
    for x, y in project(points, footage.camera):
        v, u = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
        weight = straight * (np.hypot(u - x, v - y) < 8)
        assert np.hypot((weight * u).sum() / weight.sum() - x, (weight * v).sum() / weight.sum() - y) < 0.3


# ---------------------------------------------------------------- TUM's layout


def tum_folder(folder: Path, color_s: list[float], depth_s: list[float], size: tuple[int, int] = (480, 640)) -> Path:
    for name, times_s in (("rgb", color_s), ("depth", depth_s)):
        (folder / name).mkdir(parents=True)
        lines = ["# timestamp filename"]
        for n, time_s in enumerate(times_s):
            path = folder / name / f"{time_s:.4f}.png"
            if name == "rgb":
                write_image(path, grey(4 * n, size))
            else:
                write_depth(path, np.full(size, 1 + 0.01 * n, np.float32), 5000.0)
            lines.append(f"{time_s:.4f} {name}/{path.name}")
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_tum_pairs_are_each_others_nearest_within_20_ms(tmp_path: Path) -> None:
    folder = tum_folder(tmp_path / "tum", [10.0, 10.1, 10.2, 10.3], [10.005, 10.095, 10.112, 10.230, 10.319])
    footage = opened(folder)
    frames = list(footage.frames)
    np.testing.assert_allclose([frame.time_s for frame in frames], [0.0, 0.1, 0.3], atol=1e-6)
    depths = [float(frame.depth_m[0, 0]) for frame in frames if frame.depth_m is not None]
    np.testing.assert_allclose(depths, [1.00, 1.01, 1.04], atol=1e-4)
    assert footage.notes is not None and "4 pictures, depth.txt 5: 3 pairs" in footage.notes()[0]


def test_tum_intrinsics_are_the_benchmarks_only_for_its_size_and_said(tmp_path: Path) -> None:
    footage = opened(tum_folder(tmp_path / "tum", [0.0, 0.1], [0.0, 0.1]))
    np.testing.assert_array_equal(footage.camera.K, [[525, 0, 320], [0, 525, 240], [0, 0, 1]])
    assert footage.intrinsics_from.startswith("assumed: the TUM benchmark's default")
    small = tum_folder(tmp_path / "small", [0.0, 0.1], [0.0, 0.1], (48, 64))
    assert "no intrinsic.json" in refusal(small).message
    assert opened(small, fov_deg=90).camera.K[0, 0] == pytest.approx(32)
    described = {"width": 64, "height": 48, "intrinsic_matrix": [50, 0, 0, 0, 50, 0, 32, 24, 1]}
    (small / "intrinsic.json").write_text(json.dumps(described))
    footage = opened(small)
    assert footage.camera.K[0, 0] == 50 and footage.intrinsics_from == "the folder's intrinsic.json"
    depth_m = next(footage.frames).depth_m
    assert depth_m is not None and depth_m[0, 0] == pytest.approx(1.0)      # 5000 units per metre still


@pytest.mark.parametrize(
    ("rgb", "says"),
    [("0.0 rgb/a.png\nnow rgb/b.png\n", "rgb.txt, line 2"), ("0.0\n", "rgb.txt, line 1"),
     ("nan rgb/a.png\n", "line 1"), ("# nothing\n", "lists no pictures"), ("0.0 rgb/gone.png\n", "gone.png is missing"),
     ("500.0 rgb/0.0000.png\n", "499.900 s apart")],
)
def test_broken_tum_lists_are_refused_by_line(tmp_path: Path, rgb: str, says: str) -> None:
    folder = tum_folder(tmp_path / "tum", [0.0, 0.1], [0.0, 0.1])
    (folder / "rgb.txt").write_text(rgb)
    assert says in refusal(folder).message
