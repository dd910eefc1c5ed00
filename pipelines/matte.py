"""Stage 5, `anr matte`: how much of every pixel is the person.

    alpha/00000.png      8-bit, capture resolution, one per captured frame; 0 where nobody was found
    edge/00000.png       the person's own colours where 0 < alpha < 1 (sRGB), black elsewhere
    uncertain/00000.png  8-bit: how far the sources differ about a pixel
    qa.png               the most doubtful frames first: captured, cut out, what was uncertain

The person mask of the keypoints stage, the fitted body, depth (when there) and the background of a camera that stands
still together say what is sure; closed-form matting decides the band between; each matte is then held against its
neighbours in time. What sticks out farther from the body than this person's hair and clothes do over the whole clip (a
ball at the feet, somebody touching) is left out, and so is what covers the body for a moment.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.mapcache import read_maps
from pipelines.core.options import option
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import read_fit, read_json, read_npz, write_npz

if TYPE_CHECKING:
    from pipelines.core.records import SurfaceMaps
    from pipelines.matting.evidence import View
    from pipelines.matting.ground import Ground
    from pipelines.matting.objects import Looks
    from pipelines.media.recording import Recording

FEWEST_FOR_WORKERS = 16                 # starting them takes about 4 s
SURVEY_FRAMES = 60                      # looked at to learn how far hair and clothes reach
GROUND_FRAMES = 24                      # looked at to learn the background
MARGIN_M = 0.1                          # around the person, of what is looked at
UNSURE_REACH = 2.0                      # where the fit is not to be trusted, clothes may be this much farther from it
SMEARED_PX = 2.0                        # where the picture is smeared more than this, nothing is sure
SEEN_OF_BODY = 0.85                     # of the body that must be in the mask, for objects before it to be looked for
LONGEST_STEP_S = 0.15                   # between frames that are held against each other
DRAFTS = "drafts"                       # mattes before they are held against their neighbours; not part of the result
GROUND_FILE, LOOKS_FILE = "ground.npz", "looks.npz"     # for the workers; lie there too
LOOKS_FRAMES = 40                       # looked at to learn the person's colours
DOUBT_PX = 0.004                        # of the person's height in pixels: differences over less are no doubt
DOUBTFUL = 0.25                         # from which a pixel counts as uncertain


@dataclass(frozen=True)
class MatteOptions:
    """How the matte is drawn."""

    band: float = option(0.012, "How far from the person mask's outline the true one may lie, in metres on the person.")
    keep_all: bool = option(False, "Keep what sticks out far from the body or covers it (a bag, a prop) instead of "
                            "leaving it out.")
    depth: bool = option(True, "Use the recording's depth, where it has any.")
    plate: bool = option(True, "Look at the background behind the person where the camera stands still.")
    fast: bool = option(False, "For live use: each frame by itself, solved at half scale.")
    mattes: str = option("", "A folder of mattes made elsewhere, one PNG per frame (8 or 16 bit, grey or with alpha), "
                         "taken instead of making them.", file=True)


@dataclass(frozen=True, eq=False)
class Task:
    """What one frame's matte is made from; small, so that it travels to another process."""

    frame: int
    capture: Path
    mask: Path
    maps: Path
    out: Path                           # the stage's folder
    found: bool
    fitted: bool                        # whether the maps can be trusted
    landmarks: np.ndarray               # (33, 3) pixels and confidence
    px_per_m: float
    options: MatteOptions
    reach_m: np.ndarray | None = None   # (regions,) None = no limit
    beside: tuple[int, ...] = ()        # frames it is held against

    @property
    def name(self) -> str:
        return f"{self.frame:05d}.png"


def run(job: Job) -> Outcome:
    from pipelines.matting.workers import workers

    for name in ("alpha", "edge", "uncertain", DRAFTS):
        (job.folder / name).mkdir(exist_ok=True)
    tasks = tasks_of(job)
    with workers(len(tasks) >= FEWEST_FOR_WORKERS) as each:
        if job.options.mattes:
            _take_given(job, tasks)
        else:
            tasks = surveyed(job, tasks)
            for _ in job.progress.track(each(cut_frame, tasks), "Cutting the person out", len(tasks)):
                pass
        results = list(job.progress.track(each(finish_frame, tasks), "Finishing the edges", len(tasks)))
    shutil.rmtree(job.folder / DRAFTS)
    lost = [task.frame for task in tasks if not task.found]
    if lost and not job.options.mattes:
        job.progress.warn(f"Nobody was found in {len(lost)} frames (first: {lost[0]}); their mattes are empty.")
    _write_sheet(job.folder, tasks, [result.get("doubtful_share", 0.0) for result in results])
    figures = {"frames": float(len(tasks)), "frames_without_person": float(len(lost))}
    for name in ("person_share", "changed_share", "doubtful_share", "truth_iou", "truth_sad_per_mille"):
        values = [result[name] for result in results if name in result]
        if values:
            figures[name] = float(np.mean(values))
    return Outcome(figures, {"sheet": "qa.png"})


