"""`anr object`: rigid objects, from a mesh and posed pictures to new views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from anrcli.commands.command import Command, Parameter, Report, parameters_of
from anrcli.commands.stages import FRESH, bring
from pipelines.chain import STAGES, Request
from pipelines.core.errors import AnrError, UsageError
from pipelines.core.stage import Progress
from pipelines.core.workspace import Workspace, newest_version

DOES = {"views": "object-views", "train": "object-train", "render": "object-render"}
EXAMPLE = "anr object train --mesh TOY.glb --views FOLDER --name toy, then anr object render --name toy --orbit"
WHAT = Parameter("what", str, "views: reads mesh and pictures; train: learns the object; render: makes a video of new "
                              "views.", positional=True)
NAME = Parameter("name", str, "Which object: small letters, digits, - and _.", "object, or the only object there is")


def object_command(workspace: Workspace, progress: Progress, what: str = "", **typed: Any) -> Report:
    """Brings the object's stages up to date, as far as was asked for."""
    if what not in DOES:
        raise UsageError(f"anr object {what} is not known." if what else "What to do with the object was not said.",
                         hint=f"One of {', '.join(DOES)}: {EXAMPLE}")
    owner = typed.pop("name", "") or _only_object(workspace)
    fresh = typed.pop("fresh", False)
    stages = list(DOES.values())[:list(DOES).index(what) + 1]
    options = {name: own for name in stages if (own := _options_of(name, typed))}
    strange = sorted(set(typed) - {each for own in options.values() for each in own})
    if strange:
        raise UsageError(f"--{strange[0].replace('_', '-')} is not for anr object {what}.",
                         hint=f"It belongs to {_belongs(strange[0])}.")
    _check_there(workspace, owner, options)
    budget = options.get("object-train", {})
    if ("minutes" in budget) != ("images" in budget):       # one replaces the other of an earlier training
        options["object-train"] = {"images": 0, "minutes": 0.0, **budget}
    last = bring(workspace, stages[-1], Request(avatar=owner, typed=options, fresh=fresh), progress)[-1]
    done = f"{what} of {last.owner}: {last.version.name}" + ("" if last.made else ", nothing had to be done")
    outputs = {**last.version.outputs, "folder": last.version.folder}
    return Report(outputs, dict(last.version.figures), (done,))


def _only_object(workspace: Workspace) -> str:
    there = workspace.objects()
    return there[0] if len(there) == 1 else "object"


def _options_of(stage: str, typed: Mapping[str, Any]) -> dict[str, Any]:
    names = {each.name for each in fields(STAGES[stage].Options)}
    return {name: value for name, value in typed.items() if name in names}


def _belongs(option: str) -> str:
    return next(f"anr object {what}" for what, stage in DOES.items()
                if option in {each.name for each in fields(STAGES[stage].Options)})


def _check_there(workspace: Workspace, owner: str, options: Mapping[str, Any]) -> None:
    """AnrError where an object that was never read is asked for, or read without mesh or pictures."""
    if newest_version(workspace.object_place(owner, "views")):
        return
    given = options.get("object-views", {})
    missing = [name for name in ("mesh", "views") if not given.get(name)]
    if not missing:
        return
    if given:
        raise UsageError(f"--{missing[0]} was not given.", hint=f"For example: {EXAMPLE}")
    there = ", ".join(workspace.objects())
    raise AnrError(f"There is no object {owner!r} in the workspace {workspace.root} yet.",
                   hint=f"There is {there}." if there else f"Begin with {EXAMPLE}")


def _parameters() -> tuple[Parameter, ...]:
    found = {"what": WHAT, "name": NAME, "fresh": FRESH}
    for stage in DOES.values():
        for parameter in parameters_of(STAGES[stage].Options):
            found.setdefault(parameter.name, parameter)
    first = ("what", "name", "mesh", "views", "masks", "renderer", "minutes", "orbit")
    return tuple(sorted(found.values(), key=lambda p: first.index(p.name) if p.name in first else len(first)))


OBJECT = Command("object", "Learns a rigid object from a mesh and posed pictures, and shows it from new views.",
                 _parameters(), object_command)
