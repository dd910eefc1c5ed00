"""A live Kinect, played by a double that speaks pyk4a's interface."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import kinect_double as double
import numpy as np
import pytest

from pipelines.core.errors import AnrError
from pipelines.core.records import Footage, Frame
from pipelines.sources import Request, kinect, open_source
from pipelines.sources.kinect import open_kinect
from pipelines.studio.k4a_file import calibration_json, device, encode_colour

CALIBRATION = calibration_json(*device()).decode()
STEP_US = 33_333


@lru_cache
def a_jpeg(width: int = 1280, height: int = 720) -> np.ndarray:
    return np.frombuffer(encode_colour(np.full((height, width, 3), 120, np.uint8), "MJPG"), np.uint8)


def a_capture(number: int, **changed: Any) -> double.Capture:
    """Capture `number` of a second begun at 5 s device time; its depth is 2 m and `number` centimetres."""
    parts = {"color": a_jpeg(), "depth": np.full((576, 640), 2000 + 10 * number, np.uint16), **changed}
    return double.Capture(5_000_000 + number * STEP_US, parts["color"], parts["depth"])


@pytest.fixture
def plugged_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., double.Driver]:
    def plug(script: list[Any], **more: Any) -> double.Driver:
        driver = double.Driver(CALIBRATION, script, **more)
        monkeypatch.setitem(sys.modules, "pyk4a", driver)
        return driver

    return plug


def closed(driver: double.Driver) -> bool:
    return all(not one.opened for one in driver.opened)


def times(frames: list[Frame]) -> list[int]:
    """In frames of 30 per second."""
    return [round(frame.time_s * 30) for frame in frames]


def told(footage: Footage) -> list[str]:
    assert footage.notes is not None
    return footage.notes()


def dropped(footage: Footage) -> int:
    assert footage.dropped is not None
    return footage.dropped()


def test_frames_come_with_depth_on_colour_and_the_devices_times(plugged_in: Callable[..., double.Driver]) -> None:
    driver = plugged_in([a_capture(k) for k in range(8)])
    footage = open_source(Request("kinect"))
    assert footage.live and footage.frame_count is None and footage.fps == 30
    assert footage.intrinsics_from == "the calibration in the device 000123, lens distortion removed"
    assert (footage.camera.width, footage.camera.height) == (1280, 720) and not len(footage.camera.distortion)
    frames = list(footage.frames)
    assert [frame.index for frame in frames] == list(range(8))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(8) * STEP_US / 1e6, atol=1e-9)
    for number, frame in enumerate(frames):
        assert frame.image.shape == (720, 1280, 3) and frame.depth_m is not None
        assert frame.depth_m.shape == (720, 1280) and 0.5 < (frame.depth_m > 0).mean() < 0.8
        assert abs(frame.depth_m[360, 640] - frames[0].depth_m[360, 640] - 0.01 * number) < 0.002    # type: ignore[index]
    assert dropped(footage) == 0 and closed(driver)
    assert os.environ["K4A_ENABLE_LOG_TO_STDOUT"] == "0"     # stdout belongs to --json


def test_the_device_is_asked_for_synchronised_jpeg_and_narrow_depth(plugged_in: Callable[..., double.Driver]) -> None:
    driver = plugged_in([a_capture(0)], devices=3)
    open_kinect(Request("kinect:2"))
    asked = driver.opened[0]
    assert asked.device_id == 2 and asked.config.synchronized_images_only
    assert asked.config.color_format == double.ImageFormat.COLOR_MJPG
    assert asked.config.color_resolution == double.ColorResolution.RES_720P
    assert asked.config.depth_mode == double.DepthMode.NFOV_UNBINNED and asked.config.camera_fps == double.FPS.FPS_30


def test_colour_may_be_1080p_and_be_reduced(plugged_in: Callable[..., double.Driver]) -> None:
    driver = plugged_in([a_capture(k, color=a_jpeg(1920, 1080)) for k in range(2)])
    whole = open_kinect(Request("kinect", kinect_1080p=True))
    assert driver.opened[0].config.color_resolution == double.ColorResolution.RES_1080P
    assert next(whole.frames).image.shape == (1080, 1920, 3)
    plugged_in([a_capture(0)])
    small = open_kinect(Request("kinect", max_side=640))
    frame = next(small.frames)
    assert frame.image.shape == (360, 640, 3) and frame.depth_m is not None and frame.depth_m.shape == (360, 640)
    np.testing.assert_allclose(small.camera.K[:2] * 3, whole.camera.K[:2], rtol=1e-9)


def test_frames_the_device_lost_are_counted_from_its_time_stamps(plugged_in: Callable[..., double.Driver]) -> None:
    """2 and 3 never came, 6 came without depth, 8 without colour, 9 is a damaged picture."""
    script = [a_capture(k) for k in (0, 1, 4, 5)] + [a_capture(6, depth=None), a_capture(7), a_capture(8, color=None),
                                                     a_capture(9, color=a_jpeg()[:900]), a_capture(10)]
    plugged_in(script)
    footage = open_kinect(Request("kinect"))
    frames = list(footage.frames)
    assert times(frames) == [0, 1, 4, 5, 7, 10] and [frame.index for frame in frames] == list(range(6))
    assert dropped(footage) == 5


def test_a_slow_reader_never_stalls_the_device(plugged_in: Callable[..., double.Driver],
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for four captures and nobody taking them, the device is read to its end all the same."""
    monkeypatch.setattr(kinect, "WAITING", 4)
    driver = plugged_in([a_capture(k) for k in range(20)] + [double.K4ATimeoutException()])
    footage = open_kinect(Request("kinect"))
    until = time.monotonic() + 20
    while driver.script and time.monotonic() < until:
        time.sleep(0.01)
    assert not driver.script
    frames = list(footage.frames)
    assert times(frames)[0] == 0 and len(frames) < 20
    assert dropped(footage) == times(frames)[-1] + 1 - len(frames)


