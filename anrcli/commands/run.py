"""`anr run`: from a recording to a rendered video in one go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from anrcli.commands.command import Command, Parameter, Report, parameters_of
from anrcli.commands.stages import AVATAR, FRESH, PERSON, bring, person_or_default, with_new_recording
from pipelines.chain import PERSON_STAGES, STAGES, Request
from pipelines.core.stage import Progress
from pipelines.core.workspace import Workspace

RUNS = (*(stage.name for stage in PERSON_STAGES), "train", "render")


def run(workspace: Workspace, progress: Progress, **typed: Any) -> Report:
    """Every stage up to the video; what is up to date is not made again."""
    person = person_or_default(workspace, typed)
    by_stage = {name: options for name in RUNS if (options := _options_of(name, typed))}
    if "capture" in by_stage:
        by_stage["capture"] = with_new_recording(workspace, person, by_stage["capture"])
    by_stage["render"] = {**by_stage.get("render", {}), "person": person}
    if not any(typed.get(way) for way in ("motion", "orbit", "replay")):
        progress.note("No --motion FILE.bvh was given: the video will go once around the person (--orbit).")
        by_stage["render"]["orbit"] = True
    request = Request(person=person, people=(person,), avatar=typed.get("avatar", "main"), typed=by_stage,
                      fresh=typed.get("fresh", False))
    results = bring(workspace, "render", request, progress)
    last = results[-1]
    overlay = next(result for result in results if result.stage.name == "fit").version.outputs.get("overlay")
    outputs = {**last.version.outputs, **({"overlay": overlay} if overlay else {}), "folder": last.version.folder}
    done = "The video is there." if last.made else "Nothing had to be done: the video is up to date."
    return Report(outputs, dict(last.version.figures), (done,))


def _options_of(stage: str, typed: Mapping[str, Any]) -> dict[str, Any]:
    names = {each.name for each in fields(STAGES[stage].Options)}
    return {name: value for name, value in typed.items() if name in names and name != "person"}


def _parameters() -> tuple[Parameter, ...]:
    found = {"person": PERSON, "avatar": AVATAR, "fresh": FRESH}
    for name in RUNS:
        for parameter in parameters_of(STAGES[name].Options):
            found.setdefault(parameter.name, parameter)
    first = ("source", "person", "motion", "preset", "height_m", "minutes")     # what most people type
    return tuple(sorted(found.values(), key=lambda p: first.index(p.name) if p.name in first else len(first)))


RUN = Command(
    "run", "Goes from a recording to a rendered video in one command.", _parameters(), run)
