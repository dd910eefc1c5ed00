"""Fits one body shape, and a pose per frame, to landmarks, masks and depth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.options import option
from pipelines.core.ranges import ranges
from pipelines.core.records import BodyFit, Camera, Landmarks
from pipelines.core.stage import Job, Outcome, Progress, Stage
from pipelines.core.storage import read_json, read_npz, write_fit

if TYPE_CHECKING:
    from pipelines.fitting.face import Faces
    from pipelines.fitting.residuals import Cloud
    from pipelines.fitting.solver import Clip
    from pipelines.media.recording import Recording

ASSUMED_HEIGHT_M = 1.70
WORST_MEDIAN_SHARE = 0.05               # the gate: median landmark error over the person's height in pixels
MOST_LOST = 0.35                        # the gate: share of frames that cannot be trusted
SILHOUETTES = 40                        # frames whose silhouette is compared with the mask
CLOTHES = ("filled", "under")


@dataclass(frozen=True)
class FitOptions:
    smooth: float = option(0.16, "Width of the smoothing over time, in seconds; 0 switches it off.")
    accept: bool = option(False, "Take a fit that the gate refuses, this time.", recorded_only=True, once=True)
    vertices: bool = option(False, "Also write the posed mesh of every frame, vertices_m, to fit.npz.")
    depth: bool = option(True, "Use the recording's depth, where it has any.")
    live: bool = option(False, "Answer each frame from the frames before it, as live use does.")
    clothes: str = option("filled", "Whether the body fills its clothes (filled) or is under them (under).")


def check(options: FitOptions) -> None:
    """Refuses options that name nothing."""
    if options.clothes not in CLOTHES:
        raise AnrError(f"There is no --clothes {options.clothes!r}.", hint=f"Choose one of {', '.join(CLOTHES)}.")
    if not 0 <= options.smooth <= 2:
        raise AnrError(f"--smooth {options.smooth:g} is out of range.", hint="Use a number of seconds from 0 to 2.")


def run(job: Job) -> Outcome:
    """Writes `fit.npz`, `overlay.mp4`, `residuals.png`, `residuals.csv` and `body.glb` (the fitted shape at rest)."""
    from pipelines.fitting.checks import never_seen
    from pipelines.fitting.face import turn_heads
    from pipelines.fitting.solver import fit_clip, fit_live
    from pipelines.fitting.trust import heights_px, with_doubts
    from pipelines.media.recording import Recording

    recording = Recording(job.inputs["capture"])
    clip = clip_from(recording, job.inputs["keypoints"], job.options, job.progress)
    absent = never_seen(clip.landmarks, clip.found, recording.camera)
    fault = f"These joints are never in the picture: {', '.join(absent)}." if absent else ""
    if fault and not job.options.accept:
        raise AnrError(fault, hint="Film the whole person; or have those limbs guessed: anr fit --accept.")
    say_focal(recording, clip, job.progress)

    def track(rows: Iterable[int], label: str, total: int) -> Iterable[int]:
        return job.progress.track(rows, label, total)

    fit = (fit_live if job.options.live else fit_clip)(clip, track)
    faces = read_faces(job.inputs["keypoints"])
    if faces is not None and not job.options.live:
        fit = turn_heads(fit, faces, clip.times_s, clip.camera)
    guessed = [f"{joint}_{side[0]}" for side, joint in (name.split() for name in absent)]
    fit, doubts = with_doubts(fit, clip.landmarks, clip.found, clip.times_s, clip.camera, guessed)
    tall_px = heights_px(fit, recording.camera)
    share = float(np.median(fit.residual_px[clip.found] / tall_px[clip.found]))
    lost = float(1.0 - fit.ok.mean())
    complaint = gate(share, lost, fit.ok, reasons(doubts))
    if complaint and not job.options.accept:
        raise AnrError(complaint, hint="Film the whole person, well lit, with a camera that stands still; or take this "
                                       "fit as it is: anr fit --accept.")
    if complaint or fault:
        job.progress.warn(f"{' '.join(filter(None, (complaint, fault)))} Taken all the same (--accept).")
    elif lost > 0:
        job.progress.warn(f"{int((~fit.ok).sum())} of {len(fit.ok)} frames are not to be trusted ({reasons(doubts)}): "
                          f"{ranges(~fit.ok)}.")
    figures = {"residual_px": float(np.median(fit.residual_px[clip.found])), "residual_share": share,
               "lost_share": lost, "height_m": _height(fit), **write_results(job, recording, clip, fit, tall_px)}
    if np.isfinite(fit.residual_mm).any():
        figures["residual_mm"] = float(np.nanmedian(fit.residual_mm))
    outputs = {"overlay": "overlay.mp4"} if (job.folder / "overlay.mp4").exists() else {}
    return Outcome(figures=figures, outputs={**outputs, "residuals": "residuals.png", "table": "residuals.csv",
                                             "body": "body.glb"})


def clip_from(recording: Recording, keypoints: Path, options: FitOptions, progress: Progress) -> Clip:
    """What the fit looks at, checked: enough landmarks, a height that can be, depth in metres."""
    from pipelines.fitting.checks import check_depth, check_height
    from pipelines.fitting.cuts import cuts, parted
    from pipelines.fitting.outline import outline_from
    from pipelines.fitting.residuals import cloud_from
    from pipelines.fitting.solver import Clip
    from pipelines.media.images import read_alpha

    landmarks, found = read_landmarks(keypoints)
    if len(landmarks) != len(recording):
        raise AnrError(f"The keypoints cover {len(landmarks)} frames, the capture has {len(recording)}.",
                       hint="Run `anr keypoints` again.")
    if not found.any():
        raise AnrError(f"There is nobody to fit in these {len(found)} frames.", hint="Look at the capture.")
    height_m, deep = recording.height_m, recording.has_depth and options.depth
    check_height(height_m)
    if deep:
        check_depth(recording.depth_m, landmarks, found, recording.camera)
    if height_m is None and not deep:
        progress.note(f"The person's height is not known; {ASSUMED_HEIGHT_M:.2f} m is assumed, and all distances "
                      "scale with it. Give it with `anr capture --height-m`.")
    begin = [] if options.live else cuts(landmarks, found, recording.times_s)
    if begin:
        progress.note(f"The video is cut: a new shot begins at frame {', '.join(map(str, begin))}. Each is fitted as a "
                      "motion of its own, with one shape for all.")

    def mask(row: int) -> np.ndarray:
        return read_alpha(keypoints / "person_mask" / f"{row:05d}.png")

    def cloud(row: int) -> Cloud | None:
        depth_m = recording.depth_m(row) if deep else None
        return None if depth_m is None else cloud_from(depth_m, mask(row), recording.camera)

    return Clip(camera=recording.camera, times_s=parted(recording.times_s, begin), landmarks=landmarks, found=found,
                height_m=height_m or ASSUMED_HEIGHT_M, height_known=height_m is not None or not deep, cloud=cloud,
                outline=lambda row: outline_from(mask(row)), smooth_s=options.smooth, clothes=options.clothes,
                **read_hands(keypoints))


def say_focal(recording: Recording, clip: Clip, progress: Progress) -> None:
    """Where the focal length was assumed: what the clip says about it."""
    from pipelines.fitting.solver import focal_told_by

    if recording.intrinsics_known:
        return
    width, focal = recording.camera.width, float(recording.camera.K[0, 0])
    factor = focal_told_by(clip)
    assumed = np.degrees(2 * np.arctan(width / 2 / focal))
    if factor is None:
        progress.note(f"The field of view ({assumed:.0f} degrees) is assumed and this clip does not tell it: distances "
                      "from the camera are as uncertain. Give it with `anr capture --fov-deg`.")
    elif abs(np.log(factor)) > 0.08:
        told = np.degrees(2 * np.arctan(width / 2 / (focal * factor)))
        progress.warn(f"The field of view was assumed to be {assumed:.0f} degrees; the person's movement fits "
                      f"{told:.0f} degrees better: anr capture --fov-deg {told:.0f}")


def write_results(job: Job, recording: Recording, clip: Clip, fit: BodyFit, tall_px: np.ndarray) -> dict[str, float]:
    """All files of a fit; returns the silhouette's figures."""
    from pipelines.body.export import write_mesh
    from pipelines.body.model import load_body, pose_body, rest_body
    from pipelines.fitting.plots import residual_plot
    from pipelines.media.images import read_alpha, write_image

    body = load_body()
    rows = range(len(fit.frame_index)) if job.options.vertices else ()
    posed = [pose_body(body, fit.betas, fit.pose(row))[0] for row in rows]
    write_fit(job.folder / "fit.npz", fit, np.stack(posed) if posed else None)
    write_overlay(job.folder / "overlay.mp4", recording, fit, clip.landmarks, tall_px, job.progress)
    write_image(job.folder / "residuals.png", residual_plot(fit, tall_px, recording.times_s, WORST_MEDIAN_SHARE))
    write_mesh(job.folder / "body.glb", body, rest_body(body, fit.betas)[0])
    found = np.flatnonzero(clip.found)
    picked = found[np.linspace(0, len(found) - 1, min(SILHOUETTES, len(found))).astype(int)]
    masks = job.inputs["keypoints"] / "person_mask"
    overlaps = [silhouette_iou(fit, int(row), recording.camera, read_alpha(masks / f"{row:05d}.png")) for row in picked]
    seen = [overlap for overlap in overlaps if np.isfinite(overlap)]
    iou = float(np.median(seen)) if seen else float("nan")
    write_table(job.folder / "residuals.csv", fit, clip, tall_px, iou)
    return {"silhouette_iou": iou} if seen else {}


