"""Live recordings, filmed by a camera that is not there: countdown, live line, every way they can end."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pipelines.sources
from pipelines.capture import FEWEST_FRAMES, STAGE, CaptureOptions
from pipelines.chain import Request, bring_up_to_date, work_ahead
from pipelines.core.errors import AnrError
from pipelines.core.records import Camera, Footage, Frame
from pipelines.core.stage import Job, Progress
from pipelines.core.unfinished import unfinished_in
from pipelines.core.workspace import Workspace
from pipelines.media.recording import Recording
from pipelines.media.shooting import Limits, shoot
from pipelines.sources import open_source
from pipelines.sources import webcam as webcams

FPS = 30.0
CAMERA = Camera(np.array([[60.0, 0, 32], [0, 60, 24], [0, 0, 1]]), 64, 48)


class Listening(Progress):
    def __init__(self) -> None:
        self.said: list[str] = []
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.said.append(f"warning: {text}")

    def live(self, text: str) -> None:
        self.lines.append(text)


def film(at: dict[int, Callable[[], None]], depth: bool = False, count: int | None = None,
         shade: int = 0) -> Iterator[Frame]:
    """Frames of a running clock, level by number; at some numbers something happens first."""
    for n in itertools.count() if count is None else range(count):
        at.get(n, lambda: None)()
        depth_m = np.full((48, 64), 1 + 0.01 * (n % 50), np.float32) if depth else None
        yield Frame(n, 100 + n / FPS, np.full((48, 64, 3), (n + shade) % 250, np.uint8), depth_m)


def live(frames: Iterator[Frame], **more: Any) -> Footage:
    return Footage(camera=CAMERA, frames=frames, frame_count=None, fps=FPS, intrinsics_from="the double", live=True,
                   **more)


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> Callable[[Footage], None]:
    """Puts a camera behind `webcam`; nobody looks for people."""
    def plug(footage: Footage) -> None:
        monkeypatch.setattr(pipelines.sources, "open_source", lambda request: footage)

    def nobody() -> Any:
        raise ImportError("No module named 'mediapipe'")

    monkeypatch.setattr("pipelines.capture._finder", nobody)
    return plug


def capture(folder: Path, progress: Progress | None = None, **options: Any) -> Recording:
    folder.mkdir(parents=True, exist_ok=True)
    chosen = CaptureOptions(**{"source": "webcam", "countdown": 0.0, "coach": False, **options})
    STAGE.run(Job(folder, chosen, {}, progress or Progress()))
    return Recording(folder)


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def fail(error: BaseException) -> Callable[[], None]:
    def happen() -> None:
        raise error

    return happen


def test_frames_count_from_the_end_of_the_countdown() -> None:
    listening = Listening()
    frames = list(shoot(live(film({})), Limits(2.0, 1.0, None), listening, None))
    assert len(frames) == 30 and [f.index for f in frames] == list(range(30))
    assert frames[0].time_s == 0 and int(frames[0].image[0, 0, 0]) == 60
    assert listening.lines[0] == "Recording begins in 2 s" and "Recording begins in 1 s" in listening.lines
    assert listening.lines[-1] == ""


def test_the_live_line_tells_rate_losses_view_and_time_left() -> None:
    lost = {"frames": 5}

    def lose() -> None:
        lost["frames"] += 3

    listening = Listening()
    footage = live(film({70: lose}), dropped=lambda: lost["frames"])
    list(shoot(footage, Limits(1.0, 4.0, None), listening, None))
    assert listening.lines[-2] == "Recording 3.9 s · 30.0 fps · 3 dropped · 0 s left"
    assert any(line.endswith("· 0 dropped · 3 s left") for line in listening.lines)
    list(shoot(live(film({})), Limits(0.0, None, 40), listening, None))
    assert listening.lines[-2].endswith("Ctrl-C ends it")


def test_who_is_in_view_is_found_on_another_thread() -> None:
    looked_on: set[str] = set()
    ready = threading.Event()

    def sees(image: np.ndarray) -> bool:
        looked_on.add(threading.current_thread().name)
        ready.set()
        return bool(image.mean() >= 0)

    def wait_for_a_look() -> None:
        assert ready.wait(10)
        time.sleep(0.6)                                 # it looks twice a second

    listening = Listening()
    footage = live(film({5: wait_for_a_look, 40: lambda: time.sleep(0.2)}))
    list(shoot(footage, Limits(0.5, 1.0, None), listening, lambda: sees))
    assert threading.current_thread().name not in looked_on and len(looked_on) == 1
    assert any("person in view" in line for line in listening.lines)


def test_without_a_detector_that_is_said_once_and_left_out(tmp_path: Path, camera: Any) -> None:
    camera(live(film({})))
    listening = Listening()
    capture(tmp_path / "place" / "out", listening, seconds=2.0)
    assert sum("in view cannot be told here: No module named 'mediapipe'" in text for text in listening.said) == 1
    assert not any("in view" in line for line in listening.lines)


def test_a_recording_keeps_its_own_times_and_leaves_only_itself(tmp_path: Path, camera: Any) -> None:
    camera(live(film({}, depth=True), dropped=lambda: 2))
    recording = capture(tmp_path / "place" / "out", seconds=1.0)
    assert len(recording) == 30 and recording.fps == pytest.approx(30)
    np.testing.assert_allclose(recording.times_s, np.arange(30) / FPS, atol=1e-6)
    assert int(recording.image(7).mean()) == 7
    depth_m = recording.depth_m(7)
    assert depth_m is not None and depth_m[0, 0] == pytest.approx(1.07)
    names = {path.name for path in (tmp_path / "place" / "out").iterdir()}
    assert names == {"color", "depth", "capture.json"}


def test_ctrl_c_ends_a_recording_and_keeps_it(tmp_path: Path, camera: Any) -> None:
    camera(live(film({40: press_ctrl_c})))
    before, listening = signal.getsignal(signal.SIGINT), Listening()
    recording = capture(tmp_path / "place" / "out", listening)
    assert len(recording) == 41 and "Stopped by Ctrl-C: the 41 frames so far are kept." in listening.said
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_during_the_countdown_stops_everything(tmp_path: Path, camera: Any) -> None:
    camera(live(film({10: press_ctrl_c})))
    with pytest.raises(KeyboardInterrupt):
        capture(tmp_path / "place" / "out", countdown=3.0)
    assert not unfinished_in(tmp_path / "place")


def test_too_short_a_recording_is_refused_and_removed(tmp_path: Path, camera: Any) -> None:
    camera(live(film({10: press_ctrl_c})))
    with pytest.raises(AnrError, match=f"webcam gives 11 frames; at least {FEWEST_FRAMES}"):
        capture(tmp_path / "place" / "out")
    assert not unfinished_in(tmp_path / "place")


def test_a_camera_that_fails_ends_the_recording_and_what_it_gave_is_kept(tmp_path: Path, camera: Any) -> None:
    camera(live(film({50: fail(AnrError("kinect:0 was unplugged."))})))
    listening = Listening()
    assert len(capture(tmp_path / "place" / "out", listening)) == 50
    assert "warning: kinect:0 was unplugged. What was recorded before is kept." in listening.said


@pytest.mark.parametrize("depth", [False, True])
def test_what_a_crash_leaves_is_a_source(tmp_path: Path, camera: Any, depth: bool, monkeypatch: Any) -> None:
    """The frames that were whole on disk can be taken; a half-written one is none."""
    open_folder = pipelines.sources.SOURCES["tum_folder"].open
    camera(live(film({60: fail(RuntimeError("power"))}, depth=depth)))
    listening = Listening()
    with pytest.raises(RuntimeError, match="power"):
        capture(tmp_path / "place" / "out", listening)
    (left,) = unfinished_in(tmp_path / "place")
    assert any(text.startswith("warning:") and text.endswith(f"--source {left}") for text in listening.said)
    (left / "color" / "00060.jpg").write_bytes(b"half a picture")

    footage = open_folder(pipelines.sources.Request(str(left)))
    frames = list(footage.frames)
    assert FEWEST_FRAMES <= len(frames) <= 60
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(len(frames)) / FPS, atol=1e-5)
    np.testing.assert_array_equal(footage.camera.K, CAMERA.K)
    assert all((f.depth_m is not None) == depth for f in frames)
    if depth:
        assert frames[9].depth_m is not None and frames[9].depth_m[0, 0] == pytest.approx(1.09)

    camera(live(film({})))
    again = Listening()
    capture(tmp_path / "place" / "next", again, seconds=1.0)
    told = f"An interrupted recording of {len(frames)} frames lies in {left}: take it with --source {left}"
    assert any(text.startswith(told) for text in again.said)


def test_an_assumed_lens_stays_assumed_in_what_a_crash_leaves(tmp_path: Path, camera: Any) -> None:
    footage = live(film({60: fail(RuntimeError("power"))}))
    camera(replace(footage, intrinsics_from="assumed: 60 degrees"))
    with pytest.raises(RuntimeError):
        capture(tmp_path / "place" / "out")
    (left,) = unfinished_in(tmp_path / "place")
    take = pipelines.sources.SOURCES["tum_folder"].open
    assert take(pipelines.sources.Request(str(left))).intrinsics_from == "assumed: 60 degrees"
    told = take(pipelines.sources.Request(str(left), fov_deg=90))
    assert told.camera.K[0, 0] == pytest.approx(32) and told.intrinsics_from.startswith("given")


def test_a_live_recording_survives_a_version_that_cannot_be_completed(
    tmp_path: Path, camera: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path / "workspace")
    asked = Request(typed={"capture": {"source": "webcam", "countdown": 0.0, "seconds": 1.0, "coach": False}})
    camera(live(film({})))
    with monkeypatch.context() as patch:
        patch.setattr("pipelines.chain.commit", lambda *_: fail(OSError(5, "Input/output error"))())
        with pytest.raises(OSError, match="Input/output"):
            bring_up_to_date(workspace, "capture", asked)
    place = workspace.person_place("me", "capture")
    (left,) = unfinished_in(place)
    assert len((left / "rgb.txt").read_text().splitlines()) == 30
    camera(live(film({}, shade=9)))
    assert bring_up_to_date(workspace, "capture", asked)[-1].made
    assert unfinished_in(place) == [left]               # the next one, which is complete, takes only its own away


def test_the_same_camera_typed_again_records_again(tmp_path: Path, camera: Any) -> None:
    workspace = Workspace(tmp_path / "workspace")
    asked = Request(typed={"capture": {"source": "webcam:0", "countdown": 0.0, "seconds": 1.0, "coach": False}})
    for number in (1, 2):
        camera(live(film({})))
        result = bring_up_to_date(workspace, "capture", asked)[-1]
        assert result.made and result.version.name == f"v{number:03d}"
    place = workspace.person_place("me", "capture")
    assert not unfinished_in(place) and not list(place.glob(".partial-*"))
    assert not work_ahead(workspace, "capture", Request())          # not typed: it stays as it is
    assert result.version.manifest["facts"] == {"intrinsics_from": "the double"}
    with pytest.raises(AnrError, match="webcam:0 has changed or is gone"):
        bring_up_to_date(workspace, "capture", Request(typed={"capture": {"max_side": 320}}))


# ---------------------------------------------------------------- webcams


class Device:
    """Speaks cv2.VideoCapture's interface. `gaps_s` before each frame; None = no frame any more."""

    def __init__(self, gaps_s: list[float | None], size: tuple[int, int] = (72, 128), there: bool = True) -> None:
        self.gaps_s, self.size, self.there = iter(gaps_s), size, there
        self.now_s = 50.0
        self.asked: dict[int, float] = {}
        self.released = False
        self.frames = 0

    def clock(self) -> float:
        self.now_s += 1e-5
        return self.now_s

    def isOpened(self) -> bool:
        return self.there

    def set(self, setting: int, value: float) -> bool:
        self.asked[setting] = value
        return True

    def grab(self) -> bool:
        gap_s = next(self.gaps_s, None)
        self.now_s += 0.1 if gap_s is None else gap_s
        self.frames += gap_s is not None
        return gap_s is not None

    def retrieve(self) -> tuple[bool, np.ndarray]:
        image = np.zeros((*self.size, 3), np.uint8)
        image[...] = (10, 20, 200)                      # OpenCV's order: this is red
        return True, image

    def read(self) -> tuple[bool, np.ndarray | None]:
        return self.retrieve() if self.grab() else (False, None)

    def release(self) -> None:
        self.released = True


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[int, Device]], None]:
    def plug(devices: dict[int, Device]) -> None:
        absent = Device([], there=False)
        monkeypatch.setattr(webcams, "_device", lambda number: devices.get(number, absent))
        monkeypatch.setattr(webcams, "present_webcams", lambda: {n: f"Cam {n}" for n in devices})
        monkeypatch.setattr(webcams.time, "sleep", lambda seconds: None)

    return plug


