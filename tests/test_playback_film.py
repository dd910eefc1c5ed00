"""Filming: threads keep order and bounds, formats and backgrounds, and nothing half-written after an interruption."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from avatar_double import FRAMES, HEIGHT, WIDTH, run, write_avatar

from pipelines import render
from pipelines.core.errors import AnrError, UsageError
from pipelines.core.options import identity_of
from pipelines.core.stage import Job, Progress
from pipelines.media.images import read_image, write_image
from pipelines.media.video import VideoWriter, frames_at
from pipelines.playback import limits
from pipelines.playback.conveyor import Behind, ahead
from pipelines.playback.drawing import network_scale, scaled
from pipelines.playback.limits import bytes_needed, check_memory
from pipelines.playback.request import FORMATS, PlaybackOptions, check, colour, video_name


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_avatar(tmp_path_factory.mktemp("train"))


def decoded(path: Path, codec: str = "", pixels: str = "rgba") -> list[np.ndarray]:
    """Frames of a video; libvpx-vp9 reads the alpha that ffmpeg's own decoder drops."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if not codec:
            return [frame.to_ndarray(format=pixels) for frame in container.decode(stream)]
        reader = av.CodecContext.create(codec, "r")
        frames = [frame for packet in container.demux(stream) if packet.size for frame in reader.decode(packet)]
        return [frame.to_ndarray(format=pixels) for frame in (*frames, *reader.decode(None))]


# --- threads ----------------------------------------------------------------------------------------------------------

def test_work_ahead_keeps_its_order_and_its_bound() -> None:
    begun: list[int] = []
    for taken, result in enumerate(ahead(lambda item: begun.append(item) or item**2, range(50), most=3), start=1):
        assert result == (taken - 1)**2
        time.sleep(0.001)
        assert len(begun) <= taken + 3 + 1
    assert begun == list(range(50))


def test_work_behind_keeps_its_order_and_its_bound() -> None:
    done: list[int] = []
    release = threading.Semaphore(0)

    def work(k: int) -> None:
        release.acquire()
        done.append(k)

    put = 0
    helper = threading.Thread(target=lambda: [(time.sleep(0.002), release.release()) for _ in range(30)])
    helper.start()
    with Behind(work, most=2) as behind:
        for k in range(30):
            behind.put(k)
            put += 1
            assert put - len(done) <= 3
    helper.join()
    assert done == list(range(30))


def test_an_error_in_a_thread_is_raised_and_ends_it() -> None:
    def work(k: int) -> int:
        if k == 3:
            raise AnrError("the third one fails", hint="of course")
        return k

    with pytest.raises(AnrError, match="third"):
        list(ahead(work, range(9), most=2))
    before = threading.active_count()
    with pytest.raises(AnrError, match="third"), Behind(work, most=2) as behind:
        for k in range(9):
            behind.put(k)
    assert threading.active_count() <= before


