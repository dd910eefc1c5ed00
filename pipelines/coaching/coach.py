"""Judges a recording: looks at some of its frames, applies the rules, draws what was seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.coaching.evidence import Evidence, gather, surface_seen
from pipelines.coaching.looking import Look, look
from pipelines.coaching.sampling import Watcher, frames_to_look_at
from pipelines.coaching.stillness import camera_steps
from pipelines.coaching.verdict import Verdict, reach_verdict
from pipelines.core.stage import Progress
from pipelines.media.recording import Recording


@dataclass(frozen=True, eq=False)
class Judgement:
    """A verdict, and how well each face of the coarse body was seen."""

    verdict: Verdict
    often: np.ndarray                   # (T,) share of the looks that see a face
    frontal: np.ndarray                 # (T,) cosine of the best of them but one


def judge(recording: Recording, start_s: float = 0.0, progress: Progress | None = None) -> Judgement:
    """Looks at a frame a second or more of a recording.

    start_s  where the recording begins within its source, for what is said about --start
    """
    evidence = look_over(recording, start_s, progress or Progress())
    often, frontal = surface_seen(evidence)
    return Judgement(reach_verdict(evidence), often, frontal)


def look_over(recording: Recording, start_s: float, progress: Progress) -> Evidence:
    """Measures the frames that stand for a recording."""
    indices = frames_to_look_at(recording.times_s)
    watcher = Watcher(recording, recording.track)
    try:
        looks: list[Look] = [look(sight) for sight in
                             progress.track(watcher.sights(indices), "Judging the recording", len(indices))]
    finally:
        watcher.close()
    times_s = recording.times_s[indices]
    counts = watcher.people_counts
    people = max(counts, default=0)
    return gather(looks, camera_steps(looks, times_s), times_s=times_s, frames=len(recording), fps=recording.fps,
                  people=people, people_frames=(sum(count > 1 for count in counts), len(counts)),
                  people_at=tuple(watcher.people_at), track=recording.track, start_s=start_s)
