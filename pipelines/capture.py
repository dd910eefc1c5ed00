"""Stage 1: a camera, recording or video becomes numbered frames with intrinsics and times."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.options import option
from pipelines.core.records import Footage, Frame
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.unfinished import forget_handed_over, frames_in, unfinished, unfinished_in

FEWEST_FRAMES = 24                      # less gives no training and held-out parts worth the name
COACH_S = 6.0                           # what the coach takes on two cores, MediaPipe's start included
SMALLEST_SIDE = 64                      # pixels; in smaller pictures nobody is found
LOOK_SIDE = 640                         # pixels; somebody in view is found in pictures reduced to this
REMINDER = "Record only people who agreed to it, and to what their avatar will be used for."


@dataclass(frozen=True)
class CaptureOptions:
    source: str = option(
        "", "What to read: a video, a Kinect recording (.mkv), a folder of pictures, an RGB-D folder (Open3D's or "
        "TUM's layout), kinect[:N], webcam[:N], or synthetic:NAME.", file=True,
        devices=("kinect", "webcam"))
    start: float = option(0.0, "Seconds to leave out at the beginning.")
    seconds: float | None = option(
        None, "How many seconds to take (default: all; of synthetic people 8; of a live camera until Ctrl-C).")
    max_frames: int | None = option(None, "Stop after this many frames.")
    height_m: float | None = option(None, "The person's height in metres; without depth nothing else gives the scale.")
    fov_deg: float | None = option(None, "Horizontal field of view of the camera, in degrees.")
    track: int | None = option(None, "Which person to follow, counted left to right in the first frame, from 0.")
    max_side: int = option(
        1920, "Larger pictures are reduced until the longer side has this many pixels; 0 keeps them."
    )
    folder_fps: float | None = option(None, "Frames per second of a folder that does not tell its own. (default: 30)")
    countdown: float = option(3.0, "Seconds to wait before a live recording begins.", recorded_only=True)
    kinect_1080p: bool = option(False, "Record a live Kinect's colour at 1920x1080 instead of 1280x720.")
    coach: bool = option(True, "Judge the recording; --no-coach takes it as it is.", recorded_only=True)
    strict: bool = option(False, "Stop, with exit code 3, where the coach has warnings.", recorded_only=True, once=True)
    studio_fps: float = option(15.0, "Frames per second of a synthetic recording.")
    studio_size: int = option(512, "Height of a synthetic recording in pixels, and its width unless given.")
    studio_width: int | None = option(None, "Width of a synthetic recording in pixels (default: as high).")
    studio_motion: str = option(
        "capture", "What a synthetic person does: capture, turn, range, walk, dance, squat or face.")
    studio_room: str = option("plaster", "Where: plaster (an empty room), living (furnished) or court (outdoors).")
    studio_light: str = option("daylight", "In what light: daylight (soft) or lamp (hard, from the side).")
    studio_seed: int = option(0, "Another seed is another performance: tempo, amplitude, side, noise.")
    studio_sensor: bool = option(
        False, "Films with a camera that has faults: noise, blur, rolling shutter, holes and flying pixels in depth.")


def run(job: Job) -> Outcome:
    """Decodes the source into `color/`, `depth/`, `truth_alpha/` and `capture.json` (see `media.recording`)."""
    options: CaptureOptions = job.options
    check(options)
    if not options.source:
        raise AnrError(
            "No recording was named.", hint="Pass --source YOUR_CLIP.mp4, or --source synthetic:ada to try it out."
        )
    _tell_unfinished(job)
    footage = _open(options)
    if not options.source.startswith("synthetic:"):
        job.progress.note(REMINDER)
    _say_lens(job, footage)
    if footage.live:                    # before it begins: a live recording cannot be made again with --height-m
        _say_scale(job, has_depth=_is_kinect(options.source))
    beside = unfinished(job.folder.parent, job.folder, FEWEST_FRAMES, job.progress.warn)
    with beside if footage.live else nullcontext(job.folder) as folder:
        times_s, truth = _write(job, footage, folder)
        judged = _judged(job, folder) if options.coach else {}
    figures = {
        "frames": float(len(times_s)),
        "width": float(footage.camera.width),
        "height": float(footage.camera.height),
        "fps": round(_fps(footage, times_s), 3),
        "focal_px": round(float(footage.camera.K[0, 0]), 1),
    }
    if footage.dropped is not None:
        figures["dropped"] = float(footage.dropped())
    if "height_m" in truth:
        figures["height_m"] = round(float(truth["height_m"]), 4)
    return Outcome(figures={**figures, **judged}, outputs={"coach": "coach.png"} if judged else {},
                   facts={"intrinsics_from": footage.intrinsics_from})


def _judged(job: Job, folder: Path) -> dict[str, float]:
    """Writes `coach.json` and `coach.png`; the coach's numbers, none where it cannot judge here."""
    from pipelines.coaching.coach import judge_into
    from pipelines.media.recording import Recording

    verdict = judge_into(folder, Recording(folder), job.options.start, job.progress)
    return {} if verdict is None else {**verdict.figures, "warnings": float(len(verdict.of("warning")))}


