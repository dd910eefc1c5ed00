"""What a study is: which clips stand against each other, what the page may know of them, and what only we may.

A clip's name is a digest of a secret, so neither its name nor the order of the page's source tells who made it; the
secret and the key to the names are in study.json, which stays with whoever asks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pipelines.core.errors import AnrError
from pipelines.core.storage import read_json, write_json

SCHEMA = 1
MAIN, CHECK = "main", "check"
ID_LENGTH = 12                          # hex digits of a clip's or trial's name
PAGE = "page"                           # the folder that goes to participants
KEY = "study.json"                      # the file that does not
FOLDERS = "Give the folder that `anr study make` wrote: it holds study.json."


@dataclass(frozen=True)
class Wording:
    """What participants read."""

    title: str
    task: str
    question: str
    consent: str


@dataclass(frozen=True)
class Clip:
    """One file of the page."""

    method: str
    stimulus: str
    spoiled: bool = False               # made obviously worse, for an attention check


@dataclass(frozen=True)
class Trial:
    """Clips that stand against each other."""

    stimulus: str
    role: str                           # MAIN or CHECK
    clips: tuple[str, ...]              # names in alphabetical order
    answer: str = ""                    # of a check: the only right clip
    reference: str = ""                 # the true clip, shown beside


@dataclass(frozen=True)
class Study:
    """All of it, the key included."""

    study: str                          # its name, drawn by chance
    secret: str
    methods: tuple[str, ...]
    ours: str
    real: str                           # the method that is the true recording; "" = none is
    wording: Wording
    seconds: float
    replays: int                        # how often a screen may be played again
    repeats: int                        # how many trials come twice
    still: bool
    width: int
    height: int
    fps: float
    post: str
    clips: Mapping[str, Clip]
    trials: Mapping[str, Trial]

    @property
    def page(self) -> dict[str, Any]:
        """What the page is told; trials by name, so that checks hide among the others."""
        told = {"study": self.study, **asdict(self.wording), "seconds": self.seconds, "replays": self.replays,
                "repeats": self.repeats, "alternatives": len(self.methods), "still": self.still,
                "width": self.width, "height": self.height, "post": self.post,
                "trials": [{"id": name, "clips": list(trial.clips), "reference": trial.reference}
                           for name, trial in sorted(self.trials.items())]}
        return {**told, "digest": _digest(repr(sorted(told.items())))}

    @property
    def trial_names(self) -> list[str]:
        """In the page's order."""
        return sorted(self.trials)


class Names:
    """Opaque names for clips and trials."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def of(self, *parts: str) -> str:
        return _digest("\0".join((self._secret, *parts)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]


@dataclass(frozen=True)
class Plan:
    """What a study is made from: who is compared on what."""

    methods: tuple[str, ...]            # in the order given; the first of them is ours
    stimuli: tuple[str, ...]
    real: str = ""                      # which of the methods is the true recording
    real_of: Mapping[str, str] | None = None    # stimulus -> whose true clip stands against it, where it is another's
    reference: bool = False             # whether the true clip is shown beside
    checks: int = 2


def arranged(plan: Plan, secret: str) -> tuple[dict[str, Clip], dict[str, Trial]]:
    """Clips and trials by name: a trial for each stimulus, and the checks."""
    names = Names(secret)
    clips: dict[str, Clip] = {}
    trials: dict[str, Trial] = {}
    real_of = plan.real_of or {}

    def clip(role: str, method: str, stimulus: str, spoiled: bool = False) -> str:
        shown = real_of.get(stimulus, stimulus) if method == plan.real else stimulus
        name = names.of("clip", role, method, shown)
        clips[name] = Clip(method, shown, spoiled)
        return name

    def beside(role: str, stimulus: str) -> str:
        return clip(role, REFERENCE, stimulus) if plan.reference else ""

    for stimulus in plan.stimuli:
        shown = tuple(sorted(clip(MAIN, method, stimulus) for method in plan.methods))
        trials[names.of("trial", MAIN, stimulus)] = Trial(stimulus, MAIN, shown, reference=beside(MAIN, stimulus))
    for k, stimulus in enumerate(_spread(plan.stimuli, plan.checks)):
        role = f"{CHECK} {k}"
        intact = plan.real or plan.methods[k % len(plan.methods)]
        right = clip(role, intact, stimulus)
        wrong = (clip(role, method, stimulus, spoiled=True) for method in plan.methods if method != intact)
        trials[names.of("trial", role, stimulus)] = Trial(stimulus, CHECK, tuple(sorted((right, *wrong))), right,
                                                          beside(role, stimulus))
    return clips, trials


REFERENCE = "(reference)"               # the method of the true clip beside; no method can be called so


def _spread(stimuli: tuple[str, ...], count: int) -> list[str]:
    """`count` of them at equal distances; some twice where there are fewer."""
    return [stimuli[(2 * k + 1) * len(stimuli) // (2 * count)] for k in range(count)]


def write_study(folder: Path, study: Study) -> None:
    write_json(folder / KEY, {"schema": SCHEMA, **asdict(study)})


def read_study(folder: Path) -> Study:
    """AnrError where the folder holds no study, or one this version does not understand."""
    path = folder / KEY
    if not path.is_file():
        raise AnrError(f"{folder} is no study: there is no {KEY} in it.", hint=FOLDERS)
    stored = read_json(path)
    schema = stored.pop("schema", None) if isinstance(stored, dict) else None
    if schema != SCHEMA:
        raise AnrError(f"{path} is of format {schema}; this version reads {SCHEMA}.",
                       hint="Analyse it with the version of anr that made it.")
    try:
        study = Study(**stored)
        return replace(
            study, methods=tuple(study.methods), wording=Wording(**stored["wording"]),
            clips={name: Clip(**each) for name, each in stored["clips"].items()},
            trials={name: Trial(**{**each, "clips": tuple(each["clips"])}) for name, each in stored["trials"].items()})
    except (TypeError, KeyError, AttributeError) as error:
        raise AnrError(f"{path} is damaged: {error}.", hint=FOLDERS) from None