def test_a_webcam_is_asked_for_720p_and_gives_upright_rgb_with_times(plugged: Any) -> None:
    import cv2

    device = Device([0.5] + [1 / 30] * 100)
    plugged({1: device})
    footage = webcams.open_webcam(pipelines.sources.Request("webcam:1", fov_deg=90), clock=device.clock)
    frames = list(itertools.islice(footage.frames, 60))
    assert footage.live and footage.dropped is not None and footage.dropped() == 0
    assert device.asked[cv2.CAP_PROP_FRAME_WIDTH] == 1280 and device.asked[cv2.CAP_PROP_FRAME_HEIGHT] == 720
    assert device.asked[cv2.CAP_PROP_FPS] == 30
    assert frames[0].image.shape == (72, 128, 3) and tuple(frames[0].image[0, 0]) == (200, 20, 10)
    assert footage.camera.K[0, 0] == pytest.approx(64)
    np.testing.assert_allclose(np.diff([f.time_s for f in frames]), 1 / 30, atol=1e-3)
    footage.frames.close()  # type: ignore[attr-defined]
    assert device.released


def test_lost_frames_are_counted_by_what_gap_is_usual(plugged: Any) -> None:
    """In the dark a camera halves its rate: that loses nothing. Four times the usual gap swallowed three frames."""
    device = Device([0.1] + [1 / 15] * 40 + [4 / 15] + [1 / 15] * 20)
    plugged({0: device})
    footage = webcams.open_webcam(pipelines.sources.Request("webcam"), clock=device.clock)
    list(itertools.islice(footage.frames, 35))
    assert footage.dropped is not None
    before = footage.dropped()
    list(itertools.islice(footage.frames, 20))
    assert footage.dropped() - before == 3


