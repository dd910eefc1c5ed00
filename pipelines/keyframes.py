"""Stage 6, `anr keyframes`: the few frames that teach the texture.

    keyframes.json    {"frames": capture indices in the order they were chosen, "coverage": share of the silhouettes'
                      union reached with each, "surface": the same for the body's surface}
    keyframes.jpg     contact sheet: under each frame, what it added
    coverage.png      the curve of both

The paper (section 3.4) adds frames greedily so that the union of silhouettes grows most, under 10 % of the training
frames. A silhouette does not tell front from back, so the union of surface seen counts as well, the face most.
Frames that are blurred, in fast motion, fitted badly or partly hidden (a ball before the body) count less, and
keyframes keep a distance in time: otherwise one swift kick, with its many silhouettes, takes half of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.mapcache import read_maps
from pipelines.core.options import option
from pipelines.core.records import BodyFit, SurfaceMaps
from pipelines.core.split import split_frames
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import read_fit, write_json

SHARE = 0.08                            # of the training frames, when no number is given
LIMIT = 0.10                            # the paper's bound
FEWEST = 4
MOST_CANDIDATES = 400                   # longer recordings are thinned out evenly
CELLS, CELL_M = 64, 0.04                # person-centred grid of silhouettes, 2.56 m wide, the root joint in the middle
SURFACE_WEIGHT = 2.0                    # of the surface against the silhouettes
FACE_WEIGHT = 4.0                       # of the face's surface against its area
GAP_SHARE = 0.3                         # of the mean distance between keyframes: how close two may come
ODD_LEVELS = 40.0                       # of 255: so far from the usual colour, something else is in the way
LEAST_TRUST = 0.2                       # a frame is never worth less than this


MEASURES = ("both", "silhouette", "surface")


@dataclass(frozen=True)
class KeyframeOptions:
    """How many frames teach the texture, and which are wanted or not wanted among them."""

    count: int = option(0, "How many keyframes; 0 = 8 % of the training frames, at least 4.")
    add: str = option("", "Frames that must be among them, by number: 12,40,41.")
    drop: str = option("", "Frames that must not be among them, by number.")
    measure: str = option("both", f"What the chosen frames should cover: {', '.join(MEASURES)} (silhouette is the "
                                  "paper's).")


@dataclass(frozen=True, eq=False)
class Views:
    """What each candidate frame shows, 0..1."""

    silhouette: np.ndarray              # (N, CELLS * CELLS) alpha around the root joint
    surface: np.ndarray                 # (N, T) how large each triangle is seen, of the largest in the clip
    trust: np.ndarray                   # (N,) how sharp, still and well fitted it is against the typical frame


def run(job: Job) -> Outcome:
    from pipelines.media.images import shows_somebody

    fit = read_fit(job.inputs["fit"] / "fit.npz")
    train = split_frames(len(fit.frame_index)).train
    seen = np.array([shows_somebody(job.inputs["matte"] / "alpha" / f"{k:05d}.png") for k in train], bool)
    usable = train[fit.ok[train] & seen]
    added, dropped = (frame_numbers(text, len(fit.frame_index)) for text in (job.options.add, job.options.drop))
    refuse_unusable(added, dropped, train, usable)
    usable = usable[~np.isin(usable, dropped)]
    count = keyframe_count(job.options.count, len(train), len(usable), len(added))
    if count >= LIMIT * len(train):
        job.progress.warn(f"{count} keyframes are {100 * count / len(train):.0f} % of the {len(train)} training "
                          "frames; the paper stays under 10 %.")
    candidates = np.union1d(usable[thinned(len(usable), max(MOST_CANDIDATES, count))], added).astype(int)
    views = collect_views(job, fit, candidates)
    quality, weights = stacked(views, job.options.measure)
    order, _ = greedy_cover(quality, weights, count, candidates, gap=GAP_SHARE * len(train) / count,
                            first=[int(np.searchsorted(candidates, frame)) for frame in added])
    frames = [int(candidates[k]) for k in order]
    coverage = reached(views.silhouette, np.ones(views.silhouette.shape[1]), order)
    surface = reached(views.surface, surface_weights(), order)
    write_json(job.folder / "keyframes.json", {
        "frames": frames, "coverage": [round(c, 4) for c in coverage], "surface": [round(s, 4) for s in surface]})
    _write_sheet(job, frames, {"silhouette": coverage, "surface": surface})
    _write_curve(job.folder / "coverage.png", {"silhouettes": coverage, "surface": surface})
    job.progress.note(f"{count} keyframes of {len(train)} training frames show {100 * coverage[-1]:.0f} % of the "
                      f"silhouettes and {100 * surface[-1]:.0f} % of the surface that was seen.")
    return Outcome({"keyframes": float(count), "coverage": coverage[-1], "surface": surface[-1]},
                   {"sheet": "keyframes.jpg", "curve": "coverage.png"})


def frame_numbers(text: str, total: int) -> list[int]:
    """`12,40` as numbers, each once, in the order given; AnrError where one is no frame of the recording."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    wrong = [part for part in parts if not part.isdecimal() or int(part) >= total]
    if wrong:
        raise AnrError(f"{wrong[0]} is not a frame of this recording, which has 0 to {total - 1}.",
                       hint="Frames are given by number, with commas: --add 12,40,41.")
    return list(dict.fromkeys(int(part) for part in parts))


