"""From the videos of each method to clips that differ in nothing but what they show: one size, rate, length, codec."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.studying.study import Clip

ENDINGS = (".mp4", ".mov", ".webm", ".avi", ".mkv", ".m4v", ".gif")
HEIGHTS = 64, 1080                      # pixels; four pictures stand side by side
ASPECT_TOLERANCE = 0.01                 # how much the shapes of two videos may differ (one row of an odd side)
LENGTH_TOLERANCE_S = 0.1
BLOCKS = 18                             # a spoiled clip is so many squares high
SAME_TIME = 1_600_000_000               # every file's date, so that none tells when it was rendered


@dataclass(frozen=True)
class Take:
    """Part of a video file."""

    path: Path
    start_s: float = 0.0


@dataclass(frozen=True)
class Film:
    """What a video file is, by its own word."""

    width: int
    height: int
    fps: float
    seconds: float


@dataclass(frozen=True)
class Shape:
    """What all clips of a study have in common."""

    width: int
    height: int
    fps: float
    seconds: float
    still: bool


def takes_in(folder: Path) -> dict[str, Take]:
    """The videos of a folder by their names without ending; AnrError where there are none, or two of one name."""
    if not folder.is_dir():
        raise AnrError(f"There is no folder {folder}.", hint="Write --method NAME=FOLDER, a folder of videos.")
    found: dict[str, Take] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in ENDINGS and not path.name.startswith("."):
            if path.stem in found:
                raise AnrError(f"{folder} has two videos called {path.stem!r}.", hint="Keep one of them.")
            found[path.stem] = Take(path)
    if not found:
        raise AnrError(f"{folder} holds no video.", hint=f"It should hold one for each stimulus: {', '.join(ENDINGS)}.")
    return found


def film_of(path: Path) -> Film:
    """Upright size, rate and length of a video; AnrError where it is none."""
    import av

    try:
        with closing(av.open(str(path))) as container:
            stream = container.streams.video[0]
            first = next(container.decode(stream))
            fps = float(stream.average_rate or 25)
            seconds = float(stream.duration * (stream.time_base or 0)) if stream.duration else \
                float(container.duration or 0) / av.time_base
            turned = round(getattr(first, "rotation", 0) / 90) % 2
            size = (first.height, first.width) if turned else (first.width, first.height)
            return Film(*size, fps, seconds)
    except (av.error.FFmpegError, IndexError, StopIteration) as error:
        raise AnrError(f"{path} cannot be read as a video: {error}.", hint="Convert it to .mp4 first.") from error


def common_shape(takes: Mapping[str, Mapping[str, Take]], seconds: float, height: int, still: bool) -> Shape:
    """What every clip can have: the lowest height and rate among the videos, so that no method looks better by either.

    takes   method -> stimulus -> take
    height  pixels; 0 = the lowest
    """
    if not 0.2 <= seconds <= 60:
        raise AnrError(f"--seconds {seconds:g} is not between 0.2 and 60.", hint="The paper shows 5 s.")
    if height and not HEIGHTS[0] <= height <= HEIGHTS[1]:
        raise AnrError(f"--height {height} is not between {HEIGHTS[0]} and {HEIGHTS[1]} pixels.",
                       hint="Leave it away: the lowest of the videos' is taken.")
    films = {take.path: film_of(take.path) for of in takes.values() for take in of.values()}
    for of in takes.values():
        for take in of.values():
            _check_length(take, films[take.path], seconds)
    first_path, first = next(iter(films.items()))
    aspect = first.width / first.height
    for path, film in films.items():
        if abs(film.width / film.height / aspect - 1) > ASPECT_TOLERANCE:
            raise AnrError(f"{path} is {film.width}x{film.height}, but {first_path} is {first.width}x{first.height}: "
                           "the shape of a picture would tell who made it.",
                           hint="Render all of them with one camera and size.")
    low = height or min(HEIGHTS[1], min(film.height for film in films.values()))
    low -= low % 2
    width = round(low * aspect / 2) * 2
    return Shape(width, low, min(30.0, min(film.fps for film in films.values())), seconds, still)


def _check_length(take: Take, film: Film, seconds: float) -> None:
    left = film.seconds - take.start_s
    if left < seconds - LENGTH_TOLERANCE_S:
        raise AnrError(f"{take.path} lasts {left:.2f} s; {seconds:g} s are to be shown.",
                       hint=f"Make it longer, or show less of all: --seconds {max(0.2, int(10 * left) / 10):g}.")


def write_clip(target: Path, take: Take, clip: Clip, shape: Shape) -> None:
    """Encodes one clip, a still as PNG; the same way for everybody, and without a word about where it is from."""
    from pipelines.media.images import write_image
    from pipelines.media.video import VideoWriter

    with closing(_pictures(take, shape)) as pictures:
        drawn = (_spoiled(picture) if clip.spoiled else picture for picture in pictures)
        if shape.still:
            write_image(target, next(drawn))
        else:
            with VideoWriter(target, shape.width, shape.height, shape.fps) as writer:
                for picture in drawn:
                    writer.add(picture)
    os.utime(target, (SAME_TIME, SAME_TIME))


def ending(still: bool) -> str:
    return ".png" if still else ".mp4"


def _pictures(take: Take, shape: Shape) -> Generator[np.ndarray, None, None]:
    """The take's pictures in the common size and rate; of a still the one in the middle."""
    from pipelines.media.video import frames_at

    if shape.still:
        times = [take.start_s + shape.seconds / 2]
    else:
        times = [take.start_s + k / shape.fps for k in range(max(1, round(shape.seconds * shape.fps)))]
    # A quarter of a frame later than the grid, so that rounded times never fall on the frame before.
    for picture in frames_at(take.path, [time_s + 0.25 / shape.fps for time_s in times]):
        yield _sized(picture, shape)


def _sized(picture: np.ndarray, shape: Shape) -> np.ndarray:
    import cv2

    if picture.shape[:2] == (shape.height, shape.width):
        return picture
    way = cv2.INTER_AREA if picture.shape[0] >= shape.height else cv2.INTER_CUBIC
    return cv2.resize(picture, (shape.width, shape.height), interpolation=way)


def _spoiled(picture: np.ndarray) -> np.ndarray:
    """The picture in large squares: nobody who looks takes it for the more realistic one."""
    import cv2

    height, width = picture.shape[:2]
    few = (max(1, round(BLOCKS * width / height)), BLOCKS)
    return cv2.resize(cv2.resize(picture, few, interpolation=cv2.INTER_AREA), (width, height),
                      interpolation=cv2.INTER_NEAREST)
