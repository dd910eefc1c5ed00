"""`anr study`: makes the page of a user study, and analyses what people answered."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from anrcli.commands.command import Command, Parameter, Report, parameters_of
from anrcli.commands.study_clips import Filming, filmed, true_clips
from pipelines.core.errors import UsageError
from pipelines.core.stage import Progress
from pipelines.core.workspace import Workspace, checked_name
from pipelines.study import ANALYSIS, AnalysisOptions, StudyOptions, analyse_study, check_options, make_study
from pipelines.studying.clips import Take, takes_in
from pipelines.studying.study import KEY, PAGE

TASK = Parameter("task", str, "make or analyse.", positional=True)
RESULTS = Parameter("results", str, "With analyse: participants' files, or folders of them.", repeat=True,
                    positional=True)
FOLDER = Parameter("study", str, "The study's folder: make writes it, analyse reads it.", "study")
CLIPS = (
    Parameter("method", str, "A method's videos, one per stimulus, as NAME=FOLDER; may be given several times.",
              repeat=True),
    Parameter("avatar", str, "Renders a model's clips instead of --method; may be given several times.", repeat=True),
    Parameter("person", str, "With --avatar: who is seen; may be given several times.", "everybody whom all models "
              "know", repeat=True),
    Parameter("motion", str, "With --avatar: a BVH file, cut into stimuli; may be given several times.", repeat=True),
    Parameter("replay", bool, "With --avatar: the captured motion where it was held out.", flag="--replay"),
    Parameter("background", str, "With --avatar: before what, as of `anr render`.", "capture"),
    Parameter("real", str, "The true clips, to be told from the others: a folder, or `capture` with --replay."),
    Parameter("reference", str, "The true clips, shown beside the others: a folder, or `capture` with --replay."),
)
MAKES = {parameter.name for parameter in CLIPS} | {each.name for each in fields(StudyOptions)}
READS = {each.name for each in fields(AnalysisOptions)}
REAL = "real"


def study(workspace: Workspace, progress: Progress, task: str = "", results: tuple[str, ...] = (),
          **typed: Any) -> Report:
    """Makes a study or analyses one."""
    if task == "make":
        _refuse(typed, READS, "analyse")
        if results:
            raise UsageError(f"`anr study make` takes no {results[0]!r}.", hint="Name videos by --method NAME=FOLDER.")
        return make(workspace, progress, typed)
    if task in ("analyse", "analyze"):
        _refuse(typed, MAKES, "make")
        return analyse(results, typed)
    raise UsageError(f"`anr study` makes or analyses{f', but what is {task!r}?' if task else '.'}",
                     hint="anr study make --help tells what it needs.")


def make(workspace: Workspace, progress: Progress, typed: Mapping[str, Any]) -> Report:
    options = StudyOptions(**{each.name: typed[each.name] for each in fields(StudyOptions) if each.name in typed})
    check_options(options)
    _check_together(typed)
    folder = Path(typed.get("study", FOLDER.default))
    with tempfile.TemporaryDirectory(prefix="anr-study-") as aside:
        if typed.get("avatar"):
            films = filmed(workspace, Filming.of(typed, options), progress)
            takes = films.takes
        else:
            films, takes = None, _methods(typed.get("method", ()))
        true: dict[str, Mapping[str, Take]] = {}
        for option, name in ((REAL, REAL), ("reference", "")):
            if typed.get(option):
                true[name] = true_clips(typed[option], films, workspace, Path(aside))
        if REAL in true and REAL in takes:
            raise UsageError("With --real no method can be called 'real'.", hint="Give it another name.")
        made = make_study(folder, takes, true, options, progress)
    showings = len(made.trials) + made.repeats
    lines = (f"{len(made.methods)} alternatives, {showings} screens of {made.seconds:g} s, {len(made.clips)} clips of "
             f"{made.width}x{made.height}.",
             f"Hand out {folder / PAGE} and nothing else: {KEY} tells who is who.",
             f"Then: anr study analyse --study {folder} ANSWERS...")
    return Report({"page": folder / PAGE / "index.html", "study": folder / KEY},
                  {"alternatives": float(len(made.methods)), "screens": float(showings),
                   "clips": float(len(made.clips))}, lines)


def analyse(results: tuple[str, ...], typed: Mapping[str, Any]) -> Report:
    if not results:
        raise UsageError("Nothing was said about the answers.", hint="anr study analyse ANSWERS/*.json")
    options = AnalysisOptions(**{name: typed[name] for name in READS if name in typed})
    folder = Path(typed.get("study", FOLDER.default))
    report = analyse_study(folder, [Path(each) for each in results], options)
    table = [("method", "chosen", f"{report['confidence']:.0%} over participants", "Wilson")]
    figures = {"participants": float(report["participants"]), "kept": float(report["kept"]),
               "chance": report["chance"]}
    for name, of in report["shares"].items():
        table.append((name, f"{of['share']:.1%}", *(_ends(of[kind]) for kind in ("participants", "wilson"))))
        figures[f"share.{name}"] = of["share"]
    gone = [each["given"] or each["participant"] for each in report["attention"] if each["excluded"]]
    lines = [f"{report['answers']} answers of {report['kept']} participants; chance is {report['chance']:.0%}."]
    lines += [f"Excluded for failed attention checks: {', '.join(gone)}."] if gone else []
    outputs = {"page": "shares.md", "shares": "shares.json", "plot": "shares.png"}
    return Report({name: folder / ANALYSIS / file for name, file in outputs.items()}, figures, tuple(lines),
                  tuple(table))


def _ends(ends: list[float | None]) -> str:
    low, high = ends
    return "-" if low is None or high is None else f"{low:.1%} to {high:.1%}"


def _refuse(typed: Mapping[str, Any], foreign: set[str], task: str) -> None:
    for name in sorted(foreign & set(typed)):
        raise UsageError(f"--{name} belongs to `anr study {task}`.", hint="Leave it away.")


def _check_together(typed: Mapping[str, Any]) -> None:
    """UsageError for options that contradict each other."""
    if bool(typed.get("method")) == bool(typed.get("avatar")):
        raise UsageError("A study shows either videos (--method NAME=FOLDER) or models of the workspace (--avatar).",
                         hint="Videos of other programs can stand beside ours: anr render --out FOLDER/NAME.mp4")
    if typed.get("avatar") and bool(typed.get("motion")) == bool(typed.get("replay")):
        raise UsageError("With --avatar, either --motion FILE.bvh or --replay says what they do.",
                         hint="--motion may be given several times.")
    if typed.get(REAL) and typed.get("reference"):
        raise UsageError("The true clips are either to be found (--real) or shown beside (--reference).",
                         hint="Leave one of them away.")
    for name in ("person", "motion", "replay", "background"):
        if typed.get(name) and not typed.get("avatar"):
            raise UsageError(f"--{name} needs --avatar: videos are taken as they are.", hint="Leave it away.")


def _methods(named: tuple[str, ...]) -> dict[str, dict[str, Take]]:
    """method -> stimulus -> clip, as typed."""
    found: dict[str, dict[str, Take]] = {}
    for each in named:
        name, equals, folder = each.partition("=")
        if not equals or not folder:
            raise UsageError(f"--method {each} names no folder.", hint="Write --method NAME=FOLDER.")
        if checked_name(name, "method") in found:
            raise UsageError(f"--method {name} is given twice.", hint="Give each its own name.")
        found[name] = takes_in(Path(folder))
    return found


STUDY = Command(
    "study", "Makes a user study as a static page (make), and analyses its answers (analyse).",
    (TASK, RESULTS, FOLDER, *CLIPS, *parameters_of(StudyOptions), *parameters_of(AnalysisOptions)), study)