def check_options(options: MatteOptions) -> None:
    """AnrError for a band no outline lies in, and a folder of mattes that is none."""
    from pipelines.matting.given import files_of

    if not 0.001 <= options.band <= 0.2:
        raise AnrError(f"A band of {options.band} m makes no matte.", hint="Take 0.001 to 0.2; usual is --band 0.012.")
    if options.mattes:
        files_of(Path(options.mattes))


def tasks_of(job: Job) -> list[Task]:
    from pipelines.media.recording import Recording

    recording = Recording(job.inputs["capture"])
    fit = read_fit(job.inputs["fit"] / "fit.npz")
    stored = read_npz(job.inputs["keypoints"] / "keypoints.npz", ("pixels", "confidence", "found"))
    landmarks = np.concatenate([stored["pixels"], stored["confidence"][..., None]], axis=-1)
    found = stored["found"]
    px_per_m = recording.camera.K[1, 1] / np.maximum(fit.root_translation[:, 2], 0.2)
    alone = job.options.fast or bool(job.options.mattes)
    return [Task(frame=k, capture=job.inputs["capture"], mask=job.inputs["keypoints"] / "person_mask" / f"{k:05d}.png",
                 maps=job.inputs["raster"] / "maps" / f"{k:05d}.maps", out=job.folder, found=bool(found[k]),
                 fitted=bool(fit.ok[k]), landmarks=landmarks[k], px_per_m=float(px_per_m[k]), options=job.options,
                 beside=() if alone else beside(k, recording.times_s, found)) for k in range(len(recording))]


def beside(frame: int, times_s: np.ndarray, found: np.ndarray) -> tuple[int, ...]:
    """The frames before and after with the person in them, unless they are too far away in time."""
    near = (k for k in (frame - 1, frame + 1) if 0 <= k < len(times_s) and found[k])
    return tuple(k for k in near if abs(times_s[k] - times_s[frame]) <= LONGEST_STEP_S)


def surveyed(job: Job, tasks: list[Task]) -> list[Task]:
    """The tasks with what a look over the whole clip tells."""
    if not job.options.keep_all:
        reach_m = survey_reach(tasks)
        tasks = [replace(task, reach_m=reach_m) for task in tasks]
    if job.options.plate:
        ground = survey_ground(tasks)
        write_npz(job.folder / DRAFTS / GROUND_FILE, colour=ground.colour, spread=ground.spread)
    if not job.options.keep_all and not job.options.fast:
        write_npz(job.folder / DRAFTS / LOOKS_FILE, **vars(survey_looks(tasks)))
    return tasks


def _take_given(job: Job, tasks: list[Task]) -> None:
    """Writes mattes made elsewhere as drafts."""
    from pipelines.matting.given import check_shares, given_mattes, read_given
    from pipelines.media.images import person_share, write_alpha

    folder = Path(job.options.mattes)
    files = given_mattes(folder, len(tasks))
    camera = _recording(tasks[0].capture).camera
    shares = []
    for task, path in zip(tasks, files):
        alpha = read_given(path, camera.width, camera.height)
        shares.append(person_share(alpha))
        write_alpha(job.folder / DRAFTS / task.name, alpha)
    for text in check_shares(np.array(shares), folder):
        job.progress.warn(text)


def cut_frame(task: Task) -> dict[str, float]:
    """Writes one frame's draft and its doubts."""
    from pipelines.matting.closed_form import person_alpha
    from pipelines.matting.evidence import opinion_of, possible_part
    from pipelines.matting.steady import blur_px, doubt_of
    from pipelines.media.images import write_alpha

    shape = _shape(task.capture)
    alpha, doubt = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    if task.found:
        view, part = view_of(task)
        opinion = opinion_of(view)
        view, opinion = without_objects(task, view, opinion, part)
        possible = None
        if task.reach_m is not None:
            reach_m = task.reach_m * (1 if task.fitted else UNSURE_REACH)
            possible = possible_part(opinion, view.regions, task.px_per_m, reach_m)
        band_px: float | np.ndarray = max(2.0, task.options.band * task.px_per_m)
        if task.beside:
            smeared = blur_px(view.image, _recording(task.capture).image(task.beside[0])[part])
            band_px, view = band_px + smeared, replace(view, core=view.core & (smeared < SMEARED_PX))
        alpha[part] = person_alpha(view.image, opinion, band_px, view.core, possible, coarse=task.options.fast)
        doubt[part] = doubt_of(alpha[part], opinion, max(1.5, DOUBT_PX * 1.7 * task.px_per_m))
    write_alpha(task.out / DRAFTS / task.name, alpha)
    write_alpha(task.out / "uncertain" / task.name, doubt)
    return {}