def refuse_unusable(added: list[int], dropped: list[int], train: np.ndarray, usable: np.ndarray) -> None:
    """AnrError for a frame that cannot teach: held out, without a trusted fit or without anybody in it."""
    for frame in added:
        if frame in dropped:
            raise AnrError(f"Frame {frame} is both added and dropped.", hint="Leave it out of one of them.")
        if frame not in train:
            raise AnrError(f"Frame {frame} is held out (or beside a held-out frame), so it must not teach.",
                           hint="Choose another one; nothing can be measured on frames that were learned.")
        if frame not in usable:
            raise AnrError(f"Frame {frame} has no fit to trust, or nobody in its matte.",
                           hint="Look at the fit's overlay and the matte, and choose another one.")


def keyframe_count(asked: int, training: int, usable: int, added: int = 0) -> int:
    """How many to choose; AnrError where that many frames cannot be had.

    added  how many the person named; they count
    """
    if asked and added > asked:
        raise AnrError(f"{added} frames are to be added, but only {asked} keyframes asked for.",
                       hint=f"Pass --count {added} or more, or leave --count away.")
    if asked < 0 or asked > usable or usable == 0:
        raise AnrError(f"{asked or FEWEST} keyframes asked for, but {usable} of the {training} training frames have a "
                       "fit to trust.",
                       hint=f"Pass --count {usable}." if usable else "Look at the fit's overlay, then record again.")
    if asked:
        return asked
    return min(usable, max(FEWEST, round(SHARE * training), added))


def greedy_cover(quality: np.ndarray, weights: np.ndarray, count: int, times: np.ndarray | None = None,
                 gap: float = 0.0, first: Sequence[int] = ()) -> tuple[list[int], list[float]]:
    """Rows chosen one by one, each the one that adds most to what the chosen rows together cover.

    quality  (N, E) 0..1: how well row n covers element e; together rows cover an element as well as the best of them
    weights  (E,) what each element is worth
    times    (N,) when each row is; rows closer than `gap` to a chosen one wait until no other is left
    first    rows that are chosen before any other; they count
    returns  `count` rows in order of choice, and the covered weight after each. Covering so is submodular, so
             without a gap this is at least 63 % of the best choice (Nemhauser, Wolsey and Fisher 1978)
    """
    if quality.ndim != 2 or weights.shape != quality.shape[1:] or not 0 < count <= len(quality):
        raise ValueError(f"cannot choose {count} of quality {quality.shape} with weights {weights.shape}")
    covered = np.zeros(quality.shape[1], quality.dtype)
    order: list[int] = []
    values: list[float] = []
    # gains only shrink, so a row whose old gain is below the best new one need not be looked at again
    bound = quality @ weights
    for step in range(count):
        free = np.ones(len(quality), bool)
        free[order] = False
        if times is not None and order:
            apart = free & (np.abs(times[:, None] - times[order]).min(axis=1) >= gap)
            free = apart if apart.any() else free
        best, best_gain = (int(first[step]), np.inf) if step < len(first) else (-1, -1.0)
        for row in np.argsort(-np.where(free, bound, -np.inf), kind="stable")[:free.sum()]:
            if bound[row] <= best_gain:
                break
            bound[row] = np.maximum(quality[row] - covered, 0) @ weights
            if bound[row] > best_gain:
                best, best_gain = int(row), float(bound[row])
        order.append(best)
        covered = np.maximum(covered, quality[best])
        values.append(float(covered @ weights))
    return order, values


def reached(quality: np.ndarray, weights: np.ndarray, order: list[int]) -> list[float]:
    """Share of what all rows cover that the first 1, 2, ... rows of `order` cover."""
    everything = float(quality.max(axis=0) @ weights)
    together = np.maximum.accumulate(quality[order], axis=0) @ weights
    return [float(value) / everything if everything > 0 else 0.0 for value in together]


