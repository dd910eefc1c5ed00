"""What may be asked of a video: the options that `anr render` and `anr tryon` have in common."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.core.errors import AnrError, UsageError
from pipelines.core.options import option
from pipelines.playback.delivery import can_write

COLOURS = {"white": (255, 255, 255), "black": (0, 0, 0), "grey": (128, 128, 128), "blue": (0, 71, 187),
           "green": (0, 177, 64)}       # green and blue as in chroma keying
HEX_COLOUR = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})\Z")
TRANSPARENT = "transparent"
CAPTURE = "capture"
WAYS = ("motion", "orbit", "replay")
STAND = "stand"                         # no way of its own: somebody stands before a camera that has a path
VIEWS = {"front": 0.0, "front-left": 45.0, "left": 90.0, "back-left": 135.0, "back": 180.0, "back-right": 225.0,
         "right": 270.0, "front-right": 315.0}
FORMATS = ("mp4", "webm", "mov")
ALPHA_FORMATS = ("webm", "mov")
ENGINES = ("torch", "openvino")
SIZES = 64, 4096


def _format_decides(options: Any) -> str:
    return video_name(options)


@dataclass(frozen=True)
class PlaybackOptions:
    """What the person does, seen how, before what."""

    motion: str = option("", "A motion to perform: a BVH file.", file=True)
    orbit: bool = option(False, "Once around the person, standing.")
    replay: bool = option(False, "The captured motion, seen by the capture's camera.")
    joint_map: str = option("", "A joint map that mends what the names of --motion do not tell (joint_map.json of an "
                                "earlier render).", file=True)
    trim: str = option("", "Only seconds A:B of --motion.")
    speed: float = option(1.0, "How fast --motion goes: 0.5 takes twice as long.")
    mirror: bool = option(False, "Left and right of --motion exchanged.", flag="--mirror")
    loop: int = option(1, "How many times --motion is repeated, without a jump.")
    frames: str = option("", "Only frames A:B (half-open); capture frames with --replay.")
    size: int = option(0, "Height of the picture in pixels; 0 = the capture's.")
    fps: float = option(0.0, "Frames per second; 0 = the motion's own, at most 30.")
    view: str = option("", f"From where: {', '.join(VIEWS)} (left shows the person's left side); else --view-deg.")
    view_deg: float = option(10.0, "Where the camera of --motion stands: degrees from the front to the person's left.")
    camera: str = option("", "A path of the camera: a JSON file with keyed cameras (docs/render.md).", file=True)
    background: str = option(CAPTURE, f"capture, {', '.join(COLOURS)}, a colour #rrggbb, transparent (a .webm or .mov "
                                      "video), or a picture or video file.",
                             file=True, words=(CAPTURE, *COLOURS, TRANSPARENT))
    format: str = option("", "mp4, webm (VP9) or mov (ProRes 4444); else what --out ends in, mp4, or webm when "
                             "transparent.", recorded_only=True)
    strip: int = option(8, "How many frames the picture strip shows side by side.")
    gif: bool = option(False, "Also a small animated GIF.", flag="--gif")
    frames_dir: str = option("", "Also write every frame as PNG, 00012.png, into this folder.", as_flag=True)
    out: str = option("", "Copy the video to this file.", decides=_format_decides)
    engine: str = option("torch", "What runs the network: torch, or openvino where it is installed.")
    device: str = option("auto", "auto, cpu or cuda.", recorded_only=True)


def chosen_way(options: PlaybackOptions) -> str:
    """"motion", "orbit", "replay" or "stand" (a camera path alone); "" when none was chosen.

    UsageError when more than one was.
    """
    chosen = [way for way in WAYS if getattr(options, way)]
    if len(chosen) > 1:
        raise UsageError(f"Only one of {', '.join(f'--{way}' for way in chosen)} can be rendered at a time.",
                         hint="Run the command once for each.")
    return chosen[0] if chosen else STAND if options.camera else ""


def check(options: PlaybackOptions) -> None:
    """Refuses before any work what could only fail after it; UsageError where options contradict each other."""
    _check_size_and_times(options)
    _check_editing(options)
    _check_camera(options)
    _check_frames(options.frames)
    _check_background(options.background)
    _check_format(options)
    if not 1 <= options.strip <= 64:
        raise AnrError(f"--strip {options.strip} is not between 1 and 64 frames.", hint="Eight fit beside each other.")
    if options.engine not in ENGINES:
        raise AnrError(f"--engine {options.engine} is not known.", hint=f"Use {' or '.join(ENGINES)}.")
    if options.device != "auto":                        # which is always there, and torch takes seconds to load
        from pipelines.renderers.avatar import best_device

        best_device(options.device)
    for target in (Path(options.out).parent if options.out else None,
                   Path(options.frames_dir) if options.frames_dir else None):
        if target is not None and not can_write(target):
            raise AnrError(f"Nothing can be written to {target}.", hint="Choose a folder of your own.")


def video_name(options: PlaybackOptions) -> str:
    """`video.mp4`, or with the ending that was asked for."""
    asked = options.format or Path(options.out).suffix.lower().removeprefix(".")
    return f"video.{asked or (ALPHA_FORMATS[0] if options.background == TRANSPARENT else FORMATS[0])}"


def view_deg(options: PlaybackOptions) -> float | None:
    """Degrees from the front to the person's left; None where nothing was said (each way has its own)."""
    return VIEWS[options.view] if options.view else None


