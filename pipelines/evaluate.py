"""Stage 10: figures on frames that training never saw, and a sheet to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.options import option
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import read_json, write_json

if TYPE_CHECKING:
    from pipelines.renderers.avatar import Avatar

GREY = 0.5
MARGIN = 0.05                           # of the matte's height, around the person crop
SHEET_FRAMES = 5                        # of each person
METRICS = ("psnr", "ssim", "lpips", "flip")
PSNR_CEILING_DB = 99.0                  # equal pictures have an infinite PSNR, which JSON cannot say


@dataclass(frozen=True)
class EvalOptions:
    person: str = option("", "Whose frames; everybody's when not given.")
    frames: int = option(40, "At most so many held-out frames of each person, evenly spread; 0 = all.")
    weights: str = option("", "Folder with pretrained extractor weights.")
    device: str = option("auto", "auto, cpu or cuda.", recorded_only=True)


def run(job: Job) -> Outcome:
    from pipelines.media.images import write_image
    from pipelines.media.sheets import tile
    from pipelines.renderers.avatar import load_avatar

    options: EvalOptions = job.options
    avatar = load_avatar(job.inputs["train"], options.device)
    held_out = read_json(job.inputs["train"] / "split.json")["held_out"]
    people = [avatar.person(options.person).name] if options.person else sorted(avatar.people)
    metrics = _metrics(job)
    scores: dict[str, dict[str, float]] = {}
    sheet: list[np.ndarray] = []
    for person in people:
        frames = _spread(_usable(job, person, held_out[person]), options.frames)
        if not frames:
            raise AnrError(f"None of {person}'s {len(held_out[person])} held-out frames has a matte with a person.",
                           hint=f"Look at the sheet of `anr matte --person {person}`.")
        rows = []
        shown = set(_spread(frames, SHEET_FRAMES))
        for index in job.progress.track(frames, f"Examining {person}"):
            truth, rendering = compare(job.inputs, avatar, person, index)
            rows.append({name: measure(truth, rendering) for name, measure in metrics.items()})
            if index in shown:
                sheet += [np.round(x * 255.0).astype(np.uint8) for x in (truth, rendering)]
        means = {name: float(np.mean([row[name] for row in rows])) for name in metrics}
        scores[person] = {**means, "frames": len(frames)}
    write_image(job.folder / "sheet.jpg", tile(sheet, columns=2 * SHEET_FRAMES))
    mean = {name: float(np.mean([of[name] for of in scores.values()])) for name in metrics}
    write_json(job.folder / "eval.json", {"people": scores, "mean": mean, "protocol": _protocol(avatar, metrics)})
    return Outcome({name: round(value, 4) for name, value in mean.items()}, {"eval": "eval.json", "sheet": "sheet.jpg"})


def compare(inputs: Mapping[str, Path], avatar: Avatar, person: str, index: int) -> tuple[np.ndarray, np.ndarray]:
    """One held-out frame and its replay, each on grey by its own alpha: the person crop, (h, w, 3) float in 0..1."""
    from pipelines.core.mapcache import read_maps
    from pipelines.media.images import read_alpha
    from pipelines.media.recording import Recording
    from pipelines.renderers.avatar import render_person

    image = Recording(inputs[f"{person}/capture"]).image(index).astype(np.float32) / 255.0
    alpha = read_alpha(inputs[f"{person}/matte"] / "alpha" / f"{index:05d}.png")
    maps = read_maps(inputs[f"{person}/raster"] / "maps" / f"{index:05d}.maps")
    rgb, own_alpha = render_person(avatar, avatar.textures[person], maps)
    x0, y0, x1, y1 = maps.box
    rendering = np.full(image.shape, GREY, np.float32)
    rendering[y0:y1, x0:x1] = on_grey(rgb, own_alpha)
    left, top, right, bottom = person_box(alpha)
    return on_grey(image, alpha)[top:bottom, left:right], rendering[top:bottom, left:right]


def on_grey(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return rgb * alpha[..., None] + GREY * (1.0 - alpha[..., None])


def person_box(alpha: np.ndarray) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 around the true matte with its margin, within the picture, at least 48 pixels each way."""
    ys, xs = np.nonzero(alpha > 0.5)
    margin = max(2, round(MARGIN * (np.ptp(ys) + 1)))
    sides = []
    for low, high, whole in ((xs.min(), xs.max() + 1, alpha.shape[1]), (ys.min(), ys.max() + 1, alpha.shape[0])):
        wanted = max(int(high - low) + 2 * margin, 48)
        start = min(max(0, int(low + high - wanted) // 2), max(0, whole - wanted))
        sides.append((start, min(whole, start + wanted)))
    return sides[0][0], sides[1][0], sides[0][1], sides[1][1]


def _metrics(job: Job) -> dict[str, Callable[[np.ndarray, np.ndarray], float]]:
    """The metrics that can be computed here; a missing one is said with its remedy."""
    from pipelines.metrics.flip import flip
    from pipelines.metrics.lpips import load_lpips
    from pipelines.metrics.psnr import psnr
    from pipelines.metrics.ssim import ssim
    from pipelines.metrics.weights import fetch_weights, find_weights, remedy

    found: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
        "psnr": lambda a, b: min(psnr(a, b), PSNR_CEILING_DB), "ssim": ssim}
    backbone = find_weights("squeezenet1_1", job.options.weights or None) or fetch_weights("squeezenet1_1")
    if backbone is None:
        job.progress.warn("No LPIPS: SqueezeNet's weights are not here. " + remedy("squeezenet1_1"))
    else:
        found["lpips"] = load_lpips(backbone)
    found["flip"] = flip
    return found


def _protocol(avatar: Avatar, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """All that another person must know to compare with these figures."""
    from importlib.metadata import version

    squeeze = f"squeeze, v0.1, lpips {version('lpips')}" if "lpips" in metrics else "missing: no SqueezeNet weights"
    return {
        "frames": "held out in contiguous segments, 5 frames away from training frames; mean over frames, then people",
        "poses": "fitted to the frame itself, not refined for the test",
        "background": "truth and rendering each on grey 0.5 by their own alpha (the matte's and the network's)",
        "crop": "the true matte (above 0.5) with a margin of 5 % of its height",
        "metrics": {"psnr": "dB, all channels", "ssim": "11x11 Gaussian, sigma 1.5, mean of channels",
                    "lpips": squeeze,
                    "flip": f"LDR, 67.0206 pixels per degree, flip-evaluator {version('flip-evaluator')}"},
        "trained": {"renderer": avatar.description["renderer"], "preset": avatar.description["preset"],
                    "images": avatar.description["images"], "seconds": avatar.description["seconds"]}}


def _usable(job: Job, person: str, frames: list[int]) -> list[int]:
    """Held-out frames in which the matte has somebody."""
    from pipelines.media.images import read_alpha

    folder = job.inputs[f"{person}/matte"] / "alpha"
    return [k for k in frames if (read_alpha(folder / f"{k:05d}.png") > 0.5).sum() > 100]


def _spread(frames: list[int], most: int) -> list[int]:
    """At most `most` of them, evenly; all where `most` is 0."""
    if most <= 0 or len(frames) <= most:
        return frames
    return [frames[int(k)] for k in np.linspace(0, len(frames) - 1, most).round()]


STAGE = Stage(name="eval", version=1, doing="Examining held-out frames", Options=EvalOptions, run=run,
              inputs=("train", "capture", "raster", "matte"), keeps_options=False)
