"""`anr bench matte`: cutting a studio person out, at two sizes."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from anrcli.commands.measuring import RUNS, Bench, Figures
from pipelines.core.stage import Job, Progress
from pipelines.core.workspace import Workspace, newest_version

PERSON = "ada"
FRAMES, CLIP_FPS = 24, 15.0
SIZES = {400: 526, 900: 1184}           # how tall the person is in pixels, and the picture


def bench_matte(progress: Progress) -> Figures:
    """Frames a second on two processes, their start and the look over the clip left out."""
    figures: Figures = {}
    for tall, size in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            prepared(Workspace(Path(folder) / "workspace"), size)
            for name, fast in (("", False), ("_fast", True)):
                figures[f"person_{tall}px{name}_fps"] = 1.0 / seconds_per_frame(Path(folder), fast)
    return figures


def prepared(workspace: Workspace, size: int) -> None:
    """Films the person, and does what comes before mattes."""
    from pipelines.chain import Request, bring_up_to_date

    bring_up_to_date(workspace, "raster", Request(person=PERSON, typed={
        "capture": {"source": f"synthetic:{PERSON}", "seconds": FRAMES / CLIP_FPS, "studio_fps": CLIP_FPS,
                    "studio_size": size, "studio_motion": "walk", "studio_sensor": True},
        "keypoints": {"body_only": True}, "fit": {"accept": True}}))


def seconds_per_frame(folder: Path, fast: bool) -> float:
    """The fastest of some runs: the first one compiles, or reads what was compiled before."""
    from pipelines.matte import DRAFTS, MatteOptions, cut_frame, finish_frame, surveyed, tasks_of, workers

    workspace, out = Workspace(folder / "workspace"), folder / f"matte_{fast}"
    for name in ("alpha", "edge", "uncertain", DRAFTS):
        (out / name).mkdir(parents=True)
    inputs = {}
    for stage in ("capture", "keypoints", "fit", "raster"):
        version = newest_version(workspace.person_place(PERSON, stage))
        assert version is not None
        inputs[stage] = version.folder
    job = Job(out, MatteOptions(fast=fast), inputs, Progress())
    tasks = surveyed(job, tasks_of(job))
    took = []
    with workers(len(tasks)) as each:
        for _ in range(1 + RUNS):
            started = time.perf_counter()
            for work in (cut_frame, finish_frame):
                list(each(work, tasks))
            took.append((time.perf_counter() - started) / len(tasks))
    return min(took[1:])


MATTE = Bench("cutting a person out on two processes, a studio person so tall, with depth and background", bench_matte)