def test_a_device_unplugged_while_recording_ends_the_frames_with_a_note(
        plugged_in: Callable[..., double.Driver]) -> None:
    driver = plugged_in([a_capture(k) for k in range(16)], ending=double.K4AException)
    footage = open_kinect(Request("kinect:0"))
    frames = list(footage.frames)
    assert times(frames) == list(range(16))              # everything it had delivered
    assert told(footage) == ["kinect:0 was disconnected after 0.5 s; what it had recorded until then is kept."]
    assert closed(driver)


def test_a_device_that_falls_silent_ends_the_frames_with_a_note(plugged_in: Callable[..., double.Driver]) -> None:
    plugged_in([a_capture(0), double.K4ATimeoutException(), double.K4ATimeoutException(), a_capture(1)])
    footage = open_kinect(Request("kinect"))
    assert times(list(footage.frames)) == [0, 1]
    assert told(footage) == ["kinect delivered nothing for 2 s after 0.0 s; what it had recorded until then is kept."]


def test_closing_the_frames_closes_the_device_without_a_note(plugged_in: Callable[..., double.Driver]) -> None:
    driver = plugged_in([a_capture(k) for k in range(10)])
    footage = open_kinect(Request("kinect"))
    next(footage.frames)
    footage.frames.close()                               # type: ignore[attr-defined]
    assert closed(driver) and told(footage) == []
    assert not any(thread.name == "kinect" for thread in threading.enumerate())
    with pytest.raises(StopIteration):
        next(footage.frames)


def test_letting_go_of_the_footage_closes_the_device(plugged_in: Callable[..., double.Driver]) -> None:
    driver = plugged_in([a_capture(k) for k in range(10)])
    footage = open_kinect(Request("kinect"))
    assert not closed(driver)
    del footage
    gc.collect()
    assert closed(driver)


def test_an_error_of_ours_while_reading_reaches_who_waits_for_frames(
        plugged_in: Callable[..., double.Driver]) -> None:
    driver = plugged_in([a_capture(0), a_capture(1), ZeroDivisionError("ours")])
    footage = open_kinect(Request("kinect"))
    with pytest.raises(ZeroDivisionError, match="ours"):
        list(footage.frames)
    assert closed(driver)


# ---- what keeps it from beginning -----------------------------------------------------------------------------------

def test_without_pyk4a_the_message_has_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyk4a", None)
    with pytest.raises(AnrError, match="needs pyk4a, which is not installed") as caught:
        open_kinect(Request("kinect"))
    assert 'pip install -e ".[kinect]"' in caught.value.hint and "(.mkv) are read without it" in caught.value.hint


