"""`anr bench matte`: cutting a studio person out, at two sizes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from anrcli.commands.measuring import RUNS, Bench, Figures
from pipelines.core.stage import Job, Progress
from pipelines.core.workspace import Workspace, newest_version

T = TypeVar("T")
PERSON = "ada"
FRAMES, CLIP_FPS = 32, 15.0
SKIPPED = 7                             # frames at the beginning that are not timed
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


class Watch(Progress):
    """Times what is gone through, its beginning left out: then processes start and code compiles."""

    def __init__(self) -> None:
        self.seconds_per_item: list[float] = []

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        times = []
        for item in items:
            times.append(time.perf_counter())
            yield item
        self.seconds_per_item.append((times[-1] - times[SKIPPED]) / (len(times) - 1 - SKIPPED))


def seconds_per_frame(folder: Path, fast: bool) -> float:
    """The fastest of some runs of the stage, all it does to a frame together."""
    from pipelines.chain import STAGES

    workspace, stage = Workspace(folder / "workspace"), STAGES["matte"]
    inputs = {}
    for name in stage.inputs:
        version = newest_version(workspace.person_place(PERSON, name))
        assert version is not None
        inputs[name] = version.folder
    took = []
    for run in range(RUNS):
        out, watch = folder / f"matte_{fast}_{run}", Watch()
        out.mkdir()
        stage.run(Job(out, stage.Options(fast=fast), inputs, watch))
        took.append(sum(watch.seconds_per_item))
    return min(took)


MATTE = Bench("cutting a person out on two processes, a studio person so tall, with depth and background", bench_matte)