def colour(name: str) -> tuple[int, int, int] | None:
    """Red, green and blue of a colour by name or #rrggbb; None for anything else."""
    found = HEX_COLOUR.match(name)
    if found:
        red, green, blue = (int(part, 16) for part in found.groups())
        return red, green, blue
    return COLOURS.get(name)


def _check_size_and_times(options: PlaybackOptions) -> None:
    if options.size and not SIZES[0] <= options.size <= SIZES[1]:
        raise AnrError(f"--size {options.size} is not between {SIZES[0]} and {SIZES[1]} pixels.",
                       hint="Leave it away: the capture's size looks best.")
    if options.size and options.replay:
        raise UsageError("--replay has the capture's size.", hint="Leave --size away.")
    if options.fps and options.replay:
        raise UsageError("--replay has the capture's times.", hint="Leave --fps away.")
    if not 0 <= options.fps <= 240:
        raise AnrError(f"--fps {options.fps:g} is not a frame rate.", hint="Leave it away, or use up to 240.")
    if options.size:
        from pipelines.playback.limits import check_memory

        check_memory(options.size, options.size)


def _check_editing(options: PlaybackOptions) -> None:
    """Options that change a motion need one, and make sense."""
    asked = [f"--{flag}" for flag, said in (("joint-map", options.joint_map), ("trim", options.trim),
                                            ("speed", options.speed != 1.0), ("mirror", options.mirror),
                                            ("loop", options.loop != 1)) if said]
    if asked and not options.motion:
        raise UsageError(f"{asked[0]} changes a --motion, and there is none.", hint="Add --motion FILE.bvh.")
    if not 0.05 <= options.speed <= 20:
        raise AnrError(f"--speed {options.speed:g} is not between 0.05 and 20.", hint="0.5 takes twice as long.")
    if not 1 <= options.loop <= 1000:
        raise AnrError(f"--loop {options.loop} is not between 1 and 1000.", hint="1 plays the motion once.")
    if options.trim:
        from pipelines.motion.bvh import read_bvh
        from pipelines.motion.timing import seconds_range

        start_s, _ = seconds_range(options.trim)
        bvh = read_bvh(Path(options.motion))
        if start_s >= bvh.frame_count / bvh.fps:
            raise AnrError(f"--trim {options.trim} holds no frame: {Path(options.motion).name} lasts "
                           f"{bvh.frame_count / bvh.fps:.2f} s.", hint="Choose within it, in seconds.")
    if options.motion and (options.loop > 1 or options.speed < 1 or options.fps):
        _check_length(options)
    if options.joint_map:
        from pipelines.motion.jointmap import read_joint_map

        read_joint_map(Path(options.joint_map))


