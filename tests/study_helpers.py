"""Tiny studies and made-up participants."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.core.stage import Progress
from pipelines.media.video import VideoWriter
from pipelines.study import StudyOptions, make_study
from pipelines.studying.clips import takes_in
from pipelines.studying.ordering import showings
from pipelines.studying.results import checksum
from pipelines.studying.study import Plan, Study, Trial, Wording, arranged

COLOURS = {"anrnet": (40, 140, 60), "deferred": (200, 60, 60), "textured": (60, 60, 200), "vidtwovid": (190, 170, 40)}
SIZE, FPS, SECONDS = (64, 80), 10.0, 1.0     # width and height, frames per second, seconds
STIMULI = ("ada-dance", "ada-walk", "ben-dance", "ben-walk")


def write_video(path: Path, colour: tuple[int, int, int] = (40, 140, 60), size: tuple[int, int] = SIZE,
                fps: float = FPS, seconds: float = SECONDS) -> Path:
    """A square of one colour that goes down."""
    width, height = size
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, width, height, fps) as writer:
        for k in range(round(seconds * fps)):
            picture = np.full((height, width, 3), 128, np.uint8)
            picture[10 + 2 * k:30 + 2 * k, 20:40] = colour
            writer.add(picture)
    return path


def write_methods(root: Path, methods: Mapping[str, tuple[int, int, int]] = COLOURS,
                  stimuli: tuple[str, ...] = STIMULI) -> dict[str, Path]:
    """A folder of videos for each method."""
    for name, colour in methods.items():
        for stimulus in stimuli:
            write_video(root / name / f"{stimulus}.mp4", colour)
    return {name: root / name for name in methods}


def made(folder: Path, videos: Mapping[str, Path], **options: Any) -> Study:
    """A study of these folders."""
    takes = {name: takes_in(path) for name, path in videos.items()}
    return make_study(folder, takes, {}, StudyOptions(**{"seconds": SECONDS, **options}), Progress())


def on_paper(methods: tuple[str, ...] = ("ours", "theirs"), stimuli: tuple[str, ...] = ("a", "b", "c", "d"),
             checks: int = 1, repeats: int = 1) -> Study:
    """A study without clips, to reckon with."""
    clips, trials = arranged(Plan(methods, stimuli, checks=checks), "secret")
    return Study("study0", "secret", methods, methods[0], "", Wording("title", "task", "question?", "consent"), 5.0, 0,
                 repeats, False, 64, 80, 25.0, "", clips, trials)


def chooses(study: Study, method: str) -> Callable[[Trial], str]:
    """Somebody who always prefers one method, and sees through checks."""
    def choose(trial: Trial) -> str:
        return trial.answer or next(name for name in trial.clips if study.clips[name].method == method)
    return choose


def answered(study: Study, seed: int, choose: Callable[[Trial], str], **changed: Any) -> dict[str, Any]:
    """What the page would store for a participant who chooses so."""
    names = study.trial_names
    answers = []
    for showing in showings(len(names), len(study.methods), study.repeats, seed):
        trial = study.trials[names[showing.trial]]
        answers.append({"trial": names[showing.trial], "again": showing.again,
                        "order": [trial.clips[place] for place in showing.places], "chosen": choose(trial),
                        "shown_ms": round(1000 * study.seconds), "answer_ms": 1500, "showings": 1, "restarts": 0,
                        "dropped": 0, "by": "keyboard"})
    began = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
    ended = began + timedelta(seconds=len(answers) * (study.seconds + 2))
    result = {"schema": 1, "study": study.study, "digest": study.page["digest"], "participant": f"{seed:016x}",
              "given": "", "seed": seed, "agreed": True, "started": _page_time(began), "finished": _page_time(ended),
              "answers": answers, **changed}
    return {**result, "checksum": checksum(result)}


def _page_time(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def store(folder: Path, results: list[dict[str, Any]]) -> list[Path]:
    """As files, without blanks as the page writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"answers-{k}.json" for k in range(len(results))]
    for path, result in zip(paths, results):
        path.write_text(json.dumps(result, separators=(",", ":")), encoding="utf-8")
    return paths