def deliver(folder: Path, options: CaptureOptions) -> None:
    """AnrError for a recording that the coach refuses; the recording stays."""
    forget_handed_over(folder)
    if options.coach:
        from pipelines.coaching.telling import check_verdict

        check_verdict(folder, options.strict)


def check(options: CaptureOptions) -> None:
    """AnrError for a number that is out of range."""
    limits = [("--start", options.start, 0.0, 1e6), ("--seconds", options.seconds, 1e-3, 1e6),
              ("--max-frames", options.max_frames, FEWEST_FRAMES, 1e7), ("--height-m", options.height_m, 0.6, 2.6),
              ("--fov-deg", options.fov_deg, 5.0, 150.0), ("--track", options.track, 0, 99),
              ("--max-side", options.max_side or None, SMALLEST_SIDE, 1e5),
              ("--folder-fps", options.folder_fps, 0.1, 1000.0), ("--countdown", options.countdown, 0.0, 600.0),
              ("--studio-fps", options.studio_fps, 1.0, 120.0), ("--studio-size", options.studio_size, 64, 2048),
              ("--studio-width", options.studio_width, 64, 2048), ("--studio-seed", options.studio_seed, 0, 2**31)]
    for flag, value, least, most in limits:
        if value is not None and not least <= value <= most:
            raise AnrError(f"{flag} {value:g} is out of range.", hint=f"Use a number from {least:g} to {most:g}.")


def _open(options: CaptureOptions) -> Footage:
    from pipelines.sources import Request, open_source

    return open_source(Request(
        spec=options.source, start_s=options.start, seconds=options.seconds, max_frames=options.max_frames,
        fov_deg=options.fov_deg, max_side=options.max_side, folder_fps=options.folder_fps,
        kinect_1080p=options.kinect_1080p, studio_fps=options.studio_fps,
        studio_size=options.studio_size, studio_width=options.studio_width, studio_motion=options.studio_motion,
        studio_room=options.studio_room, studio_light=options.studio_light, studio_seed=options.studio_seed,
        studio_sensor=options.studio_sensor, track=options.track))


def _say_lens(job: Job, footage: Footage) -> None:
    camera = footage.camera
    job.progress.note(f"{camera.width}x{camera.height} pixels, {footage.fps:.3g} frames/s, "
                      f"focal length {camera.K[0, 0]:.0f} px ({footage.intrinsics_from}).")


def _write(job: Job, footage: Footage, folder: Path) -> tuple[list[float], Mapping[str, np.ndarray]]:
    """Reads here, encodes on other threads; returns (times of the frames, what the source knows to be true)."""
    from pipelines.media.recording import RecordingWriter
    from pipelines.sources import ASSUMED

    options: CaptureOptions = job.options
    writer = RecordingWriter(folder, footage.camera, footage.depth_units_per_m,
                             journal=footage.intrinsics_from if footage.live else "")
    with writer, closing(_frames(job, footage)) as frames:
        for frame in frames:
            if not (writer.times_s or footage.live):
                _say_scale(job, frame.depth_m is not None)
            writer.add(frame)
        writer.flush()
    for sentence in footage.notes() if footage.notes else ():
        job.progress.warn(sentence)
    _check_length(options, len(writer.times_s))
    truth = footage.truth() if footage.truth is not None else {}
    if truth:
        np.savez_compressed(folder / "truth.npz", **truth)
    height_m = options.height_m
    if height_m is None and "height_m" in truth:
        height_m = float(truth["height_m"])
    writer.close(fps=_fps(footage, writer.times_s), height_m=height_m, intrinsics_from=footage.intrinsics_from,
                 intrinsics_known=not footage.intrinsics_from.startswith(ASSUMED), track=options.track,
                 background=footage.background)
    return writer.times_s, truth