def without_objects(task: Task, view: View, opinion: np.ndarray,
                    part: tuple[slice, slice]) -> tuple[View, np.ndarray]:
    """View and opinion with what covers the body for a moment taken out."""
    from pipelines.matting.body import NO_REGION
    from pipelines.matting.objects import objects_in, taken_out

    looks, body = _looks(task.out / DRAFTS / LOOKS_FILE), view.regions != NO_REGION
    if looks is None or not body.any() or (view.mask[body] > 0.5).mean() < SEEN_OF_BODY:
        return view, opinion
    return taken_out(view, opinion, objects_in(view, opinion, _maps(task.maps), part, looks))


def view_of(task: Task) -> tuple[View, tuple[slice, slice]]:
    """One frame around the person, and where that is in the picture."""
    from pipelines.matting.body import NO_REGION, place_of
    from pipelines.matting.evidence import View
    from pipelines.matting.trimap import around
    from pipelines.media.images import read_alpha

    recording, mask = _recording(task.capture), read_alpha(task.mask)
    maps = _maps(task.maps)
    place = place_of(task.landmarks, maps, _shape(task.capture), task.px_per_m,
                     1.5 * task.options.band if task.fitted else None)
    part = around((mask > 0.3) | (place.regions != NO_REGION), round(MARGIN_M * task.px_per_m))
    ground = _ground(task.out / DRAFTS / GROUND_FILE) if task.options.plate else None
    depth_m = recording.depth_m(task.frame) if task.options.depth else None
    body_depth_m = None
    if task.fitted and depth_m is not None:
        body_depth_m = np.zeros(mask.shape, np.float32)
        x0, y0, x1, y1 = maps.box
        body_depth_m[y0:y1, x0:x1] = maps.depth_m
        body_depth_m = body_depth_m[part]
    return View(recording.image(task.frame)[part], mask[part], place.regions[part], place.core[part], task.px_per_m,
                None if ground is None else ground.cut(part), None if depth_m is None else depth_m[part],
                body_depth_m), part


def finish_frame(task: Task) -> dict[str, float]:
    """Writes one frame's matte, edge colours and doubts; returns what is worth knowing about it."""
    from pipelines.matting.foreground import edge_colours
    from pipelines.matting.steady import doubt_of, steadied
    from pipelines.matting.trimap import around
    from pipelines.media.images import read_alpha, write_alpha, write_image

    recording, drafts = _recording(task.capture), task.out / DRAFTS
    image, alpha = recording.image(task.frame), read_alpha(drafts / task.name)
    mask = read_alpha(task.mask)
    known: dict[str, float] = {}
    if alpha.any():
        part, blur_px = around(alpha > 0, round(MARGIN_M * task.px_per_m)), max(1.5, DOUBT_PX * 1.7 * task.px_per_m)
        draft, doubt = alpha[part], np.zeros(alpha.shape, np.float32)
        others = [(recording.image(k)[part], read_alpha(drafts / f"{k:05d}.png")[part]) for k in task.beside]
        alpha[part] = steadied(image[part], draft, others)
        doubt[part] = doubt_of(alpha[part], mask[part] if task.options.mattes else draft, blur_px)
        if not task.options.mattes:
            doubt = np.maximum(doubt, read_alpha(task.out / "uncertain" / task.name))
        write_alpha(task.out / "uncertain" / task.name, doubt)
        known = {"person_share": float(alpha.mean()), "doubtful_share": float((doubt > DOUBTFUL).sum() / alpha.sum()),
                 "changed_share": float(np.abs(alpha - mask).sum() / max(float(alpha.sum()), 1.0))}
    write_alpha(task.out / "alpha" / task.name, alpha)
    write_image(task.out / "edge" / task.name, edge_colours(image, np.round(alpha * 255) / np.float32(255)))
    truth = recording.truth_alpha(task.frame) if known else None
    if truth is not None:
        known["truth_iou"] = float(np.minimum(alpha, truth).sum() / max(float(np.maximum(alpha, truth).sum()), 1e-6))
        known["truth_sad_per_mille"] = float(1000 * np.abs(alpha - truth).sum() / max(float(truth.sum()), 1.0))
    return known


def survey_reach(tasks: list[Task]) -> np.ndarray:
    """(regions,) metres: how far from the body this person's hair and clothes reach in this clip."""
    from pipelines.matting.body import NO_REGION, place_of, reach_of_clip, reach_shown
    from pipelines.matting.trimap import around
    from pipelines.media.images import read_alpha

    usable, shown = [task for task in tasks if task.found], []
    for task in (usable[k] for k in _spread(len(usable), SURVEY_FRAMES)):
        mask = read_alpha(task.mask)
        regions = place_of(task.landmarks, read_maps(task.maps), _shape(task.capture), task.px_per_m, None).regions
        part = around((mask > 0.5) | (regions != NO_REGION), 4)
        shown.append(reach_shown(mask[part], regions[part], task.px_per_m))
    return reach_of_clip(shown)


