"""The chain: every stage in order, and how a result is brought up to date.

Start reading here. A result knows what made it (`made_from` in its manifest: stage version, options, digests of
its inputs); it is out of date when that differs from what it would be made from now, walked through the whole
chain. Whether a file exists decides nothing.

What this rests on lies in `pipelines/chaining/`, each file a noun:
stages    every stage in order, and where its results lie     request   what was asked for, and the result
models    what made a model, and whom it knows                planning  the steps to a result, and their inputs
identity  which options decide a result                       state     up to date or not, why, and what is ahead
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pipelines.chaining.identity import (
    attempt_at,
    check_same_files,
    options_of,
    recorded_of_asking,
    recorded_of_making,
)
from pipelines.chaining.models import maker_of, parentage, people_of_model, trained_avatars, trained_people
from pipelines.chaining.planning import inputs_needed, steps
from pipelines.chaining.request import Request, Result
from pipelines.chaining.stages import (
    AVATAR_STAGES,
    DERIVING,
    EXPORT_STAGES,
    OBJECT_STAGES,
    PERSON_STAGES,
    STAGES,
    label_of,
    of_person,
    owners,
    place_of,
)
from pipelines.chaining.state import (
    Row,
    begins_anew,
    current_version,
    kept_version,
    made_now,
    outdated,
    status,
    work_ahead,
)
from pipelines.core.stage import Job, Outcome, Progress, Stage
from pipelines.core.workspace import Version, Workspace, commit, record, writing

__all__ = [
    "AVATAR_STAGES", "DERIVING", "EXPORT_STAGES", "OBJECT_STAGES", "PERSON_STAGES", "STAGES",
    "Request", "Result", "Row",
    "bring_up_to_date", "maker_of", "of_person", "owners", "parentage", "people_of_model", "status", "steps",
    "trained_avatars", "trained_people", "work_ahead",
]


def bring_up_to_date(workspace: Workspace, stage_name: str, request: Request,
                     progress: Progress | None = None) -> list[Result]:
    """Makes what is missing or out of date, up to and including a stage; the last result is the stage's own.

    Raises AnrError for bad input; a stage that fails leaves the results before it.
    """
    progress = progress or Progress()
    ahead = steps(workspace, stage_name, request)
    _check(workspace, ahead, request)
    return [_up_to_date(workspace, stage, owner, request.asked_of(stage, owner), progress) for stage, owner in ahead]


def _check(workspace: Workspace, ahead: list[tuple[Stage, str]], request: Request) -> None:
    """Refuses options that could only fail after work; those of a result that stays as it is are no longer asked."""
    redone = outdated(workspace, ahead, request)
    for stage, owner in ahead:
        typed = request.asked_of(stage, owner).typed_for(stage)
        if stage.check and (typed or (stage, owner) in redone):
            stage.check(options_of(stage, kept_version(workspace, stage, owner), typed))


def _up_to_date(workspace: Workspace, stage: Stage, owner: str, request: Request, progress: Progress) -> Result:
    """The stage's version that is there, or the one it makes now; handed out either way."""
    typed = request.typed_for(stage)
    current = None if begins_anew(stage, request) else current_version(workspace, stage, owner, request)
    if current is None:
        return _make(workspace, stage, owner, request, progress)
    current = record(current, recorded_of_asking(stage, typed))
    _deliver(stage, current, options_of(stage, current if stage.keeps_options else None, typed))
    return Result(stage, label_of(stage, owner), current, made=False)


def _make(workspace: Workspace, stage: Stage, owner: str, request: Request, progress: Progress) -> Result:
    typed, kept = request.typed_for(stage), kept_version(workspace, stage, owner)
    options = options_of(stage, kept, typed)
    wanted = made_now(workspace, stage, owner, request, kept)
    check_same_files(stage, options, wanted, typed)
    inputs = inputs_needed(workspace, stage, owner, request)
    workspace.create()
    progress.note(f"{stage.doing} ({label_of(stage, owner)})")
    started = time.monotonic()
    place, attempt = place_of(workspace, stage, owner), attempt_at(stage, wanted)
    with writing(place, attempt, resumable=stage.resumable, fresh=request.fresh) as folder:
        job = Job(folder, options, {key: version.folder for key, version in inputs.items()}, progress,
                  person=owner if of_person(stage) else "")
        outcome = stage.run(job)
        written_down = recorded_of_making(stage, options, kept, typed)
        version = commit(folder, _manifest(wanted, written_down, outcome, time.monotonic() - started))
    _deliver(stage, version, options)
    return Result(stage, label_of(stage, owner), version, made=True, seconds=time.monotonic() - started)


def _manifest(made_from: Mapping[str, Any], recorded: Mapping[str, Any], outcome: Outcome,
              seconds: float) -> dict[str, Any]:
    return {"made_from": made_from, "recorded": recorded, "figures": outcome.figures, "outputs": outcome.outputs,
            "facts": outcome.facts, "seconds": round(seconds, 2)}


def _deliver(stage: Stage, version: Version, options: Any) -> None:
    if stage.deliver:
        stage.deliver(version.folder, options)
