"""Videos: whatever FFmpeg decodes comes out upright, in true colours, with its own times; what is cut off is said."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.capture import STAGE, CaptureOptions
from pipelines.core.errors import AnrError
from pipelines.core.records import Footage
from pipelines.core.stage import Job, Progress
from pipelines.media.recording import Recording
from pipelines.sources import Request, open_source
from pipelines.sources.video import length_of

COLOURS = ((200, 40, 40), (40, 180, 60), (50, 60, 210), (230, 230, 230))       # quarters of the picture


class Listening(Progress):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def card(width: int, height: int) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    for number, colour in enumerate(COLOURS):
        rows = slice(0, height // 2) if number < 2 else slice(height // 2, None)
        image[rows, slice(0, width // 2) if number % 2 == 0 else slice(width // 2, None)] = colour
    return image


def quarters(image: np.ndarray) -> np.ndarray:
    """(4, 3) the colour in the middle of each quarter."""
    h, w = image.shape[:2]
    return np.array([image[y, x] for y in (h // 4, 3 * h // 4) for x in (w // 4, 3 * w // 4)], float)


def ffmpeg(*arguments: str | Path) -> None:
    import imageio_ffmpeg

    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)], check=True)


def film(path: Path, codec: str, pix_fmt: str, size: tuple[int, int] = (96, 64), frames: int = 5,
         **settings: Any) -> Path:
    """A clip of the card, 25 frames/s."""
    import av

    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        for name, value in settings.items():
            setattr(stream.codec_context, name, value)
        for _ in range(frames):
            frame = av.VideoFrame.from_ndarray(card(width, height), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def opened(path: Path, **request: Any) -> Footage:
    return open_source(Request(str(path), **request))


FORMATS = [
    ("mp4", "libx264", "yuv420p"), ("mov", "libx264", "yuv422p"), ("mkv", "libx264", "yuv444p"),
    ("mp4", "libx264", "yuv420p10le"), ("mkv", "libx264", "yuv444p10le"), ("mkv", "libx264rgb", "rgb24"),
    ("mp4", "libx265", "yuv420p10le"), ("webm", "libvpx-vp9", "yuv420p"), ("webm", "libvpx-vp9", "yuva420p"),
    ("mkv", "ffv1", "gbrp10le"), ("mkv", "ffv1", "yuv420p16le"), ("mkv", "ffv1", "bgra"),
    ("mov", "prores_ks", "yuv422p10le"), ("mov", "prores_ks", "yuva444p10le"), ("mov", "qtrle", "rgb24"),
    ("avi", "mjpeg", "yuvj422p"), ("avi", "rawvideo", "yuyv422"), ("mpg", "mpeg2video", "yuv420p"),
    ("avi", "mpeg4", "yuv420p"), ("ts", "libx264", "yuv420p"), ("mov", "png", "rgba"), ("mov", "png", "rgb48be"),
]


@pytest.mark.parametrize(("ending", "codec", "pix_fmt"), FORMATS, ids=lambda value: str(value))
def test_colours_survive_in_every_container_and_pixel_format(
    tmp_path: Path, ending: str, codec: str, pix_fmt: str
) -> None:
    import av

    try:
        path = film(tmp_path / f"clip.{ending}", codec, pix_fmt)
    except (av.error.FFmpegError, av.codec.codec.UnknownCodecError, ValueError) as error:
        pytest.skip(f"this PyAV cannot write {codec} {pix_fmt}: {error}")
    frames = list(opened(path).frames)
    assert len(frames) == 5
    np.testing.assert_allclose(quarters(frames[2].image), COLOURS, atol=14)
    np.testing.assert_allclose(np.diff([frame.time_s for frame in frames]), 0.04, atol=2e-3)


@pytest.mark.parametrize(("codec", "pix_fmt"), [("ffv1", "gray"), ("ffv1", "gray16le"), ("ffv1", "gray10le")])
def test_grey_clips_are_grey(tmp_path: Path, codec: str, pix_fmt: str) -> None:
    seen = quarters(next(opened(film(tmp_path / "clip.mkv", codec, pix_fmt)).frames).image)
    np.testing.assert_allclose(seen[:, 0], np.array(COLOURS) @ [0.299, 0.587, 0.114], atol=12)
    np.testing.assert_allclose(seen, seen[:, :1].repeat(3, axis=1), atol=1)


@pytest.mark.parametrize("size", [(97, 65), (33, 128), (130, 31)])
def test_odd_sizes_lose_no_column(tmp_path: Path, size: tuple[int, int]) -> None:
    footage = opened(film(tmp_path / "clip.mkv", "ffv1", "bgra", size))
    image = next(footage.frames).image
    assert (footage.camera.width, footage.camera.height) == size == (image.shape[1], image.shape[0])
    np.testing.assert_array_equal(image, card(*size))


def test_sound_is_ignored_even_when_it_lasts_longer(tmp_path: Path) -> None:
    clip, both = film(tmp_path / "clip.mp4", "libx264", "yuv420p", frames=30), tmp_path / "both.mp4"
    ffmpeg("-i", clip, "-f", "lavfi", "-i", "sine=duration=6", "-c:v", "copy", "-c:a", "aac", both)
    footage = opened(both)
    assert len(list(footage.frames)) == 30
    assert footage.notes is not None and footage.notes() == []


def test_an_interlaced_clip_is_woven_and_said(tmp_path: Path) -> None:
    clip, woven = film(tmp_path / "clip.mkv", "ffv1", "yuv420p", frames=12), tmp_path / "tff.mpg"
    ffmpeg("-i", clip, "-vf", "setfield=tff", "-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-q:v", "2", woven)
    footage = opened(woven)
    frames = list(footage.frames)
    assert len(frames) == 12
    np.testing.assert_allclose(np.diff([frame.time_s for frame in frames]), 0.04, atol=2e-3)
    np.testing.assert_allclose(quarters(frames[5].image), COLOURS, atol=14)
    assert footage.notes is not None and "interlaced" in footage.notes()[0]


def pq(nits: float) -> float:
    """The signal (0..1) of SMPTE ST 2084 for a luminance."""
    y = (nits / 10000) ** (2610 / 16384)
    return float(((3424 / 4096 + 2413 / 128 * y) / (1 + 2392 / 128 * y)) ** (2523 / 32))


def hdr_clip(path: Path, levels: list[float], transfer: int) -> Path:
    """Grey frames of 10-bit signals in BT.2020, one per level (0..1)."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace, context.color_range = transfer, 9, 9, 1
        context.options = {"x265-params": "log-level=none:lossless=1"}
        for number, level in enumerate(levels):
            frame = av.VideoFrame(64, 64, "yuv420p10le")
            for plane, value in zip(frame.planes, (64 + 876 * level, 512, 512)):
                plane.update(np.full(plane.buffer_size // 2, round(value), np.uint16).tobytes())
            frame.color_trc, frame.color_primaries, frame.colorspace, frame.color_range = transfer, 9, 9, 1
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_hdr_is_mapped_to_srgb_and_said(tmp_path: Path) -> None:
    """Light of 1 to 1000 nits stays in order and grey; dark parts are dark (read as SDR, PQ's 1 nit is grey 37)."""
    levels = [pq(nits) for nits in (1, 10, 50, 100, 203, 1000)]
    footage = opened(hdr_clip(tmp_path / "pq.mp4", levels, 16))
    seen = np.array([frame.image[32, 32] for frame in footage.frames], float)
    np.testing.assert_allclose(seen, seen[:, :1].repeat(3, axis=1), atol=2)
    assert np.all(np.diff(seen[:, 0]) > 15) and seen[0, 0] < 15
    assert footage.notes is not None and "HDR (PQ)" in footage.notes()[0]


def test_hdr_that_cannot_be_mapped_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.sources.light._works", lambda step: False)
    footage = opened(hdr_clip(tmp_path / "hlg.mp4", [0.5] * 3, 18))
    assert len(list(footage.frames)) == 3
    assert footage.notes is not None and "HDR (HLG), which this FFmpeg cannot map" in footage.notes()[0]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm", "avi"])
def test_of_a_cut_off_clip_what_is_whole_is_used_and_said(tmp_path: Path, ending: str) -> None:
    codec = "libvpx" if ending == "webm" else "libx264"
    quick = {"deadline": "realtime", "cpu-used": "8"} if ending == "webm" else {"preset": "veryfast"}
    whole = film(tmp_path / f"whole.{ending}", codec, "yuv420p", (320, 240), frames=150, options=quick)
    cut = tmp_path / f"cut.{ending}"
    if ending == "mp4":                                 # with the index in front, as cameras' own cut files have it
        ffmpeg("-i", whole, "-c", "copy", "-movflags", "+faststart", tmp_path / "front.mp4")
        whole = tmp_path / "front.mp4"
    stored = whole.read_bytes()
    cut.write_bytes(stored[: len(stored) * 7 // 10])
    listening = Listening()
    (tmp_path / "out").mkdir()
    STAGE.run(Job(tmp_path / "out", CaptureOptions(source=str(cut), coach=False), {}, listening))
    recording = Recording(tmp_path / "out")
    assert 24 <= len(recording) < 150
    np.testing.assert_allclose(quarters(recording.image(len(recording) - 1)), COLOURS, atol=20)
    (said,) = listening.warnings
    assert f"{cut} is damaged or cut off: {len(recording)} pictures" in said and "s) are whole" in said
    assert "of 6.0 s" in said or ending == "avi"         # whose length FFmpeg guesses from the size of the file


def test_a_cut_beyond_the_part_asked_for_does_not_matter(tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.mkv", "libx264", "yuv420p", (320, 240), frames=150)
    (tmp_path / "cut.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size * 7 // 10])
    footage = opened(tmp_path / "cut.mkv", seconds=1.0)
    assert len(list(footage.frames)) == 25 and footage.notes is not None and footage.notes() == []


def test_too_little_left_of_a_cut_off_clip_is_refused(tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.mkv", "mjpeg", "yuvj420p", (320, 240), frames=40)
    (tmp_path / "cut.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size * 4 // 10])
    (tmp_path / "out").mkdir()
    listening = Listening()
    with pytest.raises(AnrError, match="at least 24 are needed"):
        STAGE.run(Job(tmp_path / "out", CaptureOptions(source=str(tmp_path / "cut.mkv")), {}, listening))
    assert "cut off" in listening.warnings[0]


def test_frames_that_repeat_keep_their_times(shared_data: Path) -> None:
    footage = opened(shared_data / "videos" / "swai_walk.mp4", max_side=320, max_frames=60)
    times_s = [frame.time_s for frame in footage.frames]
    np.testing.assert_allclose(np.diff(times_s), 1 / 30, atol=1e-3)


def test_the_header_tells_how_long_a_clip_is(shared_data: Path, tmp_path: Path) -> None:
    frames, fps, megapixels, kinect = length_of(shared_data / "videos" / "sam2_juggle.mp4")
    assert (frames, round(fps), round(megapixels, 4), kinect) == (247, 24, 0.9216, False)
    assert length_of(shared_data / "kinect" / "recording.mkv")[3]
    (tmp_path / "clip.mp4").write_bytes(b"no clip")
    assert length_of(tmp_path / "clip.mp4") == (0, 0, 0, False)
