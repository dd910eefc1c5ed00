"""Stage 10: figures on frames that training never saw, a page about them, and a sheet to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.options import option
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import read_json, write_json

if TYPE_CHECKING:
    from pipelines.metrics.pairs import Box, Measures
    from pipelines.renderers.avatar import Avatar
    from pipelines.renderers.replay import Replay

GREY = 0.5
MARGIN = 0.05                           # of the matte's height, around the person crop
HEAD_MARGIN = 0.15                      # of the head's height, around the face crop
FACE_PIXELS = 60                        # fewer visible pixels of the face are no face
SHEET_FRAMES, SHEET_COLUMNS = 6, 9      # frames of each person; pictures in a row, three for each frame
FACE_SHOWN_PX = 180                     # how tall faces are shown
TEMPORAL_PAIRS = 12                     # pairs of consecutive frames of each person
METRICS = ("psnr", "ssim", "lpips", "flip")
MASK = ("mask_iou", "blank_psnr")
TEMPORAL = ("temporal_error", "temporal_change", "temporal_truth")
CROPS = {"": "person crop", "face_": "face crop", "frame_": "whole frame"}


@dataclass(frozen=True)
class EvalOptions:
    person: str = option("", "Whose frames; everybody's when not given.")
    frames: int = option(40, "At most so many held-out frames of each person, evenly spread; 0 = all.")
    whole_frame: bool = option(True, "Figures of the whole frame as well; they take longer than all others together.")
    weights: str = option("", "Folder with pretrained extractor weights.")
    device: str = option("auto", "auto, cpu or cuda.", recorded_only=True)


@dataclass(frozen=True, eq=False)
class View:
    """One held-out frame and its replay, of the captured picture's size; colours in 0..1."""

    image: np.ndarray                   # (H, W, 3) the captured frame
    alpha: np.ndarray                   # (H, W) its matte
    colours: np.ndarray                 # (H, W, 3) the captured frame with the person's own colours at the edge
    rgb: np.ndarray                     # (H, W, 3) the rendering's colours, 0 outside the body's box
    own_alpha: np.ndarray               # (H, W) the rendering's mask
    uv: np.ndarray                      # (H, W, 2) the body's surface, NaN outside
    face: np.ndarray                    # (H, W) bool, the body's face
    head: np.ndarray                    # (H, W) bool, its face and scalp

    @property
    def on_grey(self) -> tuple[np.ndarray, np.ndarray]:
        """Truth and rendering, each on grey by its own alpha."""
        return on_grey(self.colours, self.alpha), on_grey(self.rgb, self.own_alpha)


def run(job: Job) -> Outcome:
    from pipelines.media.images import write_image
    from pipelines.media.sheets import fit_height, tile
    from pipelines.metrics.pairs import measures_for
    from pipelines.renderers.avatar import load_avatar

    options: EvalOptions = job.options
    avatar = load_avatar(job.inputs["train"], options.device)
    held_out = read_json(job.inputs["train"] / "split.json")["held_out"]
    people = [avatar.person(options.person).name] if options.person else sorted(avatar.people)
    measures, inception = measures_for(options.weights, job.progress), _inception(job)
    scores: dict[str, dict[str, float]] = {}
    looked: dict[str, list[int]] = {}
    sheet: list[np.ndarray] = []
    faces: list[np.ndarray] = []
    features: list[tuple[np.ndarray, np.ndarray]] = []
    for person in people:
        usable = _usable(job, person, held_out[person])
        frames = _spread(usable, options.frames)
        if not frames:
            raise AnrError(f"None of {person}'s {len(held_out[person])} held-out frames has a matte with a person.",
                           hint=f"Look at the sheet of `anr matte --person {person}`.")
        rows: list[dict[str, float]] = []
        for index in job.progress.track(frames, f"Examining {person}"):
            seen = view(job.inputs, avatar, person, index)
            rows.append(_row(seen, _plate(avatar, person) if options.whole_frame else None, measures))
            if inception:
                truth, rendering = _cut(seen, person_box(seen.alpha))
                features.append((inception[1](truth), inception[1](rendering)))
            if index in set(_spread(frames, SHEET_FRAMES)):
                sheet += _shown(*_cut(seen, person_box(seen.alpha)))
                head = head_box(seen)
                faces += [fit_height(x, FACE_SHOWN_PX) for x in _shown(*_cut(seen, head))] if head else []
        rows += _temporal(job, avatar, person, usable)
        scores[person], looked[person] = _means(rows), frames
    outputs = {"eval": "eval.json", "page": "eval.md", "sheet": "sheet.jpg"}
    write_image(job.folder / "sheet.jpg", tile(sheet, columns=SHEET_COLUMNS))
    if faces:
        outputs["faces"] = "faces.jpg"
        write_image(job.folder / "faces.jpg", tile(faces, columns=SHEET_COLUMNS))
    mean = _means(list(scores.values()))
    if len(features) > 1:
        from pipelines.metrics.fid import frechet_distance

        mean["mfid"] = frechet_distance(*(np.stack(side) for side in zip(*features)))
    untrusted = sum(_untrusted(avatar.person(person).motion, frames) for person, frames in looked.items())
    protocol = _protocol(avatar, measures, inception[0] if inception else "", len(features), untrusted)
    report = {"people": {name: {**of, "frames": len(looked[name])} for name, of in scores.items()}, "mean": mean,
              "frames": looked, "protocol": protocol}
    write_json(job.folder / "eval.json", report)
    (job.folder / "eval.md").write_text(page(report), encoding="utf-8")
    return Outcome({name: round(value, 4) for name, value in mean.items()}, outputs)