def test_a_pyk4a_that_cannot_be_loaded_is_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.delitem(sys.modules, "pyk4a", raising=False)
    (tmp_path / "pyk4a.py").write_text("raise ImportError('libk4a.so.1.4: cannot open shared object file')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(AnrError, match=r"pyk4a is installed, but cannot be loaded: libk4a\.so\.1\.4"):
        open_kinect(Request("kinect"))


@pytest.mark.parametrize(("spec", "devices", "message"), [
    ("kinect", 0, "There is no Kinect: no Kinect was found on this machine."),
    ("kinect:1", 1, "There is no kinect:1: there is kinect:0."),
    ("kinect:4", 2, "There is no kinect:4: there are kinect:0 to kinect:1."),
])
def test_without_such_a_device_the_message_says_which_there_are(plugged_in: Callable[..., double.Driver], spec: str,
                                                                devices: int, message: str) -> None:
    driver = plugged_in([], devices=devices)
    with pytest.raises(AnrError) as caught:
        open_kinect(Request(spec))
    assert caught.value.message == message and "USB 3" in caught.value.hint and not driver.opened


@pytest.mark.parametrize(("stage", "message"), [
    ("open", "kinect:0 is there, but could not be opened."),
    ("start", "kinect:0 was opened, but its cameras could not be started."),
])
def test_a_device_that_refuses_says_where_and_is_closed(plugged_in: Callable[..., double.Driver], stage: str,
                                                        message: str) -> None:
    driver = plugged_in([a_capture(0)])
    driver.fails_at = stage
    with pytest.raises(AnrError) as caught:
        open_kinect(Request("kinect:0"))
    assert caught.value.message == message and "Close other programs" in caught.value.hint and closed(driver)


def test_a_device_that_never_gives_a_pair_is_closed(plugged_in: Callable[..., double.Driver],
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinect, "WARM_UP_S", 0.05)
    driver = plugged_in([a_capture(0, depth=None), a_capture(1, color=None)])
    with pytest.raises(AnrError, match="kinect was started, but gave no pair of colour and depth in 0"):
        open_kinect(Request("kinect"))
    assert closed(driver)
    driver = plugged_in([], ending=double.K4AException)
    with pytest.raises(AnrError, match="gave no pair"):
        open_kinect(Request("kinect"))
    assert closed(driver)


def test_a_device_with_a_broken_calibration_is_closed(plugged_in: Callable[..., double.Driver]) -> None:
    driver = plugged_in([a_capture(0)])
    driver.calibration = "{}"
    with pytest.raises(AnrError, match="The calibration of kinect cannot be used as a calibration"):
        open_kinect(Request("kinect"))
    assert closed(driver)


def test_kinects_are_told_by_number() -> None:
    with pytest.raises(AnrError, match="kinect:front: Kinects are told by number"):
        open_kinect(Request("kinect:front"))


def test_the_double_has_what_the_real_driver_has() -> None:
    """Names and parameters that the code relies on, so that the double cannot drift from pyk4a."""
    import inspect

    pyk4a = pytest.importorskip("pyk4a")
    for name in ("connected_device_count", "PyK4A", "Config", "ImageFormat", "DepthMode", "ColorResolution", "FPS",
                 "K4AException", "K4ATimeoutException"):
        assert hasattr(pyk4a, name)
    for method in ("start", "stop", "close", "get_capture", "opened", "serial", "calibration_raw"):
        assert hasattr(pyk4a.PyK4A, method)
    assert set(inspect.signature(double.Config).parameters) <= set(inspect.signature(pyk4a.Config).parameters)
    assert {"config", "device_id"} <= set(inspect.signature(pyk4a.PyK4A).parameters)
    assert "timeout" in inspect.signature(pyk4a.PyK4A.get_capture).parameters
    assert issubclass(pyk4a.K4ATimeoutException, pyk4a.K4AException)
    for enum in (double.ImageFormat, double.DepthMode, double.ColorResolution, double.FPS):
        assert all(getattr(getattr(pyk4a, enum.__name__), member.name) == member for member in enum)
