"""Capture: what a camera wrote comes out upright, in order, with its own times, or is refused in one sentence."""

from __future__ import annotations

import json
import math
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from listening import Listening

from pipelines.capture import FEWEST_FRAMES, REMINDER, STAGE, CaptureOptions
from pipelines.core.errors import AnrError
from pipelines.core.stage import Job, Progress
from pipelines.media.images import write_depth, write_image
from pipelines.media.recording import Recording
from pipelines.sources import SOURCES, Request, open_source

WIDTH, HEIGHT = 160, 96
CORNERS = {
    "top left": (220, 30, 30),
    "top right": (30, 200, 30),
    "bottom left": (40, 40, 220),
    "bottom right": (225, 225, 225),
}


def card() -> np.ndarray:
    """(96, 160, 3): a different colour in each corner, so that no turn or mirroring looks like another."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    halves = {"top": slice(0, HEIGHT // 2), "bottom": slice(HEIGHT // 2, None)}
    sides = {"left": slice(0, WIDTH // 2), "right": slice(WIDTH // 2, None)}
    for name, colour in CORNERS.items():
        vertical, horizontal = name.split()
        image[halves[vertical], sides[horizontal]] = colour
    return image


def seen_corners(image: np.ndarray) -> list[str]:
    """Names of the nearest corner colours at top left, top right, bottom left, bottom right of the picture."""
    h, w = image.shape[:2]
    places = [(h // 4, w // 4), (h // 4, 3 * w // 4), (3 * h // 4, w // 4), (3 * h // 4, 3 * w // 4)]
    return [
        min(CORNERS, key=lambda name: float(np.abs(np.array(CORNERS[name]) - image[place].astype(float)).sum()))
        for place in places
    ]


def write_video(
    path: Path,
    times_ms: list[int],
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    container_options: dict[str, str] | None = None,
    **stream_settings: Any,
) -> Path:
    """A clip of the card with a grey level that grows by frame in a middle square; times in milliseconds."""
    import av

    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pix_fmt
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for name, value in stream_settings.items():
            setattr(stream.codec_context, name, value)
        for number, time_ms in enumerate(times_ms):
            image = card()
            image[36:60, 68:92] = 4 * number
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def ffmpeg(*arguments: str | Path) -> None:
    import imageio_ffmpeg

    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)], check=True)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 frames, 40 ms apart."""
    return write_video(tmp_path_factory.mktemp("clips") / "clip.mp4", [40 * n for n in range(48)])


def capture(folder: Path, source: Path | str, **options: Any) -> Recording:
    folder.mkdir(parents=True, exist_ok=True)
    STAGE.run(Job(folder, CaptureOptions(source=str(source), coach=False, **options), {}, Progress()))
    return Recording(folder)


def test_every_frame_arrives_with_its_own_time(tmp_path: Path) -> None:
    times_ms = np.cumsum([0] + [20 if n % 3 else 90 for n in range(29)]).tolist()
    recording = capture(tmp_path / "out", write_video(tmp_path / "vfr.mp4", times_ms))
    np.testing.assert_allclose(recording.times_s, np.array(times_ms) / 1000, atol=1.5e-3)
    grey = [float(recording.image(n)[48, 80].mean()) for n in range(30)]
    np.testing.assert_allclose(grey, 4 * np.arange(30), atol=6)


@pytest.mark.parametrize(
    "turn",
    [
        [],
        ["-display_rotation", "90"],
        ["-display_rotation", "180"],
        ["-display_rotation", "270"],
        ["-display_hflip"],
        ["-display_rotation", "90", "-display_hflip"],
    ],
    ids=" ".join,
)
def test_a_display_matrix_is_obeyed_as_ffmpeg_obeys_it(clip: Path, tmp_path: Path, turn: list[str]) -> None:
    tagged, shown = tmp_path / "tagged.mp4", tmp_path / "shown.png"
    ffmpeg(*turn, "-i", clip, "-c", "copy", tagged)
    ffmpeg("-i", tagged, "-frames:v", "1", shown)  # ffmpeg turns upright unless told not to
    from pipelines.media.images import read_image

    expected = read_image(shown)
    first = next(open_source(Request(str(tagged))).frames).image
    assert first.shape == expected.shape
    assert seen_corners(first) == seen_corners(expected)


