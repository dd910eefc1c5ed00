"""`anr bench`: how fast the chain's parts are on this machine."""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anrcli.commands.command import Command, Parameter, Report
from pipelines.core.errors import UsageError
from pipelines.core.stage import Progress
from pipelines.core.workspace import Workspace

if TYPE_CHECKING:
    from pipelines.core.records import Camera, Landmarks
    from pipelines.detectors.following import Follower

RUNS = 3                                # each figure is the median over so many runs
CLIP_S, CLIP_FPS = 2.0, 24.0            # of the studio person that is measured with
PERSON = "ada"

Figures = dict[str, float]


@dataclass(frozen=True)
class Bench:
    """One thing that can be measured; figures are named with their unit at the end."""

    measures: str
    run: Callable[[Progress], Figures]


def bench(workspace: Workspace, progress: Progress, name: Sequence[str] = ()) -> Report:
    """Runs the benches named, all of them without a name; UsageError for a name there is none of."""
    unknown = [each for each in name if each not in BENCHES]
    if unknown:
        raise UsageError(f"There is no bench called {unknown[0]!r}.", hint=f"There are {', '.join(BENCHES)}.")
    figures: Figures = {"cores": float(available_cores())}
    table = [("bench", "figure", "value", "measures")]
    for each in name or BENCHES:
        told = BENCHES[each].measures
        for figure, value in BENCHES[each].run(progress).items():
            figures[f"{each}.{figure}"] = value
            quantity, _, unit = figure.rpartition("_")
            table.append((each, quantity.replace("_", " "), f"{value:.4g} {UNITS.get(unit, unit)}", told))
            told = ""
    cores = available_cores()
    line = f"Medians over {RUNS} runs on {cores} core{'s' if cores > 1 else ''}; a busy machine makes them worse."
    return Report(figures=figures, table=tuple(table), lines=(line,))


UNITS = {"fps": "frames/s"}


def available_cores() -> int:
    """Cores this process may use, which a container or taskset makes fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Timing:
    """How long one item took: by the clock, and on all cores together."""

    wall_s: float
    cpu_s: float


def timing(work: Callable[..., object], items: int, runs: int = RUNS,
           prepare: Callable[[], object] | None = None) -> Timing:
    """Medians over runs of `work`, which handles `items` items; call it once before where the first call compiles.

    prepare  called before each run, its time not counted; `work` gets its answer
    """
    walls, cpus = [], []
    for _ in range(runs):
        given = () if prepare is None else (prepare(),)
        wall, cpu = time.perf_counter(), time.process_time()
        work(*given)
        walls.append((time.perf_counter() - wall) / items)
        cpus.append((time.process_time() - cpu) / items)
    return Timing(statistics.median(walls), statistics.median(cpus))


# --- landmarks and fit ------------------------------------------------------------------------------------------------

def bench_fit(progress: Progress) -> Figures:
    """Landmarks and fit of a person without depth, frame after frame as they come."""
    images, camera, height_m = studio_clip(720, progress)
    return {**live_figures("720p", *widescreen(images, camera), height_m),
            **live_figures("512x512", *smaller(images, camera, 512), height_m)}


def live_figures(title: str, images: Sequence[np.ndarray], camera: Camera, height_m: float) -> Figures:
    marks: list[Landmarks] = []
    see(started(images[0]), images, marks.append)
    fit = live_fitter(camera, height_m)
    for each in marks[:3]:
        fit(each)                                              # compiles, or reads what was compiled before
    count = len(images)
    whole = timing(lambda follower: see(follower, images, fit), count, prepare=lambda: started(images[0]))
    seen = timing(lambda follower: see(follower, images, lambda landmarks: None), count,
                  prepare=lambda: started(images[0]))
    fitted = timing(lambda: [fit(each) for each in marks], len(marks))
    return {f"landmarks_and_fit_{title}_fps": 1.0 / whole.wall_s, f"landmarks_{title}_fps": 1.0 / seen.wall_s,
            f"landmarks_{title}_cpu_ms": 1000.0 * seen.cpu_s, f"fit_alone_{title}_ms": 1000.0 * fitted.wall_s}


def studio_clip(size: int, progress: Progress) -> tuple[list[np.ndarray], Camera, float]:
    """Square pictures of a studio person who moves, the camera, and the person's height in metres."""
    from pipelines.sources.synthetic import open_synthetic

    footage = open_synthetic(PERSON, CLIP_S, CLIP_FPS, size)
    images = [frame.image for frame in progress.track(footage.frames, f"Filming {PERSON}", footage.frame_count)]
    assert footage.truth is not None
    return images, footage.camera, float(footage.truth()["height_m"])


