"""Stage 5, `anr matte`: how much of every pixel is the person.

    alpha/00000.png   8-bit, capture resolution, one per captured frame; 0 where nobody was found
    qa.png            some frames cut out on a flat ground, to look at

The person mask of the keypoints stage and the fitted body together say what is sure; where the camera stands
still, the background behind the person puts the mask right; closed-form matting decides the band between. What
sticks out farther from the body than this person's hair and clothes do over the whole clip (a ball at the feet,
somebody touching) is left out.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.mapcache import read_maps
from pipelines.core.options import option
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import read_fit, read_npz

if TYPE_CHECKING:
    from pipelines.detectors.matting import Ground

WORKERS = 2
FEWEST_FOR_WORKERS = 16                 # starting them takes about 4 s
SURVEY_FRAMES = 60                      # looked at to learn how far hair and clothes reach
GROUND_FRAMES = 24                      # looked at to learn the background
GROUND_FILE = "ground.npz"              # for the workers; not part of the result
GROUND_ZONE_M = 0.06                    # how far from the mask's outline the background may put it right
NEAR_BODY_M = 0.04                      # and add to it
SHEET_FRAMES = 8
SHEET_GROUND = (70, 160, 90)

# How far cloth, hair or shoes may be from the body even if the clip shows less, in metres, and what no clip extends.
REACH_M = {"face": 0.06, "scalp": 0.08, "neck": 0.08, "torso": 0.08, "upper_arm": 0.06, "lower_arm": 0.05,
           "hand": 0.05, "hips": 0.08, "upper_leg": 0.06, "lower_leg": 0.05, "foot": 0.05}
LARGEST_REACH_M = 0.5
REACH_SPARE = 1.3                       # a frame may show this much more than the typical one
NO_REGION = 255
OK_EVERYWHERE_M = 0.03                  # fit error that is no evidence of cloth

# MediaPipe landmarks joined to limbs: (from, to, region, thickness in metres)
LIMBS = ((11, 13, "upper_arm_l", 0.08), (13, 15, "lower_arm_l", 0.06), (15, 19, "hand_l", 0.06),
         (12, 14, "upper_arm_r", 0.08), (14, 16, "lower_arm_r", 0.06), (16, 20, "hand_r", 0.06),
         (23, 25, "upper_leg_l", 0.13), (25, 27, "lower_leg_l", 0.08), (27, 31, "foot_l", 0.05),
         (29, 31, "foot_l", 0.06), (30, 32, "foot_r", 0.06), (28, 32, "foot_r", 0.05), (26, 28, "lower_leg_r", 0.08),
         (24, 26, "upper_leg_r", 0.13), (11, 12, "torso", 0.10), (11, 23, "torso", 0.10), (12, 24, "torso", 0.10),
         (23, 24, "hips", 0.14), (7, 8, "face", 0.16))


@dataclass(frozen=True)
class MatteOptions:
    """How the matte is drawn."""

    band: float = option(0.012, "How far from the person mask's outline the true one may lie, in metres on the person.")
    keep_all: bool = option(False, "Keep what sticks out far from the body (a bag, a prop) instead of leaving it out.")


@dataclass(frozen=True, eq=False)
class Task:
    """What one frame's matte is made from; small, so that it travels to another process."""

    frame: int
    capture: Path
    mask: Path
    maps: Path
    out: Path
    found: bool
    fitted: bool                        # whether the maps can be trusted
    landmarks: np.ndarray               # (33, 3) pixels and confidence
    px_per_m: float
    band_m: float
    reach_m: np.ndarray | None = None   # (regions,) None = no limit
    ground: Path | None = None          # file of the background, None = not known


