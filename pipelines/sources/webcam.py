"""A webcam, live: what OpenCV opens by number."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Footage, Frame
from pipelines.sources import Request
from pipelines.sources.lens import camera_of

WIDTH, HEIGHT, FPS = 1280, 720, 30.0    # asked for; what the camera gives is what counts
WARM_UP_S = 5.0                         # how long a camera may take to its first picture
SILENT_S = 2.0                          # without a picture for so long, it is gone
USUAL_GAPS = 30                         # frames whose median gap tells what gap is usual (darkness halves the rate)
LINUX_DEVICES = Path("/sys/class/video4linux")

Clock = Callable[[], float]


def open_webcam(request: Request, clock: Clock = time.monotonic) -> Footage:
    """Opens `webcam` or `webcam:N` and waits for the first picture; frames come until the iterator is closed.

    AnrError where there is no such camera (naming those there are), and for one that delivers nothing.
    """
    number = _number(request.spec)
    device = _opened(number)
    try:
        first = _first_picture(device, request.spec, clock)
    except BaseException:
        device.release()
        raise
    height, width = first.shape[:2]
    shrink = min(1.0, request.max_side / max(width, height)) if request.max_side else 1.0
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    camera, told = camera_of(*size, request.fov_deg, None)
    shooting = _Shooting(device, request.spec, size, clock)
    return Footage(camera=camera, frames=_frames(shooting), frame_count=None, fps=FPS, intrinsics_from=told, live=True,
                   dropped=lambda: shooting.dropped, notes=lambda: shooting.notes)


@dataclass
class _Shooting:
    """A camera while it records."""

    device: Any                         # cv2.VideoCapture
    spec: str
    size: tuple[int, int]               # width, height of the finished pictures
    clock: Clock
    dropped: int = 0
    notes: list[str] = field(default_factory=list)


def _frames(shooting: _Shooting) -> Iterator[Frame]:
    """Pictures as they come; ends, with a note, where the camera is unplugged."""
    begin_s = last_s = shooting.clock()
    gaps_s: list[float] = []
    index = 0
    try:
        while True:
            time_s, image = _next_picture(shooting, last_s)
            if image is None:
                shooting.notes.append(f"{shooting.spec} stopped delivering pictures after {time_s - begin_s:.1f} s "
                                      "(unplugged?); what it had delivered is kept.")
                return
            if index:
                shooting.dropped += _missing_between(time_s - last_s, gaps_s)
                gaps_s = [*gaps_s, time_s - last_s][-USUAL_GAPS:]
            last_s = time_s
            yield Frame(index, time_s - begin_s, image)
            index += 1
    finally:
        shooting.device.release()


def _next_picture(shooting: _Shooting, last_s: float) -> tuple[float, np.ndarray | None]:
    """(when it was taken, (H, W, 3) uint8 RGB); None for a camera that has been silent for `SILENT_S`."""
    import cv2

    while True:
        grabbed = shooting.device.grab()
        time_s = shooting.clock()               # before decoding: that takes its own, changing time
        done, image = shooting.device.retrieve() if grabbed else (False, None)
        if done and image is not None:
            break
        if time_s - last_s > SILENT_S:
            return last_s, None
        time.sleep(0.01)
    if (image.shape[1], image.shape[0]) != shooting.size:
        image = cv2.resize(image, shooting.size, interpolation=cv2.INTER_AREA)
    return time_s, cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _missing_between(gap_s: float, gaps_s: list[float]) -> int:
    """How many frames a gap between two others swallowed, by what gap is usual."""
    usual_s = float(np.median(gaps_s)) if len(gaps_s) >= 5 else 1.0 / FPS
    return max(0, round(gap_s / usual_s) - 1) if usual_s > 0 else 0


def _opened(number: int) -> Any:
    """The camera, asked for 720p at 30 frames/s."""
    device = _device(number)
    if not device.isOpened():
        device.release()
        there = present_webcams()
        if not there:
            raise AnrError(f"There is no webcam {number}: no webcam was found on this machine.",
                           hint="Plug one in; on Linux you must be in the group `video` (or the program allowed to).")
        told = ", ".join(f"webcam:{n} ({name})" if name else f"webcam:{n}" for n, name in there.items())
        what = "cannot be opened" if number in there else "is not there"
        raise AnrError(f"webcam:{number} {what}. There: {told}.",
                       hint="Close other programs that use the camera." if number in there
                       else f"Pass --source webcam:{next(iter(there))}.")
    import cv2

    # Uncompressed 720p does not fit through USB 2 at 30 frames/s: cameras then give 10.
    for setting, value in ((cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")), (cv2.CAP_PROP_FRAME_WIDTH, WIDTH),
                           (cv2.CAP_PROP_FRAME_HEIGHT, HEIGHT), (cv2.CAP_PROP_FPS, FPS)):
        device.set(setting, value)
    return device


def _device(number: int) -> Any:
    import cv2

    cv2.setLogLevel(0)                  # it complains about every number without a camera
    return cv2.VideoCapture(number)


def present_webcams() -> dict[int, str]:
    """{number: name, "" where the system does not tell}."""
    if LINUX_DEVICES.is_dir():
        nodes = sorted((int(node.name.removeprefix("video")), node) for node in LINUX_DEVICES.glob("video*"))
        # A camera has a second node for metadata, with index 1.
        return {number: _line(node / "name") for number, node in nodes if _line(node / "index") in ("", "0")}
    found = {}
    for number in range(4):
        device = _device(number)
        if device.isOpened():
            found[number] = ""
        device.release()
    return found


def _line(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace").strip() if path.is_file() else ""


def _first_picture(device: Any, spec: str, clock: Clock) -> np.ndarray:
    begin_s = clock()
    while clock() - begin_s < WARM_UP_S:
        done, image = device.read()
        if done and image is not None:
            return image
        time.sleep(0.01)
    raise AnrError(f"{spec} is there, but it delivered no picture within {WARM_UP_S:g} s.",
                   hint="Close other programs that use the camera, or plug it in again.")


def _number(spec: str) -> int:
    _, _, text = spec.partition(":")
    if not text:
        return 0
    if not text.isdigit():
        raise AnrError(f"{spec}: webcams are told by number.", hint="Pass webcam:0, webcam:1 and so on.")
    return int(text)
