"""Stage 6, `anr keyframes`: the few frames that teach the texture.

    keyframes.json    {"frames": capture indices in the order they were chosen, "coverage": share of the silhouettes'
                      union reached with each, "surface": the same for the body's surface, "even": {"coverage",
                      "surface"} of as many frames at even spacing}
    keyframes.jpg     contact sheet: under each frame, what it added
    coverage.png      the curves of both, beside those of even spacing

The paper (section 3.4) adds frames greedily so that the union of silhouettes grows most, under 10 % of the training
frames. A silhouette does not tell front from back, so the union of surface seen, cell by cell of the texture and by how
squarely it is seen, counts as well, the face most. Frames that are blurred, in fast motion, fitted badly or partly
hidden (a ball before the body) count less, of frames that add the same the sharpest is taken, and keyframes keep a
distance in time: otherwise one swift kick, with its many silhouettes, takes half of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.core.mapcache import read_maps
from pipelines.core.options import option
from pipelines.core.records import BodyFit
from pipelines.core.split import split_frames
from pipelines.core.stage import Job, Outcome, Stage
from pipelines.core.storage import read_fit, write_json
from pipelines.keyframing.covering import Wishes, evenly, greedy_cover, reached
from pipelines.keyframing.views import MEASURES, Views, stacked, surface_weights

SHARE = 0.08                            # of the training frames, when no number is given
LIMIT = 0.10                            # the paper's bound
FEWEST = 4
CANDIDATES = 2000                       # longer recordings are thinned out evenly to so many ...
CHOICE = 4                              # ... or to so many times the number of keyframes
GAP_SHARE = 0.3                         # of the mean distance between keyframes: how close two may come
TIE = 0.01                              # gains that differ by less than this share are the same; the sharpest wins


@dataclass(frozen=True)
class KeyframeOptions:
    """How many frames teach the texture, and which are wanted or not wanted among them."""

    count: int = option(0, "How many keyframes; 0 = 8 % of the training frames, at least 4.")
    add: str = option("", "Frames that must be among them, by number: 12,40,41.")
    drop: str = option("", "Frames that must not be among them, by number.")
    measure: str = option("both", f"What the chosen frames should cover: {', '.join(MEASURES)} (silhouette is the "
                                  "paper's; surface goes by how squarely each part is seen).")


def run(job: Job) -> Outcome:
    from pipelines.media.recording import Recording

    recording, fit = Recording(job.inputs["capture"]), read_fit(job.inputs["fit"] / "fit.npz")
    train = split_frames(len(fit.frame_index)).train
    usable = usable_frames(job, recording.camera.height, recording.camera.width, fit, train)
    added, dropped = frame_numbers(job.options.add), frame_numbers(job.options.drop)
    refuse_unusable(added, dropped, len(fit.frame_index), train, usable)
    usable = usable[~np.isin(usable, dropped)]
    count = keyframe_count(job.options.count, len(train), len(usable), len(added))
    if count >= LIMIT * len(train):
        job.progress.warn(f"{count} keyframes are {100 * count / len(train):.0f} % of the {len(train)} training "
                          "frames; the paper stays under 10 %.")
    candidates = np.union1d(usable[thinned(len(usable), max(CANDIDATES, CHOICE * count))], added).astype(int)
    views = collect_views(job, recording, fit, candidates)
    order = chosen_rows(views, candidates, job.options.measure, count, GAP_SHARE * len(train) / count, added)
    frames = [int(candidates[row]) for row in order]
    shares, even = coverage(views, order), even_coverage(views, count)
    write_json(job.folder / "keyframes.json", {
        "frames": frames, **{name: _rounded(share) for name, share in shares.items()},
        "even": {name: round(share[-1], 4) for name, share in even.items()}})
    _write_pictures(job, recording, frames, shares, even)
    job.progress.note(f"{count} keyframes of {len(train)} training frames show {100 * shares['coverage'][-1]:.0f} % of "
                      f"the silhouettes and {100 * shares['surface'][-1]:.0f} % of the surface that was seen; at even "
                      f"spacing they would show {100 * even['coverage'][-1]:.0f} % and "
                      f"{100 * even['surface'][-1]:.0f} %.")
    return Outcome({"keyframes": float(count), "coverage": shares["coverage"][-1], "surface": shares["surface"][-1],
                    "even_coverage": even["coverage"][-1], "even_surface": even["surface"][-1]},
                   {"sheet": "keyframes.jpg", "curve": "coverage.png"})


def usable_frames(job: Job, height: int, width: int, fit: BodyFit, train: np.ndarray) -> np.ndarray:
    """Training frames with a trusted fit and somebody in the matte; AnrError where there are none, or where mattes are
    of another size than the recording; a warning of mattes that are full."""
    from pipelines.media.images import FULL

    folder = job.inputs["matte"] / "alpha"
    trusted = train[fit.ok[train]]
    shares = np.array(list(_side_by_side(lambda k: matte_share(folder / f"{k:05d}.png", (height, width)), trusted)))
    empty, full = trusted[shares == 0], trusted[shares > FULL]
    if len(full):
        job.progress.warn(f"The mattes of {len(full)} frames are full (first: {full[0]}), so they show no outline of a "
                          "person and do not teach.")
    usable = trusted[(shares > 0) & (shares <= FULL)]
    if not len(usable):
        raise AnrError(f"No training frame can be a keyframe: of {len(train)}, {len(train) - len(trusted)} have no fit "
                       f"to trust, {len(empty)} an empty matte and {len(full)} a full one.",
                       hint="Look at the fit's overlay and the mattes' sheet, then record again or pass --mattes.")
    return usable


def matte_share(matte: Path, size: tuple[int, int]) -> float:
    """Which share of the picture is somebody; AnrError where the matte is not of size (height, width)."""
    from pipelines.media.images import person_share, read_alpha

    alpha = read_alpha(matte)
    if alpha.shape != size:
        raise AnrError(f"{matte} is {alpha.shape[1]}x{alpha.shape[0]} pixels, the recording {size[1]}x{size[0]}.",
                       hint="Delete that version folder and run `anr matte` again.")
    return person_share(alpha)


def frame_numbers(text: str) -> list[int]:
    """`12,40` as numbers, each once, in the order given; AnrError where one is none."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    wrong = [part for part in parts if not part.isdecimal()]
    if wrong:
        raise AnrError(f"{wrong[0]!r} is not the number of a frame.",
                       hint="Frames are given by number, with commas: --add 12,40,41.")
    return list(dict.fromkeys(int(part) for part in parts))