def view(inputs: Mapping[str, Path], avatar: Avatar, person: str, index: int, replay: Replay | None = None) -> View:
    """One held-out frame and its replay.

    replay  what draws it, where it follows on a frame looked at before; None = it stands alone
    """
    from pipelines.body.model import load_body
    from pipelines.core.mapcache import read_maps
    from pipelines.matting.foreground import person_colours
    from pipelines.media.images import read_alpha, read_image
    from pipelines.media.recording import Recording

    image, matte = Recording(inputs[f"{person}/capture"]).image(index), inputs[f"{person}/matte"]
    alpha = read_alpha(matte / "alpha" / f"{index:05d}.png")
    colours = person_colours(image, alpha, read_image(matte / "edge" / f"{index:05d}.png"))
    maps = read_maps(inputs[f"{person}/raster"] / "maps" / f"{index:05d}.maps")
    rgb, own_alpha = (replay or replay_of(inputs, avatar, person)).frame(index)
    body, (x0, y0, x1, y1) = load_body(), maps.box
    region = np.where(maps.inside, body.face_region[maps.face_index], -1)
    face, scalp = (region == body.region_names.index(name) for name in ("face", "scalp"))

    def whole(part: np.ndarray, empty: float) -> np.ndarray:
        full = np.full((*image.shape[:2], *part.shape[2:]), empty, part.dtype)
        full[y0:y1, x0:x1] = part
        return full

    uv = np.where(maps.inside[..., None], maps.uv, np.float32(np.nan))
    return View(_unit(image), alpha, _unit(colours), whole(rgb, 0.0), whole(own_alpha, 0.0), whole(uv, np.nan),
                whole(face, 0), whole(face | scalp, 0))


def replay_of(inputs: Mapping[str, Path], avatar: Avatar, person: str) -> Replay:
    """What draws a person's captured frames again."""
    from pipelines.core.mapcache import read_maps
    from pipelines.renderers.replay import Replay

    return Replay(avatar, person, lambda index: read_maps(inputs[f"{person}/raster"] / "maps" / f"{index:05d}.maps"))


def _unit(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float32) / 255.0


def compare(inputs: Mapping[str, Path], avatar: Avatar, person: str, index: int) -> tuple[np.ndarray, np.ndarray]:
    """One held-out frame and its replay, each on grey by its own alpha: the person crop, (h, w, 3) float in 0..1."""
    seen = view(inputs, avatar, person, index)
    return _cut(seen, person_box(seen.alpha))