def run(job: Job) -> Outcome:
    options: MatteOptions = job.options
    if not 0.001 <= options.band <= 0.2:
        raise AnrError(f"A band of {options.band} m makes no matte.", hint="Try --band 0.012.")
    (job.folder / "alpha").mkdir(exist_ok=True)
    tasks = _tasks(job)
    if not options.keep_all:
        reach_m = survey_reach(tasks)
        tasks = [replace(task, reach_m=reach_m) for task in tasks]
    ground = survey_ground(tasks)
    np.savez(job.folder / GROUND_FILE, colour=ground.colour, spread=ground.spread)
    tasks = [replace(task, ground=job.folder / GROUND_FILE) for task in tasks]
    results = list(job.progress.track(_each(matte_frame, tasks), "Cutting the person out", len(tasks)))
    (job.folder / GROUND_FILE).unlink()
    lost = [task.frame for task in tasks if not task.found]
    if lost:
        job.progress.warn(f"Nobody was found in {len(lost)} frames (first: {lost[0]}); their mattes are empty.")
    _write_sheet(job.folder, tasks)
    figures = {"frames": float(len(tasks)), "frames_without_person": float(len(lost))}
    for name in ("person_share", "changed_share", "truth_iou", "truth_sad_per_mille"):
        values = [result[name] for task, result in zip(tasks, results) if task.found and name in result]
        if values:
            figures[name] = float(np.mean(values))
    return Outcome(figures, {"sheet": "qa.png"})


def _tasks(job: Job) -> list[Task]:
    from pipelines.media.recording import Recording

    recording = Recording(job.inputs["capture"])
    fit = read_fit(job.inputs["fit"] / "fit.npz")
    stored = read_npz(job.inputs["keypoints"] / "keypoints.npz", ("pixels", "confidence", "found"))
    landmarks = np.concatenate([stored["pixels"], stored["confidence"][..., None]], axis=-1)
    found = stored["found"]
    px_per_m = recording.camera.K[1, 1] / np.maximum(fit.root_translation[:, 2], 0.2)
    return [Task(frame=k, capture=job.inputs["capture"], mask=job.inputs["keypoints"] / "person_mask" / f"{k:05d}.png",
                 maps=job.inputs["raster"] / "maps" / f"{k:05d}.maps", out=job.folder / "alpha" / f"{k:05d}.png",
                 found=bool(found[k]), fitted=bool(fit.ok[k]), landmarks=landmarks[k], px_per_m=float(px_per_m[k]),
                 band_m=job.options.band) for k in range(len(recording))]


def matte_frame(task: Task) -> dict[str, float]:
    """Writes one alpha picture; returns what is worth knowing about it."""
    from pipelines.detectors.matting import Ground, opinion_with_ground, person_alpha
    from pipelines.media.images import read_alpha, write_alpha
    from pipelines.media.recording import Recording

    recording = Recording(task.capture)
    alpha = np.zeros((recording.camera.height, recording.camera.width), np.float32)
    if not task.found:
        write_alpha(task.out, alpha)
        return {}
    mask = read_alpha(task.mask)
    regions, core = body_in_picture(task)
    x0, y0, x1, y1 = _around((mask > 0.3) | (regions != NO_REGION), round(0.1 * task.px_per_m))
    part = np.s_[y0:y1, x0:x1]
    image, opinion = recording.image(task.frame)[part], mask[part]
    distance_m, nearest = distance_to_body(regions[part], task.px_per_m)
    if task.ground is not None:
        ground = _ground(task.ground)
        opinion = opinion_with_ground(image, opinion, Ground(ground.colour[part], ground.spread[part]),
                                      GROUND_ZONE_M * task.px_per_m, distance_m <= NEAR_BODY_M)
    possible = None
    if task.reach_m is not None and (regions != NO_REGION).any():
        possible = main_part(opinion, distance_m <= task.reach_m[nearest], regions[part] != NO_REGION)
    alpha[part] = person_alpha(image, opinion, max(2.0, task.band_m * task.px_per_m), core[part], possible)
    write_alpha(task.out, alpha)
    known = {"person_share": float(alpha.mean()),
             "changed_share": float(np.abs(alpha - mask).sum() / max(float(alpha.sum()), 1.0))}
    truth = recording.truth_alpha(task.frame)
    if truth is not None:
        known["truth_iou"] = float(np.minimum(alpha, truth).sum() / max(float(np.maximum(alpha, truth).sum()), 1e-6))
        known["truth_sad_per_mille"] = float(1000 * np.abs(alpha - truth).sum() / max(float(truth.sum()), 1.0))
    return known