def refuse_unusable(added: list[int], dropped: list[int], total: int, train: np.ndarray, usable: np.ndarray) -> None:
    """AnrError for a frame beyond the recording's `total`, and for an added one that cannot teach: held out, without a
    trusted fit or without anybody in it."""
    beyond = [frame for frame in [*added, *dropped] if frame >= total]
    if beyond:
        raise AnrError(f"{beyond[0]} is not a frame of this recording, which has 0 to {total - 1}.",
                       hint="The fit's overlay and the pictures in the capture's `color` folder tell the numbers.")
    for frame in added:
        if frame not in train:
            raise AnrError(f"Frame {frame} is held out (or beside a held-out frame), so it must not teach.",
                           hint="Choose another one; nothing can be measured on frames that were learned.")
        if frame not in usable:
            raise AnrError(f"Frame {frame} has no fit to trust, or nobody in its matte.",
                           hint="Look at the fit's overlay and the matte, and choose another one.")


def keyframe_count(asked: int, training: int, usable: int, added: int = 0) -> int:
    """How many to choose; AnrError where that many frames cannot be had.

    usable  training frames that may be chosen; added  how many the person named; they count
    """
    if asked > usable or usable == 0:
        raise AnrError(f"{asked or FEWEST} keyframes asked for, but {usable} of the {training} training frames can be "
                       "one (a fit to trust, somebody in the matte, not dropped).",
                       hint=f"Pass --count {usable}." if usable else "Leave some out of --drop.")
    if asked:
        return asked
    return min(usable, max(FEWEST, round(SHARE * training), added))


def chosen_rows(views: Views, candidates: np.ndarray, measure: str, count: int, gap: float,
                added: Sequence[int] = ()) -> list[int]:
    """Rows of the candidates (N,) in order of choice: the added frames, then greedily, `gap` frames apart."""
    quality, weights = stacked(views, measure)
    first = [int(np.searchsorted(candidates, frame)) for frame in added]
    return greedy_cover(quality, weights, count, Wishes(first, candidates, gap, views.sharpness, TIE))[0]


