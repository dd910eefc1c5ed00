"""How much memory the raster stage takes for a long clip, and whether it grows with the clip.

    python tests/benchmarks/raster_soak.py [--frames 5000] [--size 1024]

Draws a body that walks about itself through the stage's own `run`, into a temporary folder, and prints frames/s, disk,
and the process's memory after the first tenth, after half and at its peak. The limit is 1 GB for 5,000 frames.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from anrcli.commands.bench_raster import standing_figure
from pipelines import rasterize
from pipelines.core.records import BodyFit
from pipelines.core.stage import Job, Progress
from pipelines.core.storage import camera_to_json, write_fit, write_json

T = TypeVar("T")
MB = 1e6


def memory_mb() -> float:
    """What the process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * resource.getpagesize() / MB


class Watching(Progress):
    """Notes the memory as frames are done."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        for item in items:
            self.seen.append(memory_mb())
            yield item


def soak(frames: int, size: int, folder: Path) -> None:
    figure = standing_figure(size)
    for name in ("capture", "fit", "raster"):
        (folder / name).mkdir()
    write_json(folder / "capture" / "capture.json", {
        "camera": camera_to_json(figure.camera), "fps": 30.0, "times_s": list(np.arange(frames) / 30),
        "height_m": None, "has_depth": False, "has_truth_alpha": False, "intrinsics_from": "a benchmark",
        "intrinsics_known": True, "track": None})
    poses = [figure.poses[k % len(figure.poses)] for k in range(frames)]
    joints = len(figure.body.joint_names)
    write_fit(folder / "fit" / "fit.npz", BodyFit(
        np.zeros(8), np.array(figure.body.joint_names), np.arange(frames),
        np.stack([pose.joint_rotations for pose in poses]), np.stack([pose.root_translation for pose in poses]),
        np.zeros((frames, joints, 3)), np.zeros(frames), np.full(frames, np.nan), np.ones(frames, bool)))
    del poses
    progress = Watching()
    started = time.perf_counter()
    rasterize.run(Job(folder / "raster", rasterize.RasterOptions(),
                      {"capture": folder / "capture", "fit": folder / "fit"}, progress))
    took = time.perf_counter() - started
    disk = sum(path.stat().st_size for path in (folder / "raster" / "maps").iterdir()) / MB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB
    print(f"{frames} frames of {size}x{size}: {frames / took:.0f} frames/s, {disk:.0f} MB on disk "
          f"({disk / frames:.3f} MB a frame)")
    tenth, half, end = (progress.seen[k] for k in (frames // 10, frames // 2, -1))
    print(f"memory: {tenth:.0f} MB after a tenth, {half:.0f} MB after half, {end:.0f} MB at the end, "
          f"{peak:.0f} MB at its peak")


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory of the raster stage over a long clip.")
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--size", type=int, default=1024)
    typed = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        soak(typed.frames, typed.size, Path(folder))


if __name__ == "__main__":
    main()