def on_grey(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return rgb * alpha[..., None] + GREY * (1.0 - alpha[..., None])


def person_box(alpha: np.ndarray) -> Box:
    """x0, y0, x1, y1 around the true matte with its margin, within the picture, at least 48 pixels each way."""
    return _box(alpha > 0.5, MARGIN, 2)


def head_box(seen: View) -> Box | None:
    """Around face and scalp of the fitted body, at least 48 pixels each way; None where the face is not seen."""
    return _box(seen.head, HEAD_MARGIN, 0) if seen.face.sum() >= FACE_PIXELS else None


def _box(shown: np.ndarray, margin: float, least: int) -> Box:
    """With a margin in heights of what is shown, `least` pixels or more."""
    from pipelines.metrics.pairs import box_around

    rows = np.flatnonzero(shown.any(1))
    return box_around(shown, max(least, round(margin * (np.ptp(rows) + 1))))


def _cut(seen: View, box: Box) -> tuple[np.ndarray, np.ndarray]:
    left, top, right, bottom = box
    truth, rendering = seen.on_grey
    return truth[top:bottom, left:right], rendering[top:bottom, left:right]


def _row(seen: View, plate: np.ndarray | None, measures: Measures) -> dict[str, float]:
    """All figures of one frame: person crop, face crop where there is a face, whole frame over a clean plate if any."""
    pairs = {"": _cut(seen, person_box(seen.alpha))}
    if plate is not None:
        share = seen.own_alpha[..., None]
        pairs["frame_"] = seen.image, seen.rgb * share + plate * (1.0 - share)
    box = head_box(seen)
    if box:
        pairs["face_"] = _cut(seen, box)
    row = {crop + name: measure(*pair) for crop, pair in pairs.items() for name, measure in measures.items()}
    truth = pairs[""][0]
    return {**row, "mask_iou": mask_overlap(seen.alpha, seen.own_alpha),
            "blank_psnr": measures["psnr"](truth, np.full_like(truth, GREY))}


def mask_overlap(alpha: np.ndarray, own_alpha: np.ndarray) -> float:
    """Intersection over union of two soft masks (H, W), 0..1; 1 = equal. Fat and thin avatars lose it alike."""
    return float(np.minimum(alpha, own_alpha).sum() / np.maximum(alpha, own_alpha).sum())


def _temporal(job: Job, avatar: Avatar, person: str, usable: list[int]) -> list[dict[str, float]]:
    """The temporal figures of pairs of consecutive held-out frames, evenly spread."""
    from pipelines.metrics.temporal import change

    pairs = _spread([k for k in usable if k + 1 in set(usable)], TEMPORAL_PAIRS)
    rows = []
    for index in job.progress.track(pairs, f"Watching {person} move"):
        replay = replay_of(job.inputs, avatar, person)
        sides = [view(job.inputs, avatar, person, k, replay) for k in (index, index + 1)]
        covered = [np.isfinite(side.uv[..., 0]) & (side.alpha > 0.5) for side in sides]
        truths, renderings = (tuple(side.on_grey[k][cover] for side, cover in zip(sides, covered)) for k in (0, 1))
        found = change((sides[0].uv[covered[0]], sides[1].uv[covered[1]]), (truths[0], truths[1]),
                       (renderings[0], renderings[1]))
        if found.points:
            rows.append(dict(zip(TEMPORAL, (found.error, found.rendering, found.truth))))
    return rows


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure over the rows that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}


def _shown(truth: np.ndarray, rendering: np.ndarray) -> list[np.ndarray]:
    """Truth, rendering and their FLIP map for the sheet."""
    from pipelines.metrics.flip import flip_map

    return [*(np.round(np.clip(x, 0, 1) * 255.0).astype(np.uint8) for x in (truth, rendering)),
            flip_map(truth, rendering)]


def _plate(avatar: Avatar, person: str) -> np.ndarray:
    from pipelines.media.images import read_image

    return read_image(avatar.person(person).background).astype(np.float32) / 255.0


def _inception(job: Job) -> tuple[str, Callable[[np.ndarray], np.ndarray]] | None:
    """Which Inception network there is, and its features; None is said with the remedy."""
    from pipelines.metrics.fid import load_inception
    from pipelines.metrics.weights import find_weights, remedy

    for name in ("inception_fid", "inception_v3"):
        path = find_weights(name, job.options.weights or None)
        if path:
            return name, load_inception(path, standard=name == "inception_fid")
    job.progress.warn("No mFID: Inception's weights are not here. " + remedy("inception_fid"))
    return None


def _protocol(avatar: Avatar, measures: Measures, inception: str, pictures: int, untrusted: int) -> dict[str, Any]:
    """All that another person must know to compare with these figures."""
    from importlib.metadata import version

    squeeze = f"squeeze, v0.1, lpips {version('lpips')}" if "lpips" in measures else "missing: no SqueezeNet weights"
    kind = {"": "missing: no Inception weights", "inception_fid": "standard FID weights",
            "inception_v3": "torchvision's Inception v3, not comparable with the standard weights' figures"}[inception]
    about = avatar.description
    return {
        "frames": "held out in contiguous segments, 5 frames away from training frames; mean over frames, then people",
        "poses": f"fitted to the frame itself, not refined for the test; the fit does not trust {untrusted} of these "
                 "frames",
        "mask": "the matte of the captured frame for truth, the network's own for the rendering",
        "background": "truth (its edge without the old background) and rendering each on grey 0.5 by their own alpha; "
                      "whole frame: the captured one against the rendering over the clean plate of training frames",
        "crop": "the true matte (above 0.5) with a margin of 5 % of its height",
        "face": f"head box of the fitted body (face and scalp, margin 15 %), where {FACE_PIXELS} pixels of the face "
                "are seen; on grey",
        "masks": "mask_iou = soft intersection over union of the network's mask and the matte, whole frame; "
                 "blank_psnr = PSNR of a picture in which nothing is painted, person crop",
        "temporal": f"at most {TEMPORAL_PAIRS} pairs of consecutive held-out frames, pixels of the matte paired by uv "
                    "(half a texel of 256): error = mean |change of the rendering - change of truth|; change, truth = "
                    "mean |change| of each; colours 0..1 on grey",
        "metrics": {"psnr": "dB, all channels", "ssim": "11x11 Gaussian, sigma 1.5, mean of channels",
                    "lpips": squeeze + "; of the network that the feature loss may have taught by: compare by FLIP, "
                             "SSIM and PSNR as well",
                    "flip": f"LDR, 67.0206 pixels per degree, flip-evaluator {version('flip-evaluator')}",
                    "mfid": f"{kind}; person crops on grey, {pictures} pictures each: biased upwards when few, compare "
                            "equal numbers only"},
        "trained": {key: about.get(key) for key in ("renderer", "preset", "images", "seconds", "seed", "extractor",
                                                    "body_version")},
        "versions": {name: version(name) for name in ("numpy", "torch", "torchvision")}}


