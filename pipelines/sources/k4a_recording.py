"""Azure Kinect recordings (.mkv): colour and depth paired by time, read with PyAV alone.

No Kinect library, display or GPU is needed: colour is decoded with OpenCV, depth is stored raw, and the warp of depth
into the straightened colour camera is our own (`geometry.registration`). Infrared and the motion sensor are ignored.

source  Azure Kinect, "Use Azure Kinect Sensor SDK to record file format"; checked against its library through pyk4a
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Footage, Frame
from pipelines.sources import Request, counted
from pipelines.sources.k4a_calibration import Rig, read_calibration
from pipelines.sources.k4a_pictures import FORMATS, Registration, decode_colour, made_ahead
from pipelines.sources.lens import refuse_fov

PAIR_SHARE = 0.25                       # of a frame: colour and depth this close in time are one capture, as in the SDK
PATIENCE_S = 1.0                        # a picture whose partner has not come within this has none
NEAR_S = 1e-3                           # times asked for are meant to the nearest frame, not to the microsecond
AHEAD = 6                               # frames made ready before they are asked for
AS_VIDEO = ('To use its colour as a plain video: ffmpeg -i "{path}" -map 0:v:0 -map_metadata -1 -map_metadata:s -1 '
            "-c:v libx264 -crf 16 colour.mp4")


def is_k4a(path: Path | str) -> bool:
    """Whether a file is an Azure Kinect recording: it says so in its tags, whatever it is called."""
    import av

    try:
        with closing(av.open(str(path))) as container:
            return any(key.startswith("K4A_") for part in (container, *container.streams) for key in part.metadata)
    except (av.error.FFmpegError, OSError, ValueError):
        return False


def open_k4a(request: Request) -> Footage:
    """Reads the header and the calibration; frames are made as they are asked for.

    Frames are captures with both colour and depth; the rest is counted in `notes`. Times count from the first of them
    after `start_s`. AnrError without calibration, colour or 16-bit depth, or with modes this version does not know.
    """
    path = Path(request.spec)
    with closing(_open_container(path)) as container:
        recording = _describe(container, path)
    refuse_fov(request.fov_deg, recording.rig.colour, f"the calibration in {path}")
    registration = Registration.of(recording.rig, request.max_side)
    reading = _Reading()

    def notes() -> list[str]:
        return reading.sentences(path)

    return Footage(
        camera=registration.camera,
        frames=_frames(path, recording, registration, request, reading),
        frame_count=_frames_wanted(recording, request),
        fps=recording.fps,
        intrinsics_from=f"the recording's own calibration ({recording.device}), lens distortion removed",
        notes=notes,
    )


@dataclass(frozen=True, eq=False)
class _Recording:
    """What the header of a file says."""

    colour_stream: int
    depth_stream: int
    colour_format: str                  # one of `FORMATS`
    rig: Rig
    fps: float
    depth_delay_s: float                # how much later than colour the depth was taken, on purpose
    start_offset_s: float               # of the file's time 0, in the device's own time
    first_s: float                      # of the colour, in the file's time
    duration_s: float                   # time of the last picture; 0 where the recorder never came to write it
    whole: bool                         # whether the file goes on to its end
    device: str


@dataclass
class _Reading:
    """What happened while reading."""

    used: int = 0
    colour_alone: int = 0
    depth_alone: int = 0
    damaged: int = 0
    cut_off_at_s: float | None = None

    def sentences(self, path: Path) -> list[str]:
        """For the person, once all frames were read."""
        told = []
        if self.cut_off_at_s is not None:
            told.append(f"{path.name} is cut off after {self.cut_off_at_s:.1f} s: of what is before that, "
                        f"{counted(self.used, 'whole frame')} {'is' if self.used == 1 else 'are'} used.")
        alone = [f"{counted(count, kind + ' picture')} without {other}" for count, kind, other in (
            (self.colour_alone, "colour", "depth"), (self.depth_alone, "depth", "colour")) if count]
        if alone:
            told.append(f"Left out: {' and '.join(alone)}.")
        if self.damaged:
            told.append(f"Left out: {counted(self.damaged, 'damaged picture')}.")
        return told


def _open_container(path: Path) -> Any:
    import av

    try:
        return av.open(str(path))
    except (av.error.FFmpegError, OSError) as error:
        raise AnrError(f"{path} cannot be opened: {getattr(error, 'strerror', None) or error}.",
                       hint="Check the path and that the copy is complete.") from error


def _describe(container: Any, path: Path) -> _Recording:
    videos = list(container.streams.video)
    colour = _track(videos, "COLOR")
    depth = _track(videos, "DEPTH")
    for stream, name in ((colour, "colour"), (depth, "depth")):
        if stream is None:
            raise AnrError(f"{path} has no {name} track.",
                           hint=f"Record colour and depth (k4arecorder -c 720p -d NFOV_UNBINNED). "
                                f"{AS_VIDEO.format(path=path) if name == 'depth' else ''}".strip())
    if _codec(depth) != "rawvideo" or not str(depth.codec_context.pix_fmt).startswith("gray16"):
        kind = _codec(depth) + (f", {depth.codec_context.pix_fmt}" if depth.codec_context else "")
        raise AnrError(f"The depth of {path} is not 16-bit ({kind}): millimetres do not fit into it.",
                       hint="It was converted by a program that does not know depth; use the original recording.")
    tags = {key: value for part in (container, colour, depth) for key, value in part.metadata.items()}
    colour_mode, depth_mode = tags.get("K4A_COLOR_MODE", ""), tags.get("K4A_DEPTH_MODE", "")
    colour_format = colour_mode.partition("_")[0]
    if colour_format not in FORMATS:
        raise AnrError(f"The colour of {path} is in the mode {colour_mode or 'that it does not name'}.",
                       hint=f"This version reads {', '.join(FORMATS)}.")
    rig = read_calibration(_calibration(container, path), depth_mode, colour_mode, f"The calibration in {path}")
    for stream, camera, name in ((colour, rig.colour, "colour"), (depth, rig.depth, "depth")):
        size = (stream.codec_context.width, stream.codec_context.height) if stream.codec_context else (0, 0)
        if size != (camera.width, camera.height):
            raise AnrError(f"The {name} of {path} is {size[0]}x{size[1]}, but its mode means "
                           f"{camera.width}x{camera.height}.", hint="Use the original recording, not a converted one.")
    serial = tags.get("K4A_DEVICE_SERIAL_NUMBER")
    return _Recording(
        colour.index, depth.index, colour_format, rig,
        fps=float(colour.average_rate or depth.average_rate or 30),
        depth_delay_s=_seconds(tags, "K4A_DEPTH_DELAY_NS", path),
        start_offset_s=_seconds(tags, "K4A_START_OFFSET_NS", path),
        first_s=float((colour.start_time or 0) * colour.time_base),
        duration_s=(container.duration or 0) / 1e6,
        whole=bool(container.duration) and _promised_bytes(path) <= path.stat().st_size,
        device=f"Kinect {serial}" if serial else "Kinect",
    )


def _track(videos: list[Any], name: str) -> Any:
    """The video track named so, by its tag or title."""
    return next((stream for stream in videos
                 if f"K4A_{name}_TRACK" in stream.metadata or stream.metadata.get("title") == name), None)


def _codec(stream: Any) -> str:
    """Its name; damage can make it one that FFmpeg does not know."""
    return stream.codec_context.name if stream.codec_context else "no format that is known"


def _seconds(tags: dict[str, str], name: str, path: Path) -> float:
    try:
        return int(tags.get(name, "0")) / 1e9
    except ValueError as error:
        raise AnrError(f"{path}: its tag {name} is {tags[name]!r}, not a number of nanoseconds.",
                       hint="Use the original recording.") from error


def _calibration(container: Any, path: Path) -> bytes:
    attached = [stream for stream in container.streams if stream.type == "attachment"]
    named = [stream for stream in attached
             if "K4A_CALIBRATION_FILE" in stream.metadata or stream.metadata.get("filename") == "calibration.json"]
    if not named:
        raise AnrError(f"{path} has no calibration attached, so its depth cannot be brought onto its colour.",
                       hint="Some converters drop attachments: use the file as k4arecorder wrote it. "
                            + AS_VIDEO.format(path=path))
    return bytes(named[0].data)


def _promised_bytes(path: Path) -> int:
    """How long the file says it is; 0 where its recorder never came to write that.

    source  RFC 8794 (EBML), sections 4 and 11: a header of known length, then one segment with its own length
    """
    with path.open("rb") as file:
        start = file.read(4096)
    end = 0
    for _ in ("header", "segment"):                     # one behind the other
        at = end + 4                                     # behind an identifier of four bytes
        if at >= len(start) or not start[at]:
            return 0
        digits = 9 - start[at].bit_length()
        length = int.from_bytes(start[at:at + digits], "big") - (1 << 7 * digits)
        if length == (1 << 7 * digits) - 1:              # all ones: not known
            return 0
        end = at + digits + length
    return end


def _frames_wanted(recording: _Recording, request: Request) -> int | None:
    """How many frames will probably come, for the progress bar."""
    if not recording.duration_s:
        return request.max_frames
    count = max(0, round((recording.duration_s - recording.first_s - request.start_s) * recording.fps) + 1)
    if request.seconds is not None:
        count = min(count, math.ceil(request.seconds * recording.fps - NEAR_S))
    return min(count, request.max_frames) if request.max_frames is not None else count


@dataclass
class _Capture:
    """A colour and a depth picture of one moment, still encoded."""

    time_s: float                       # device time of the colour picture
    colour: np.ndarray                  # uint8, as stored
    depth: np.ndarray = field(repr=False)   # uint8, as stored


def _frames(path: Path, recording: _Recording, registration: Registration, request: Request,
            reading: _Reading) -> Iterator[Frame]:
    """Decodes and warps on other threads, a few frames ahead; frames come in order of time."""
    with closing(_captures(path, recording, reading)) as captures:
        jobs = (partial(_make, capture, recording, registration, since_start_s)
                for capture, since_start_s in _wanted(captures, request))
        with closing(made_ahead(jobs, AHEAD)) as made:
            for frame in made:
                if frame is None:
                    reading.damaged += 1
                    continue
                if reading.used == request.max_frames:
                    return
                yield replace(frame, index=reading.used)
                reading.used += 1


def _wanted(captures: Iterator[_Capture], request: Request) -> Iterator[tuple[_Capture, float]]:
    """Those of the time asked for, which counts from the first capture of the recording, and when they are in it."""
    origin_s: float | None = None
    for capture in captures:
        origin_s = capture.time_s if origin_s is None else origin_s
        since_start_s = capture.time_s - origin_s - request.start_s
        if request.seconds is not None and since_start_s >= request.seconds - NEAR_S:
            return
        if since_start_s >= -NEAR_S:
            yield capture, max(since_start_s, 0.0)


def _make(capture: _Capture, recording: _Recording, registration: Registration, time_s: float) -> Frame | None:
    """None where the colour is damaged."""
    colour, depth = recording.rig.colour, recording.rig.depth
    image = decode_colour(capture.colour, recording.colour_format, colour.width, colour.height)
    if image is None:
        return None
    depth_mm = capture.depth.view(">u2").reshape(depth.height, depth.width)
    return registration.frame(0, time_s, image, depth_mm)


def _captures(path: Path, recording: _Recording, reading: _Reading) -> Generator[_Capture, None, None]:
    """Pairs by time; pictures without a partner are counted in `reading`."""
    waiting: dict[str, deque[tuple[float, np.ndarray]]] = {"colour": deque(), "depth": deque()}
    near_s = PAIR_SHARE / recording.fps
    for kind, time_s, content in _pictures(path, recording, reading):
        waiting[kind].append((time_s, content))
        colours, depths = waiting["colour"], waiting["depth"]
        while colours and depths and abs(colours[0][0] - depths[0][0]) > near_s:
            _leave_out("colour" if colours[0][0] < depths[0][0] else "depth", waiting, reading)
        if colours and depths:
            (colour_s, colour), (_, depth) = colours.popleft(), depths.popleft()
            yield _Capture(colour_s, colour, depth)
        for other in ("colour", "depth"):
            while waiting[other] and waiting[other][0][0] < time_s - PATIENCE_S:
                _leave_out(other, waiting, reading)
    reading.colour_alone += len(waiting["colour"])
    reading.depth_alone += len(waiting["depth"])


def _leave_out(kind: str, waiting: dict[str, deque[tuple[float, np.ndarray]]], reading: _Reading) -> None:
    waiting[kind].popleft()
    if kind == "colour":
        reading.colour_alone += 1
    else:
        reading.depth_alone += 1


def _pictures(path: Path, recording: _Recording, reading: _Reading) -> Iterator[tuple[str, float, np.ndarray]]:
    """("colour" or "depth", seconds in device time, encoded bytes) as stored; depth times without their delay."""
    import av

    kinds = {recording.colour_stream: "colour", recording.depth_stream: "depth"}
    depth_bytes = recording.rig.depth.width * recording.rig.depth.height * 2
    last_s = 0.0
    with closing(_open_container(path)) as container, suppress(av.error.EOFError):
        packets = container.demux([container.streams[index] for index in kinds])
        try:
            for packet in packets:
                if packet.pts is None or not packet.size:
                    continue                             # PyAV's word for the end of a track
                kind, content = kinds[packet.stream.index], np.frombuffer(bytes(packet), np.uint8)
                if packet.is_corrupt or (kind == "depth" and len(content) != depth_bytes):
                    reading.damaged += 1
                    continue
                stored_s = float(packet.pts * packet.time_base)
                last_s = max(last_s, stored_s)
                yield kind, (stored_s + recording.start_offset_s
                             - (recording.depth_delay_s if kind == "depth" else 0.0)), content
        except av.error.FFmpegError:
            reading.cut_off_at_s = last_s
    if not recording.whole:
        reading.cut_off_at_s = last_s
