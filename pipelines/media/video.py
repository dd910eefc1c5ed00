"""Pictures to a video file: H.264 that plays in a browser, or a codec with transparency; GIFs; pictures of a video."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from pipelines.core.errors import AnrError

CRF = 18                                # libx264's scale, 0 lossless .. 51; 18 is hard to tell from the source
REMEDY = "Install the wheel that brings ffmpeg: pip install imageio-ffmpeg ffmpeg-python."

# What each file ending is encoded as. Only webm (VP9) and mov (ProRes 4444) keep the alpha channel.
CODECS: dict[str, dict[str, Any]] = {
    ".mp4": {"vcodec": "libx264", "pix_fmt": "yuv420p", "crf": CRF, "preset": "fast", "movflags": "+faststart"},
    ".webm": {"vcodec": "libvpx-vp9", "pix_fmt": "yuva420p", "crf": 24, "video_bitrate": 0, "deadline": "good",
              "cpu-used": 5, "row-mt": 1, "auto-alt-ref": 0},
    ".mov": {"vcodec": "prores_ks", "pix_fmt": "yuva444p10le", "profile:v": 4, "vendor": "apl0"},
}
ALPHA_ENDINGS = (".webm", ".mov")
GIF_FPS, GIF_HEIGHT = 12.5, 360         # a GIF's times count in hundredths of a second


def available() -> bool:
    """Whether this machine can write videos (a GPU machine with the bare parts may not)."""
    try:
        _ffmpeg_program()
    except AnrError:
        return False
    return True


class VideoWriter:
    """Writes frames one by one; the file appears under its own name only when it is complete.

    path           ends in .mp4 (H.264, yuv420p), .webm (VP9, may carry alpha) or .mov (ProRes 4444, may carry alpha)
    width, height  of the pictures handed to `add`; an odd side gains one repeated row or column, as the codecs ask
    alpha          pictures are RGBA (straight alpha); only .webm and .mov

    Use it in a `with` block: leaving it normally finishes the file, an error inside removes the unfinished one.
    """

    def __init__(self, path: Path, width: int, height: int, fps: float, alpha: bool = False) -> None:
        self.path = Path(path)
        if width < 1 or height < 1 or not fps > 0:
            raise ValueError(f"a video needs a positive size and rate, got {width}x{height} at {fps} fps")
        ending = self.path.suffix.lower()
        if ending not in CODECS:
            raise AnrError(f"{self.path.name}: a video cannot be written as '{ending}'.",
                           hint=f"Use one of {', '.join(CODECS)}.")
        if alpha and ending not in ALPHA_ENDINGS:
            raise AnrError(f"{self.path.name}: '{ending}' cannot hold transparency.",
                           hint=f"Use {' or '.join(ALPHA_ENDINGS)}, or PNG frames.")
        self.width, self.height, self.fps, self.alpha = width, height, fps, alpha
        self.frame_count = 0
        self._partial = self.path.with_name(f".{self.path.stem}.{os.getpid()}.partial{ending}")
        self._process = self._start(CODECS[ending])

    def _start(self, codec: dict[str, Any]) -> Any:
        program = _ffmpeg_program()
        import ffmpeg

        options = dict(codec)
        if options["pix_fmt"].startswith("yuva") and not self.alpha:
            options["pix_fmt"] = options["pix_fmt"].replace("yuva", "yuv")
        size = f"{self.width + self.width % 2}x{self.height + self.height % 2}"
        stream = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="rgba" if self.alpha else "rgb24", s=size, r=self.fps)
        # Without the filter ffmpeg converts with the matrix of standard-definition television and reds come out orange.
        stream = stream.filter("scale", out_color_matrix="bt709", out_range="tv")
        stream = stream.output(str(self._partial), **options, r=self.fps, colorspace="bt709", color_primaries="bt709",
                               color_trc="bt709", color_range="tv", map_metadata=-1, loglevel="error")
        try:
            return ffmpeg.run_async(stream, cmd=program, pipe_stdin=True, pipe_stderr=True, overwrite_output=True)
        except OSError as error:
            raise AnrError(f"ffmpeg could not be started: {error}.", hint=REMEDY) from error

    def add(self, image: np.ndarray) -> None:
        """Appends (height, width, 3) uint8 sRGB, or (height, width, 4) with `alpha`."""
        expected = (self.height, self.width, 4 if self.alpha else 3)
        if image.shape != expected or image.dtype != np.uint8:
            raise ValueError(f"expected {expected} uint8, got {image.shape} {image.dtype}")
        if self.width % 2 or self.height % 2:
            image = np.pad(image, ((0, self.height % 2), (0, self.width % 2), (0, 0)), mode="edge")
        try:
            self._process.stdin.write(np.ascontiguousarray(image).data)
        except (BrokenPipeError, OSError) as error:
            self._give_up(error)
        self.frame_count += 1

    def close(self) -> None:
        """Finishes the file and gives it its name."""
        if self._process is None:
            return
        if self.frame_count == 0:
            self.abandon()
            raise ValueError(f"{self.path.name}: a video needs at least one frame")
        try:
            self._process.stdin.close()
        except (BrokenPipeError, OSError) as error:
            self._give_up(error)
        complaint = self._process.stderr.read().decode(errors="replace")
        if self._process.wait() != 0:
            self._give_up(None, complaint)
        self._release()
        os.replace(self._partial, self.path)

    def abandon(self) -> None:
        """Stops without leaving a file behind."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._release()
        self._partial.unlink(missing_ok=True)

    def _give_up(self, error: OSError | None, complaint: str = "") -> None:
        if not complaint:
            self._process.kill()
            complaint = self._process.stderr.read().decode(errors="replace")
        self.abandon()
        if "No space left" in complaint:                 # ffmpeg tells it in words; told on as what it is
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path)) from error
        reason = complaint.strip().splitlines()[-1] if complaint.strip() else str(error or "it gave no reason")
        raise AnrError(f"ffmpeg stopped while writing {self.path.name}: {reason}",
                       hint="Check that the folder is there and can be written.") from error

    def _release(self) -> None:
        for pipe in (self._process.stdin, self._process.stderr):
            with contextlib.suppress(OSError):           # a pipe whose reader is gone cannot be flushed
                pipe.close()
        self._process = None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()


