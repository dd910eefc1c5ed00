"""`anr export --bvh`: what a person did, for other programs.

    motion.bvh     the fitted motion on the person's own skeleton: centimetres, y up, floor at 0, Z X Y
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.core.errors import AnrError, UsageError
from pipelines.core.options import option
from pipelines.core.records import Motion
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import read_fit, read_json
from pipelines.playback.delivery import check_target, copied

MOST_FPS = 240.0
FILE = "motion.bvh"


@dataclass(frozen=True)
class ExportOptions:
    bvh: bool = option(False, "The fitted motion as BVH: centimetres, y up, for Blender and others.", flag="--bvh")
    fps: float = option(0.0, "Frames per second; 0 = the recording's own.")
    lock_feet: bool = option(False, "Hold planted feet where they stand; else the motion is what was fitted.")
    out: str = option("", "Copy the file here.", recorded_only=True)


def check(options: ExportOptions) -> None:
    """Refuses what could only fail after the fit."""
    if not options.bvh:
        raise UsageError("Nothing was said about what to export.", hint="The motion: anr export --bvh")
    if not (options.fps == 0 or 1 <= options.fps <= MOST_FPS):
        raise AnrError(f"--fps {options.fps:g} is not a frame rate.", hint=f"Leave it away, or use 1 to {MOST_FPS:g}.")
    check_target(options.out, ".bvh", "A motion")


def run(job: Job) -> Outcome:
    """Writes `motion.bvh`: the trusted frames of the fit, evenly timed, others bridged."""
    from pipelines.body.model import body_height_m, load_body
    from pipelines.media.recording import Recording
    from pipelines.motion.bvh import write_bvh_file
    from pipelines.motion.captured import as_bvh, evenly_timed, upright
    from pipelines.motion.grounding import grounded

    body, fit, recording = load_body(), read_fit(job.inputs["fit"] / "fit.npz"), Recording(job.inputs["capture"])
    rows = np.flatnonzero(fit.ok)
    if not len(rows):
        raise AnrError("No frame of this fit can be trusted, so there is no motion to export.",
                       hint="Look at the overlay video of the fit, and record again.")
    fps = job.options.fps or recording.fps
    fitted = Motion(fit.joint_rotations[rows].astype(float), fit.root_translation[rows].astype(float), fps)
    motion = evenly_timed(fitted, recording.times_s[fit.frame_index[rows]], fps)
    motion = upright(motion, body, fit.betas)
    if job.options.lock_feet:
        motion = grounded(motion, body, fit.betas).motion
    write_bvh_file(job.folder / FILE, as_bvh(motion, body, fit.betas))
    bridged = int(rows[-1] - rows[0] + 1 - len(rows))
    if bridged:
        job.progress.note(f"{bridged} frames are not to be trusted; the motion is bridged there.")
    job.progress.note("Units of the file are centimetres: in Blender, import it with a scale of 0.01.")
    figures = {"frames": float(len(motion.joint_rotations)), "fps": fps, "seconds": len(motion.joint_rotations) / fps,
               "bridged": float(bridged), "height_m": body_height_m(body, fit.betas)}
    return Outcome(figures, {"bvh": FILE}, {"units": "centimetres, degrees, y up, floor at 0, facing the camera is +z"})


def deliver(folder: Path, options: ExportOptions) -> None:
    """Copies the file to where it was asked for."""
    if options.out:
        copied(folder / FILE, Path(options.out))


def _estimate_s(inputs: Mapping[str, Path], options: ExportOptions) -> float:
    return 1.0 + 0.002 * len(read_json(inputs["capture"] / "capture.json")["times_s"])


STAGE = Stage(name="export", version=1, doing="Exporting the motion", Options=ExportOptions, run=run,
              inputs=("capture", "fit"), folder_name="exports", keeps_options=False, check=check, deliver=deliver,
              estimate_s=_estimate_s)
