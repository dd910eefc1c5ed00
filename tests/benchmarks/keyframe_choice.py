"""Does an avatar trained with chosen keyframes beat one trained with as many at even spacing?

    python tests/benchmarks/keyframe_choice.py WORKSPACE ada --images 600 --seeds 0

Takes what a workspace has of a person (newest capture, fit, maps and mattes), chooses the same number of keyframes in
several ways, trains a model on the person alone with each, all with as many images, and examines it on the held-out
frames: mean figures of the person crop, and their differences from even spacing. The workspace is only read.

    greedy      the default: silhouettes and surface, the face most, sharp and trusted frames first
    even        at even spacing in time, among the frames that may be chosen
    surface     greedy on the surface alone, weighted by viewing angle
    silhouette  greedy on silhouettes alone, as the paper has it (not by default: --arms greedy even surface silhouette)

600 images take about three minutes an arm on two quiet cores, reading and examining included. A difference below what
other seeds give is none: --seeds 0 1 2.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines import evaluate, keyframes, train
from pipelines.core.split import split_frames
from pipelines.core.stage import Job, Progress
from pipelines.core.storage import read_fit, read_json
from pipelines.core.workspace import Workspace, newest_version
from pipelines.keyframing.covering import evenly
from pipelines.media.recording import Recording

ARMS = ("greedy", "even", "surface", "silhouette")
READ = ("capture", "fit", "raster", "matte")
FIGURES = ("psnr", "ssim", "lpips", "flip")
BASELINE = "even"


@dataclass(frozen=True)
class Row:
    """One training: how its keyframes were chosen, and how it did."""

    arm: str
    seed: int
    frames: tuple[int, ...]
    shown: tuple[float, float]          # share of silhouettes and of the surface
    figures: dict[str, float]           # of FIGURES, where they could be had
    seconds: float

    def __str__(self) -> str:
        told = "".join(f"{self.figures.get(name, float('nan')):9.4f}" for name in FIGURES)
        shown = "".join(f"{100 * share:8.1f}" for share in self.shown)
        return (f"{self.arm:11}{self.seed:5}{shown}{told}{self.seconds:8.0f}   "
                f"{' '.join(map(str, sorted(self.frames)))}")


HEADER = f"{'':11}{'seed':>5}{'outl. %':>8}{'surf. %':>8}{'PSNR':>9}{'SSIM':>9}{'LPIPS':>9}{'FLIP':>9}{'s':>8}   frames"


def folders_of(workspace: Workspace, person: str) -> dict[str, Path]:
    newest = {name: newest_version(workspace.person_place(person, name)) for name in READ}
    missing = [name for name, version in newest.items() if version is None]
    if missing:
        raise SystemExit(f"{workspace.root} has no {', '.join(missing)} of {person}: anr keyframes --person {person}")
    return {name: version.folder for name, version in newest.items() if version is not None}


def keyframe_options(arm: str, folders: Mapping[str, Path], count: int) -> keyframes.KeyframeOptions:
    """What to ask the keyframes stage for; even spacing names its frames."""
    if arm != "even":
        return keyframes.KeyframeOptions(count=count, measure="both" if arm == "greedy" else arm)
    fit, camera = read_fit(folders["fit"] / "fit.npz"), Recording(folders["capture"]).camera
    job = Job(Path(), None, folders, Progress())
    usable = keyframes.usable_frames(job, camera.height, camera.width, fit, split_frames(len(fit.frame_index)).train)
    named = [int(usable[k]) for k in evenly(len(usable), count)]
    return keyframes.KeyframeOptions(count=count, add=",".join(map(str, named)))


def trained_and_examined(arm: str, seed: int, person: str, folders: Mapping[str, Path], images: int, count: int,
                         scratch: Path) -> Row:
    started = time.perf_counter()
    made = {name: scratch / f"{arm}-{seed}" / name for name in ("keyframes", "train", "eval")}
    for folder in made.values():
        folder.mkdir(parents=True)
    keyframes.STAGE.run(Job(made["keyframes"], keyframe_options(arm, folders, count), folders, Progress()))
    inputs = {f"{person}/{name}": folder for name, folder in {**folders, "keyframes": made["keyframes"]}.items()}
    train.STAGE.run(Job(made["train"], train.TrainOptions(images=images, seed=seed, patience=0), inputs, Progress()))
    evaluate.STAGE.run(Job(made["eval"], evaluate.EvalOptions(), {**inputs, "train": made["train"]}, Progress()))
    chosen, scores = read_json(made["keyframes"] / "keyframes.json"), read_json(made["eval"] / "eval.json")
    figures = {name: float(scores["people"][person][name]) for name in FIGURES if name in scores["people"][person]}
    return Row(arm, seed, tuple(chosen["frames"]), (chosen["coverage"][-1], chosen["surface"][-1]), figures,
               time.perf_counter() - started)


def verdict(rows: Sequence[Row], arm: str) -> str:
    """Mean difference from even spacing over the seeds, with its spread where there are several."""
    def figures(of: str, name: str) -> np.ndarray:
        return np.array([row.figures.get(name, np.nan) for row in rows if row.arm == of])

    parts = []
    for name in FIGURES:
        difference = figures(arm, name) - figures(BASELINE, name)
        spread = f" +-{difference.std(ddof=1):.4f}" if len(difference) > 1 else ""
        parts.append(f"{name} {difference.mean():+.4f}{spread}")
    return f"{arm} - {BASELINE}: {', '.join(parts)}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("person")
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--count", type=int, default=0, help="keyframes of each arm; 0 = as many as the stage chooses")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS[:3]))
    parser.add_argument("--keep", type=Path, help="folder for what is made (default: a temporary one)")
    options = parser.parse_args(arguments)
    folders = folders_of(Workspace(options.workspace), options.person)
    training = len(split_frames(len(Recording(folders["capture"]))).train)
    count = options.count or keyframes.keyframe_count(0, training, training)
    sys.stdout.write(f"{options.person}: {count} of {training} training frames, {options.images} images\n{HEADER}\n")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as temporary:
        scratch = options.keep or Path(temporary)
        for seed in options.seeds:
            for arm in options.arms:
                rows.append(trained_and_examined(arm, seed, options.person, folders, options.images, count, scratch))
                sys.stdout.write(f"{rows[-1]}\n")
                sys.stdout.flush()
    if BASELINE in options.arms:
        sys.stdout.write("\n".join(verdict(rows, arm) for arm in options.arms if arm != BASELINE) + "\n")


if __name__ == "__main__":
    main()
