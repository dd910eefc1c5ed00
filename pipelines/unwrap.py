"""`anr edit --export`: a person's captured colours as a picture of the atlas that one can paint on.

    texture.png     1024 x 1024, what the keyframes show of each place of the body; unseen places filled
    regions.png     the same atlas with its regions by name, to find one's way
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.options import option
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import read_fit, read_json
from pipelines.playback.delivery import check_target, copied

TEXTURE, REGIONS = "texture.png", "regions.png"
MOST_FRAMES = 24


@dataclass(frozen=True)
class UnwrapOptions:
    out: str = option("", "Copy the exported texture to this file, a PNG.", recorded_only=True)


def check(options: UnwrapOptions) -> None:
    """Refuses a name that cannot hold the picture."""
    check_target(options.out, ".png", "The texture")


def run(job: Job) -> Outcome:
    """Projects every texel into the keyframes with a trusted fit."""
    from pipelines.body.model import load_body, pose_body
    from pipelines.core.mapcache import read_maps
    from pipelines.core.records import BodyPose
    from pipelines.geometry.cameras import camera_for_maps
    from pipelines.media.images import read_alpha, write_image
    from pipelines.media.recording import Recording
    from pipelines.playback.wardrobe import write_region_guide
    from pipelines.training.proxy import Sight, proxy_texture

    body, fit, recording = load_body(), read_fit(job.inputs["fit"] / "fit.npz"), Recording(job.inputs["capture"])
    projection = read_json(job.inputs["raster"] / "raster.json")["projection"]
    chosen = [int(k) for k in read_json(job.inputs["keyframes"] / "keyframes.json")["frames"] if fit.ok[k]]
    if not chosen:
        raise AnrError(f"{job.person} has no keyframe with a trusted fit, so no colour is known.",
                       hint=f"Look at the overlay of `anr fit --person {job.person}`; record again if it is wrong.")

    def sight(frame: int) -> Sight:
        pose = BodyPose(fit.joint_rotations[frame].astype(float), fit.root_translation[frame].astype(float))
        verts, _ = pose_body(body, fit.betas, pose)
        return Sight(recording.image(frame), read_alpha(job.inputs["matte"] / "alpha" / f"{frame:05d}.png"),
                     read_maps(job.inputs["raster"] / "maps" / f"{frame:05d}.maps"), verts,
                     camera_for_maps(recording.camera, verts, projection))

    frames = chosen[:MOST_FRAMES]               # the first ones add most
    picture, seen = proxy_texture(body, (sight(k) for k in job.progress.track(frames, "Unwrapping", len(frames))))
    write_image(job.folder / TEXTURE, picture)
    write_region_guide(job.folder / REGIONS)
    share = float(np.mean(seen[np.any(picture != picture[0, 0], axis=2)]))
    return Outcome({"seen": round(share, 3), "frames": float(len(frames))}, {"texture": TEXTURE, "regions": REGIONS})


def deliver(folder: Path, options: UnwrapOptions) -> None:
    """Copies the texture to where it was asked for."""
    if options.out:
        copied(folder / TEXTURE, Path(options.out))


def _estimate_s(inputs: Mapping[str, Path], options: UnwrapOptions) -> float:
    return 5.0 + 1.0 * min(MOST_FRAMES, len(read_json(inputs["keyframes"] / "keyframes.json")["frames"]))


STAGE = Stage(name="unwrap", version=1, doing="Unwrapping the captured colours", Options=UnwrapOptions, run=run,
              inputs=("capture", "fit", "raster", "matte", "keyframes"), keeps_options=False, check=check,
              deliver=deliver, estimate_s=_estimate_s)