def write_gif(video: Path, target: Path) -> None:
    """A small animated GIF of a video file, with 256 colours of its own; transparent where the video is (1 bit)."""
    program = _ffmpeg_program()
    import ffmpeg

    palette = target.with_name(f".{target.stem}.{os.getpid()}.palette.png")
    partial = target.with_name(f".{target.stem}.{os.getpid()}.partial.gif")

    def pictures() -> Any:
        decoder = {"vcodec": "libvpx-vp9"} if video.suffix == ".webm" else {}      # ffmpeg's own one drops the alpha
        stream = ffmpeg.input(str(video), **decoder).filter("fps", GIF_FPS)
        return stream.filter("scale", -2, f"min({GIF_HEIGHT},ih)", flags="lanczos")

    # Two passes over the file: within one, ffmpeg would hold every frame until it knows all colours.
    colours = pictures().filter("palettegen", stats_mode="diff").output(str(palette), loglevel="error", **{"update": 1})
    painted = ffmpeg.filter([pictures(), ffmpeg.input(str(palette))], "paletteuse", dither="bayer", bayer_scale=4)
    try:
        for step in (colours, painted.output(str(partial), loglevel="error", map_metadata=-1)):
            ffmpeg.run(step, cmd=program, capture_stderr=True, overwrite_output=True)
        os.replace(partial, target)
    except ffmpeg.Error as error:
        told = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        if any("No space left" in line for line in told):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target)) from error
        raise AnrError(f"ffmpeg stopped while writing {target.name}: {told[-1] if told else 'it gave no reason'}",
                       hint="Leave --gif away.") from error
    finally:
        for leftover in (palette, partial):
            leftover.unlink(missing_ok=True)


def frames_at(path: Path, times_s: Sequence[float]) -> Iterator[np.ndarray]:
    """The picture (H, W, 3) uint8 that a video shows at each time; past its end it begins again.

    times_s  ascending, from 0; AnrError where the file cannot be decoded or holds no picture
    """
    lap_start, length = 0.0, 0.0
    frames = _decoded(path)
    current = following = next(frames, None)
    if current is None:
        raise AnrError(f"{path} holds no picture.", hint="Name a video, or a picture.")
    for time_s in times_s:
        while following is not None or time_s - lap_start >= length > 0:
            if following is None:                        # the end of a lap
                lap_start += length
                frames = _decoded(path)
                following = next(frames)
            if following[0] > time_s - lap_start:
                break
            current, following = following, next(frames, None)
            length = current[0] + current[1] if following is None else 0.0
        yield _upright(current[2])


def _decoded(path: Path) -> Iterator[tuple[float, float, Any]]:
    """(when a frame begins, how long it lasts, the frame) in seconds from the first one."""
    import av

    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            lasts = 1.0 / float(stream.average_rate or 25)
            first = None
            for frame in container.decode(stream):
                at = float(frame.time) if frame.time is not None else 0.0
                first = at if first is None else first
                yield at - first, lasts, frame
    except (av.error.FFmpegError, IndexError) as error:
        raise AnrError(f"{path} cannot be decoded as a video: {error}.", hint="Convert it to .mp4 first.") from error


def _upright(frame: Any) -> np.ndarray:
    """(H, W, 3) uint8, turned as the file says it was held."""
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), round(getattr(frame, "rotation", 0) / 90)))


def _ffmpeg_program() -> str:
    try:
        import ffmpeg  # noqa: F401
        import imageio_ffmpeg
    except ImportError as error:
        raise AnrError(f"Videos cannot be written here: {error}.", hint=REMEDY) from error
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise AnrError(f"No ffmpeg program was found: {error}.", hint=REMEDY) from error
