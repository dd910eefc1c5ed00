"""Where the fit's error comes from: the same solver, with what the detector says replaced by the truth, part by part.

    python tests/benchmarks/fit_budget.py WORKSPACE ada-walk-30-sensor --seconds 4

Reads recordings of synthetic people with truth and keypoints (`fit_figures.py` makes them). Rows, each with and without
depth:

as seen      landmarks and world landmarks as MediaPipe told them
pixels       landmarks where they truly are (joint and offset of `SHIFT_CM`), confidence as it was
directions   world landmarks as they truly are, seen along the ray to the hips as MediaPipe sees them
both         what is left is the solver's own: priors, smoothing, floor, shape

The columns are those of `fit_figures.py`, and the share of the joints' true accelerations that the fit follows, across,
down and along the camera's axis: 1 = all. Where it is small, jitter is motion that was smoothed away, not noise.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from fit_figures import figures_of, preloaded
from landmark_offsets import Truth, placed, read_truth

from pipelines.core.records import BodyFit, Camera, Landmarks
from pipelines.core.stage import Progress
from pipelines.core.storage import read_npz
from pipelines.core.workspace import Workspace, newest_version
from pipelines.fit import FitOptions, clip_from
from pipelines.fitting.anatomy import LANDMARKS, LIMB_JOINTS, SHIFT_CM
from pipelines.fitting.residuals import towards
from pipelines.fitting.solver import Clip, fit_clip
from pipelines.geometry.cameras import project
from pipelines.media.recording import Recording

ROWS = {"as seen": (False, False), "pixels": (True, False), "directions": (False, True), "both": (True, True)}


def true_marks(truth: Truth) -> np.ndarray:
    """(F, 33, 3) metres, camera frame: where each landmark is by the table of offsets."""
    marks = []
    for name in LANDMARKS:
        part, _, side = name.rpartition("_")
        part = part or name
        at, turned = placed(truth, part, side if part != "nose" else "")
        sideways = 0.0 if part == "nose" else -1.0 if side == "r" else 1.0
        marks.append(at + turned @ (np.array(SHIFT_CM[part.split("_")[0]]) / 100.0 * [sideways, 1.0, 1.0]))
    return np.stack(marks, axis=1)


def told(seen: Landmarks, marks_m: np.ndarray, camera: Camera, row: tuple[bool, bool]) -> Landmarks:
    """What the detector said of a frame, with the truth (33, 3) in place of pixels, directions or both."""
    pixels, directions = row
    if pixels:
        seen = replace(seen, pixels=project(marks_m, camera))
    if directions:
        seen = replace(seen, world_m=(marks_m - marks_m.mean(axis=0)) @ towards(seen, camera))
    return seen


def followed(fit: BodyFit, truth: dict[str, np.ndarray]) -> np.ndarray:
    """(3,) slope of the fitted limb joints' second differences on the true ones', by axis."""
    known, true = list(fit.joint_names), [str(name) for name in truth["joint_names"]]
    a = np.diff(fit.joints_m[:, [known.index(name) for name in LIMB_JOINTS]], n=2, axis=0)
    b = np.diff(truth["joints_m"][:, [true.index(name) for name in LIMB_JOINTS]], n=2, axis=0)
    return np.asarray((a * b).sum(axis=(0, 1)) / np.maximum((b * b).sum(axis=(0, 1)), 1e-12))


def shortened(clip: Clip, count: int) -> Clip:
    """Its first frames."""
    cut = {name: getattr(clip, name)[:count] for name in ("times_s", "landmarks", "found")}
    for name in ("hand_world_m", "hand_confidence"):
        value = getattr(clip, name)
        cut[name] = None if value is None else value[:count]
    return replace(clip, **cut)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("recordings", nargs="+")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--clothes", default=FitOptions().clothes)
    asked = parser.parse_args(arguments)
    workspace = Workspace(asked.workspace)
    sys.stdout.write(f"{'':46}  mean    p95  aligned    IoU  jitter  ok %     ms   follows x, y, z\n")
    for name in asked.recordings:
        truth = read_truth(workspace, name)
        marks = true_marks(truth)
        capture, keypoints = (newest_version(workspace.person_place(name, stage)) for stage in ("capture", "keypoints"))
        assert capture is not None and keypoints is not None        # read_truth has looked
        recording = Recording(capture.folder)
        count = min(len(recording), round(asked.seconds * recording.fps))
        stored = read_npz(capture.folder / "truth.npz")
        known = {"joint_names": stored["joint_names"], "joints_m": stored["joints_m"][:count],
                 "vertices_m": stored["vertices_m"][:count]}
        for depth in (True, False):
            options = FitOptions(depth=depth, clothes=asked.clothes)
            clip = preloaded(shortened(clip_from(recording, keypoints.folder, options, Progress()), count))
            for label, row in ROWS.items():
                seen = [told(each, marks[k], clip.camera, row) for k, each in enumerate(clip.landmarks)]
                started = time.process_time()
                fit = fit_clip(replace(clip, landmarks=seen), lambda rows, label, total: rows)
                figures = figures_of(fit, known, clip.camera, time.process_time() - started)
                follows = followed(fit, known)
                sys.stdout.write(f"{name:24}{'RGB-D' if depth else 'RGB only':10}{label:12}{figures}   "
                                 f"{', '.join(f'{share:.2f}' for share in follows)}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
