"""The paper's tables, anew: each row a model trained and examined through the chain, then all of them together.

Every (row, seed, budget) is an avatar of its own, named after all that decides it, so that a benchmark resumes where it
was stopped, and tables share the models they have in common. What comes of it lies in `benchmarks/WHICH/vNNN`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines import evaluate
from pipelines.benchmarking.results import DIVERGED, Line, Run, state_of
from pipelines.benchmarking.rows import LADDER, Row, parsed_seeds, present, rows_of, split_names
from pipelines.chain import STAGES, Request, bring_up_to_date, work_ahead
from pipelines.core.errors import AnrError, UsageError
from pipelines.core.options import option
from pipelines.core.stage import Progress
from pipelines.core.storage import read_json, write_json
from pipelines.core.workspace import SCHEMA, Version, Workspace, commit, digest_of, newest_version, versions, writing

VERSION = 2                             # of what is written; raise it when the same models give another page
PEOPLE = "eva,finn,gus,hana"            # of the studio; nothing was ever tuned on them
SEEDS = {"collapse": "0-19"}            # where none are typed; elsewhere 0,1,2
SHORT_IMAGES = 600                      # of a training that is only to show whether it collapses
FILMED_FRAME_S = 0.3                    # from filming to keyframes on two cores, for the estimate alone
EXAMINED_FRAME_S = 0.4
COSTS = {"onestage": 1.2, "tna": 1.6, "pix2pix": 2.0, "v2v": 8.4}   # of an image beside anr's, for the estimate alone
TELLING = ("split", "texture_start", "grid_noise", "turned_share", "feature", "adversarial")    # numbers of a recipe
SHEET_FRAMES = 2                        # of each person


@dataclass(frozen=True)
class BenchmarkOptions:
    people: str = option(PEOPLE, "Who is in every model, with commas; somebody of the studio is filmed if not there.")
    methods: str = option("", "Only these rows, with commas; all of the table when not given.")
    seeds: str = option("", "Seeds of the trainings: 0,1,2 or 0-19. (default: 0,1,2; collapse: 0-19)")
    preset: str = option("draft", "draft, standard or paper.")
    images: int = option(0, "Budget of every training in images. (default: the preset's; collapse: 600)")
    minutes: float = option(0.0, "Budget of every training in minutes instead.")
    changes: tuple[str, ...] = option((), "NAME=VALUE of the preset, changed for every row; may be given several "
                                          "times.", flag="--set", repeat=True)
    frames: int = option(40, "At most so many held-out frames of each person are examined; 0 = all.")
    seconds: float = option(20.0, "How long somebody of the studio is filmed.")
    size: int = option(512, "Width and height of those recordings, in pixels.")
    weights: str = option("", "Folder with pretrained extractor weights.")
    device: str = option("auto", "auto, cpu or cuda.")


@dataclass(frozen=True)
class Trial:
    """One model to train and examine."""

    row: Row
    seed: int
    images: int                         # 0 = whatever fits the minutes
    avatar: str
    request: Request


@dataclass(frozen=True)
class Examined:
    """A trial that was done: its figures, and the versions they are of (None where the training diverged)."""

    run: Run
    model: Version | None = None
    examination: Version | None = None


def benchmark(workspace: Workspace, which: str, options: BenchmarkOptions, progress: Progress) -> Version:
    """Does all that a table needs and writes it down; AnrError for options that name nothing, before any work.

    A training that diverges or collapses is written as such, and the others go on.
    """
    rows, missing = present(rows_of(which, options.methods))
    for row in missing:
        progress.warn(f"{row.title} is left out: there is no renderer {row.renderer!r} here.")
    people = _people(workspace, options)
    if which == "convergence":
        _check_lpips(options)
    trials = trials_of(which, rows, people, options)
    _say_ahead(workspace, people, trials, options, progress)
    for person in people:
        bring_up_to_date(workspace, "keyframes", _filmed(workspace, person, options), progress)
    done = {trial.avatar: examined for trial, examined in _examined(workspace, trials, progress)}
    lines = [Line(row, tuple(done[t.avatar].run for t in trials if t.row is row and t.images == images), images)
             for row in rows for images in sorted({t.images for t in trials if t.row is row})]
    asked = {"which": which, **asdict(options), "people": list(people), "missing": [row.name for row in missing]}
    return _written(workspace, asked, lines, done)


def trials_of(which: str, rows: Sequence[Row], people: Sequence[str], options: BenchmarkOptions) -> list[Trial]:
    """Every training of a table, all rows of a seed before the next seed; AnrError for numbers that cannot be."""
    from pipelines.training.recipe import recipe_for

    if not rows:
        raise AnrError(f"No method of {which} is here.", hint="Name others with --methods, or none for all.")
    if options.images and options.minutes:
        raise UsageError("Both --images and --minutes were given.", hint="Choose one budget for every training.")
    for name in ("images", "minutes", "frames"):
        if not getattr(options, name) >= 0:
            raise AnrError(f"--{name} {getattr(options, name):g} is out of range.", hint="Use at least 0.")
    whole = options.images or (SHORT_IMAGES if which == "collapse" else recipe_for(options.preset).images)
    shares = LADDER if which == "convergence" else (1.0,)
    budgets = [{"images": 0, "minutes": options.minutes * share} if options.minutes else
               {"images": max(1, round(whole * share)), "minutes": 0.0} for share in shares]
    if options.minutes and len(shares) > 1:
        raise AnrError("A curve over images cannot be drawn of a budget in minutes.", hint="Use --images.")
    seeds = parsed_seeds(options.seeds or SEEDS.get(which, "0,1,2"))
    return [_trial(row, seed, budget, tuple(people), options) for seed in seeds for row in rows for budget in budgets]


def _trial(row: Row, seed: int, budget: Mapping[str, Any], people: tuple[str, ...], options: BenchmarkOptions) -> Trial:
    from pipelines.renderers import renderer_file
    from pipelines.training.recipe import parsed_changes, recipe_for, typed_changes

    own = renderer_file(row.renderer).RECIPE
    base = recipe_for(options.preset, **own)
    wanted = recipe_for(options.preset, **{**own, **parsed_changes((*options.changes, *row.changes))})
    changes = typed_changes(base, wanted)
    trained = {"preset": options.preset, "renderer": row.renderer, **budget, "changes": changes, "seed": seed,
               "weights": options.weights, "device": options.device}
    train = STAGES["train"]
    if train.check:
        train.check(train.Options(**trained))
    length = f"{budget['images']}i" if budget["images"] else f"{budget['minutes']:g}m".replace(".", "_")
    what = row.renderer + (f"-{digest_of(changes)[:6]}" if changes else "")
    avatar = "-".join(["bench", *sorted(people), options.preset, length, what, f"s{seed}"])
    examined = {"frames": options.frames, "whole_frame": False, "weights": options.weights, "device": options.device}
    return Trial(row, seed, int(budget["images"]), avatar,
                 Request(people=people, avatar=avatar, typed={"train": trained, "eval": examined}))


def _people(workspace: Workspace, options: BenchmarkOptions) -> tuple[str, ...]:
    """Who is in every model; AnrError for somebody who is neither in the workspace nor in the studio."""
    from pipelines.sources.synthetic import NAMES

    people = tuple(split_names(options.people))
    if not people:
        raise AnrError("--people names nobody.", hint=f"The studio has {', '.join(NAMES)}.")
    known = workspace.people()
    for person in people:
        if person not in known and person not in NAMES:
            raise AnrError(f"There is no {person!r} in the workspace {workspace.root}, and none in the studio.",
                           hint=f"Record them with `anr capture --person {person}`; the studio has {', '.join(NAMES)}.")
    return people


def _check_lpips(options: BenchmarkOptions) -> None:
    """AnrError where the curves could not be drawn in the end."""
    from pipelines.metrics.weights import fetch_weights, find_weights, remedy

    if (find_weights("squeezenet1_1", options.weights or None) or fetch_weights("squeezenet1_1")) is None:
        raise AnrError("The curves are of LPIPS, and SqueezeNet's weights are not here.", hint=remedy("squeezenet1_1"))


def _filmed(workspace: Workspace, person: str, options: BenchmarkOptions) -> Request:
    """Whoever is there stays as they are; others come from the studio, filmed by a camera with faults."""
    if person in workspace.people():
        return Request(person=person)
    filmed = {"source": f"synthetic:{person}", "seconds": options.seconds, "studio_size": options.size,
              "studio_sensor": True, "coach": False}
    return Request(person=person, typed={"capture": filmed})


def _examined(workspace: Workspace, trials: Sequence[Trial], progress: Progress) -> Iterator[tuple[Trial, Examined]]:
    """Does one trial after the other, those that are the same once, and says how long the rest will take."""
    distinct = {trial.avatar: trial for trial in trials}
    spent, worked = 0.0, 0
    for number, trial in enumerate(distinct.values(), 1):
        began, to_do = time.monotonic(), bool(_ahead(workspace, trial))
        examined = _examine(workspace, trial, progress)
        yield trial, examined
        told = ", ".join(f"{name} {examined.run.figures[name]:.4g}" for name in ("psnr", "lpips", "flip")
                         if name in examined.run.figures)
        left = ""
        if to_do:
            spent, worked = spent + time.monotonic() - began, worked + 1
            left = f"; at this pace {(len(distinct) - number) * spent / worked / 60:.0f} minutes left"
        progress.note(f"{number} of {len(distinct)}: {trial.row.title}, seed {trial.seed}: {examined.run.state}"
                      f"{' (' + told + ')' if told else ''}{left}.")


def _examine(workspace: Workspace, trial: Trial, progress: Progress) -> Examined:
    from pipelines.renderers import build_renderer
    from pipelines.renderers.unet import parameters_of
    from pipelines.training.losses import Diverged

    try:
        examination = bring_up_to_date(workspace, "eval", trial.request, progress)[-1].version
    except Diverged as problem:
        progress.warn(f"{trial.row.title}, seed {trial.seed}: {problem.message}")
        return Examined(Run(trial.seed, trial.avatar, DIVERGED, why=problem.message))
    model = newest_version(workspace.avatar_place(trial.avatar, "train"))
    assert model is not None            # it has just been examined
    about = read_json(model.folder / "avatar.json")
    mean = read_json(examination.folder / "eval.json")["mean"]
    parameters = parameters_of(lambda: build_renderer(about["renderer"], about["config"]))
    return Examined(Run(trial.seed, trial.avatar, state_of(mean), mean, int(about["images"]), float(about["seconds"]),
                        parameters), model, examination)


def _ahead(workspace: Workspace, trial: Trial) -> list[str]:
    """The stages of a model that are still to be done."""
    if any(person not in workspace.people() for person in trial.request.people):
        return ["train", "eval"]
    return [stage.name for stage, *_ in work_ahead(workspace, "eval", trial.request) if stage.name in ("train", "eval")]


def _say_ahead(workspace: Workspace, people: Sequence[str], trials: Sequence[Trial], options: BenchmarkOptions,
               progress: Progress) -> None:
    """What will be done and about how long it takes here."""
    distinct = {trial.avatar: trial for trial in trials}
    to_film = [person for person in people if person not in workspace.people()]
    seconds = len(to_film) * options.seconds * 15.0 * FILMED_FRAME_S
    trainings = 0
    for trial in distinct.values():
        ahead = _ahead(workspace, trial)
        if "train" in ahead:
            trainings += 1
            seconds += _training_s(trial)
        if ahead:
            seconds += len(people) * (options.frames or 45) * EXAMINED_FRAME_S
    length = f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
    filming = f"{', '.join(to_film)} will be filmed; " if to_film else ""
    progress.note(f"{filming}{trainings} of {len(distinct)} trainings are still to be done: about {length} on two "
                  "processors. What is done stays: the same command goes on from there.")


def _training_s(trial: Trial) -> float:
    """About how long a training takes here: what its stage says, by what the renderer costs beside anr."""
    train = STAGES["train"]
    seconds = train.estimate_s({}, train.Options(**trial.request.typed["train"])) if train.estimate_s else None
    return (seconds or 0.0) * (COSTS.get(trial.row.renderer, 1.0) if trial.images else 1.0)


def _written(workspace: Workspace, asked: dict[str, Any], lines: Sequence[Line],
             done: Mapping[str, Examined]) -> Version:
    """The newest page of exactly these models, or one made now."""
    from pipelines.benchmarking.page import outcome_of, page

    place = workspace.benchmark_place(asked["which"])
    inputs = {avatar: each.examination.digest if each.examination else each.run.why for avatar, each in done.items()}
    made_from = {"schema": SCHEMA, "stage": "benchmark", "stage_version": VERSION, "options": _plain(asked),
                 "inputs": inputs}
    for version in reversed(versions(place)):
        if version.made_from == made_from:
            return version
    with writing(place, made_from, resumable=False) as folder:
        outcome = outcome_of(lines)
        filmed = {person: _recording_of(workspace, person) for person in asked["people"]}
        report = {"asked": _plain(asked), "people": filmed, **outcome.report}
        for row in report["rows"]:
            row["trained"] = _trained_with([done[run["avatar"]] for run in row["runs"]])
        pictures = _pictures(workspace, folder, asked, lines, done)
        write_json(folder / "benchmark.json", report)
        (folder / "benchmark.md").write_text(page(report, pictures), encoding="utf-8")
        return commit(folder, {"made_from": made_from, "recorded": {}, "figures": outcome.figures, "facts": {},
                               "outputs": {"benchmark": "benchmark.json", "page": "benchmark.md", **pictures},
                               "seconds": 0.0})


def _trained_with(examined: Sequence[Examined]) -> dict[str, Any]:
    """What tells the rows apart, as the first model that came out says it; nothing where none did."""
    for each in examined:
        if each.model:
            about = read_json(each.model.folder / "avatar.json")
            return {name: about["recipe"][name] for name in TELLING} | {"extractor": about.get("extractor", "not said")}
    return {}


def _plain(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asked.items()
            if name not in ("device", "weights")}


def _recording_of(workspace: Workspace, person: str) -> dict[str, Any]:
    """What a person was filmed with, for the page."""
    capture = newest_version(workspace.person_place(person, "capture"))
    assert capture is not None          # a model has just learned from it
    options = capture.made_from["options"]
    return {"source": capture.manifest["recorded"].get("source", options["source"]),
            "faults": bool(options.get("studio_sensor")),
            **{name: capture.figures[name] for name in ("frames", "width", "height", "fps") if name in capture.figures}}


def _pictures(workspace: Workspace, folder: Path, asked: Mapping[str, Any], lines: Sequence[Line],
              done: Mapping[str, Examined]) -> dict[str, str]:
    """{name: file} of the curves, or of a sheet of held-out frames by the first model of every row."""
    from pipelines.benchmarking.pictures import curves_picture, sheet
    from pipelines.media.images import write_image

    if asked["which"] == "convergence":
        write_image(folder / "curves.png", curves_picture(lines))
        return {"curves": "curves.png"}
    shown = {}
    for line in lines:
        first = next((done[run.avatar] for run in line.runs if run.state != DIVERGED), None)
        if first:
            shown[line.row.name] = _renderings(workspace, first)
    if not shown:
        return {}
    write_image(folder / "sheet.png", sheet(shown))
    return {"sheet": "sheet.png"}


def _renderings(workspace: Workspace, examined: Examined) -> list[tuple[Any, Any]]:
    """Truth and rendering, person crops on grey, of a few of the frames that were examined."""
    from pipelines.media.sheets import spread
    from pipelines.renderers.avatar import load_avatar

    assert examined.model and examined.examination
    avatar = load_avatar(examined.model.folder, "cpu")
    looked = read_json(examined.examination.folder / "eval.json")["frames"]
    pairs = []
    for person, frames in looked.items():
        places = {f"{person}/{name}": newest_version(workspace.person_place(person, name))
                  for name in ("capture", "raster", "matte")}
        inputs = {key: version.folder for key, version in places.items() if version}
        pairs += [evaluate.compare(inputs, avatar, person, frames[k]) for k in spread(len(frames), SHEET_FRAMES)]
    return pairs