def write_table(path: Path, fit: BodyFit, clip: Clip, tall_px: np.ndarray, iou: float) -> None:
    """A line per joint: median and 95th percentile of its distance from the landmark; and the silhouette's overlap."""
    from pipelines.fitting.anatomy import LANDMARKS
    from pipelines.fitting.trust import AT
    from pipelines.geometry.cameras import project

    seen = project(fit.joints_m, clip.camera)
    lines = ["joint,median_px,p95_px,median_percent_of_height"]
    known = list(fit.joint_names)
    for landmark, joint in AT.items():
        marks = np.array([each.pixels[LANDMARKS.index(landmark)] for each in clip.landmarks])
        away = np.linalg.norm(seen[:, known.index(joint)] - marks, axis=1)[clip.found]
        share = 100 * float(np.median(away / tall_px[clip.found]))
        part, _, side = landmark.partition("_")
        lines.append(f"{'left' if side == 'l' else 'right'} {part},{np.median(away):.2f},{np.percentile(away, 95):.2f},"
                     f"{share:.2f}")
    lines.append(f"silhouette IoU,{iou:.4f},,")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def silhouette_iou(fit: BodyFit, row: int, camera: Camera, mask: np.ndarray) -> float:
    """Overlap of the body's silhouette with a person mask (H, W) 0..1, over their union; NaN for an empty mask."""
    from pipelines.body.model import load_body, pose_body
    from pipelines.rasterizers.cpu import rasterize

    person = mask > 0.5
    if not person.any():
        return float("nan")
    body = load_body()
    covered = rasterize(pose_body(body, fit.betas, fit.pose(row))[0], body.faces, camera)[0] >= 0
    return float((covered & person).sum() / (covered | person).sum())


