"""What may be asked of a video: the options that `anr render` and `anr tryon` have in common."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pipelines.core.errors import AnrError
from pipelines.core.options import option

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
    view_deg: float = option(20.0, "Where the camera stands: degrees from the front towards the person's left.")
    background: str = option(CAPTURE, "capture, white, green, transparent (a .webm video), or a picture file.",
                             file=True)
    frames_dir: str = option("", "Also write every frame as PNG, 00012.png, into this folder.")
    out: str = option("", "Copy the video to this file.", recorded_only=True)
    device: str = option("auto", "auto, cpu or cuda.", recorded_only=True)


def chosen_way(options: PlaybackOptions) -> str:
    """"motion", "orbit" or "replay"; "" when none was chosen, AnrError when more than one was."""
    chosen = [way for way in WAYS if getattr(options, way)]
    if len(chosen) > 1:
        raise AnrError(f"Only one of {', '.join(f'--{way}' for way in chosen)} can be rendered at a time.",
                       hint="Run the command once for each.")
    return chosen[0] if chosen else ""


def check(options: PlaybackOptions) -> None:
    """Refuses before any work what could only fail after it."""
    if options.size and not 64 <= options.size <= 4096:
        raise AnrError(f"--size {options.size} is not between 64 and 4096 pixels.",
                       hint="Leave it away: the capture's size looks best.")
    if options.size and options.replay:
        raise AnrError("--replay has the capture's size.", hint="Leave --size away.")
    if options.fps < 0 or options.fps > 240:
        raise AnrError(f"--fps {options.fps:g} is not a frame rate.", hint="Leave it away, or use up to 240.")
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


def deliver(folder: Path, options: PlaybackOptions) -> None:
    """Copies a complete result to where it was asked for."""
    import shutil

    if options.out:
        check(options)
        target = Path(options.out)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / video_name(options), target)
    if options.frames_dir:
        Path(options.frames_dir).mkdir(parents=True, exist_ok=True)
        for frame in sorted((folder / "frames").glob("*.png")):
            shutil.copyfile(frame, Path(options.frames_dir) / frame.name)


def _can_write(folder: Path) -> bool:
    """Whether a folder is there, or can be made, and takes files."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)
