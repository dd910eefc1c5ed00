"""How long choosing keyframes from a long recording takes, once the frames have been looked at.

    python tests/benchmarks/keyframe_speed.py --frames 5000

Made-up views that change smoothly in time, as large as real ones, of so many frames: no thinning, 8 % of them chosen.
Prints seconds of the processor and by the clock for each measure.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import numpy as np

from pipelines.keyframes import GAP_SHARE, SHARE, chosen_rows
from pipelines.keyframing.views import CELLS, MEASURES, SURFACE, Views

PATCHES = 3                             # of the silhouette and of the surface that a frame shows
STEP = 0.01                             # how far a patch goes from frame to frame
WIDTH = 0.25


def made_up_views(frames: int, seed: int = 0) -> Views:
    rng = np.random.default_rng(seed)
    silhouette, surface = (_patches(frames, cells, rng) for cells in (CELLS, SURFACE))
    return Views(silhouette, surface, rng.uniform(0.3, 1, frames), rng.uniform(size=frames))


def _patches(frames: int, cells: int, rng: np.random.Generator) -> np.ndarray:
    """(F, cells * cells) float32: soft squares that wander about."""
    places = (np.stack(np.meshgrid(*[np.arange(cells)] * 2), axis=-1).reshape(-1, 2) + 0.5) / cells
    shown = np.zeros((frames, cells**2), np.float32)
    for _ in range(PATCHES):
        path = np.cumsum(rng.normal(0, STEP, (frames, 2)), axis=0) % 1
        away = np.maximum(*(np.abs(path[:, k, None] - places[None, :, k]) for k in (0, 1)))
        np.maximum(shown, np.clip(1 - away / WIDTH, 0, 1), out=shown)
    return shown


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--count", type=int, default=0, help="keyframes to choose; 0 = 8 %% of the frames")
    options = parser.parse_args(arguments)
    count = options.count or round(SHARE * options.frames)
    views = made_up_views(options.frames)
    for measure in MEASURES:
        started, wall = time.process_time(), time.perf_counter()
        chosen_rows(views, np.arange(options.frames), measure, count, GAP_SHARE * options.frames / count)
        took = f"{time.process_time() - started:6.2f} s of the processor, {time.perf_counter() - wall:.2f} s of time"
        sys.stdout.write(f"{measure:12}{count} of {options.frames} frames: {took}\n")


if __name__ == "__main__":
    main()