def stacked(views: Views, measure: str = "both") -> tuple[np.ndarray, np.ndarray]:
    """Quality (N, E) and weights (E,) of silhouettes and surface together, each worth its share.

    measure  one of MEASURES: "silhouette" or "surface" leave the other one out
    """
    if measure not in MEASURES:
        raise AnrError(f"--measure {measure} is not known.", hint=f"Choose one of {', '.join(MEASURES)}.")
    quality = np.concatenate([views.silhouette, views.surface], axis=1) * views.trust[:, None]
    silhouette = np.full(views.silhouette.shape[1], 1 / max(float(views.silhouette.max(axis=0).sum()), 1e-6))
    worth_silhouette, worth_surface = measure != "surface", SURFACE_WEIGHT * (measure != "silhouette")
    weights = np.concatenate([worth_silhouette * silhouette, worth_surface * surface_weights()])
    return quality.astype(np.float32), weights.astype(np.float32)


def surface_weights() -> np.ndarray:
    """(T,) what seeing each triangle is worth: its area, the face's more; they sum to 1."""
    from pipelines.body.model import load_body

    body = load_body()
    a, b, c = (body.verts[body.faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    weights = area * np.where(body.face_region == body.region_names.index("face"), FACE_WEIGHT, 1.0)
    return weights / weights.sum()


def collect_views(job: Job, fit: BodyFit, frames: np.ndarray) -> Views:
    """Silhouette, surface and trust of every candidate."""
    from pipelines.body.model import load_body
    from pipelines.geometry.cameras import project
    from pipelines.media.images import read_alpha
    from pipelines.media.recording import Recording

    recording = Recording(job.inputs["capture"])
    triangles = len(load_body().faces)
    silhouette = np.zeros((len(frames), CELLS * CELLS), np.float32)
    seen = np.zeros((len(frames), triangles), np.float32)
    colours = np.full((len(frames), triangles, 3), np.nan, np.float32)
    edges, agreement = np.zeros(len(frames)), np.zeros(len(frames))
    for n, frame in enumerate(job.progress.track(frames, "Looking at frames", len(frames))):
        alpha = read_alpha(job.inputs["matte"] / "alpha" / f"{frame:05d}.png")
        root = fit.joints_m[frame, 0]
        px_per_m = recording.camera.K[1, 1] / max(root[2], 0.2)
        silhouette[n] = centred_silhouette(alpha, project(root, recording.camera), px_per_m).ravel()
        image = recording.image(int(frame))
        edges[n] = edge_strength(image, alpha)
        maps = read_maps(job.inputs["raster"] / "maps" / f"{frame:05d}.maps")
        agreement[n] = overlap(alpha, maps)
        pixels, colours[n] = triangle_colours(image, maps, triangles)
        seen[n] = pixels / px_per_m**2
    largest = np.percentile(seen, 98, axis=0)
    surface = np.clip(seen / np.maximum(largest, 1e-9), 0, 1) * (largest > 0)
    speed = np.percentile(np.linalg.norm(np.gradient(fit.joints_m, axis=0), axis=-1), 95, axis=1)[frames]
    hidden = odd_triangles(colours)
    hidden_share = (hidden * seen).sum(axis=1) / np.maximum(seen.sum(axis=1), 1e-9)
    trust = _against_typical(edges) * _against_typical(agreement)**2 * _against_typical(1 / (speed + 1e-3)) \
        * np.clip(1 - 4 * (hidden_share - hidden_share.min()), 0, 1)
    surface[hidden] = 0
    return Views(silhouette, surface, np.clip(trust, LEAST_TRUST, 1))


def triangle_colours(image: np.ndarray, maps: SurfaceMaps, triangles: int) -> tuple[np.ndarray, np.ndarray]:
    """How many pixels each triangle has (T,) and their mean colour (T, 3) in 0..255, NaN where it has none."""
    x0, y0, x1, y1 = maps.box
    index, values = maps.face_index[maps.inside], image[y0:y1, x0:x1][maps.inside]
    pixels = np.bincount(index, minlength=triangles)
    total = np.stack([np.bincount(index, weights=values[:, c], minlength=triangles) for c in range(3)], axis=-1)
    return pixels, np.where(pixels[:, None] > 0, total / np.maximum(pixels, 1)[:, None], np.nan)


def odd_triangles(colours: np.ndarray) -> np.ndarray:
    """(N, T) bool: where a frame shows a triangle in a colour far from its usual one; something else is in the way.

    colours  (N, T, 3) in 0..255, NaN where a frame does not show the triangle
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)         # triangles that no frame shows
        usual = np.nanmedian(colours, axis=0)
        difference = np.abs(colours - usual).max(axis=2)
        typical = np.nanmedian(difference, axis=0)
    return np.nan_to_num(difference, nan=0.0) > np.maximum(ODD_LEVELS, 4 * np.nan_to_num(typical))


def _against_typical(values: np.ndarray) -> np.ndarray:
    """Each value over the median, at most 1."""
    return np.clip(values / max(float(np.median(values)), 1e-9), 0, 1)


def overlap(alpha: np.ndarray, maps: SurfaceMaps) -> float:
    """Intersection over union of the matte and the fitted body's silhouette."""
    x0, y0, x1, y1 = maps.box
    common = float(alpha[y0:y1, x0:x1][maps.inside].sum())
    return common / max(float(alpha.sum()) + float(maps.inside.sum()) - common, 1e-9)


def centred_silhouette(alpha: np.ndarray, root_px: np.ndarray, px_per_m: float) -> np.ndarray:
    """(CELLS, CELLS) float32: the matte on a grid of CELL_M cells with the root joint in its middle."""
    import cv2

    step = CELL_M * px_per_m            # pixels per cell
    if not np.isfinite(root_px).all() or step <= 0:
        return np.zeros((CELLS, CELLS), np.float32)
    if step > 1:
        alpha = cv2.blur(alpha, (round(step) // 2 * 2 + 1,) * 2)     # odd, so that nothing moves
    corner = np.asarray(root_px) - CELLS / 2 * step
    # cell (i, j) has its centre at corner + (j + 0.5, i + 0.5) * step; OpenCV counts from pixel centres
    to_picture = np.array([[step, 0, corner[0] + step / 2 - 0.5], [0, step, corner[1] + step / 2 - 0.5]])
    return cv2.warpAffine(alpha, to_picture, (CELLS, CELLS), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def edge_strength(image: np.ndarray, alpha: np.ndarray) -> float:
    """How sharp the person is: mean absolute Laplacian of the grey picture where the matte is solid."""
    import cv2

    rows, columns = np.flatnonzero((alpha > 0.95).any(axis=1)), np.flatnonzero((alpha > 0.95).any(axis=0))
    if not len(rows):
        return 0.0
    part = np.s_[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    grey = cv2.cvtColor(np.ascontiguousarray(image[part]), cv2.COLOR_RGB2GRAY).astype(np.float32)
    smooth = cv2.GaussianBlur(grey, (0, 0), 1)  # coding noise is not sharpness
    solid = cv2.erode((alpha[part] > 0.95).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    return float(np.abs(cv2.Laplacian(smooth, cv2.CV_32F))[solid].mean()) if solid.any() else 0.0


def thinned(total: int, most: int) -> np.ndarray:
    """At most `most` indices evenly spread over range(total)."""
    return np.unique(np.round(np.linspace(0, total - 1, min(total, most))).astype(int))


def _write_sheet(job: Job, frames: list[int], shares: Mapping[str, list[float]]) -> None:
    """The chosen frames in order of choice; under each its number and what it added to either measure."""
    from pipelines.media.images import read_alpha, write_image
    from pipelines.media.recording import Recording
    from pipelines.media.sheets import caption, fit_height, tile

    recording = Recording(job.inputs["capture"])
    gains = {name: np.diff(share, prepend=0.0) for name, share in shares.items()}
    pictures = []
    for n, frame in enumerate(frames):
        alpha, image = read_alpha(job.inputs["matte"] / "alpha" / f"{frame:05d}.png"), recording.image(frame)
        rows, columns = np.flatnonzero((alpha > 0.1).any(axis=1)), np.flatnonzero((alpha > 0.1).any(axis=0))
        if len(rows):
            part = np.s_[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
            image, alpha = image[part], alpha[part]
        cut = np.round(image * alpha[..., None] + 128 * (1 - alpha[..., None])).astype(np.uint8)
        told = [f"{name} +{100 * gain[n]:.1f} %" for name, gain in gains.items()]
        pictures.append(caption(fit_height(cut, 320), [f"frame {frame}", *told]))
    write_image(job.folder / "keyframes.jpg", tile(pictures, columns=8))


def _write_curve(path: Path, shares: Mapping[str, list[float]]) -> None:
    """Share covered after each keyframe, in per cent."""
    from pipelines.media.images import write_image
    from pipelines.media.plots import curves

    write_image(path, curves({name: 100 * np.array(share) for name, share in shares.items()},
                             "covered after so many keyframes, %"))


def _estimate_s(inputs: Mapping[str, Path], options: Any) -> float:
    from pipelines.core.storage import read_json

    return 2 + 0.06 * min(MOST_CANDIDATES, len(read_json(inputs["capture"] / "capture.json")["times_s"]))


STAGE = Stage(name="keyframes", version=2, doing="Choosing keyframes", Options=KeyframeOptions, run=run,
              inputs=("capture", "fit", "raster", "matte"), estimate_s=_estimate_s)
