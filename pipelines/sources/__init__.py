"""Where recordings come from: a table of sources, and the one call that opens any of them."""

from __future__ import annotations

import os.path
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.core.errors import AnrError
from pipelines.core.records import Footage

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi", ".gif")
ASSUMED = "assumed"                     # `Footage.intrinsics_from` starts with this word where nobody measured the lens


@dataclass(frozen=True)
class Request:
    """What part of which recording is wanted, and what the person knows about the camera."""

    spec: str
    start_s: float = 0.0                # seconds to leave out at the beginning
    seconds: float | None = None        # how much to take; None = up to the end
    max_frames: int | None = None
    fov_deg: float | None = None        # horizontal field of view; None = from metadata, else assumed
    max_side: int = 0                   # larger pictures are reduced to this longer side; 0 = as they are
    folder_fps: float | None = None     # frames per second of a folder that does not say; None = 30
    kinect_1080p: bool = False          # a live Kinect's colour: 1920x1080 instead of 1280x720
    studio_fps: float = 15.0            # the rest counts for synthetic people only
    studio_size: int = 512
    studio_width: int | None = None     # None = square
    studio_motion: str = "capture"
    studio_room: str = "plaster"
    studio_light: str = "daylight"
    studio_seed: int = 0
    studio_sensor: bool = False
    track: int | None = None            # which person, left to right; sources only refuse what they cannot have


@dataclass(frozen=True)
class Source:
    """One kind of recording."""

    name: str
    example: str                        # how it is written after --source
    fits: Callable[[str], bool]         # looks at the text and the file system, opens nothing
    open: Callable[[Request], Footage]
    catalogue: Callable[[Path], Catalogue] | None = None    # what NAME:list shows; a picture goes into the folder


@dataclass(frozen=True)
class Catalogue:
    """What a kind of source has to offer."""

    table: tuple[tuple[str, ...], ...]  # the first row is the heading
    picture: Path


def counted(count: int, what: str) -> str:
    """`1 frame`, `2 frames`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def catalogue_of(spec: str, folder: Path) -> Catalogue | None:
    """What there is to choose from, asked for with `NAME:list`; None for a recording, which `open_source` opens."""
    name, _, asked = spec.partition(":")
    source = SOURCES.get(name)
    return source.catalogue(folder) if source and source.catalogue and asked == "list" else None


def open_source(request: Request) -> Footage:
    """Opens a recording; its frames are decoded as they are asked for.

    AnrError for a path that does not exist, and for a kind of source that no part here reads.
    """
    for source in SOURCES.values():
        if source.fits(request.spec):
            return source.open(request)
    if not os.path.exists(request.spec):            # unlike Path.exists, also for a name too long for the file system
        raise AnrError(
            f"There is no recording at {request.spec}.", hint=f"Check the path. --source takes {_examples()}."
        )
    raise AnrError(f"{request.spec} is not a recording this version reads.", hint=f"--source takes {_examples()}.")


def _examples() -> str:
    return ", ".join(source.example for source in SOURCES.values())


def _open_synthetic(request: Request) -> Footage:
    from pipelines.sources.synthetic import Setting, open_synthetic

    if request.start_s:
        raise AnrError(
            "--start is for recordings; a synthetic person is filmed from the beginning.", hint="Leave it out."
        )
    if request.track:
        raise AnrError(f"--track {request.track}: there is one synthetic person in the picture.", hint="Leave it out.")
    seconds = request.seconds
    if request.max_frames is not None:
        most_s = request.max_frames / request.studio_fps
        seconds = most_s if seconds is None else min(seconds, most_s)
    return open_synthetic(request.spec.removeprefix("synthetic:"), seconds, request.studio_fps,
                          request.studio_size, request.studio_motion,
                          Setting(request.studio_width, request.studio_room, request.studio_light, request.studio_seed,
                                  request.studio_sensor))


def _open_kinect(request: Request) -> Footage:
    from pipelines.sources.kinect import open_kinect

    return open_kinect(_without_end(request))


def _open_k4a(request: Request) -> Footage:
    from pipelines.sources.k4a_recording import open_k4a

    return open_k4a(request)


def _open_webcam(request: Request) -> Footage:
    from pipelines.sources.webcam import open_webcam

    return open_webcam(_without_end(request))


def _open_tum_folder(request: Request) -> Footage:
    from pipelines.sources.tum_folder import open_tum_folder

    return open_tum_folder(request)


def _studio_catalogue(folder: Path) -> Catalogue:
    from pipelines.sources.synthetic import people

    return Catalogue(*people(folder))


def _open_rgbd_folder(request: Request) -> Footage:
    from pipelines.sources.rgbd_folder import open_rgbd_folder

    return open_rgbd_folder(request)


def _open_image_folder(request: Request) -> Footage:
    from pipelines.sources.image_folder import open_image_folder

    return open_image_folder(request)


def _open_video(request: Request) -> Footage:
    from pipelines.sources.video import open_video

    return open_video(request)


def _without_end(request: Request) -> Request:
    """A camera delivers until it is told to stop: who records counts the seconds, from when the countdown is over."""
    if request.start_s:
        raise AnrError(f"--start {request.start_s:g} is for recordings; {request.spec} records now.",
                       hint="--countdown tells how long to wait before the first frame.")
    return replace(request, seconds=None, max_frames=None)


def _is_camera(name: str) -> Callable[[str], bool]:
    return lambda spec: spec == name or spec.startswith(f"{name}:")


def _is_k4a_recording(spec: str) -> bool:
    """Only an .mkv is looked into: other endings need no FFmpeg to be told apart."""
    path = Path(spec)
    if path.suffix.lower() != ".mkv" or not os.path.isfile(spec):
        return False
    from pipelines.sources.k4a_recording import is_k4a

    return is_k4a(path)


def _is_rgbd_folder(spec: str) -> bool:
    names = ("color", "depth", "intrinsic.json", "camera_intrinsic.json")
    parts = [os.path.exists(os.path.join(spec, name)) for name in names]
    return sum(parts) >= 2 or any(parts[2:])        # a part may be missing: then that is told


# A new source is one file and one line here. The first that fits is taken.
SOURCES: dict[str, Source] = {source.name: source for source in (
    Source("synthetic", "synthetic:NAME", lambda spec: spec.startswith("synthetic:"), _open_synthetic,
           _studio_catalogue),
    Source("kinect", "kinect[:N]", _is_camera("kinect"), _open_kinect),
    Source("webcam", "webcam[:N]", _is_camera("webcam"), _open_webcam),
    Source("tum_folder", "a TUM folder (rgb.txt, depth.txt)",
           lambda spec: os.path.isfile(os.path.join(spec, "rgb.txt")), _open_tum_folder),
    Source("rgbd_folder", "an RGB-D folder (color/, depth/, intrinsic.json)", _is_rgbd_folder, _open_rgbd_folder),
    Source("image_folder", "a folder of pictures", lambda spec: os.path.isdir(spec), _open_image_folder),
    Source("k4a_recording", "an Azure Kinect recording (.mkv)", _is_k4a_recording, _open_k4a),
    # Any other file is tried as a video: what counts is what is in it, not how it is called.
    Source("video", "a video (" + " ".join(VIDEO_SUFFIXES) + ")", lambda spec: os.path.isfile(spec), _open_video),
)}