def test_colours_survive_in_limited_and_full_range(tmp_path: Path) -> None:
    for pix_fmt in ("yuv420p", "yuvj420p"):
        path = write_video(tmp_path / f"{pix_fmt}.mp4", [40 * n for n in range(24)], pix_fmt=pix_fmt)
        image = next(open_source(Request(str(path))).frames).image
        for place, colour in (
            ((10, 10), CORNERS["top left"]),
            ((10, 150), CORNERS["top right"]),
            ((90, 10), CORNERS["bottom left"]),
            ((90, 150), CORNERS["bottom right"]),
        ):
            np.testing.assert_allclose(image[place], colour, atol=14, err_msg=f"{pix_fmt} {place}")


def test_pixels_that_are_not_square_are_made_square(tmp_path: Path) -> None:
    path = write_video(tmp_path / "wide.mp4", [40 * n for n in range(24)], sample_aspect_ratio=Fraction(2, 1))
    assert next(open_source(Request(str(path))).frames).image.shape == (HEIGHT, 2 * WIDTH, 3)


def test_an_animated_gif_is_a_recording(clip: Path, tmp_path: Path) -> None:
    ffmpeg("-i", clip, "-r", "20", tmp_path / "clip.gif")
    recording = capture(tmp_path / "out", tmp_path / "clip.gif")
    assert len(recording) >= FEWEST_FRAMES
    np.testing.assert_allclose(np.diff(recording.times_s), 0.05, atol=1e-6)
    assert seen_corners(recording.image(0)) == list(CORNERS)


def test_a_part_of_a_clip_begins_at_time_zero(clip: Path, tmp_path: Path) -> None:
    part = capture(tmp_path / "part", clip, start=0.4, seconds=1.0)
    assert len(part) == 25 and part.times_s[0] == 0
    np.testing.assert_allclose(part.image(0)[48, 80].mean(), 40, atol=6)  # frame 10 of the clip
    assert len(capture(tmp_path / "fewer", clip, max_frames=30)) == 30


def test_large_pictures_are_reduced_on_request(clip: Path, tmp_path: Path) -> None:
    recording = capture(tmp_path / "out", clip, max_side=80)
    assert recording.image(0).shape == (48, 80, 3) == (recording.camera.height, recording.camera.width, 3)
    assert recording.camera.K[0, 2] == 40


def test_the_field_of_view_is_given_or_read_or_assumed_and_said(clip: Path, tmp_path: Path) -> None:
    given = open_source(Request(str(clip), fov_deg=90))
    assert given.camera.K[0, 0] == pytest.approx(WIDTH / 2)
    assumed = open_source(Request(str(clip)))
    assert assumed.camera.K[0, 0] == pytest.approx(WIDTH / 2 / math.tan(math.radians(30)))
    assert assumed.intrinsics_from.startswith("assumed: 60 degrees")
    phone = tmp_path / "phone.mov"
    ffmpeg(
        "-i",
        clip,
        "-c",
        "copy",
        "-movflags",
        "use_metadata_tags",
        "-metadata",
        "com.apple.quicktime.camera.focal_length.35mm_equivalent=26",
        phone,
    )
    read = open_source(Request(str(phone)))
    assert read.camera.K[0, 0] == pytest.approx(26 / 43.267 * math.hypot(WIDTH, HEIGHT), rel=1e-3)
    assert "metadata" in read.intrinsics_from
    assert capture(tmp_path / "known", phone).intrinsics_known
    assert not capture(tmp_path / "unknown", clip).intrinsics_known


def test_what_the_person_said_is_written_down(clip: Path, tmp_path: Path) -> None:
    recording = capture(tmp_path / "out", clip, height_m=1.78, track=1)
    assert recording.height_m == 1.78 and recording.track == 1


def test_a_recording_begins_with_the_reminder(clip: Path, tmp_path: Path) -> None:
    listening = Listening()
    (tmp_path / "out").mkdir()
    STAGE.run(Job(tmp_path / "out", CaptureOptions(source=str(clip), coach=False), {}, listening))
    assert REMINDER in listening.notes


