"""What may be asked of a video: the options that `anr render` and `anr tryon` have in common."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.core.errors import AnrError, UsageError, explained_os_errors
from pipelines.core.options import option

if TYPE_CHECKING:
    import numpy as np

COLOURS = {"white": (255, 255, 255), "green": (0, 177, 64)}     # green as in chroma keying
TRANSPARENT = "transparent"
CAPTURE = "capture"
WAYS = ("motion", "orbit", "replay")


@dataclass(frozen=True)
class PlaybackOptions:
    """What the person does, seen how, before what."""

    motion: str = option("", "A motion to perform: a BVH file.", file=True)
    orbit: bool = option(False, "Once around the person, standing.")
    replay: bool = option(False, "The captured motion, seen by the capture's camera.")
    frames: str = option("", "Only frames A:B (half-open); capture frames with --replay.")
    size: int = option(0, "Height of the picture in pixels; 0 = the capture's.")
    fps: float = option(0.0, "Frames per second; 0 = the motion's own, at most 30.")
    view_deg: float = option(10.0, "Where the camera of --motion stands: degrees from the front to the person's left.")
    background: str = option(CAPTURE, "capture, white, green, transparent (a .webm video), or a picture file.",
                             file=True, words=(CAPTURE, *COLOURS, TRANSPARENT))
    frames_dir: str = option("", "Also write every frame as PNG, 00012.png, into this folder.", as_flag=True)
    out: str = option("", "Copy the video to this file.", recorded_only=True)
    device: str = option("auto", "auto, cpu or cuda.", recorded_only=True)


def chosen_way(options: PlaybackOptions) -> str:
    """"motion", "orbit" or "replay"; "" when none was chosen, UsageError when more than one was."""
    chosen = [way for way in WAYS if getattr(options, way)]
    if len(chosen) > 1:
        raise UsageError(f"Only one of {', '.join(f'--{way}' for way in chosen)} can be rendered at a time.",
                         hint="Run the command once for each.")
    return chosen[0] if chosen else ""


def check(options: PlaybackOptions) -> None:
    """Refuses before any work what could only fail after it; UsageError where options contradict each other."""
    if options.size and not 64 <= options.size <= 4096:
        raise AnrError(f"--size {options.size} is not between 64 and 4096 pixels.",
                       hint="Leave it away: the capture's size looks best.")
    if options.size and options.replay:
        raise UsageError("--replay has the capture's size.", hint="Leave --size away.")
    if options.fps and options.replay:
        raise UsageError("--replay has the capture's times.", hint="Leave --fps away.")
    if options.fps < 0 or options.fps > 240:
        raise AnrError(f"--fps {options.fps:g} is not a frame rate.", hint="Leave it away, or use up to 240.")
    _check_frames(options.frames)
    if options.background not in (CAPTURE, *COLOURS, TRANSPARENT):
        background_picture(options.background)
    ending = video_name(options).rpartition(".")[2]
    if options.out and Path(options.out).suffix.lower() != f".{ending}":
        kind = "A transparent video" if options.background == TRANSPARENT else "The video"
        raise AnrError(f"{kind} is a .{ending} file, so --out {options.out} cannot hold it.",
                       hint=f"Name it {Path(options.out).with_suffix('.' + ending).name}.")
    for target in (Path(options.out).parent if options.out else None,
                   Path(options.frames_dir) if options.frames_dir else None):
        if target is not None and not _can_write(target):
            raise AnrError(f"Nothing can be written to {target}.", hint="Choose a folder of your own.")


def video_name(options: PlaybackOptions) -> str:
    return "video.webm" if options.background == TRANSPARENT else "video.mp4"


def seconds_expected(options: PlaybackOptions, captured_frames: int, height: int, width: int) -> float:
    """About how long filming takes on two processors, for the announcement before it starts.

    captured_frames, height, width  of the person's recording
    """
    frames, pixels = 96.0, (options.size or height) ** 2 * min(1.0, width / height)
    if options.replay:
        frames, pixels = float(captured_frames), float(height * width)
    elif options.motion:
        from pipelines.motion.bvh import read_bvh

        bvh = read_bvh(Path(options.motion))
        frames = bvh.frame_count * min(1.0, (options.fps or 30.0) / bvh.fps)
    return 6.0 + frames * (0.02 + 0.9e-6 * pixels)


def background_picture(name: str) -> np.ndarray:
    """(H, W, 3) uint8 of a background that is a picture file; AnrError where it is none."""
    from pipelines.media.images import read_image

    if not Path(name).is_file():
        raise AnrError(f"There is no background {name!r}.",
                       hint=f"Use {CAPTURE}, {', '.join(COLOURS)}, {TRANSPARENT} or a picture file.")
    return read_image(Path(name))


def deliver(folder: Path, options: PlaybackOptions) -> None:
    """Copies a complete result to where it was asked for; each file appears there whole or not at all."""
    if options.frames_dir:
        for frame in sorted((folder / "frames").glob("*.png")):
            _copy(frame, Path(options.frames_dir) / frame.name)
    if options.out:
        video = folder / video_name(options)
        if not video.exists():
            raise AnrError(f"There is no video to copy to {options.out}: it was rendered without ffmpeg.",
                           hint=f"Its frames are in {folder / 'frames'}. For a video: pip install imageio-ffmpeg "
                                f"ffmpeg-python, delete {folder} and run the command again.")
        _copy(video, Path(options.out))


def _copy(source: Path, target: Path) -> None:
    partial = target.with_name(f"{target.name}.partial")
    with explained_os_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source, partial)
            os.replace(partial, target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def _check_frames(text: str) -> None:
    """Refuses what is no range, or an empty one, however long the motion is."""
    from pipelines.motion.timing import frame_range

    start, _, end = (part.strip() for part in text.partition(":"))
    if end.isdecimal() and (start or "0").isdecimal() and int(start or 0) >= int(end):
        raise AnrError(f"--frames {text} holds no frame.", hint="The first is included, the last is not: "
                                                                "--frames 0:100 are a hundred.")
    frame_range(text, sys.maxsize)


def _can_write(folder: Path) -> bool:
    """Whether a folder is there, or can be made, and takes files."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)
