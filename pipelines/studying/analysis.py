"""What the answers say: shares with intervals, per method, per pair, per stimulus and per place on the screen."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipelines.core.errors import AnrError
from pipelines.studying.results import Answer, Participant
from pipelines.studying.shares import Interval, binomial_p, by_participants, clopper_pearson, wilson
from pipelines.studying.study import CHECK, MAIN, Study

FEW = 10                                # participants; below that their bootstrap is too narrow


@dataclass(frozen=True)
class Rules:
    """How the answers are read; said in the report."""

    misses: int = 0                     # failed checks that are still forgiven
    confidence: float = 0.95
    resamples: int = 10_000
    seed: int = 0


@dataclass(frozen=True)
class Attention:
    """What is known of how one participant answered."""

    participant: str
    given: str
    checks: int                         # attention checks shown, second showings left out: the same for everybody
    missed: int
    repeated: int                       # trials of the comparison shown twice
    agreed: int                         # of these, answered alike
    median_answer_s: float
    restarts: int
    dropped: float                      # percent of the worst clip's frames, mean over screens
    excluded: bool


def analysed(study: Study, participants: Sequence[Participant], rules: Rules) -> dict[str, Any]:
    """All figures, as plain values; AnrError where no participant is left."""
    if rules.misses < 0 or not 0.5 <= rules.confidence < 1:
        raise AnrError(f"--misses {rules.misses} and --confidence {100 * rules.confidence:g} cannot be.",
                       hint="Misses count from 0, the confidence is 50 to 99.9 percent.")
    attention = [attended(each, study, rules.misses) for each in participants]
    kept = [each for each, how in zip(participants, attention) if not how.excluded]
    if not kept:
        raise AnrError(f"All {len(participants)} participants failed their attention checks.",
                       hint="Allow some with --misses N, and say so where you publish.")
    table = [[answer for answer in each.answers if not answer.again and study.trials[answer.trial].role == MAIN]
             for each in kept]
    count = _Count(table, study, rules)
    return {
        "study": study.study, "question": study.wording.question, "methods": list(study.methods), "ours": study.ours,
        "real": study.real, "chance": 1 / len(study.methods), "confidence": rules.confidence,
        "participants": len(participants), "kept": len(kept), "answers": sum(map(len, table)),
        "shares": {method: count.of(method) for method in study.methods},
        "pairs": {method: count.pair(method) for method in study.methods if method != study.ours},
        "stimuli": count.stimuli(),
        "places": [count.place(place) for place in range(len(study.methods))],
        "attention": [asdict(each) for each in attention],
        "rules": {"misses": rules.misses, "resamples": rules.resamples, "seed": rules.seed},
        "few": len(kept) < FEW,
    }


def attended(participant: Participant, study: Study, misses: int) -> Attention:
    """How somebody answered the checks and the repeated trials; excluded with more than `misses` failed checks."""
    checks = [a for a in participant.answers if not a.again and study.trials[a.trial].role == CHECK]
    missed = sum(a.chosen != study.trials[a.trial].answer for a in checks)
    first = {a.trial: a.chosen for a in participant.answers if not a.again}
    again = [a for a in participant.answers if a.again and study.trials[a.trial].role == MAIN]
    median_s = statistics.median(a.answer_ms for a in participant.answers) / 1000 if participant.answers else math.nan
    dropped = statistics.fmean(a.dropped for a in participant.answers) if participant.answers else 0.0
    return Attention(participant.name, participant.given, len(checks), missed, len(again),
                     sum(first[a.trial] == a.chosen for a in again), median_s,
                     sum(a.restarts for a in participant.answers), dropped, missed > misses)


@dataclass(frozen=True)
class _Count:
    """Counts over the answers of everybody who was kept: table[p] are participant p's."""

    table: list[list[Answer]]
    study: Study
    rules: Rules

    def method(self, answer: Answer) -> str:
        return self.study.clips[answer.chosen].method

    def share(self, chosen: Callable[[Answer], bool], asked: Callable[[Answer], bool] = lambda _: True,
              chance: float = 0.0) -> dict[str, Any]:
        """How often, of the answers that count, with all intervals and against guessing."""
        of = np.array([sum(map(asked, own)) for own in self.table])
        hits = np.array([sum(asked(a) and chosen(a) for a in own) for own in self.table])
        n, k, level = int(of.sum()), int(hits.sum()), self.rules.confidence
        people = by_participants(hits, of, level, self.rules.resamples, self.rules.seed)
        return {"chosen": k, "asked": n, "share": people.share, "participants": _ends(people),
                "wilson": _ends(wilson(k, n, level)), "exact": _ends(clopper_pearson(k, n, level)),
                "p": binomial_p(k, n, chance or 1 / len(self.study.methods))}

    def of(self, method: str) -> dict[str, Any]:
        """How often a method was chosen."""
        return self.share(lambda a: self.method(a) == method)

    def pair(self, other: str) -> dict[str, Any]:
        """Ours among the answers that went to ours or to the other one: against 50 %."""
        return self.share(lambda a: self.method(a) == self.study.ours,
                          lambda a: self.method(a) in (self.study.ours, other), 0.5)

    def place(self, place: int) -> dict[str, Any]:
        """How often a place on the screen was chosen, whatever stood there."""
        return self.share(lambda a: a.place == place)

    def stimuli(self) -> dict[str, Any]:
        """Per stimulus: how often each method was chosen, and the share of ours."""
        found: dict[str, Any] = {}
        for trial in self.study.trials.values():
            if trial.role == MAIN:
                answers = [a for own in self.table for a in own if self.study.trials[a.trial] == trial]
                counts = {m: sum(self.method(a) == m for a in answers) for m in self.study.methods}
                ours = wilson(counts[self.study.ours], len(answers), self.rules.confidence)
                found[trial.stimulus] = {"chosen": counts, "asked": len(answers), "ours": ours.share,
                                         "wilson": _ends(ours)}
        return dict(sorted(found.items()))


def _ends(interval: Interval) -> list[float | None]:
    """Low and high; None where there is none, since JSON knows no NaN."""
    return [None if math.isnan(end) else end for end in (interval.low, interval.high)]
