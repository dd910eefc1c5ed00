"""`anr study`: the paper's user studies (section 4.2), from clips to a page and from answers to shares.

    study.json     the key: who made which clip; stays with whoever asks
    page/          index.html, study.js, study.css and clips/: what participants get
    analysis/      shares.json, shares.md, shares.png
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.core.errors import AnrError, UsageError, explained_os_errors
from pipelines.core.options import option
from pipelines.core.stage import Progress
from pipelines.core.storage import write_json
from pipelines.studying.clips import Shape, Take, common_shape, ending, write_clip
from pipelines.studying.page import CLIPS, write_page
from pipelines.studying.study import PAGE, REFERENCE, Plan, Study, Wording, arranged, write_study

SAME, DIFFERENT = "same", "different"
MOST_METHODS = 6
ANALYSIS = "analysis"
QUESTION, QUESTION_REAL = "Which one looks most realistic?", "Which one is the real recording?"
TASK = "You will see {count} short {what} of a person beside each other, made in different ways. Choose {which}."
CONSENT = ("I take part of my own free will, I am of age, and my answers may be used and published without my name. "
           "Recorded are my choices, when and how fast I made them, how well the clips played, and the name in my link "
           "if there is one; nothing else.")


@dataclass(frozen=True)
class StudyOptions:
    """What a study shows, and how."""

    ours: str = option("", "Whose share the analysis leads with (default: the first that is named).")
    stimuli: int = option(20, "How many stimuli at most; of more, some evenly spread by name are taken.")
    seconds: float = option(5.0, "How long each is shown.")
    still: bool = option(False, "Single pictures instead of clips, shown as long.", flag="--still")
    height: int = option(0, "Height of the clips in pixels; 0 = the lowest of the videos'.")
    replays: int = option(0, "How often a screen may be played again; the paper shows it once.")
    checks: int = option(2, "Attention checks: screens on which all but one clip are spoiled.")
    repeats: int = option(2, "Screens that come twice, to see whether a person answers alike.")
    poses: str = option("", f"{SAME} or {DIFFERENT}: whether the true clip shows the same motion as ours "
                            f"(default: {DIFFERENT}, as in the paper).")
    title: str = option("A study of moving pictures", "What the page is called.")
    question: str = option("", f"What is asked (default: {QUESTION} With --real: {QUESTION_REAL})")
    consent: str = option(CONSENT, "The line that participants agree to.")
    post: str = option("", "A web address that answers are sent to (POST); they can always be saved as a file.")


@dataclass(frozen=True)
class AnalysisOptions:
    """How answers are read."""

    misses: int = option(0, "How many attention checks somebody may fail without being excluded.")
    confidence: float = option(95.0, "Of the intervals, in percent.")
    resamples: int = option(10_000, "How often participants are drawn again.")


def check_options(options: StudyOptions) -> None:
    """Refuses what could only fail after the work."""
    for name, low, high in (("stimuli", 1, 200), ("replays", 0, 20), ("checks", 0, 20), ("repeats", 0, 50)):
        value = getattr(options, name)
        if not low <= value <= high:
            raise AnrError(f"--{name} {value} is not between {low} and {high}.", hint="Leave it away for the default.")
    if options.poses not in ("", SAME, DIFFERENT):
        raise UsageError(f"--poses {options.poses} is not known.", hint=f"Use {SAME} or {DIFFERENT}.")
    if options.post and not options.post.startswith(("https://", "http://")):
        raise AnrError(f"--post {options.post} is no web address.", hint="It begins with https://.")


def make_study(folder: Path, takes: Mapping[str, Mapping[str, Take]], true: Mapping[str, Mapping[str, Take]],
               options: StudyOptions, progress: Progress, secret: str = "") -> Study:
    """Writes the key and the page; the folder appears complete or not at all.

    takes   method -> stimulus -> its clip; all methods must have the same stimuli
    true    the true clips: {"real": stimulus -> clip} to be found among the others, or {"": ...} shown beside
    secret  decides all names; drawn by chance
    """
    check_options(options)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise AnrError(f"{folder} is there already and not empty; answers fit only the page they were given on, so a "
                       "study is never overwritten.", hint="Choose another --study FOLDER.")
    everything = {**takes, **{name or REFERENCE: of for name, of in true.items()}}
    _check_methods({name: of for name, of in everything.items() if name != REFERENCE}, options)
    chosen = _stimuli(everything, options.stimuli)
    real = next((name for name in true if name), "")
    methods = tuple(name for name in everything if name != REFERENCE)
    plan = Plan(methods, chosen, real, _partners(chosen, options.poses) if real else None, REFERENCE in everything,
                options.checks)
    used = {name: {stimulus: of[stimulus] for stimulus in chosen} for name, of in everything.items()}
    shape = common_shape(used, options.seconds, options.height, options.still)
    study = _study(plan, shape, options, secret or secrets.token_hex(16))
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    with explained_os_errors(folder):
        try:
            (partial / PAGE / CLIPS).mkdir(parents=True)
            for name, clip in progress.track(sorted(study.clips.items()), "Encoding clips", total=len(study.clips)):
                target = partial / PAGE / CLIPS / f"{name}{ending(shape.still)}"
                write_clip(target, used[clip.method][clip.stimulus], clip, shape)
            write_page(partial / PAGE, study)
            write_study(partial, study)
            if folder.exists():
                folder.rmdir()
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return study


def analyse_study(folder: Path, answers: Sequence[Path], options: AnalysisOptions) -> dict[str, Any]:
    """Reads all answers, and writes the figures, the page of tables and the plot into the study's folder."""
    from pipelines.media.images import write_image
    from pipelines.studying.analysis import Rules, analysed
    from pipelines.studying.drawing import shares_plot
    from pipelines.studying.report import PLOT, markdown
    from pipelines.studying.results import read_participants
    from pipelines.studying.study import read_study

    if not 100 <= options.resamples <= 1_000_000:
        raise AnrError(f"--resamples {options.resamples} is not between 100 and 1000000.", hint="10000 are plenty.")
    study = read_study(folder)
    rules = Rules(options.misses, options.confidence / 100, options.resamples)
    report = analysed(study, read_participants(answers, study), rules)
    with explained_os_errors(folder):
        (folder / ANALYSIS).mkdir(exist_ok=True)
        write_json(folder / ANALYSIS / "shares.json", report)
        (folder / ANALYSIS / "shares.md").write_text(markdown(report), encoding="utf-8")
        write_image(folder / ANALYSIS / PLOT, shares_plot(report))
    return report


