"""Objects, stage 3: new views of a trained object, as a video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.core.errors import AnrError, UsageError
from pipelines.core.options import option
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import camera_to_json, write_json

if TYPE_CHECKING:
    from pipelines.core.records import Camera
    from pipelines.rigid.model import ObjectModel

WAYS = ("orbit", "camera", "replay")


def _video_name(options: Any) -> str:
    """As of a person's video."""
    from pipelines.playback.request import video_name

    return video_name(options)


@dataclass(frozen=True)
class ObjectRenderOptions:
    orbit: bool = option(False, "Once around the object (what is done when nothing else is asked for).")
    camera: str = option("", "A path of the camera: a JSON file with keyed cameras (docs/render.md); lengths count in "
                             "diagonals of the object.", file=True)
    replay: bool = option(False, "The photographed views again, those held out included.")
    elevation_deg: float | None = option(None, "How high above the horizon --orbit looks from; the views' median when "
                                               "not given.")
    seconds: float = option(4.0, "How long --orbit takes.")
    fps: float = option(24.0, "Frames per second.")
    background: str = option("grey", "white, black, grey, blue, green, a colour #rrggbb, transparent (a .webm or .mov "
                                     "video), or a picture file.", file=True,
                             words=("white", "black", "grey", "blue", "green", "transparent"))
    format: str = option("", "mp4, webm (VP9) or mov (ProRes 4444); else what --out ends in, mp4, or webm when "
                             "transparent.", recorded_only=True)
    strip: int = option(8, "How many frames the picture strip shows side by side.")
    frames_dir: str = option("", "Also write every frame as PNG, 00012.png, into this folder.", as_flag=True)
    out: str = option("", "Copy the video to this file.", decides=_video_name)
    device: str = option("auto", "auto, cpu or cuda.", recorded_only=True)


def run(job: Job) -> Outcome:
    from pipelines.media.video import available
    from pipelines.playback.backdrop import backdrop
    from pipelines.playback.drawing import composed
    from pipelines.playback.reel import Reel
    from pipelines.rigid.model import load_object

    options: ObjectRenderOptions = job.options
    model = load_object(job.inputs["object-train"], options.device)
    cameras = cameras_of(model, options)
    width, height = cameras[0].width, cameras[0].height
    behind = backdrop(options.background, width, height, Path(), None)
    pictures = behind.pictures([k / options.fps for k in range(len(cameras))])
    name = _video_name(options)
    with Reel(job.folder, name, (width, height), options.fps, len(cameras), behind.transparent,
              bool(options.frames_dir), options.strip) as reel:
        for k, camera in enumerate(job.progress.track(cameras, "Rendering frames")):
            rgb, alpha, box = model.draw(camera)
            reel.add(composed(next(pictures), behind, (rgb, alpha), box, (height, width)), k)
    write_json(job.folder / "render.json", {"options": asdict(options), "fps": options.fps, "frames": len(cameras),
                                            "cameras": [camera_to_json(camera) for camera in cameras]})
    outputs = {"strip": reel.strip_name, "cameras": "render.json"}
    if available():
        outputs = {"video": name, **outputs}
    return Outcome({"frames": float(len(cameras))}, outputs)


def cameras_of(model: ObjectModel, options: ObjectRenderOptions) -> list[Camera]:
    """The camera of every frame."""
    from pipelines.rigid.paths import keyed_cameras, orbit_cameras

    if options.replay:
        return list(model.cameras)
    if options.camera:
        return keyed_cameras(Path(options.camera), model.mesh, model.cameras, options.fps)
    return orbit_cameras(model.mesh, model.cameras, options.elevation_deg, max(2, round(options.seconds * options.fps)))


def check(options: ObjectRenderOptions) -> None:
    """Refuses before any work what could only fail after it; UsageError where options contradict each other."""
    from pipelines.playback.request import CAPTURE, PlaybackOptions
    from pipelines.playback.request import check as check_playback
    from pipelines.renderers.avatar import best_device

    chosen = [way for way in WAYS if getattr(options, way)]
    if len(chosen) > 1:
        raise UsageError(f"Only one of {', '.join(f'--{way}' for way in chosen)} can be rendered at a time.",
                         hint="Run the command once for each.")
    if options.background == CAPTURE:
        raise AnrError("An object was photographed before many backgrounds.", hint="Choose a colour or a picture.")
    if options.elevation_deg is not None and not -89 <= options.elevation_deg <= 89:
        raise AnrError(f"--elevation-deg {options.elevation_deg:g} is not between -89 and 89.", hint="0 looks level.")
    if not 0 < options.fps * options.seconds <= 10_000 or not options.fps >= 1:
        raise AnrError(f"--seconds {options.seconds:g} at --fps {options.fps:g} is no video.",
                       hint="Use 1 frame per second or more, and at most 10000 frames.")
    check_playback(PlaybackOptions(camera=options.camera, background=options.background, format=options.format,
                                   fps=options.fps, strip=options.strip, frames_dir=options.frames_dir,
                                   out=options.out))
    best_device(options.device)


def _deliver(folder: Path, options: Any) -> None:
    from pipelines.playback.delivery import deliver

    deliver(folder, options)


def _estimate(inputs: Mapping[str, Path], options: ObjectRenderOptions) -> float:
    from pipelines.core.storage import read_json

    views = len(read_json(inputs["object-train"] / "object.json")["cameras"])
    return 6.0 + 0.1 * (views if options.replay else options.seconds * options.fps)


STAGE = Stage(name="object-render", folder_name="renders", version=1, doing="Rendering the object",
              Options=ObjectRenderOptions, run=run, inputs=("object-train",), keeps_options=False, check=check,
              deliver=_deliver, estimate_s=_estimate)
