"""The fit's figures on synthetic people, whose true bodies are known.

    python tests/benchmarks/fit_figures.py WORKSPACE ada ben --motions capture turn --fps 30 --seconds 8 --sensor

Films each person in each motion into the workspace (kept there: a second run only fits), finds the landmarks, fits with
and without depth, and prints a table. Height is known to both fits, as the studio writes it down.

joints   mean and 95th percentile of the distance of the 12 limb joints (shoulders, elbows, wrists, hips, knees, ankles)
         from the true ones, in millimetres, over all frames with a trusted fit
aligned  the mean after the root joint is moved onto the true one
IoU      of the fitted body's silhouette with the true coarse body's (`vertices_m` of truth.npz), mean over frames
jitter   mean length of the second difference of the joints' error over frames, mm per frame squared; it depends on the
         frame rate, which is printed with it
ms       processor time of a frame: everything from landmarks to poses, reading of depth and masks left out
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipelines.body.model import load_body, pose_body
from pipelines.chain import Request, bring_up_to_date
from pipelines.core.records import BodyFit, Camera
from pipelines.core.stage import Progress
from pipelines.core.storage import read_npz
from pipelines.core.workspace import Workspace, newest_version
from pipelines.fit import FitOptions, clip_from
from pipelines.fitting.anatomy import LIMB_JOINTS
from pipelines.fitting.solver import Clip, fit_clip, fit_live
from pipelines.media.recording import Recording
from pipelines.rasterizers.cpu import rasterize

SILHOUETTE_EVERY = 5                    # frames


@dataclass(frozen=True)
class Figures:
    """One line of the table."""

    mean_mm: float
    p95_mm: float
    aligned_mm: float
    iou: float
    jitter_mm: float
    ok_share: float
    ms: float

    def __str__(self) -> str:
        return (f"{self.mean_mm:6.1f} {self.p95_mm:6.1f} {self.aligned_mm:8.1f} {self.iou:6.3f} {self.jitter_mm:7.2f} "
                f"{100 * self.ok_share:5.0f} {self.ms:6.1f}")


HEADER = f"{'':34}{'mean':>6} {'p95':>6} {'aligned':>8} {'IoU':>6} {'jitter':>7} {'ok %':>5} {'ms':>6}"


def filmed(workspace: Workspace, person: str, studio: dict[str, object]) -> tuple[Recording, Path]:
    """The recording and keypoints of a synthetic person, made where they are missing."""
    name = f"{person}-{studio['studio_motion']}-{studio['studio_fps']:g}{'-sensor' if studio['studio_sensor'] else ''}"
    typed = {"capture": {"source": f"synthetic:{person}", **studio}}
    bring_up_to_date(workspace, "keypoints", Request(person=name, typed=typed))
    capture, keypoints = (newest_version(workspace.person_place(name, stage)) for stage in ("capture", "keypoints"))
    assert capture is not None and keypoints is not None
    return Recording(capture.folder), keypoints.folder


def preloaded(clip: Clip) -> Clip:
    """The clip with depth and masks already read, so that only the fit is timed."""
    rows = np.flatnonzero(clip.found).tolist()
    clouds = {row: clip.cloud(row) for row in rows}
    outlines = {row: clip.outline(row) for row in rows}
    return replace(clip, cloud=clouds.__getitem__, outline=outlines.__getitem__)


def figures_of(fit: BodyFit, truth: dict[str, np.ndarray], camera: Camera, seconds: float) -> Figures:
    """What a fit misses by."""
    known, true = list(fit.joint_names), [str(name) for name in truth["joint_names"]]
    error = (fit.joints_m[:, [known.index(name) for name in LIMB_JOINTS]]
             - truth["joints_m"][:, [true.index(name) for name in LIMB_JOINTS]])
    root = fit.joints_m[:, known.index("root")] - truth["joints_m"][:, true.index("root")]
    away = 1000 * np.linalg.norm(error[fit.ok], axis=-1)
    aligned = 1000 * np.linalg.norm((error - root[:, None])[fit.ok], axis=-1)
    jitter = 1000 * np.linalg.norm(np.diff(error, n=2, axis=0), axis=-1)
    return Figures(float(away.mean()), float(np.percentile(away, 95)), float(aligned.mean()),
                   true_iou(fit, truth, camera), float(jitter.mean()), float(fit.ok.mean()),
                   1000 * seconds / len(fit.ok))


def true_iou(fit: BodyFit, truth: dict[str, np.ndarray], camera: Camera) -> float:
    """Mean overlap with the true coarse body's silhouette; NaN for recordings without `vertices_m`."""
    if "vertices_m" not in truth:
        return float("nan")
    body, overlaps = load_body(), []
    for row in range(0, len(fit.ok), SILHOUETTE_EVERY):
        verts, _ = pose_body(body, fit.betas, fit.pose(row))
        a, b = (rasterize(v, body.faces, camera)[0] >= 0
                for v in (verts, np.asarray(truth["vertices_m"][row], float)))
        overlaps.append((a & b).sum() / max((a | b).sum(), 1))
    return float(np.mean(overlaps))


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("people", nargs="+")
    parser.add_argument("--motions", nargs="+", default=["capture"])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--sensor", action="store_true", help="with the sensor's faults")
    parser.add_argument("--live", action="store_true", help="frame by frame, without looking ahead")
    parser.add_argument("--clothes", default=FitOptions().clothes)
    parser.add_argument("--smooth", type=float, default=FitOptions().smooth)
    asked = parser.parse_args(arguments)
    workspace = Workspace(asked.workspace)
    sys.stdout.write(f"{HEADER}\n")
    lines: dict[bool, list[Figures]] = {True: [], False: []}
    for person in asked.people:
        for motion in asked.motions:
            recording, keypoints = filmed(workspace, person, {
                "studio_motion": motion, "seconds": asked.seconds, "studio_fps": asked.fps, "studio_size": asked.size,
                "studio_sensor": asked.sensor})
            truth = read_npz(recording.folder / "truth.npz", ("joint_names", "joints_m"))
            for depth in (True, False):
                options = FitOptions(smooth=asked.smooth, depth=depth, clothes=asked.clothes)
                clip = preloaded(clip_from(recording, keypoints, options, Progress()))
                started = time.process_time()
                fit = (fit_live if asked.live else fit_clip)(clip, lambda rows, label, total: rows)
                figures = figures_of(fit, truth, recording.camera, time.process_time() - started)
                lines[depth].append(figures)
                sys.stdout.write(f"{person:8} {motion:10} {'RGB-D' if depth else 'RGB only':14} {figures}\n")
                sys.stdout.flush()
    for depth, each in lines.items():
        mean = Figures(*np.mean([list(vars(figures).values()) for figures in each], axis=0).tolist())
        sys.stdout.write(f"{'all':8} {'':10} {'RGB-D' if depth else 'RGB only':14} {mean}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