def _say_scale(job: Job, has_depth: bool) -> None:
    if not has_depth and job.options.height_m is None:
        job.progress.note("The person's height is not known: pass --height-m for a body of the right size.")


def _is_kinect(source: str) -> bool:
    return source.split(":")[0] == "kinect"


def _check_length(options: CaptureOptions, frames: int) -> None:
    from pipelines.sources import counted

    if not frames and options.start:
        raise AnrError(f"--start {options.start:g} lies behind the end of {options.source}.",
                       hint="Choose an earlier start.")
    if frames < FEWEST_FRAMES:
        raise AnrError(f"{options.source} gives {counted(frames, 'frame')}; at least {FEWEST_FRAMES} are needed.",
                       hint="Record a few seconds or longer, or take more of it (--start, --seconds).")


def _frames(job: Job, footage: Footage) -> Generator[Frame, None, None]:
    """Of a file as fast as they can be read; of a camera after the countdown, until it is told to stop."""
    if not footage.live:
        yield from job.progress.track(footage.frames, "Reading frames", footage.frame_count)
        return
    from pipelines.media.shooting import Limits, shoot

    options: CaptureOptions = job.options
    yield from shoot(footage, Limits(options.countdown, options.seconds, options.max_frames), job.progress, _finder)


def _finder() -> Callable[[np.ndarray], bool]:
    """Whether a person is in a picture (H, W, 3) uint8 sRGB; ImportError where nothing here can tell."""
    import cv2

    from pipelines.detectors.mediapipe import PoseModel
    from pipelines.detectors.windows import whole_window

    model = PoseModel(follow=False)

    def sees(image: np.ndarray) -> bool:
        shrink = min(1.0, LOOK_SIDE / max(image.shape[:2]))
        small = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        return model.detect(small, whole_window(small)) is not None

    return sees


def _fps(footage: Footage, times_s: list[float]) -> float:
    """What a live camera really delivered; else what the source says."""
    if not footage.live or len(times_s) < 2:
        return footage.fps
    return float(1.0 / np.median(np.diff(times_s)))


def _tell_unfinished(job: Job) -> None:
    """Recordings that were cut short earlier."""
    for folder in unfinished_in(job.folder.parent):
        if Path(job.options.source).resolve() != folder.resolve():
            job.progress.note(f"An interrupted recording of {frames_in(folder)} frames lies in {folder}: take it with "
                              f"--source {folder}, or delete it.")


def _expected_s(inputs: Mapping[str, Path], options: CaptureOptions) -> float | None:
    """The recording's time and the coach's."""
    recording_s = _estimate_s(inputs, options)
    return None if recording_s is None else recording_s + (COACH_S if options.coach else 0.0)


def _estimate_s(inputs: Mapping[str, Path], options: CaptureOptions) -> float | None:
    """Two cores: 0.04 s a synthetic frame of 512x512 (0.12 with sensor); recordings see below."""
    if options.source.startswith("synthetic:"):
        wide = options.studio_width or options.studio_size
        share = 0.12 if options.studio_sensor else 0.04
        return share * wide * options.studio_size / 512**2 * options.studio_fps * (options.seconds or 8.0)
    if options.source.split(":")[0] in ("webcam", "kinect"):
        return None if options.seconds is None else options.countdown + options.seconds
    if not os.path.isfile(options.source):
        return 5.0
    from pipelines.sources.video import length_of

    # 0.006 s a megapixel of video, and 0.025 s to warp a Kinect's depth; the part before --start is decoded as well.
    frames, fps, megapixels, kinect = length_of(Path(options.source))
    if options.seconds is not None:
        frames = min(frames, (options.start + options.seconds) * fps)
    if options.max_frames is not None:
        frames = min(frames, options.start * fps + options.max_frames)
    return 1.0 + frames * (0.006 * megapixels + 0.025 * kinect)


STAGE = Stage(name="capture", version=2, doing="Reading the recording", Options=CaptureOptions, run=run,
              check=check, deliver=deliver, estimate_s=_expected_s)