def page(report: dict[str, Any]) -> str:
    """eval.json as Markdown: a table for each crop, what was not measured, the protocol, the sheet."""
    rows = {**report["people"], "mean": report["mean"]}
    trained = report["protocol"]["trained"]
    lines = [f"# {trained['renderer']}, preset {trained['preset']}, {trained['images']} images", ""]
    for crop, title in CROPS.items():
        names = [name for name in METRICS if crop + name in report["mean"]]
        lines += _table(f"{title[0].upper()}{title[1:]}", crop, names, rows) if names else []
    lines += _table("Mask", "", [name for name in MASK if name in report["mean"]], rows)
    lines += _table("From frame to frame", "", [name for name in TEMPORAL if name in report["mean"]], rows)
    fid = f"{report['mean']['mfid']:.1f}" if "mfid" in report["mean"] else "not measured"
    lines += [f"mFID, everybody together: {fid}", "", "## Protocol", ""]
    lines += [f"- **{name}**: {_sentence(what)}" for name, what in report["protocol"].items()]
    counted = ", ".join(f"{name} {len(frames)}" for name, frames in report["frames"].items())
    lines += [f"- **looked at**: {counted} frames (numbers in eval.json)", "", "Truth, rendering, FLIP map:", "",
              "![Held-out frames](sheet.jpg)", ""]
    if any(name.startswith("face_") for name in report["mean"]):
        lines += ["Faces, enlarged:", "", "![Faces](faces.jpg)", ""]
    return "\n".join(lines)


def _table(title: str, crop: str, names: list[str], rows: Mapping[str, Mapping[str, float]]) -> list[str]:
    head = [f"## {title}", "", f"| | {' | '.join(name.replace('_', ' ') for name in names)} |",
            "|---" * (len(names) + 1) + "|"]
    return [*head, *(f"| {person} | " + " | ".join(_number(of.get(crop + name), name) for name in names) + " |"
                     for person, of in rows.items()), ""]


def _number(value: float | None, name: str) -> str:
    return "-" if value is None else f"{value:.2f} dB" if name.endswith("psnr") else f"{value:.4f}"


def _sentence(what: Any) -> str:
    return "; ".join(f"{name} {value}" for name, value in what.items()) if isinstance(what, dict) else str(what)


def _usable(job: Job, person: str, frames: list[int]) -> list[int]:
    """Held-out frames in which the matte has somebody."""
    from pipelines.media.images import read_alpha

    folder = job.inputs[f"{person}/matte"] / "alpha"
    return [k for k in frames if (read_alpha(folder / f"{k:05d}.png") > 0.5).sum() > 100]


def _untrusted(motion: Path, frames: Sequence[int]) -> int:
    """How many of these frames have a pose that the fit itself does not trust; they count all the same.

    motion  of the person, as it is kept with the model
    """
    from pipelines.core.storage import read_npz

    poses = read_npz(motion, ("frame_index", "ok"))
    trusted = set(poses["frame_index"][poses["ok"]].tolist())
    return sum(frame not in trusted for frame in frames)


def _spread(frames: list[int], most: int) -> list[int]:
    """At most `most` of them, evenly; all where `most` is 0."""
    if most <= 0 or len(frames) <= most:
        return frames
    return [frames[int(k)] for k in np.linspace(0, len(frames) - 1, most).round()]


def check(options: EvalOptions) -> None:
    """AnrError for what could only fail after the work before."""
    from pipelines.metrics.weights import search_folders
    from pipelines.renderers.avatar import best_device

    if options.frames < 0:
        raise AnrError(f"--frames {options.frames} is out of range.", hint="Use 0 for all held-out frames, or more.")
    search_folders(options.weights)
    best_device(options.device)


STAGE = Stage(name="eval", version=5, doing="Examining held-out frames", Options=EvalOptions, run=run,
              inputs=("train", "capture", "raster", "matte"), keeps_options=False, check=check)