def broken(name: str, clip: Path, folder: Path) -> Path | str:
    """Files that are no recordings, by name."""
    path = folder / name
    if name == "text.mp4":
        path.write_text("this is not a video\n" * 50)
    elif name == "notes.txt":
        path.write_text("\n".join(f"{n} steps" for n in range(4000)))
    elif name == "empty.mp4":
        path.write_bytes(b"")
    elif name == "cut_head.mp4":  # the index is at the end of the file, and gone
        path.write_bytes(clip.read_bytes()[:-2000])
    elif name == "short.mp4":
        write_video(path, [40 * n for n in range(12)])
    elif name == "sound.wav":
        ffmpeg("-f", "lavfi", "-i", "sine=duration=1", path)
    elif name == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("text.mp4", "not a video"),
        ("notes.txt", "not a video"),
        ("empty.mp4", "not a video"),
        ("cut_head.mp4", "not a video"),
        ("short.mp4", "12 frames; at least 24"),
        ("sound.wav", "no video track"),
        ("folder", "is empty"),
        ("nowhere.mp4", "no recording at"),
    ],
)
def test_bad_recordings_are_refused_in_one_sentence(clip: Path, tmp_path: Path, name: str, says: str) -> None:
    source = broken(name, clip, tmp_path)
    with pytest.raises(AnrError) as caught:
        capture(tmp_path / "out", source)
    assert says in caught.value.message and name in caught.value.message
    assert caught.value.hint and "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("option", "value"), [("seconds", 0.0), ("max_frames", 3), ("height_m", 178.0), ("fov_deg", 200.0)]
)
def test_options_out_of_range_are_refused(clip: Path, tmp_path: Path, option: str, value: float) -> None:
    with pytest.raises(AnrError, match="out of range"):
        capture(tmp_path / "out", clip, **{option: value})


def write_rgbd_folder(folder: Path, frames: int = 24) -> np.ndarray:
    """Returns the depth (H, W) metres that every frame has."""
    depth_m = np.round(np.linspace(1, 3, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH), 3).astype(np.float32)
    depth_m[:10] = 0
    (folder / "color").mkdir(parents=True)
    (folder / "depth").mkdir()
    for n in range(frames):
        write_image(folder / "color" / f"{n:06d}.png", card())
        write_depth(folder / "depth" / f"{n:06d}.png", depth_m)
    (folder / "intrinsic.json").write_text(
        json.dumps(
            {
                "width": WIDTH,
                "height": HEIGHT,
                "intrinsic_matrix": [200, 0, 0, 0, 210, 0, 80, 48, 1],
                "depth_scale": 1000,
                "fps": 12,
            }
        )
    )
    return depth_m


def test_an_rgbd_folder_keeps_its_depth_and_lens(tmp_path: Path) -> None:
    depth_m = write_rgbd_folder(tmp_path / "rgbd")
    recording = capture(tmp_path / "out", tmp_path / "rgbd")
    np.testing.assert_allclose(recording.depth_m(3), depth_m, atol=5e-4)
    np.testing.assert_array_equal(recording.camera.K, [[200, 0, 80], [0, 210, 48], [0, 0, 1]])
    np.testing.assert_allclose(recording.times_s, np.arange(24) / 12, atol=1e-6)
    assert recording.intrinsics_known


def test_an_rgbd_folder_with_a_hole_is_refused(tmp_path: Path) -> None:
    write_rgbd_folder(tmp_path / "rgbd")
    (tmp_path / "rgbd" / "depth" / "000007.png").unlink()
    with pytest.raises(AnrError, match=r"depth/000007\.png"):
        capture(tmp_path / "out", tmp_path / "rgbd")


def test_the_table_names_every_source_and_how_to_write_it() -> None:
    for name, source in SOURCES.items():
        assert source.name == name and source.example
        assert not source.fits("no such thing")


def test_a_synthetic_person_comes_with_depth_matte_and_truth(tmp_path: Path) -> None:
    recording = capture(tmp_path / "out", "synthetic:ada", studio_size=96, max_frames=24)
    assert len(recording) == 24 and recording.has_depth and recording.has_truth_alpha and recording.intrinsics_known
    assert recording.height_m is not None and 1.4 < recording.height_m < 2.1
    with np.load(tmp_path / "out" / "truth.npz") as truth:
        assert truth["joints_m"].shape == (24, 74, 3)
    alpha, depth_m = recording.truth_alpha(5), recording.depth_m(5)
    assert alpha is not None and depth_m is not None and 0.02 < alpha.mean() < 0.6
    assert recording.image(0).shape == (96, 96, 3)


def test_an_unknown_synthetic_person_is_named_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(AnrError) as caught:
        capture(tmp_path / "out", "synthetic:nobody")
    assert "nobody" in caught.value.message and "ada" in str(caught.value)


def test_real_clips_are_read_whole(shared_data: Path, tmp_path: Path) -> None:
    for name, frames, size in (
        ("videos/gymtrainer_squat.mp4", 85, (720, 1280)),
        ("videos/turn_apose.gif", 53, (512, 512)),
    ):
        recording = capture(tmp_path / Path(name).stem, shared_data / name)
        assert len(recording) == frames
        assert (recording.camera.width, recording.camera.height) == size
