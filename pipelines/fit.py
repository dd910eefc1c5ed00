"""Fits one body shape, and a pose per frame, to landmarks, masks and depth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.options import option
from pipelines.core.records import BodyFit, Camera, Landmarks
from pipelines.core.stage import Job, Outcome, Progress, Stage
from pipelines.core.storage import read_json, read_npz, write_fit

if TYPE_CHECKING:
    from pipelines.fitting.residuals import Cloud
    from pipelines.media.recording import Recording

ASSUMED_HEIGHT_M = 1.70
WORST_MEDIAN_SHARE = 0.05               # the gate: median landmark error over the person's height in pixels
MOST_LOST = 0.35                        # the gate: share of frames that cannot be trusted


@dataclass(frozen=True)
class FitOptions:
    smooth: float = option(0.08, "Width of the smoothing over time, in seconds; 0 switches it off.")
    accept: bool = option(False, "Take a fit that the gate refuses, this time.", recorded_only=True, once=True)
    vertices: bool = option(False, "Also write the posed mesh of every frame, vertices_m, to fit.npz.")


def run(job: Job) -> Outcome:
    """Writes `fit.npz`, `overlay.mp4`, `residuals.png` and `body.glb` (the fitted shape at rest)."""
    from pipelines.body.export import write_mesh
    from pipelines.body.model import load_body, pose_body, rest_body
    from pipelines.fitting.outline import outline_from
    from pipelines.fitting.residuals import cloud_from
    from pipelines.fitting.solver import Clip, fit_clip
    from pipelines.media.images import read_alpha
    from pipelines.media.recording import Recording

    recording = Recording(job.inputs["capture"])
    landmarks, found = read_landmarks(job.inputs["keypoints"])
    if len(landmarks) != len(recording):
        raise AnrError(f"The keypoints cover {len(landmarks)} frames, the capture has {len(recording)}.",
                       hint="Run `anr keypoints` again.")
    if not found.any():
        raise AnrError(f"There is nobody to fit in these {len(found)} frames.", hint="Look at the capture.")
    height_m = recording.height_m
    if height_m is None and not recording.has_depth:
        job.progress.note(f"The person's height is not known; {ASSUMED_HEIGHT_M:.2f} m is assumed, and all distances "
                          "scale with it. Give it with `anr capture --height-m`.")
    masks = job.inputs["keypoints"] / "person_mask"

    def mask(row: int) -> np.ndarray:
        return read_alpha(masks / f"{row:05d}.png")

    def track(rows: Iterable[int], label: str, total: int) -> Iterable[int]:
        return job.progress.track(rows, label, total)

    def cloud(row: int) -> Cloud | None:
        depth_m = recording.depth_m(row)
        return None if depth_m is None else cloud_from(depth_m, mask(row), recording.camera)

    fit = fit_clip(Clip(
        camera=recording.camera, times_s=recording.times_s, landmarks=landmarks, found=found,
        height_m=height_m or ASSUMED_HEIGHT_M, height_known=height_m is not None or not recording.has_depth,
        cloud=cloud, outline=lambda row: outline_from(mask(row)), smooth_s=job.options.smooth), track)

    tall_px = person_heights_px(fit, recording.camera)
    share = float(np.median(fit.residual_px[found] / tall_px[found]))
    lost = float(1.0 - fit.ok.mean())
    complaint = gate(share, lost, fit.ok)
    if complaint and not job.options.accept:
        raise AnrError(complaint, hint="Film the whole person, well lit, with a camera that stands still; or take this "
                                       "fit as it is: anr fit --accept.")
    if complaint:
        job.progress.warn(f"{complaint} Taken all the same (--accept).")
    elif lost > 0:
        job.progress.warn(f"{int((~fit.ok).sum())} of {len(fit.ok)} frames are not to be trusted and are told by their "
                          f"neighbours: {ranges(~fit.ok)}.")

    body = load_body()
    rows = range(len(fit.frame_index)) if job.options.vertices else ()
    posed = [pose_body(body, fit.betas, fit.pose(row))[0] for row in rows]
    write_fit(job.folder / "fit.npz", fit, np.stack(posed) if posed else None)
    write_overlay(job.folder / "overlay.mp4", recording, fit, job.progress)
    write_plot(job.folder / "residuals.png", fit, tall_px, recording.times_s)
    write_mesh(job.folder / "body.glb", body, rest_body(body, fit.betas)[0])
    figures = {"residual_px": float(np.median(fit.residual_px[found])), "residual_share": share, "lost_share": lost,
               "height_m": _height(fit)}
    if np.isfinite(fit.residual_mm).any():
        figures["residual_mm"] = float(np.nanmedian(fit.residual_mm))
    outputs = {"overlay": "overlay.mp4"} if (job.folder / "overlay.mp4").exists() else {}
    return Outcome(figures=figures, outputs={**outputs, "residuals": "residuals.png", "body": "body.glb"})


def read_landmarks(folder: Path) -> tuple[list[Landmarks], np.ndarray]:
    """The landmarks of every captured frame, and (F,) bool: where the person was found."""
    names = ("pixels", "confidence", "world_m", "found")
    stored = read_npz(folder / "keypoints.npz", names)
    pixels, confidence, world_m, found = (stored[name] for name in names)
    return [Landmarks(*row) for row in zip(pixels, confidence, world_m)], found


def gate(share: float, lost: float, ok: np.ndarray) -> str:
    """What is wrong with a fit, in a sentence; empty when it may pass.

    share  median landmark error over the person's height; lost  share of frames not to be trusted; ok (F,) bool
    """
    faults = []
    if not share <= WORST_MEDIAN_SHARE:
        faults.append(f"the body misses the landmarks by {100 * share:.1f} % of the person's height in half of the "
                      f"frames ({100 * WORST_MEDIAN_SHARE:.0f} % is the most)")
    if lost > MOST_LOST:
        faults.append(f"{100 * lost:.0f} % of the frames are lost ({100 * MOST_LOST:.0f} % is the most): {ranges(~ok)}")
    return f"The fit is not good enough: {'; '.join(faults)}." if faults else ""


def person_heights_px(fit: BodyFit, camera: Camera) -> np.ndarray:
    """(F,) how tall the standing person would be in the picture."""
    return np.asarray(_height(fit) * camera.K[1, 1] / np.maximum(fit.root_translation[:, 2], 0.2))


def _height(fit: BodyFit) -> float:
    from pipelines.body.model import body_height_m, load_body

    return body_height_m(load_body(), fit.betas)


def ranges(flags: np.ndarray) -> str:
    """Where flags are set, as text: `3-7, 12`; at most twelve of them."""
    rows = np.flatnonzero(flags)
    runs = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if len(rows) else []
    texts = [f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs]
    return ", ".join(texts[:12]) + (f" and {len(texts) - 12} more" if len(texts) > 12 else "")


def write_overlay(path: Path, recording: Recording, fit: BodyFit, progress: Progress) -> None:
    """A video of the frames with the shaded body and its limbs over them; left out where there is no ffmpeg."""
    from pipelines.media.video import VideoWriter, available

    if not available():
        progress.note("overlay.mp4 is left out: there is no ffmpeg here.")
        return
    with VideoWriter(path, recording.camera.width, recording.camera.height, max(recording.fps, 1.0)) as video:
        for row in progress.track(range(len(recording)), "Drawing the overlay", len(recording)):
            video.add(draw_fit(recording.image(row), fit, row, recording.camera))


# Joints that are joined by lines in the overlay.
BONES = (*((f"{a}.{s}", f"{b}.{s}") for s in "LR" for a, b in (
    ("upperarm01", "lowerarm01"), ("lowerarm01", "wrist"), ("wrist", "finger3-1"), ("upperleg01", "lowerleg01"),
    ("lowerleg01", "foot"))), ("upperarm01.L", "upperarm01.R"), ("upperleg01.L", "upperleg01.R"), ("root", "spine01"),
    ("spine01", "neck01"), ("neck01", "head"))
LEFT, RIGHT, MIDDLE = (255, 170, 40), (60, 200, 255), (240, 240, 240)


def draw_fit(image: np.ndarray, fit: BodyFit, row: int, camera: Camera) -> np.ndarray:
    """(H, W, 3) uint8: the body shaded over the frame, limbs as lines (left orange, right blue); faint if not `ok`."""
    import cv2

    from pipelines.body.model import load_body, pose_body
    from pipelines.body.surface import vertex_normals
    from pipelines.geometry.cameras import project
    from pipelines.rasterizers.cpu import interpolate, rasterize

    body = load_body()
    verts, _ = pose_body(body, fit.betas, fit.pose(row))
    drawn = image.copy()
    seen = project(verts, camera)
    if np.isfinite(seen).any():
        low, high = np.nanmin(seen, axis=0), np.nanmax(seen, axis=0)
        x0, y0 = (int(max(v, 0)) for v in low)
        x1, y1 = int(min(high[0] + 2, camera.width)), int(min(high[1] + 2, camera.height))
        if x1 > x0 and y1 > y0:
            face_index, bary, _ = rasterize(verts, body.faces, camera, (x0, y0, x1, y1))
            normals = interpolate(face_index, bary, vertex_normals(verts, body.faces), body.faces)
            light = np.clip(0.35 - 0.65 * normals[..., 2:] - 0.2 * normals[..., 1:2], 0.1, 1.0)
            inside = face_index >= 0
            part = drawn[y0:y1, x0:x1].astype(np.float32)
            strength = 0.55 if fit.ok[row] else 0.25
            part[inside] += strength * (light * np.array([90.0, 215.0, 255.0]) - part)[inside]
            drawn[y0:y1, x0:x1] = part.astype(np.uint8)
    names = list(fit.joint_names)
    joints = project(fit.joints_m[row], camera)
    width = max(1, round(camera.height / 400))
    for a, b in BONES:
        ends = joints[[names.index(a), names.index(b)]]
        if np.isfinite(ends).all() and np.abs(ends).max() < 1e5:
            colour = MIDDLE if a[-2:] != b[-2:] or "." not in a else LEFT if a.endswith("L") else RIGHT
            (x0, y0), (x1, y1) = ends.round().astype(int).tolist()
            cv2.line(drawn, (x0, y0), (x1, y1), colour, width, cv2.LINE_AA)
            for at in ((x0, y0), (x1, y1)):
                cv2.circle(drawn, at, width + 1, colour, -1, cv2.LINE_AA)
    return drawn


def write_plot(path: Path, fit: BodyFit, tall_px: np.ndarray, times_s: np.ndarray) -> None:
    """Residuals over time: landmarks in percent of the person's height, depth in mm; untrusted frames shaded."""
    from pipelines.media.images import write_image

    curves = [("landmarks, % of height", 100.0 * fit.residual_px / tall_px, 100.0 * WORST_MEDIAN_SHARE)]
    if np.isfinite(fit.residual_mm).any():
        curves.append(("depth, mm", fit.residual_mm, np.nan))
    write_image(path, np.concatenate([_panel(*curve, ok=fit.ok, times_s=times_s) for curve in curves]))