def test_few_frames_are_under_way_however_long_the_shot_is(avatar: Path, tmp_path: Path,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames drawn and not yet encoded: bounded by the queues, so that memory does not grow with the length."""
    from pipelines.playback import film, reel

    drawn, most = 0, 0
    real_body, real_add = film.drawn_body, reel.Reel.add

    def counting_body(*arguments: object) -> object:
        nonlocal drawn
        drawn += 1
        return real_body(*arguments)

    def counting_add(self: reel.Reel, *arguments: object) -> None:
        nonlocal most
        most = max(most, drawn - self._taken)
        time.sleep(0.005)
        real_add(self, *arguments)

    monkeypatch.setattr(film, "drawn_body", counting_body)
    monkeypatch.setattr(reel.Reel, "add", counting_add)
    run(render, avatar, tmp_path, person="ada", orbit=True, fps=10.0, size=64)
    assert drawn == 40 and most <= 2 * film.AHEAD + 3


def test_the_same_request_gives_the_same_pictures(avatar: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        run(render, avatar, tmp_path / name, person="ada", orbit=True, fps=2.0, size=96, frames_dir="asked")
    for frame in (tmp_path / "a" / "frames").iterdir():
        assert frame.read_bytes() == (tmp_path / "b" / "frames" / frame.name).read_bytes()
    assert (tmp_path / "a" / "video.mp4").read_bytes() == (tmp_path / "b" / "video.mp4").read_bytes()


class StopsAtThird(Progress):
    def track(self, items, label, total=None):  # type: ignore[no-untyped-def]
        for k, item in enumerate(items):
            if k == 3:
                raise KeyboardInterrupt
            yield item


def test_an_interruption_leaves_no_video_and_no_thread(avatar: Path, tmp_path: Path) -> None:
    before = threading.active_count()
    options = render.RenderOptions(person="ada", orbit=True, fps=4.0, size=64, gif=True)
    with pytest.raises(KeyboardInterrupt):
        render.run(Job(tmp_path, options, {"train": avatar}, StopsAtThird()))
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() <= before


# --- what is written --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("ending", "codec", "close"), [("webm", "libvpx-vp9", 8), ("mov", "", 2)])
def test_alpha_comes_back_from_the_file(avatar: Path, tmp_path: Path, ending: str, codec: str, close: int) -> None:
    outcome = run(render, avatar, tmp_path, person="ada", replay=True, frames="0:2", background="transparent",
                  format=ending, frames_dir="asked")
    assert outcome.outputs["video"] == f"video.{ending}"
    frames = decoded(tmp_path / f"video.{ending}", codec)
    written = read_rgba(tmp_path / "frames" / "00000.png")
    away = np.abs(frames[0].astype(int) - written)
    assert len(frames) == 2 and frames[0].shape == (HEIGHT, WIDTH, 4)
    assert away[..., 3].mean() < close and (written[..., 3] > 200).any() and (written[..., 3] == 0).any()
    solid = written[..., 3] > 250
    assert away[solid][:, :3].mean() < 3 * close


def read_rgba(path: Path) -> np.ndarray:
    import cv2

    return cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA).astype(int)


def test_a_strip_has_as_many_frames_as_were_asked_for(avatar: Path, tmp_path: Path) -> None:
    for count in (5, 11):
        run(render, avatar, tmp_path / str(count), person="ada", orbit=True, fps=3.0, size=64, strip=count)
        picture = read_image(tmp_path / str(count) / "strip.jpg")
        assert picture.shape == (64, count * 64 + (count - 1) * 4, 3)
    run(render, avatar, tmp_path / "b", person="ada", orbit=True, fps=3.0, size=64, strip=3, background="transparent")
    assert read_rgba(tmp_path / "b" / "strip.png").shape == (64, 3 * 64, 4)


@pytest.mark.parametrize("background", ["white", "transparent"])
def test_a_gif_is_small_and_moves(avatar: Path, tmp_path: Path, background: str) -> None:
    from PIL import Image

    outcome = run(render, avatar, tmp_path, person="ada", orbit=True, fps=6.0, size=400, gif=True, frames="0:12",
                  background=background)
    with Image.open(tmp_path / outcome.outputs["gif"]) as picture:
        assert picture.height == 360 and picture.n_frames > 5
        picture.seek(2)
        corner = picture.convert("RGBA").getpixel((0, 0))
    assert corner[3] == (0 if background == "transparent" else 255)
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_the_format_is_part_of_what_was_asked_and_the_file_name_is_not() -> None:
    plain = identity_of(PlaybackOptions(orbit=True))
    assert identity_of(PlaybackOptions(orbit=True, out="b.mp4")) == plain
    assert identity_of(PlaybackOptions(orbit=True, out="b.mov")) == identity_of(
        PlaybackOptions(orbit=True, format="mov")) != plain
    assert video_name(PlaybackOptions(background="transparent", out="x.mov")) == "video.mov"
    assert [video_name(PlaybackOptions(format=each)) for each in FORMATS] == ["video.mp4", "video.webm", "video.mov"]


@pytest.mark.parametrize(("options", "message"), [
    ({"background": "transparent", "format": "mp4"}, ".mp4 cannot hold it"),
    ({"background": "transparent", "out": "a.mp4"}, ".mp4 cannot hold it"),
    ({"format": "avi"}, "--format avi"), ({"format": "webm", "out": "a.mov"}, "a .webm file, so --out a.mov"),
    ({"strip": 0}, "--strip 0"), ({"engine": "abacus"}, "--engine abacus"), ({"fps": float("nan")}, "--fps nan"),
    ({"trim": "1:2"}, "--trim changes a --motion"), ({"mirror": True}, "--mirror changes a --motion"),
    ({"loop": 2}, "--loop changes a --motion"), ({"joint_map": "a.json"}, "--joint-map changes a --motion"),
    ({"speed": 0.5}, "--speed changes a --motion"),
    ({"motion": "a.bvh", "speed": 0.0}, "--speed 0 "), ({"motion": "a.bvh", "loop": 0}, "--loop 0 "),
    ({"motion": "a.bvh", "trim": "2:1"}, "--trim 2:1"), ({"motion": "a.bvh", "trim": "2:2"}, "--trim 2:2"),
])
def test_bad_requests_are_refused_before_any_work(options: dict, message: str) -> None:
    with pytest.raises((AnrError, UsageError)) as caught:
        check(PlaybackOptions(**({"orbit": True} | options if "motion" not in options else options)))
    assert message in caught.value.message and caught.value.hint


# --- backgrounds ------------------------------------------------------------------------------------------------------

def test_colours_have_names_or_six_digits() -> None:
    assert colour("white") == (255, 255, 255) and colour("#0a141e") == (10, 20, 30)
    assert colour("#12345") is None and colour("capture") is None


def test_a_video_lies_behind_the_person_and_begins_again(avatar: Path, tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "behind.mp4", 64, 64, 4.0) as writer:
        for level in (60, 120, 180):
            writer.add(np.full((64, 64, 3), level, np.uint8))
    run(render, avatar, tmp_path / "v001", person="ada", orbit=True, fps=4.0, size=64, frames="0:8",
        background=str(tmp_path / "behind.mp4"), frames_dir="asked")
    corners = [int(read_image(frame)[0, 0, 0]) for frame in sorted((tmp_path / "v001" / "frames").iterdir())]
    np.testing.assert_allclose(corners, [60, 120, 180] * 2 + [60, 120], atol=4)


def test_a_videos_pictures_are_those_of_the_times_asked_for(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", 32, 32, 10.0) as writer:
        for k in range(10):
            writer.add(np.full((32, 32, 3), 20 * k + 20, np.uint8))
    times = [0.0, 0.05, 0.1, 0.55, 0.95, 1.05, 2.25]
    levels = [int(picture.mean()) for picture in frames_at(tmp_path / "a.mp4", times)]
    np.testing.assert_allclose(levels, [20, 20, 40, 120, 200, 20, 60], atol=4)


def test_backgrounds_that_are_none_are_explained(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(AnrError, match="cannot be decoded as a video"):
        check(PlaybackOptions(orbit=True, background=str(tmp_path / "a.mp4")))
    with pytest.raises(AnrError, match="no background '#12'"):
        check(PlaybackOptions(orbit=True, background="#12"))


def test_in_front_of_a_new_background_light_is_mixed_as_light(avatar: Path, tmp_path: Path) -> None:
    """A known alpha, all the way through the renderer's last step to the PNG."""
    from pipelines.playback.backdrop import still
    from pipelines.playback.drawing import composed

    rgb, alpha = np.ones((40, 40, 3), np.float32), np.full((40, 40), 0.5, np.float32)
    black = still(np.zeros((40, 40, 3), np.uint8), captured=False)
    picture = composed(next(black.pictures([0.0])), black, (rgb, alpha), (0, 0, 40, 40), (40, 40))
    write_image(tmp_path / "a.png", picture)
    assert abs(int(read_image(tmp_path / "a.png")[20, 20, 0]) - 188) <= 1       # half of white's light
    learnt = still(np.zeros((40, 40, 3), np.uint8), captured=True)
    as_trained = composed(next(learnt.pictures([0.0])), learnt, (rgb, alpha), (0, 0, 40, 40), (40, 40))
    assert as_trained[20, 20, 0] == 128                                         # I' = M I + (1 - M) B


# --- sizes ------------------------------------------------------------------------------------------------------------

def test_a_network_works_at_the_size_it_was_trained_at() -> None:
    from avatar_double import captured_camera

    camera = captured_camera()                           # focal length 200 px
    for away, expected in ((2.0, 1.0), (8.0, 2.0), (0.5, 0.5)):
        px_per_m = (50.0, 200.0)
        assert network_scale(camera, np.array([0.0, 0, away]), px_per_m) == pytest.approx(expected)


def test_scaling_a_person_keeps_their_colours_up_to_the_border() -> None:
    alpha = np.zeros((64, 64), np.float32)
    alpha[20:44, 20:44] = 1
    rgb = np.where(alpha[..., None] > 0, np.array([0.8, 0.2, 0.1]), np.array([0.0, 1.0, 1.0])).astype(np.float32)
    for size in ((32, 32), (150, 150), (21, 30)):
        colours, cover = scaled(rgb, alpha, size)
        assert colours.shape == (*size, 3) and cover.min() >= 0 and cover.max() <= 1
        seen = cover > 0.2
        assert np.abs(colours[seen] - [0.8, 0.2, 0.1]).max() < 0.02, size
        assert cover.mean() == pytest.approx(alpha.mean(), rel=0.06)
    assert scaled(rgb, alpha, (64, 64))[0] is rgb


def test_a_size_beyond_the_memory_is_refused_with_one_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "free_bytes", lambda: 0.7e9)
    with pytest.raises(AnrError, match=r"4096x4096 need about .* GB of memory; 0.7 GB are free") as caught:
        check(PlaybackOptions(orbit=True, size=4096))
    fitting = int(caught.value.hint.split("--size ")[1].split()[0])
    check(PlaybackOptions(orbit=True, size=fitting))
    monkeypatch.setattr(limits, "free_bytes", lambda: 0.1e9)
    with pytest.raises(AnrError, match="256x256 need") as caught:
        check_memory(256, 256)
    assert caught.value.hint == "Close what else takes memory."
    monkeypatch.setattr(limits, "free_bytes", lambda: None)
    check_memory(100_000, 100_000)                       # a system that does not tell is believed


def test_more_pixels_and_wider_networks_need_more_memory() -> None:
    assert bytes_needed(200, 200) < bytes_needed(200, 200, 100**2) < bytes_needed(200, 200, 100**2, 4.0)
    assert limits.free_bytes() is None or limits.free_bytes() > 1e6


def test_a_replay_draws_as_the_network_was_taught(avatar: Path, tmp_path: Path) -> None:
    outcome = run(render, avatar, tmp_path, person="ada", replay=True)
    assert outcome.figures["frames"] == FRAMES


def test_the_bench_measures_network_and_whole_at_every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    from anrcli.commands import bench_render

    monkeypatch.setattr(bench_render, "SIZES", (64,))
    monkeypatch.setattr(bench_render, "FRAMES", 8)
    figures = bench_render.bench_render(Progress())
    assert set(figures) == {"network_64x64_ms", "end_to_end_64x64_fps"} and min(figures.values()) > 0
