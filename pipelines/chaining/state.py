"""The state of results: up to date or not, why, and what is ahead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipelines.chaining.identity import attempt_at, completed, made_from, options_of, why_differs
from pipelines.chaining.models import kept_as_it_is, maker_of, makes_models, parents_first
from pipelines.chaining.planning import input_places, inputs_there, steps
from pipelines.chaining.request import Request
from pipelines.chaining.stages import (
    AVATAR_STAGES,
    EXPORT_STAGES,
    OBJECT_STAGES,
    PERSON_STAGES,
    label_of,
    newest_of,
    of_person,
    place_of,
)
from pipelines.core.stage import Stage
from pipelines.core.workspace import Version, Workspace, partial_folder, partial_folders, versions


@dataclass(frozen=True)
class Row:
    """One line of `anr status`."""

    owner: str
    stage: str
    version: str                        # "v002", or "" where there is none
    state: str                          # "up to date", "out of date", "missing", "interrupted"
    why: str
    figures: dict[str, float]


def status(workspace: Workspace) -> list[Row]:
    """The state of every stage of everybody, from the manifests alone."""
    rows: list[Row] = []
    stale: set[tuple[str, str]] = set()
    owners = [(stage, person) for person in workspace.people() for stage in (*PERSON_STAGES, *EXPORT_STAGES)]
    owners += [(stage, avatar) for avatar in parents_first(workspace) for stage in AVATAR_STAGES
               if not makes_models(stage) or stage == maker_of(workspace, avatar)]
    owners += [(stage, thing) for thing in workspace.objects() for stage in OBJECT_STAGES]
    for stage, owner in owners:
        request = Request(person=owner) if of_person(stage) else Request(avatar=owner)
        row = _row(workspace, stage, owner, request, stale)
        if row:
            rows.append(row)
            if row.state != "up to date":
                stale.add((stage.name, owner))
    return rows


def work_ahead(workspace: Workspace, stage_name: str, request: Request) -> list[tuple[Stage, str, str, float | None]]:
    """What `bring_up_to_date` would do now: (stage, owner, why, seconds or None where there is no idea)."""
    return [(stage, owner, why, _estimate(workspace, stage, owner, request.asked_of(stage, owner)))
            for (stage, owner), why in outdated(workspace, steps(workspace, stage_name, request), request).items()]


def outdated(workspace: Workspace, ahead: Iterable[tuple[Stage, str]],
             request: Request) -> dict[tuple[Stage, str], str]:
    """Which of the steps ahead have something to do, and why."""
    found: dict[tuple[Stage, str], str] = {}
    for stage, owner in ahead:
        asked = request.asked_of(stage, owner)
        waiting = [key for key, source in input_places(workspace, stage, owner, asked).items() if source in found]
        why = f"{waiting[0]} will be made first" if waiting else _why_outdated(workspace, stage, owner, asked)
        if why:
            found[stage, owner] = why
    return found


def current_version(workspace: Workspace, stage: Stage, owner: str, request: Request) -> Version | None:
    """The version that is what would be made now; None when there is none."""
    place = place_of(workspace, stage, owner)
    newest = newest_of(stage, place)
    if newest is None:
        return None
    if stage.keeps_options:
        wanted = made_now(workspace, stage, owner, request, newest)
        begun = stage.resumable and partial_folder(place, attempt_at(stage, wanted)).exists()   # --fresh, interrupted
        return newest if completed(stage, newest) == wanted and not begun else None
    wanted = made_now(workspace, stage, owner, request, None)
    own = (v for v in reversed(versions(place)) if v.made_from["stage"] == stage.name)
    return next((v for v in own if completed(stage, v) == wanted), None)


def made_now(workspace: Workspace, stage: Stage, owner: str, request: Request, kept: Version | None) -> dict[str, Any]:
    """What the stage would be made from now; a missing input counts as the empty digest."""
    inputs = {key: version.digest if version else ""
              for key, version in inputs_there(workspace, stage, owner, request).items()}
    return made_from(stage, kept, request.typed_for(stage), inputs)


def begins_anew(stage: Stage, request: Request) -> bool:
    """Whether a model is made again although nothing about it changed."""
    return request.fresh and (makes_models(stage) or (stage in OBJECT_STAGES and stage.resumable))


def kept_version(workspace: Workspace, stage: Stage, owner: str) -> Version | None:
    """The version whose options go on counting; None where each run is a request of its own."""
    return newest_of(stage, place_of(workspace, stage, owner)) if stage.keeps_options else None


def _row(workspace: Workspace, stage: Stage, owner: str, request: Request, stale: set[tuple[str, str]]) -> Row | None:
    place = place_of(workspace, stage, owner)
    version = newest_of(stage, place)
    label = label_of(stage, owner)
    if version is None:
        if not stage.keeps_options and not partial_folders(place):
            return None
        return Row(label, stage.name, "", "interrupted" if partial_folders(place) else "missing", "", {})
    elsewhere = kept_as_it_is(workspace, owner) if makes_models(stage) else ""
    if elsewhere:
        return Row(label, stage.name, version.name, "up to date", f"kept: {elsewhere} is not here", version.figures)
    waiting = [key for key, (source, of) in input_places(workspace, stage, owner, request).items()
               if (source.name, of) in stale]
    why = f"{waiting[0]} is out of date" if waiting else why_differs(
        completed(stage, version), made_now(workspace, stage, owner, request, version))
    return Row(label, stage.name, version.name, "out of date" if why else "up to date", why, version.figures)


def _why_outdated(workspace: Workspace, stage: Stage, owner: str, request: Request) -> str:
    """"" when there is nothing to do."""
    if begins_anew(stage, request):
        return "begun anew"
    if current_version(workspace, stage, owner, request):
        return ""
    newest = kept_version(workspace, stage, owner)
    if newest is None:
        return "not made yet"
    now = made_now(workspace, stage, owner, request, newest)
    return why_differs(completed(stage, newest), now) or "interrupted"


def _estimate(workspace: Workspace, stage: Stage, owner: str, request: Request) -> float | None:
    found = inputs_there(workspace, stage, owner, request)
    if stage.estimate_s is None or any(version is None for version in found.values()):
        return None
    options = options_of(stage, kept_version(workspace, stage, owner), request.typed_for(stage))
    return stage.estimate_s({key: version.folder for key, version in found.items() if version}, options)