def widescreen(images: Sequence[np.ndarray], camera: Camera) -> tuple[list[np.ndarray], Camera]:
    """The pictures in the middle of 16:9, the borders repeated."""
    from pipelines.geometry.cameras import crop_camera

    height, width = images[0].shape[:2]
    beside = (round(height * 16 / 9) - width) // 2
    wide = [np.pad(image, ((0, 0), (beside, beside), (0, 0)), mode="edge") for image in images]
    return wide, crop_camera(camera, (-beside, 0, width + beside, height))


def smaller(images: Sequence[np.ndarray], camera: Camera, size: int) -> tuple[list[np.ndarray], Camera]:
    import cv2

    from pipelines.geometry.cameras import scale_camera

    view = scale_camera(camera, size / camera.height)
    return [cv2.resize(image, (view.width, view.height), interpolation=cv2.INTER_AREA) for image in images], view


def started(image: np.ndarray) -> Follower:
    """A follower that has found its person."""
    from pipelines.detectors.following import Follower

    follower = Follower(CLIP_FPS)
    follower.see(image)
    return follower


def see(follower: Follower, images: Sequence[np.ndarray], then: Callable[[Landmarks], object]) -> None:
    """Hands the person's body landmarks to `then` as they come."""
    for _, seen in follower.follow(images):
        if seen is not None:
            then(seen.landmarks)
    follower.close()


def live_fitter(camera: Camera, height_m: float) -> Callable[[Landmarks], object]:
    """What fits the next frame from those before it, with a body of the right height."""
    from pipelines.fitting.tracking import LiveFit

    live, clock = LiveFit.from_height(camera, height_m), itertools.count()
    return lambda landmarks: live.see(landmarks, None, next(clock) / CLIP_FPS)


# --- maps -------------------------------------------------------------------------------------------------------------

def bench_raster(progress: Progress) -> Figures:
    """Surface maps of the body at rest, filling most of a square picture."""
    from pipelines.body.model import load_body
    from pipelines.geometry.cameras import camera_from_fov
    from pipelines.rasterizers.cpu import surface_maps

    body = load_body()
    verts = np.ascontiguousarray(body.verts * [1, -1, -1] + [0, body.verts[:, 1].mean(), 2.6])
    figures: Figures = {}
    for size in (512, 1024):
        camera = camera_from_fov(size, size, 42.0)

        def draw(camera: Camera = camera, size: int = size) -> None:
            surface_maps(body.faces, body.uvs, body.face_uvs, verts, camera, (0, 0, size, size))

        draw()                                                 # compiles, or reads what was compiled before
        figures[f"maps_{size}x{size}_ms"] = 1000.0 * timing(draw, 1, runs=20).wall_s
    return figures


BENCHES: dict[str, Bench] = {
    "fit": Bench("landmarks and fit as frames come, a studio person without depth", bench_fit),
    "raster": Bench("surface maps of one body on the processor", bench_raster),
}

BENCH = Command("bench", "Measures how fast this machine is; NAME picks what is measured.",
                (Parameter("name", str, f"What to measure: {', '.join(BENCHES)}.", "everything", repeat=True,
                           positional=True),), bench)
