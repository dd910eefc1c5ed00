"""A live recording: the countdown, the line that tells how it goes, and its end (time is up, or Ctrl-C)."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Footage, Frame
from pipelines.core.stage import Progress

TELL_EVERY_S = 0.2
LOOK_EVERY_S = 0.5
RATE_OVER_S = 2.0                       # the frame rate shown is that of the last two seconds

Finder = Callable[[np.ndarray], bool]   # (H, W, 3) uint8 sRGB -> whether somebody is in view


@dataclass(frozen=True)
class Limits:
    """How long to wait, and how much to take."""

    countdown_s: float
    seconds: float | None               # None = until Ctrl-C
    max_frames: int | None


def shoot(footage: Footage, limits: Limits, progress: Progress, finder: Callable[[], Finder] | None) -> Iterator[Frame]:
    """The frames to keep; those of the countdown are shown to `finder` and forgotten.

    finder  makes the function that looks for somebody, on its own thread; None = nobody looks.
    Ctrl-C during the countdown stops everything; later it ends the recording as if its time were up.
    """
    with _interrupt_as_event() as stopped, _Lookout(finder, progress) as lookout:
        try:
            first = _after_countdown(footage, limits.countdown_s, stopped, lookout, progress)
            if first is not None:
                yield from _until_told(footage, first, limits, progress, stopped, lookout)
        finally:
            progress.live("")
            close = getattr(footage.frames, "close", None)      # lets go of the camera at once
            if close is not None:
                close()


def _until_told(footage: Footage, first: Frame, limits: Limits, progress: Progress, stopped: threading.Event,
                lookout: _Lookout) -> Iterator[Frame]:
    """The frames of the recording itself; their times count from the first."""
    lost = footage.dropped or (lambda: 0)
    lost_before = lost()
    line = _Line(limits, progress, lookout, lambda: lost() - lost_before)
    for index, frame in enumerate(_from(first, footage.frames, progress)):
        since_s = frame.time_s - first.time_s
        if limits.seconds is not None and since_s >= limits.seconds - 1e-6:
            return
        lookout.show(frame.image)
        yield Frame(index, since_s, frame.image, frame.depth_m, frame.alpha)
        line.tell(since_s)
        if stopped.is_set():
            progress.note(f"Stopped by Ctrl-C: the {index + 1} frames so far are kept.")
            return
        if index + 1 == limits.max_frames:
            return


def _after_countdown(footage: Footage, countdown_s: float, stopped: threading.Event, lookout: _Lookout,
                     progress: Progress) -> Frame | None:
    """The first frame to keep: a camera is read while people wait, so that its exposure settles."""
    begin_s: float | None = None
    for frame in footage.frames:
        begin_s = frame.time_s if begin_s is None else begin_s
        left_s = countdown_s - (frame.time_s - begin_s)
        if stopped.is_set():
            raise KeyboardInterrupt
        if left_s <= 1e-6:
            return frame
        lookout.show(frame.image)
        progress.live(f"Recording begins in {np.ceil(left_s):.0f} s{lookout.told}")
    return None


def _from(first: Frame, rest: Iterator[Frame], progress: Progress) -> Iterator[Frame]:
    """A camera that fails on the way ends the recording; what it delivered counts."""
    yield first
    try:
        yield from rest
    except AnrError as error:
        progress.warn(f"{error.message} What was recorded before is kept.")


class _Line:
    """The live line: how long, how fast, what was lost, who is in view, how much is left."""

    def __init__(self, limits: Limits, progress: Progress, lookout: _Lookout, dropped: Callable[[], int]) -> None:
        self._limits, self._progress, self._lookout, self._dropped = limits, progress, lookout, dropped
        self._recent_s: deque[float] = deque()
        self._told_s = -1.0

    def tell(self, since_s: float) -> None:
        self._recent_s.append(since_s)
        while self._recent_s[0] < since_s - RATE_OVER_S:
            self._recent_s.popleft()
        if since_s - self._told_s < TELL_EVERY_S:
            return
        self._told_s = since_s
        over_s = since_s - self._recent_s[0]
        rate = f"{(len(self._recent_s) - 1) / over_s:.1f}" if over_s > 0 else "-"
        seconds = self._limits.seconds
        left = f"{max(seconds - since_s, 0):.0f} s left" if seconds is not None else "Ctrl-C ends it"
        self._progress.live(f"Recording {since_s:.1f} s · {rate} fps · {self._dropped()} dropped{self._lookout.told}"
                            f" · {left}")


class _Lookout:
    """Looks for somebody in the newest picture twice a second, on a thread that never holds up the reading."""

    def __init__(self, make_finder: Callable[[], Finder] | None, progress: Progress) -> None:
        self._make_finder, self._progress = make_finder, progress
        self._newest: np.ndarray | None = None
        self._fresh, self._over = threading.Event(), threading.Event()
        self._sees: bool | None = None
        self._thread = threading.Thread(target=self._look, daemon=True) if make_finder else None

    @property
    def told(self) -> str:
        """For the live line: " · person in view", " · nobody in view", or "" where nobody looks (yet)."""
        return "" if self._sees is None else f" · {'person' if self._sees else 'nobody'} in view"

    def show(self, image: np.ndarray) -> None:
        self._newest = image
        self._fresh.set()

    def __enter__(self) -> _Lookout:
        if self._thread:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._fresh.set()
        if self._thread:
            self._thread.join(timeout=5.0)

    def _look(self) -> None:
        assert self._make_finder is not None
        try:
            finder = self._make_finder()
        except (ImportError, OSError) as error:          # not installed, or its libraries are missing
            self._progress.note(f"Whether somebody is in view cannot be told here: {error}.")
            return
        while not self._over.is_set():
            self._fresh.wait()
            self._fresh.clear()
            begin_s = time.monotonic()
            if self._newest is not None and not self._over.is_set():
                self._sees = finder(self._newest)
            self._over.wait(max(0.0, LOOK_EVERY_S - (time.monotonic() - begin_s)))


@contextmanager
def _interrupt_as_event() -> Iterator[threading.Event]:
    """Ctrl-C sets the event; a second one interrupts as usual. On other threads than the main one nothing changes."""
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed
        return

    def press(number: int, frame: FrameType | None) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()

    before = signal.signal(signal.SIGINT, press)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