def _study(plan: Plan, shape: Shape, options: StudyOptions, secret: str) -> Study:
    clips, trials = arranged(plan, secret)
    question = options.question or (QUESTION_REAL if plan.real else QUESTION)
    which = "the one that is the real recording" if plan.real else "the one that looks most realistic to you"
    task = TASK.format(count=len(plan.methods), what="pictures" if shape.still else "clips", which=which)
    return Study(
        study=secrets.token_hex(6), secret=secret, methods=plan.methods, ours=options.ours or plan.methods[0],
        real=plan.real, wording=Wording(options.title, task, question, options.consent), seconds=shape.seconds,
        replays=options.replays, repeats=min(options.repeats, (len(trials) + 1) // 2), still=shape.still,
        width=shape.width, height=shape.height, fps=shape.fps, post=options.post, clips=clips, trials=trials)


def _check_methods(methods: Mapping[str, Any], options: StudyOptions) -> None:
    if not 2 <= len(methods) <= MOST_METHODS:
        raise UsageError(f"A study compares 2 to {MOST_METHODS} methods; there are {len(methods)}.",
                         hint="Name them: --method ours=FOLDER --method dnr=FOLDER, or --avatar main --avatar dnr.")
    if options.ours and options.ours not in methods:
        raise UsageError(f"--ours {options.ours} is none of the methods.", hint=f"There are {', '.join(methods)}.")


def _stimuli(takes: Mapping[str, Mapping[str, Take]], most: int) -> tuple[str, ...]:
    """The names that everybody has; AnrError where somebody lacks one."""
    first, of_first = next(iter(takes.items()))
    for name, of in takes.items():
        for stimulus in sorted(set(of) ^ set(of_first)):
            lacks, has = (name, first) if stimulus in of_first else (first, name)
            called = "the true clips" if lacks == REFERENCE else lacks
            raise AnrError(f"{called} has no {stimulus!r}, which {has} has: all must show the same stimuli.",
                           hint="Give the videos of one stimulus the same name in every folder.")
    names = sorted(of_first)
    step = max(1.0, len(names) / most)
    return tuple(names[int(k * step)] for k in range(min(most, len(names))))


def person_of(stimulus: str) -> str:
    """Whose it is: what stands before the last hyphen ("ada-walk" -> ada), or all of it."""
    return stimulus.rpartition("-")[0] or stimulus


def _partners(stimuli: Sequence[str], poses: str) -> dict[str, str]:
    """Whose true clip stands against each stimulus: another of the same person, all in turn."""
    if poses == SAME:
        return {stimulus: stimulus for stimulus in stimuli}
    found: dict[str, str] = {}
    for person in dict.fromkeys(map(person_of, stimuli)):
        own = [stimulus for stimulus in stimuli if person_of(stimulus) == person]
        if len(own) < 2:
            raise AnrError(f"There is only one stimulus of {person!r}, so the true clip cannot show another motion of "
                           "theirs.",
                           hint="Name stimuli PERSON-MOTION, several for each person, or use --poses same.")
        found.update(zip(own, own[1:] + own[:1]))
    return found
