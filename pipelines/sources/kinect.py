"""A Kinect, live: Azure Kinect through pyk4a, and Orbbec's Femto Bolt and Mega through Orbbec's own libk4a.

The device is read on a thread of its own into a bounded queue, so that nothing that comes after (decoding, encoding,
a slow disk) ever keeps it waiting; what was lost all the same shows in the device's own time stamps.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Camera, Footage, Frame
from pipelines.sources import Request
from pipelines.sources.k4a_calibration import read_calibration
from pipelines.sources.k4a_pictures import Registration, decode_colour, made_ahead
from pipelines.sources.lens import refuse_fov

FPS = 30.0
DEPTH_MODE = "NFOV_UNBINNED"
TIMEOUT_MS = 500                        # of one wait for the device
WARM_UP_S = 10.0                        # how long a device may take to its first capture
SILENT_S = 2.0                          # later without one for so long, it is gone
WAITING = 60                            # captures in the queue, about 1 MB each: two seconds
AHEAD = 3                               # frames made ready before they are asked for
INSTALL = 'pip install -e ".[kinect]" (the package pyk4a-bundle; Linux and Windows on x86-64)'
MESSAGES = "K4A_ENABLE_LOG_TO_STDOUT"   # the device's library writes its log where --json answers, unless told not to


def open_kinect(request: Request) -> Footage:
    """Opens `kinect` or `kinect:N` and waits for its first capture; frames come until the iterator is closed.

    Colour is 1280x720, or 1920x1080 with `request.kinect_1080p`; depth is the narrow unbinned mode, synchronised.
    AnrError, each with its own words: without pyk4a, where it cannot be loaded, where there is no such device, and
    for one that cannot be started or delivers nothing.
    """
    number = _number(request.spec)
    pyk4a = _driver()
    there = pyk4a.connected_device_count()
    if number >= there:
        found = {0: "no Kinect was found on this machine", 1: "there is kinect:0"}.get(
            there, f"there are kinect:0 to kinect:{there - 1}")
        raise AnrError(f"There is no {request.spec if number else 'Kinect'}: {found}.",
                       hint="Plug it into a USB 3 port and into its power supply; on Linux install the device's udev "
                            "rules, or only root sees it. Orbbec devices need Orbbec's libk4a: docs/capture.md.")
    resolution = "1080P" if request.kinect_1080p else "720P"
    device = _started(pyk4a, number, resolution, request.spec)
    try:
        rig = read_calibration(device.calibration_raw, DEPTH_MODE, resolution, f"The calibration of {request.spec}")
        refuse_fov(request.fov_deg, rig.colour, f"the calibration of {request.spec}")
        shooting = _Shooting(pyk4a, device, request.spec, rig.colour, Registration.of(rig, request.max_side))
        shooting.wait_for_first()
        named = _named(pyk4a, device, request.spec)
    except BaseException:
        _stop(pyk4a, device)
        raise
    return Footage(camera=shooting.registration.camera, frames=_Frames(shooting), frame_count=None, fps=FPS,
                   intrinsics_from=f"the calibration in {named}, lens distortion removed",
                   live=True, dropped=lambda: shooting.dropped, notes=lambda: shooting.notes)


@dataclass(frozen=True, eq=False)
class _Capture:
    """What the device had at one time, copied out of its buffers."""

    time_us: int                        # the device's own, of the colour picture
    colour: np.ndarray                  # uint8, a JPEG
    depth_mm: np.ndarray                # (h, w) uint16


@dataclass(eq=False)
class _Shooting:
    """A device while it records."""

    pyk4a: Any
    device: Any
    spec: str
    colour: Camera                      # as the device has it
    registration: Registration
    dropped: int = 0
    notes: list[str] = field(default_factory=list)
    # Captures, then why it ended: a sentence's end, or an error of ours.
    captures: queue.Queue[_Capture | str | Exception] = field(default_factory=lambda: queue.Queue(WAITING))
    stopped: threading.Event = field(default_factory=threading.Event)
    first: _Capture | None = None
    reader: threading.Thread | None = None

    def wait_for_first(self) -> None:
        """The first capture with both pictures; AnrError where none comes."""
        begin_s = time.monotonic()
        while self.first is None and time.monotonic() - begin_s < WARM_UP_S:
            try:
                self.first = self._next()
            except self.pyk4a.K4ATimeoutException:
                continue
            except self.pyk4a.K4AException:
                break
        if self.first is None:
            waited_s = time.monotonic() - begin_s
            raise AnrError(f"{self.spec} was started, but gave no pair of colour and depth in {waited_s:.1f} s.",
                           hint="Depth needs its power supply, a USB 3 port of its own and, on Linux, an X display.")

    def _next(self) -> _Capture | None:
        """Waits for a capture; None for one that lacks a picture."""
        capture = self.device.get_capture(timeout=TIMEOUT_MS)
        colour, depth = capture.color, capture.depth
        if colour is None or depth is None:
            return None
        return _Capture(int(capture.color_timestamp_usec), np.array(colour), np.array(depth))

    def read_device(self) -> None:
        """The reading thread: fills the queue, and never waits for it to be emptied."""
        try:
            ended: str | Exception = self._read_until_gone()
        except Exception as error:                       # ours: told on to whoever waits for frames
            ended = error
        while not self.stopped.is_set():
            with suppress(queue.Full):
                self.captures.put(ended, timeout=0.1)
                return

    def _read_until_gone(self) -> str:
        silent = 0
        while not self.stopped.is_set():
            try:
                capture = self._next()
            except self.pyk4a.K4ATimeoutException:
                silent += 1
                if silent * TIMEOUT_MS >= SILENT_S * 1000:
                    return f"delivered nothing for {SILENT_S:g} s"
                continue
            except self.pyk4a.K4AException:
                return "was disconnected"
            silent = 0
            if capture is not None:
                with suppress(queue.Full):               # the gap shows in the time stamps and is counted there
                    self.captures.put_nowait(capture)
        return ""

    def taken(self) -> Iterator[_Capture]:
        """Captures in order of time; ends, with a note, where the device is gone."""
        assert self.first is not None
        first_us = last_us = self.first.time_us
        yield self.first
        while True:
            capture = self.captures.get()
            if isinstance(capture, Exception):
                raise capture
            if isinstance(capture, str):
                if capture:
                    self.notes.append(f"{self.spec} {capture} after {(last_us - first_us) / 1e6:.1f} s; what it had "
                                      "recorded until then is kept.")
                return
            self.dropped += max(0, round((capture.time_us - last_us) * FPS / 1e6) - 1)
            last_us = capture.time_us
            yield capture

    def make(self, capture: _Capture, first_us: int) -> Frame | None:
        """None for a damaged picture."""
        image = decode_colour(capture.colour, "MJPG", self.colour.width, self.colour.height)
        if image is None:
            return None
        return self.registration.frame(0, (capture.time_us - first_us) / 1e6, image, capture.depth_mm)

    def frames(self) -> Generator[Frame, None, None]:
        assert self.first is not None
        make = partial(self.make, first_us=self.first.time_us)
        index = 0
        for frame in made_ahead((partial(make, capture) for capture in self.taken()), AHEAD):
            if frame is None:
                self.dropped += 1
                continue
            yield replace(frame, index=index)
            index += 1

    def close(self) -> None:
        """Stops the thread and the device."""
        self.stopped.set()
        with suppress(queue.Full):
            self.captures.put_nowait("")                 # wakes who waits for the next capture
        if self.reader is not None:
            self.reader.join(timeout=10 * TIMEOUT_MS / 1000)
            self.reader = None
        if self.device is not None:
            _stop(self.pyk4a, self.device)
            self.device = None


class _Frames(Iterator[Frame]):
    """The frames of a device; it is closed with them, also where nobody ever asked for one."""

    def __init__(self, shooting: _Shooting) -> None:
        self._shooting = shooting
        self._made = shooting.frames()
        # The thread knows the shooting, never this object: so letting go of this ends it.
        shooting.reader = threading.Thread(target=shooting.read_device, name="kinect", daemon=True)
        shooting.reader.start()

    def __next__(self) -> Frame:
        try:
            return next(self._made)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._made.close()
        self._shooting.close()

    def __del__(self) -> None:
        self.close()


def _driver() -> Any:
    """pyk4a; AnrError where it is missing or its library cannot be loaded."""
    os.environ.setdefault(MESSAGES, "0")
    try:
        import pyk4a
    except ModuleNotFoundError as error:
        raise AnrError("Recording from a Kinect needs pyk4a, which is not installed.",
                       hint=f"Install it: {INSTALL}. Recordings (.mkv) are read without it.") from error
    except ImportError as error:
        raise AnrError(f"pyk4a is installed, but cannot be loaded: {error}",
                       hint=f"Install it again: {INSTALL}. Recordings (.mkv) are read without it.") from error
    return pyk4a


def _started(pyk4a: Any, number: int, resolution: str, spec: str) -> Any:
    config = pyk4a.Config(
        color_resolution=getattr(pyk4a.ColorResolution, f"RES_{resolution}"),
        color_format=pyk4a.ImageFormat.COLOR_MJPG,       # the others do not fit through USB at 1080p and 30 frames/s
        depth_mode=getattr(pyk4a.DepthMode, DEPTH_MODE),
        camera_fps=pyk4a.FPS.FPS_30,
        synchronized_images_only=True,
    )
    device = pyk4a.PyK4A(config, device_id=number)
    try:
        device.start()
    except pyk4a.K4AException as error:
        opened = device.opened
        _stop(pyk4a, device)
        what = "was opened, but its cameras could not be started" if opened else "is there, but could not be opened"
        raise AnrError(f"{spec} {what}.",
                       hint="Close other programs that use it, check its power supply and USB 3 cable, and plug it in "
                            "again. On Linux its depth engine needs an X display (DISPLAY).") from error
    return device


def _stop(pyk4a: Any, device: Any) -> None:
    """Closes a device in whatever state it is; one that was unplugged complains, which no longer matters."""
    for end in (device.stop, device.close):
        if device.opened:
            with suppress(pyk4a.K4AException):
                end()
    device.is_running = False                            # or pyk4a would try once more when it forgets the device


def _named(pyk4a: Any, device: Any, spec: str) -> str:
    try:
        return f"the device {device.serial}"
    except pyk4a.K4AException:                           # some do not tell
        return spec


def _number(spec: str) -> int:
    _, _, text = spec.partition(":")
    if text and not text.isdigit():
        raise AnrError(f"{spec}: Kinects are told by number.", hint="Pass kinect, kinect:0, kinect:1 and so on.")
    return int(text or 0)