def survey_looks(tasks: list[Task]) -> Looks:
    """The person's colours over the clip."""
    from pipelines.matting.body import face_region
    from pipelines.matting.objects import looks_of
    from pipelines.media.images import read_alpha

    usable = [task for task in tasks if task.found and task.fitted]
    picked = [usable[k] for k in _spread(len(usable), LOOKS_FRAMES)]
    return looks_of(((_recording(task.capture).image(task.frame), read_maps(task.maps), read_alpha(task.mask))
                     for task in picked), face_region())


def survey_ground(tasks: list[Task]) -> Ground:
    """What is behind the person: the source's clean plate, or the median over frames of what the person leaves free."""
    import cv2

    from pipelines.matting.ground import NEVER_SEEN, Ground, still_ground
    from pipelines.matting.trimap import around
    from pipelines.media.images import read_alpha

    recording = _recording(tasks[0].capture)
    plate = recording.background()
    if plate is not None:
        return Ground(plate, np.ones(plate.shape[:2], np.uint8))
    picked = [tasks[k] for k in _spread(len(tasks), GROUND_FRAMES)]
    masks = np.stack([read_alpha(task.mask) > 0.1 for task in picked])
    part = around(masks.any(axis=0), round(MARGIN_M * max(task.px_per_m for task in picked)))
    kernel = np.ones((max(3, round(0.1 * picked[0].px_per_m)),) * 2, np.uint8)
    hidden = np.stack([cv2.dilate(mask[part].astype(np.uint8), kernel) > 0 for mask in masks])
    seen = still_ground(np.stack([recording.image(task.frame)[part] for task in picked]), hidden)
    ground = Ground(np.zeros((*masks.shape[1:], 3), np.uint8), np.full(masks.shape[1:], NEVER_SEEN, np.uint8))
    ground.colour[part], ground.spread[part] = seen.colour, seen.spread
    return ground


def _spread(total: int, most: int) -> list[int]:
    """At most `most` indices evenly spread over range(total)."""
    return sorted({int(k) for k in np.linspace(0, total - 1, min(most, total))})


def _write_sheet(folder: Path, tasks: list[Task], doubts: list[float]) -> None:
    from pipelines.matting.foreground import person_colours
    from pipelines.matting.sheet import sheet, worst_apart
    from pipelines.matting.trimap import around
    from pipelines.media.images import read_alpha, read_image, write_image

    def read(task: Task) -> tuple[np.ndarray, ...]:
        image, alpha = _recording(task.capture).image(task.frame), read_alpha(folder / "alpha" / task.name)
        part = around(alpha > 0.1, 12)
        colours = person_colours(image, alpha, read_image(folder / "edge" / task.name))
        return image[part], alpha[part], colours[part], read_alpha(folder / "uncertain" / task.name)[part]

    shown = worst_apart(doubts)
    texts = [f"frame {tasks[k].frame}: {100 * doubts[k]:.1f} % uncertain" for k in shown]
    write_image(folder / "qa.png", sheet(texts, (read(tasks[k]) for k in shown)))


def _shape(capture: Path) -> tuple[int, int]:
    camera = _recording(capture).camera
    return camera.height, camera.width


@lru_cache(maxsize=2)
def _recording(capture: Path) -> Recording:
    from pipelines.media.recording import Recording

    return Recording(capture)


@lru_cache(maxsize=1)
def _ground(path: Path) -> Ground:
    from pipelines.matting.ground import Ground

    with np.load(path) as stored:
        return Ground(stored["colour"], stored["spread"])


@lru_cache(maxsize=1)
def _maps(path: Path) -> SurfaceMaps:
    return read_maps(path)


@lru_cache(maxsize=1)
def _looks(path: Path) -> Looks | None:
    from pipelines.matting.objects import Looks

    if not path.exists():
        return None
    with np.load(path) as stored:
        return Looks(**stored)


def _estimate_s(inputs: Mapping[str, Path], options: MatteOptions) -> float:
    stored = read_json(inputs["capture"] / "capture.json")
    pixels = stored["camera"]["width"] * stored["camera"]["height"]
    per_frame = 0.07 if options.fast or options.mattes else 0.2
    return 6 + len(stored["times_s"]) * per_frame * min(pixels / (1280 * 720), 2.0)


STAGE = Stage(name="matte", version=2, doing="Cutting the person out", Options=MatteOptions, run=run,
              inputs=("capture", "keypoints", "fit", "raster"), check=check_options, estimate_s=_estimate_s)