def _panel(title: str, values: np.ndarray, limit: float, ok: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """(300, 960, 3) uint8: one curve over time."""
    import cv2

    height, width, left, right, top, bottom = 300, 960, 60, 20, 36, 36
    panel = np.full((height, width, 3), 255, np.uint8)
    high = max(float(np.nanmax(values)), limit if np.isfinite(limit) else 0.0, 1e-6) * 1.08
    span = max(float(times_s[-1] - times_s[0]), 1e-6)

    def at(t: float, value: float) -> tuple[int, int]:
        return (int(left + (width - left - right) * (t - times_s[0]) / span),
                int(height - bottom - (height - top - bottom) * value / high))

    for row in np.flatnonzero(~ok):
        x = at(times_s[row], 0)[0]
        cv2.rectangle(panel, (x - 1, top), (x + 1, height - bottom), (255, 215, 205), -1)
    for tick in range(5):
        value = high * tick / 4
        y = at(times_s[0], value)[1]
        cv2.line(panel, (left, y), (width - right, y), (225, 225, 225), 1)
        cv2.putText(panel, f"{value:.1f}", (8, y + 4), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (90, 90, 90), 1, cv2.LINE_AA)
        x = at(times_s[0] + span * tick / 4, 0)[0]
        cv2.putText(panel, f"{times_s[0] + span * tick / 4:.1f} s", (min(x, width - 60), height - 12),
                    cv2.FONT_HERSHEY_SIMPLEX, 0.42, (90, 90, 90), 1, cv2.LINE_AA)
    if np.isfinite(limit):
        cv2.line(panel, at(times_s[0], limit), at(times_s[-1], limit), (200, 60, 60), 1, cv2.LINE_AA)
    points = np.array([at(t, v) for t, v in zip(times_s, values) if np.isfinite(v)], np.int32)
    cv2.polylines(panel, [points], False, (30, 90, 170), 2, cv2.LINE_AA)
    cv2.putText(panel, f"{title}   (median {np.nanmedian(values):.2f}; shaded: not to be trusted; red: the gate)",
                (left, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (30, 30, 30), 1, cv2.LINE_AA)
    return panel


def estimate_s(inputs: Mapping[str, Path], options: FitOptions) -> float:
    stored = read_json(inputs["capture"] / "capture.json")
    per_frame = 0.06 + (0.05 if stored["has_depth"] else 0.0)
    return 8.0 + per_frame * len(stored["times_s"])


STAGE = Stage(name="fit", version=1, doing="Fitting the body", Options=FitOptions, run=run,
              inputs=("capture", "keypoints"), estimate_s=estimate_s)
