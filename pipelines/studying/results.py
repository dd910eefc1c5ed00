"""Participants' answers, read from their files; what cannot have come from the study's own page is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines.core.errors import AnrError
from pipelines.studying.ordering import showings
from pipelines.studying.study import Study

SCHEMA = 1
FNV_START, FNV_PRIME, FNV_BITS = 0xCBF29CE484222325, 0x100000001B3, 0xFFFFFFFFFFFFFFFF
SHOWN_SHARE = 0.9                       # of its time a clip was seen at least, by the page's clock, which may be coarse
CLOCK_S = 2.0                           # how much start and end may lie closer together than the answers say
MOST_BYTES = 4_000_000
DROP = "Leave the file out, and ask whoever sent it for the original."
TEXTS = ("study", "digest", "participant", "given", "started", "finished", "checksum")
COUNTS = ("shown_ms", "answer_ms", "showings", "restarts", "dropped")
FIELDS = ("trial", "again", "order", "chosen", *COUNTS, "by")
WAYS = ("keyboard", "pointer")


@dataclass(frozen=True)
class Answer:
    """What was chosen on one screen."""

    trial: str
    again: bool                         # the trial's second showing
    order: tuple[str, ...]              # clips by place
    chosen: str
    shown_ms: int
    answer_ms: int                      # from the end of the clips
    showings: int
    restarts: int                       # because the page was out of sight
    dropped: int                        # frames that came too late, of the worst clip, in percent
    by: str

    @property
    def place(self) -> int:
        return self.order.index(self.chosen)


@dataclass(frozen=True)
class Participant:
    """One file."""

    path: Path
    name: str
    given: str                          # what the link said, of a recruiting service perhaps
    started: str
    answers: tuple[Answer, ...]


def read_participants(paths: Sequence[Path], study: Study) -> list[Participant]:
    """All files, folders searched for .json; AnrError for one that is no answer to this study, or comes twice."""
    files = _files(paths)
    found = [read_participant(path, study) for path in files]
    first: dict[str, Path] = {}
    for each in found:
        for name in (each.name, f"given {each.given}" if each.given else each.name):
            before = first.setdefault(name, each.path)
            if before != each.path:
                who = each.given or each.name
                raise AnrError(f"{before} and {each.path} are both from participant {who}.",
                               hint="Keep the first one they sent.")
    return found


def read_participant(path: Path, study: Study) -> Participant:
    stored = _read(path)
    _check_kind(path, stored)
    if stored["study"] != study.study or stored["digest"] != study.page["digest"]:
        which = "another study" if stored["study"] != study.study else "another version of this study"
        raise AnrError(f"{path} answers {which} ({stored['study']}); this one is {study.study}.",
                       hint="Analyse each study with its own folder: --study FOLDER.")
    if checksum({key: value for key, value in stored.items() if key != "checksum"}) != stored["checksum"]:
        raise AnrError(f"{path} was changed after the page wrote it: its checksum does not fit.", hint=DROP)
    answers = tuple(Answer(**{**each, "order": tuple(each["order"])}) for each in stored["answers"])
    _check_order(path, stored["seed"], answers, study)
    _check_times(path, stored, answers, study)
    return Participant(path, stored["participant"], stored["given"], stored["started"], answers)


def checksum(result: dict[str, Any]) -> str:
    """As the page computes it: FNV-1a, 64 bits, of the JSON without blanks.

    source  Fowler, Noll, Vo and Eastlake, RFC 9923
    """
    text = json.dumps(result, separators=(",", ":"), ensure_ascii=False)
    value = FNV_START
    for byte in text.encode("utf-8", errors="replace"):
        value = ((value ^ byte) * FNV_PRIME) & FNV_BITS
    return f"{value:016x}"


def _files(paths: Sequence[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise AnrError(f"There is no file {path}.", hint="Name the participants' files, or a folder of them.")
        files += sorted(path.glob("*.json")) if path.is_dir() else [path]
    unique = list({path.resolve(): path for path in files}.values())
    if not unique:
        raise AnrError("There are no answers to analyse.", hint="Name the participants' files, or a folder of them.")
    return unique


def _read(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MOST_BYTES:
        raise AnrError(f"{path} has {path.stat().st_size} bytes: too many for a participant's answers.", hint=DROP)
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise AnrError(f"{path} is no JSON file: {error}.", hint=DROP) from None
    if not isinstance(stored, dict) or not {*TEXTS, "schema", "seed", "agreed", "answers"} <= set(stored):
        raise AnrError(f"{path} holds no answers of a participant.", hint=DROP)
    if stored["schema"] != SCHEMA:
        raise AnrError(f"{path} is of format {stored['schema']}; this version reads {SCHEMA}.",
                       hint="Analyse it with the version of anr that made the study.")
    return stored


def _check_kind(path: Path, stored: dict[str, Any]) -> None:
    """AnrError where a field is not of the kind the page writes."""
    wrong = [name for name in TEXTS if not isinstance(stored[name], str)]
    wrong += [] if _count(stored["seed"]) else ["seed"]
    wrong += [] if stored["agreed"] is True else ["agreed"]
    answers = stored["answers"]
    wrong += [] if isinstance(answers, list) and all(_is_answer(each) for each in answers) else ["answers"]
    if wrong:
        raise AnrError(f"{path} was not written by the page: its {wrong[0]} cannot be.", hint=DROP)


def _is_answer(value: Any) -> bool:
    return (isinstance(value, dict) and set(value) == set(FIELDS) and isinstance(value["again"], bool)
            and isinstance(value["order"], list) and all(isinstance(each, str) for each in value["order"])
            and all(isinstance(value[name], str) for name in ("trial", "chosen")) and value["by"] in WAYS
            and value["chosen"] in value["order"] and all(_count(value[name]) for name in COUNTS))


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _check_order(path: Path, seed: int, answers: tuple[Answer, ...], study: Study) -> None:
    """What was shown must be what the seed says."""
    names = study.trial_names
    expected = showings(len(names), len(study.methods), study.repeats, seed)
    if len(answers) != len(expected):
        raise AnrError(f"{path} has {len(answers)} answers; the study asks for {len(expected)}.", hint=DROP)
    for k, (answer, showing) in enumerate(zip(answers, expected), 1):
        clips = study.trials[names[showing.trial]].clips
        if (answer.trial, answer.again, answer.order) != (names[showing.trial], showing.again,
                                                          tuple(clips[place] for place in showing.places)):
            raise AnrError(f"{path} cannot be: answer {k} is not to what its seed shows there.", hint=DROP)


def _check_times(path: Path, stored: dict[str, Any], answers: tuple[Answer, ...], study: Study) -> None:
    """Clips must have been seen for their time, and start and end must leave room for them."""
    for k, answer in enumerate(answers, 1):
        if answer.shown_ms < SHOWN_SHARE * 1000 * study.seconds:
            raise AnrError(f"{path} cannot be: answer {k} was given after {answer.shown_ms / 1000:.2f} s of "
                           f"{study.seconds:g} s.", hint=DROP)
        if not 1 <= answer.showings <= 1 + study.replays:
            raise AnrError(f"{path} cannot be: answer {k} was shown {answer.showings} times.", hint=DROP)
    try:
        took_s = (_time(stored["finished"]) - _time(stored["started"])).total_seconds()
    except (ValueError, TypeError):
        raise AnrError(f"{path} was not written by the page: its started or finished is no time.", hint=DROP) from None
    least_s = sum(answer.shown_ms + answer.answer_ms for answer in answers) / 1000
    if took_s < least_s - CLOCK_S:
        raise AnrError(f"{path} cannot be: it was finished {took_s:.0f} s after its start, but its answers took "
                       f"{least_s:.0f} s.", hint=DROP)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
