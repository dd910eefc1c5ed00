"""Judges a recording: looks at some of its frames, applies the rules, draws what was seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.coaching.drawing import draw_verdict
from pipelines.coaching.evidence import Evidence, gather, surface_seen
from pipelines.coaching.looking import Look, look
from pipelines.coaching.sampling import Watcher, frames_to_look_at
from pipelines.coaching.stillness import camera_steps
from pipelines.coaching.telling import FILE, PICTURE, said, summary, table
from pipelines.coaching.verdict import NOTE, WARNING, Verdict, reach_verdict
from pipelines.core.stage import Progress
from pipelines.core.storage import write_json
from pipelines.media.images import write_image
from pipelines.media.recording import Recording


class DetectorMissing(Exception):
    """People cannot be found on this machine."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """A verdict, and how well each face of the coarse body was seen."""

    verdict: Verdict
    often: np.ndarray                   # (T,) share of the looks that see a face
    frontal: np.ndarray                 # (T,) cosine of the best of them but one


def judge_into(folder: Path, recording: Recording, start_s: float, progress: Progress) -> Verdict | None:
    """Judges a recording, writes coach.json and coach.png into `folder` and says the verdict.

    None, with a note, where the landmark detector cannot be loaded here, or somebody pressed Ctrl-C: the recording is
    there already, so only the coach stops.
    """
    try:
        judged = judge(recording, start_s, progress)
    except DetectorMissing as missing:
        progress.note(f"The recording was not judged: {missing}. `anr doctor` says how to mend that.")
        return None
    except KeyboardInterrupt:
        progress.note("The recording was not judged: stopped.")
        return None
    verdict = judged.verdict
    stored = verdict.as_json()
    write_json(folder / FILE, stored)
    write_image(folder / PICTURE, draw_verdict(verdict, judged.often, judged.frontal))
    for line in table(stored):
        progress.note(line)
    progress.note(f"Verdict: {summary(stored)} ({verdict.looked_at} of {verdict.frames} frames were looked at).")
    for finding in stored["findings"]:
        if finding["severity"] == WARNING:
            progress.warn(said(finding))
        elif finding["severity"] == NOTE:
            progress.note(said(finding))
    return verdict


def judge(recording: Recording, start_s: float = 0.0, progress: Progress | None = None) -> Judgement:
    """Looks at a frame a second or more of a recording; DetectorMissing where there is no MediaPipe.

    start_s  where the recording begins within its source, for what is said about --start
    """
    evidence = look_over(recording, start_s, progress or Progress())
    often, frontal = surface_seen(evidence)
    return Judgement(reach_verdict(evidence), often, frontal)


def look_over(recording: Recording, start_s: float, progress: Progress) -> Evidence:
    """Measures the frames that stand for a recording."""
    indices = frames_to_look_at(recording.times_s)
    try:
        watcher = Watcher(recording, recording.track)
    except (ImportError, OSError) as problem:
        raise DetectorMissing(f"MediaPipe cannot be loaded ({problem})") from problem
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
