"""Video files and animated GIFs: upright pictures with their own times."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.records import Footage, Frame
from pipelines.sources import Request
from pipelines.sources.lens import camera_of, written_in_video
from pipelines.sources.light import filtered, steps_for

TOO_SHORT_BY_FRAMES = 2.5               # how much earlier than promised a whole file may end
CONVERT = "Check that it plays; converting it to H.264 in an .mp4 usually helps."


def open_video(request: Request) -> Footage:
    """Reads the header and the first picture; the rest is decoded as it is asked for.

    AnrError for a file that is no video or has no pictures. Of one that is damaged or cut off what is whole is
    delivered, and `notes` says so.
    """
    path = Path(request.spec)
    with closing(_open_container(path)) as container:
        stream = _video_stream(container, path)
        _refuse_kinect(container, path)
        first = next(_pictures(container, stream, _Reading(path)), None)
        if first is None:
            raise AnrError(f"{path} has a video track, but no picture in it can be decoded.", hint=CONVERT)
        fps = float(stream.average_rate or stream.guessed_rate or 25)
        shape = _Upright.of(first, stream, request.max_side)
        found = written_in_video(_all_metadata(container))
        camera, known_from = camera_of(shape.width, shape.height, request.fov_deg, found)
        count = _frames_wanted(stream.frames, fps, request)
        steps, told = steps_for(first)
    reading = _Reading(path, told)
    return Footage(camera=camera, frames=_frames(reading, shape, steps, request), frame_count=count, fps=fps,
                   intrinsics_from=known_from, notes=lambda: reading.notes)


def length_of(path: Path) -> tuple[float, float, float, bool]:
    """What a file's header says: (frames, frames per second, megapixels of one, whether a Kinect's); zeros where it
    cannot be read, or says nothing."""
    import av

    try:
        with closing(av.open(str(path))) as container:
            stream = container.streams.video[0]
            fps = float(stream.average_rate or stream.guessed_rate or 25)
            frames = stream.frames or fps * (_promised_s(container, stream) or 0.0)
            kinect = any("K4A_" in key for part in (container, *container.streams) for key in part.metadata)
            return float(frames), fps, stream.width * stream.height / 1e6, kinect
    except (av.error.FFmpegError, OSError, IndexError, AttributeError):
        return 0.0, 0.0, 0.0, False


@dataclass
class _Reading:
    """What was found out about a file while it was read."""

    path: Path
    notes: list[str] = field(default_factory=list)
    seen: int = 0                       # pictures decoded
    end_s: float = 0.0                  # where the last of them ends

    def cut_off(self, promised: str) -> None:
        self.notes.append(f"{self.path} is damaged or cut off: {self.seen} pictures ({self.end_s:.1f}{promised} s) "
                          "are whole, and they were used. Copy or export it again to have the rest.")


def _frames(reading: _Reading, shape: _Upright, steps: list[str], request: Request) -> Iterator[Frame]:
    """Decodes the part that was asked for; times count from its first picture."""
    with closing(_open_container(reading.path)) as container:
        stream = _video_stream(container, reading.path)
        stream.thread_type = "AUTO"
        nominal_s = 1.0 / float(stream.average_rate or stream.guessed_rate or 25)
        origin_s: float | None = None           # the clip's first picture; --start counts from here
        last_s = -math.inf
        index = 0
        pictures = _pictures(container, stream, reading)
        for decoded in filtered(pictures, steps) if steps else pictures:
            time_s = decoded.time if decoded.time is not None else max(last_s, 0.0) + nominal_s
            if time_s <= last_s:                # a doubled time stamp: keep the order, believe the nominal rate
                time_s = last_s + nominal_s
            last_s = time_s
            origin_s = time_s if origin_s is None else origin_s
            since_start_s = time_s - origin_s - request.start_s
            if since_start_s < -1e-6:
                continue
            if request.seconds is not None and since_start_s >= request.seconds - 1e-6:
                return
            if request.max_frames is not None and index >= request.max_frames:
                return
            yield Frame(index, since_start_s, shape.picture(decoded))
            index += 1


@dataclass(frozen=True)
class _Upright:
    """How a stored picture becomes the one people see: turned, mirrored, square pixels, perhaps smaller."""

    width: int                          # of the finished picture
    height: int
    stored_width: int                   # what the decoder's picture is scaled to before it is turned
    stored_height: int
    transpose: bool
    flip_x: bool                        # after the transpose
    flip_y: bool

    @classmethod
    def of(cls, decoded: Any, stream: Any, max_side: int) -> _Upright:
        aspect = float(decoded.sample_aspect_ratio or stream.sample_aspect_ratio or 1) \
            if hasattr(decoded, "sample_aspect_ratio") else float(stream.sample_aspect_ratio or 1)
        width, height = max(1, round(decoded.width * aspect)), decoded.height
        shrink = min(1.0, max_side / max(width, height)) if max_side else 1.0
        width, height = max(1, round(width * shrink)), max(1, round(height * shrink))
        transpose, flip_x, flip_y = _orientation(decoded)
        upright = (height, width) if transpose else (width, height)
        return cls(*upright, width, height, transpose, flip_x, flip_y)

    def picture(self, decoded: Any) -> np.ndarray:
        """(height, width, 3) uint8 sRGB, full range."""
        image = _to_rgb(decoded, self.stored_width, self.stored_height)
        image = image.transpose(1, 0, 2) if self.transpose else image
        image = image[:, ::-1] if self.flip_x else image
        image = image[::-1] if self.flip_y else image
        return np.ascontiguousarray(image)


def _to_rgb(decoded: Any, width: int, height: int) -> np.ndarray:
    from av.video.reformatter import ColorRange, Colorspace

    source: Any = None                  # the decoder's own word, unless it says nothing:
    if int(decoded.colorspace) in (0, 2) and decoded.format.name.startswith("yuv"):
        # then HD is BT.709 and anything smaller BT.601, as every player does
        source = Colorspace.ITU709 if min(decoded.width, decoded.height) >= 720 else Colorspace.ITU601
    return decoded.to_ndarray(format="rgb24", width=width, height=height, src_colorspace=source,
                              dst_color_range=ColorRange.JPEG)


def _orientation(decoded: Any) -> tuple[bool, bool, bool]:
    """(transpose, flip x, flip y) from the display matrix that phones write instead of turning pixels.

    source  ISO/IEC 14496-12, 8.3.2 (matrix): x' = a x + c y, y' = b x + d y, with y down
    """
    entry = next((side for side in decoded.side_data if side.type.name == "DISPLAYMATRIX"), None)
    if entry is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(entry, np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        return True, c < 0, b < 0
    return False, a < 0, d < 0


def _pictures(container: Any, stream: Any, reading: _Reading) -> Iterator[Any]:
    """Decoded pictures in order, up to where the file is damaged or ends; `reading` tells where that was."""
    import av

    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:               # the rest of it is missing
                break
            if packet.pts is not None:
                reading.end_s = max(reading.end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            for decoded in packet.decode():
                reading.seen += 1
                yield decoded
        else:
            _check_length(container, stream, reading)
            return
    except av.error.FFmpegError as error:
        if reading.seen == 0:
            raise AnrError(f"{reading.path} cannot be decoded: {error.strerror}.", hint=CONVERT) from error
    else:
        for decoded in stream.decode(None):     # pictures that decoding threads still hold
            reading.seen += 1
            yield decoded
    reading.cut_off(_of(_promised_s(container, stream)))


def _check_length(container: Any, stream: Any, reading: _Reading) -> None:
    """Tells of a file that ends before the time its header promises."""
    promised_s = _promised_s(container, stream)
    if promised_s is None or reading.seen < 2:
        return
    # The container's length counts the sound too, which may last longer.
    of_sound = stream.duration is None and len(container.streams) > 1
    slack_s = 1.0 if of_sound else TOO_SHORT_BY_FRAMES / float(stream.average_rate or 25)
    if reading.end_s < promised_s - slack_s:
        reading.cut_off(_of(promised_s))


def _promised_s(container: Any, stream: Any) -> float | None:
    if stream.duration is not None:
        return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    if container.duration is not None:
        return float((container.duration + (container.start_time or 0)) / 1e6)
    return None


def _of(promised_s: float | None) -> str:
    return f" of {promised_s:.1f}" if promised_s is not None else ""


def _open_container(path: Path) -> Any:
    import av

    try:
        container = av.open(str(path))
    except av.error.FFmpegError as error:
        cut = "moov atom" in " ".join(str(part) for part in (error.log or ())) or path.suffix.lower() in (
            ".mp4",
            ".mov",
            ".m4v",
        )
        hint = "If it is one, it was cut off while being written or copied: copy or export it again." if cut \
            else "--source takes videos (.mp4 .mov .webm .avi .gif)."
        raise AnrError(f"{path} is not a video that can be read ({error.strerror}).", hint=hint) from error
    if container.format.name in ("tty", "srt", "ass", "webvtt"):       # ffmpeg "plays" text files
        container.close()
        raise AnrError(f"{path} is not a video but text.", hint="--source takes videos (.mp4 .mov .webm .avi .gif).")
    return container


def _video_stream(container: Any, path: Path) -> Any:
    for stream in container.streams.video:
        if not (int(stream.disposition) & 0x400):           # 0x400: a cover picture of a sound file
            return stream
    raise AnrError(f"{path} has no video track.", hint="Is it a sound recording?")


def _refuse_kinect(container: Any, path: Path) -> None:
    if any(key.startswith("K4A_") for key in container.metadata) or \
            any("K4A_" in key for stream in container.streams for key in stream.metadata):
        raise AnrError(f"{path} is an Azure Kinect recording, but its name does not end in .mkv.",
                       hint="Give it that ending: as a plain video its depth and its lens would be lost.")


def _all_metadata(container: Any) -> dict[str, str]:
    together = dict(container.metadata)
    for stream in container.streams:
        together.update(stream.metadata)
    return together


def _frames_wanted(stored: int, fps: float, request: Request) -> int | None:
    """How many frames will probably come, for the progress bar; None where the file does not say."""
    if not stored:
        return request.max_frames
    count = max(0, stored - round(request.start_s * fps))
    if request.seconds is not None:
        count = min(count, math.ceil(request.seconds * fps))
    return min(count, request.max_frames) if request.max_frames is not None else count