def test_an_unplugged_webcam_ends_with_a_note(plugged: Any) -> None:
    device = Device([0.1] + [1 / 30] * 45 + [None] * 100)
    plugged({0: device})
    footage = webcams.open_webcam(pipelines.sources.Request("webcam"), clock=device.clock)
    assert len(list(footage.frames)) == 45 and device.released
    assert footage.notes is not None and "webcam stopped delivering pictures after 1.5 s" in footage.notes()[0]


def test_an_absent_webcam_is_named_with_those_there_are(plugged: Any) -> None:
    plugged({0: Device([]), 2: Device([])})
    with pytest.raises(AnrError) as caught:
        open_source(pipelines.sources.Request("webcam:7"))
    assert caught.value.message == "webcam:7 is not there. There: webcam:0 (Cam 0), webcam:2 (Cam 2)."
    plugged({})
    with pytest.raises(AnrError, match="no webcam was found on this machine"):
        open_source(pipelines.sources.Request("webcam"))
    with pytest.raises(AnrError, match="told by number"):
        open_source(pipelines.sources.Request("webcam:front"))
    with pytest.raises(AnrError, match="--start 2 is for recordings"):
        open_source(pipelines.sources.Request("webcam", start_s=2.0))


def test_a_webcam_that_shows_nothing_is_refused_and_let_go(plugged: Any) -> None:
    device = Device([])
    plugged({0: device})
    with pytest.raises(AnrError, match="delivered no picture within 5 s"):
        webcams.open_webcam(pipelines.sources.Request("webcam"), clock=device.clock)
    assert device.released


def test_linux_tells_the_names_of_cameras_without_their_metadata_nodes(tmp_path: Path, monkeypatch: Any) -> None:
    for number, name, index in ((0, "Front", "0"), (1, "Front", "1"), (10, "Capture", "0")):
        node = tmp_path / f"video{number}"
        node.mkdir()
        (node / "name").write_text(f"{name}\n")
        (node / "index").write_text(f"{index}\n")
    monkeypatch.setattr(webcams, "LINUX_DEVICES", tmp_path)
    assert webcams.present_webcams() == {0: "Front", 10: "Capture"}


# ---------------------------------------------------------------- what gives the scale


@pytest.mark.parametrize(("source", "options", "asked"), [("webcam", {}, True), ("webcam", {"height_m": 1.7}, False),
                                                          ("kinect", {}, False)])
def test_the_height_is_asked_for_before_a_recording_without_depth(
    tmp_path: Path, camera: Any, source: str, options: dict[str, Any], asked: bool
) -> None:
    camera(live(film({}, depth=source == "kinect")))
    listening = Listening()
    capture(tmp_path / "out", listening, source=source, seconds=1.0, **options)
    assert sum("height is not known" in text for text in listening.said) == asked