def read_landmarks(folder: Path) -> tuple[list[Landmarks], np.ndarray]:
    """The landmarks of every captured frame, and (F,) bool: where the person was found."""
    names = ("pixels", "confidence", "world_m", "found")
    stored = read_npz(folder / "keypoints.npz", names)
    pixels, confidence, world_m, found = (stored[name] for name in names)
    return [Landmarks(*row) for row in zip(pixels, confidence, world_m)], found


def read_hands(folder: Path) -> dict[str, np.ndarray]:
    """The hands of every frame, where keypoints looked for them."""
    stored = read_npz(folder / "keypoints.npz")
    return {name: stored[name] for name in ("hand_world_m", "hand_confidence") if name in stored}


def read_faces(folder: Path) -> Faces | None:
    """The face of every frame; None where keypoints did not look for it."""
    from pipelines.fitting.face import Faces

    stored = read_npz(folder / "keypoints.npz")
    if "face_pixels" not in stored:
        return None
    return Faces(tuple(str(name) for name in stored["face_names"]), stored["face_pixels"], stored["face_confidence"])


def gate(share: float, lost: float, ok: np.ndarray, why: str = "") -> str:
    """What is wrong with a fit, in a sentence; empty when it may pass.

    share  median landmark error over the person's height; lost  share of frames not to be trusted; ok (F,) bool
    why    what makes frames untrusted, in words
    """
    faults = []
    if not share <= WORST_MEDIAN_SHARE:
        faults.append(f"the body misses the landmarks by {100 * share:.1f} % of the person's height in half of the "
                      f"frames ({100 * WORST_MEDIAN_SHARE:.0f} % is the most)")
    if lost > MOST_LOST:
        told = f"; {why}" if why else ""
        faults.append(f"{100 * lost:.0f} % of the frames are lost ({100 * MOST_LOST:.0f} % is the most{told}): "
                      f"{ranges(~ok)}")
    return f"The fit is not good enough: {'; '.join(faults)}." if faults else ""


def reasons(doubts: Mapping[str, np.ndarray]) -> str:
    """What the flags (F,) of the three most frequent reasons say: `the legs are hidden in 4, the body is off in 1`."""
    counted = sorted(((int(flags.sum()), name) for name, flags in doubts.items()), reverse=True)
    return ", ".join(f"{name} in {count}" for count, name in counted[:3])


def _height(fit: BodyFit) -> float:
    from pipelines.body.model import body_height_m, load_body

    return body_height_m(load_body(), fit.betas)


def write_overlay(path: Path, recording: Recording, fit: BodyFit, landmarks: Sequence[Landmarks], tall_px: np.ndarray,
                  progress: Progress) -> None:
    """A video of the frames with the body's wire and limbs over them; left out where there is no ffmpeg."""
    from pipelines.fitting.overlay import draw_fit
    from pipelines.media.video import VideoWriter, available

    if not available():
        progress.note("overlay.mp4 is left out: there is no ffmpeg here.")
        return
    with VideoWriter(path, recording.camera.width, recording.camera.height, max(recording.fps, 1.0)) as video:
        for row in progress.track(range(len(recording)), "Drawing the overlay", len(recording)):
            video.add(draw_fit(recording.image(row), fit, row, recording.camera, landmarks[row], tall_px[row]))


def estimate_s(inputs: Mapping[str, Path], options: FitOptions) -> float:
    stored = read_json(inputs["capture"] / "capture.json")
    per_frame = 0.06 + (0.05 if stored["has_depth"] and options.depth else 0.0)
    return 8.0 + per_frame * len(stored["times_s"])


STAGE = Stage(name="fit", version=5, doing="Fitting the body", Options=FitOptions, run=run,
              inputs=("capture", "keypoints"), check=check, estimate_s=estimate_s)