def body_in_picture(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Where the fit and the landmarks put the body.

    returns  regions (H, W) uint8, NO_REGION where there is none; core (H, W) bool, what lies deeper within the fitted
             body than the fit may be wrong (nothing where the fit is not to be trusted)
    """
    import cv2

    shape = _picture_shape(task.capture)
    regions = np.full(shape, NO_REGION, np.uint8)
    index = {name: k for k, name in enumerate(_region_names())}
    for start, end, name, thickness_m in LIMBS:
        if min(task.landmarks[start, 2], task.landmarks[end, 2]) < 0.4:
            continue
        ends = np.round(np.clip(task.landmarks[[start, end], :2], -4000, 8000)).astype(int).tolist()
        cv2.line(regions, ends[0], ends[1], (index[name],), max(1, round(thickness_m * task.px_per_m)))
    core = np.zeros(shape, bool)
    if task.fitted:
        maps = read_maps(task.maps)
        x0, y0, x1, y1 = maps.box
        regions[y0:y1, x0:x1][maps.inside] = _face_region()[maps.face_index[maps.inside]]
        depth = cv2.distanceTransform(maps.inside.astype(np.uint8), cv2.DIST_L2, 3)
        core[y0:y1, x0:x1] = depth > 1.5 * task.band_m * task.px_per_m
    return regions, core


def distance_to_body(regions: np.ndarray, px_per_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Distance (H, W) in metres to the nearest body pixel and that pixel's region (H, W)."""
    import cv2

    outside = (regions == NO_REGION).astype(np.uint8)
    if outside.all():
        return np.zeros(regions.shape, np.float32), np.zeros(regions.shape, np.uint8)
    distance, label = cv2.distanceTransformWithLabels(outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    region_of_label = np.zeros(label.max() + 1, np.uint8)
    region_of_label[label[outside == 0]] = regions[outside == 0]
    return distance / px_per_m, region_of_label[label]


def survey_reach(tasks: list[Task]) -> np.ndarray:
    """(regions,) metres: how far from the body this person's mask reaches, by region, in the typical frame.

    A skirt is there in every frame, a ball at the feet is not: so the median over frames counts.
    """
    from pipelines.media.images import read_alpha

    usable = [task for task in tasks if task.found]
    names = _region_names()
    least = np.array([REACH_M[name.removesuffix("_l").removesuffix("_r")] for name in names])
    seen: list[np.ndarray] = []
    for task in (usable[k] for k in _spread(len(usable), SURVEY_FRAMES)):
        mask, (body, _) = read_alpha(task.mask), body_in_picture(task)
        x0, y0, x1, y1 = _around((mask > 0.5) | (body != NO_REGION), 4)
        distance_m, region = distance_to_body(body[y0:y1, x0:x1], task.px_per_m)
        beyond = (mask[y0:y1, x0:x1] > 0.5) & (distance_m > 0)
        seen.append(np.array([np.percentile(distance_m[beyond & (region == r)], 98)
                              if (beyond & (region == r)).any() else 0.0 for r in range(len(names))]))
    typical = np.median(seen, axis=0) if seen else np.zeros(len(names))
    for left, right in [(k, names.index(name[:-1] + "r")) for k, name in enumerate(names) if name.endswith("_l")]:
        typical[[left, right]] = max(typical[left], typical[right])
    return np.clip(np.maximum(REACH_SPARE * typical + OK_EVERYWHERE_M, least), 0, LARGEST_REACH_M)


def survey_ground(tasks: list[Task]) -> Ground:
    """What is behind the person: the source's clean plate, or the median over frames of what the person leaves free."""
    import cv2

    from pipelines.detectors.matting import Ground, still_ground
    from pipelines.media.images import read_alpha
    from pipelines.media.recording import Recording

    recording = Recording(tasks[0].capture)
    plate = recording.background()
    if plate is not None:
        return Ground(plate, np.ones(plate.shape[:2], np.uint8))
    picked = [tasks[k] for k in _spread(len(tasks), GROUND_FRAMES)]
    masks = np.stack([read_alpha(task.mask) > 0.1 for task in picked])
    x0, y0, x1, y1 = _around(masks.any(axis=0), round(0.1 * max(task.px_per_m for task in picked)))
    kernel = np.ones((max(3, round(0.1 * picked[0].px_per_m)),) * 2, np.uint8)
    hidden = np.stack([cv2.dilate(mask[y0:y1, x0:x1].astype(np.uint8), kernel) > 0 for mask in masks])
    part = still_ground(np.stack([recording.image(task.frame)[y0:y1, x0:x1] for task in picked]), hidden)
    ground = Ground(np.zeros((*masks.shape[1:], 3), np.uint8), np.full(masks.shape[1:], 255, np.uint8))
    ground.colour[y0:y1, x0:x1], ground.spread[y0:y1, x0:x1] = part.colour, part.spread
    return ground


def main_part(mask: np.ndarray, possible: np.ndarray, body: np.ndarray) -> np.ndarray:
    """`possible` without the pieces of the mask in it that touch the body nowhere."""
    import cv2

    count, piece = cv2.connectedComponents(((mask > 0.3) & possible).astype(np.uint8))
    touching = np.zeros(count, bool)
    touching[np.unique(piece[body])] = True
    touching[0] = True
    return possible & touching[piece]


def _each(work: Any, tasks: list[Task]) -> Iterator[dict[str, float]]:
    """Results in order; on an interruption what has not begun is dropped."""
    if len(tasks) < FEWEST_FOR_WORKERS:
        yield from map(work, tasks)
        return
    # fork would copy locks that mediapipe's and numba's threads hold
    pool = ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn"), initializer=_start_worker)
    try:
        yield from pool.map(work, tasks, chunksize=2)
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """One thread each, and the parent alone answers Ctrl-C."""
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import cv2

    cv2.setNumThreads(1)


def _spread(total: int, most: int) -> list[int]:
    """At most `most` indices evenly spread over range(total)."""
    return sorted({int(k) for k in np.linspace(0, total - 1, min(most, total))})


def _around(inside: np.ndarray, margin: int) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 around the set pixels, `margin` wider, within the picture; all of it where none is set."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):
        return 0, 0, inside.shape[1], inside.shape[0]
    return (max(0, int(columns[0]) - margin), max(0, int(rows[0]) - margin),
            min(inside.shape[1], int(columns[-1]) + 1 + margin), min(inside.shape[0], int(rows[-1]) + 1 + margin))


def _write_sheet(folder: Path, tasks: list[Task]) -> None:
    from pipelines.media.images import read_alpha, write_image
    from pipelines.media.recording import Recording
    from pipelines.media.sheets import fit_height, label, spread, tile

    recording = Recording(tasks[0].capture)
    pictures = []
    for task in (tasks[k] for k in spread(len(tasks), SHEET_FRAMES)):
        alpha, image = read_alpha(task.out), recording.image(task.frame)
        x0, y0, x1, y1 = _around(alpha > 0.1, 12)
        image, alpha = image[y0:y1, x0:x1], alpha[y0:y1, x0:x1, None]
        cut = np.round(image * alpha + np.array(SHEET_GROUND) * (1 - alpha)).astype(np.uint8)
        pictures.append(label(fit_height(np.concatenate([image, cut], axis=1), 480), f"frame {task.frame}"))
    write_image(folder / "qa.png", tile(pictures, columns=4))


@lru_cache(maxsize=4)
def _picture_shape(capture: Path) -> tuple[int, int]:
    from pipelines.media.recording import Recording

    camera = Recording(capture).camera
    return camera.height, camera.width


@lru_cache(maxsize=1)
def _ground(path: Path) -> Ground:
    from pipelines.detectors.matting import Ground

    with np.load(path) as stored:
        return Ground(stored["colour"], stored["spread"])


@lru_cache(maxsize=1)
def _face_region() -> np.ndarray:
    from pipelines.body.model import load_body

    return load_body().face_region


@lru_cache(maxsize=1)
def _region_names() -> tuple[str, ...]:
    from pipelines.body.model import load_body

    return tuple(load_body().region_names)


def _estimate_s(inputs: Mapping[str, Path], options: MatteOptions) -> float:
    from pipelines.core.storage import read_json

    stored = read_json(inputs["capture"] / "capture.json")
    pixels = stored["camera"]["width"] * stored["camera"]["height"]
    return 6 + len(stored["times_s"]) * 0.13 * min(pixels / (1280 * 720), 2.0)


STAGE = Stage(name="matte", version=1, doing="Cutting the person out", Options=MatteOptions, run=run,
              inputs=("capture", "keypoints", "fit", "raster"), estimate_s=_estimate_s)