def coverage(views: Views, order: Sequence[int]) -> dict[str, list[float]]:
    """Shares of the silhouettes' union ("coverage") and of the surface ("surface") that 1, 2, ... rows show."""
    everywhere = np.ones(views.silhouette.shape[1])
    return {"coverage": reached(views.silhouette, everywhere, order),
            "surface": reached(views.surface, surface_weights(), order)}


def even_coverage(views: Views, count: int) -> dict[str, list[float]]:
    """What 1, 2, ... `count` candidates at even spacing cover."""
    sets = [coverage(views, evenly(len(views.trust), k)) for k in range(1, count + 1)]
    return {name: [each[name][-1] for each in sets] for name in ("coverage", "surface")}


def collect_views(job: Job, recording: Any, fit: BodyFit, frames: np.ndarray) -> Views:
    """Silhouette, surface and trust of every candidate (N,) of a Recording."""
    from pipelines.keyframing.views import Glance, glance, together
    from pipelines.media.images import read_alpha

    def look(frame: int) -> Glance:
        return glance(recording.image(frame), read_alpha(job.inputs["matte"] / "alpha" / f"{frame:05d}.png"),
                      read_maps(job.inputs["raster"] / "maps" / f"{frame:05d}.maps"), recording.camera,
                      fit.joints_m[frame, 0])

    glances = list(job.progress.track(_side_by_side(look, frames), "Looking at frames", len(frames)))
    speed_m = np.percentile(np.linalg.norm(np.gradient(fit.joints_m, axis=0), axis=-1), 95, axis=1)[frames]
    return together(glances, speed_m)


def thinned(total: int, most: int) -> np.ndarray:
    """At most `most` indices evenly spread over range(total)."""
    return np.unique(np.round(np.linspace(0, total - 1, min(total, most))).astype(int))


def _side_by_side(work: Callable[[int], Any], frames: Iterable[int]) -> Iterator[Any]:
    """What `work` makes of each frame, in order, on two threads or more: reading pictures lets others run."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(4, max(2, os.cpu_count() or 2))) as pool:
        yield from pool.map(work, [int(frame) for frame in frames])


def _write_pictures(job: Job, recording: Any, frames: list[int], shares: Mapping[str, list[float]],
                    even: Mapping[str, list[float]]) -> None:
    from pipelines.keyframing.pictures import contact_sheet, coverage_curve
    from pipelines.media.images import read_alpha, write_image

    told = {"silhouette": "coverage", "surface": "surface"}
    shown = [(k, recording.image(k), read_alpha(job.inputs["matte"] / "alpha" / f"{k:05d}.png")) for k in frames]
    write_image(job.folder / "keyframes.jpg", contact_sheet(shown, {name: shares[key] for name, key in told.items()}))
    write_image(job.folder / "coverage.png", coverage_curve(*({name: of[key] for name, key in told.items()}
                                                              for of in (shares, even))))


def _rounded(shares: Sequence[float]) -> list[float]:
    return [round(share, 4) for share in shares]


def check(options: KeyframeOptions) -> None:
    """AnrError for a measure that there is not, and for numbers that are none or contradict each other."""
    if options.measure not in MEASURES:
        raise AnrError(f"--measure {options.measure} is not known.", hint=f"Choose one of {', '.join(MEASURES)}.")
    if options.count < 0:
        raise AnrError(f"{options.count} keyframes asked for.", hint="Use --count with a number above 0, or 0 for 8 %.")
    added, dropped = frame_numbers(options.add), frame_numbers(options.drop)
    if options.count and len(added) > options.count:
        raise AnrError(f"{len(added)} frames are to be added, but only {options.count} keyframes asked for.",
                       hint=f"Pass --count {len(added)} or more, or --count 0.")
    both = [frame for frame in added if frame in dropped]
    if both:
        raise AnrError(f"Frame {both[0]} is both added and dropped.",
                       hint='Leave it out of one of them; --add "" and --drop "" forget what an earlier command said.')


def _estimate_s(inputs: Mapping[str, Path], options: Any) -> float:
    from pipelines.core.storage import read_json

    total = len(read_json(inputs["capture"] / "capture.json")["times_s"])
    return 2 + 0.004 * total + 0.03 * min(max(CANDIDATES, CHOICE * SHARE * total), total)


STAGE = Stage(name="keyframes", version=3, doing="Choosing keyframes", Options=KeyframeOptions, run=run,
              inputs=("capture", "fit", "raster", "matte"), estimate_s=_estimate_s, check=check)