def _check_length(options: PlaybackOptions) -> None:
    """Poses are held in memory all at once, some 6 kB a frame."""
    from pipelines.motion.retarget import MOST_FRAMES
    from pipelines.playback.estimate import motion_frames, standing_frames

    frames = motion_frames(options) if options.motion else standing_frames(options)
    if frames > MOST_FRAMES:
        raise AnrError(f"A motion of {frames:.0f} frames is too long; {MOST_FRAMES} can be rendered at once.",
                       hint="Make it shorter or repeat it less often; a finished video can be repeated.")


def _check_camera(options: PlaybackOptions) -> None:
    if options.view and options.view not in VIEWS:
        raise AnrError(f"--view {options.view} is not known.", hint=f"Use {', '.join(VIEWS)}, or --view-deg.")
    if not abs(options.view_deg) <= 36000:
        raise AnrError(f"--view-deg {options.view_deg:g} is no direction.", hint="Use 0 to 360.")
    for flag in ("view", "camera"):
        if getattr(options, flag) and options.replay:
            raise UsageError(f"--replay is seen by the capture's camera, so --{flag} cannot be had with it.",
                             hint="Render a --motion instead, or leave it away.")
    if options.camera:
        if options.view or options.orbit:
            raise UsageError(f"--camera says where the camera is, and so does --{'view' if options.view else 'orbit'}.",
                             hint="Leave one of them away.")
        from pipelines.playback.camera_path import read_camera_path

        read_camera_path(Path(options.camera))
        if not options.motion:
            _check_length(options)


def _check_frames(text: str) -> None:
    """Refuses what is no range, or an empty one, however long the motion is."""
    from pipelines.motion.timing import frame_range

    start, _, end = (part.strip() for part in text.partition(":"))
    if end.isdecimal() and (start or "0").isdecimal() and int(start or 0) >= int(end):
        raise AnrError(f"--frames {text} holds no frame.", hint="The first is included, the last is not: "
                                                                "--frames 0:100 are a hundred.")
    frame_range(text, sys.maxsize)


def _check_background(name: str) -> None:
    if name in (CAPTURE, TRANSPARENT) or colour(name):
        return
    if not Path(name).is_file():
        raise AnrError(f"There is no background {name!r}.",
                       hint=f"Use {CAPTURE}, {', '.join(COLOURS)}, #rrggbb, {TRANSPARENT} or a picture or video file.")
    from pipelines.playback.backdrop import check_file

    check_file(Path(name))


def _check_format(options: PlaybackOptions) -> None:
    if options.format and options.format not in FORMATS:
        raise AnrError(f"--format {options.format} is not known.", hint=f"Use {', '.join(FORMATS)}.")
    ending = video_name(options).rpartition(".")[2]
    transparent = options.background == TRANSPARENT
    if transparent and ending in FORMATS and ending not in ALPHA_FORMATS:
        raise AnrError(f"A transparent video is a .webm or .mov file; .{ending} cannot hold it.",
                       hint="Use --format webm or --format mov, and an --out of that ending.")
    if options.out and Path(options.out).suffix.lower() != f".{ending}":
        raise AnrError(f"The video is a .{ending} file, so --out {options.out} cannot hold it.",
                       hint=f"Name it {Path(options.out).with_suffix('.' + ending).name}.")
    if ending not in FORMATS:
        raise AnrError(f"The video is a .mp4, .webm or .mov file, so --out {options.out} cannot hold it.",
                       hint=f"Name it {Path(options.out).with_suffix('.mp4').name}."
                            + (" --gif makes a GIF beside the video." if ending == "gif" else ""))
