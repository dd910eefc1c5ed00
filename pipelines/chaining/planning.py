"""The steps to a result: which stages of whom it rests on, and what each of them reads."""

from __future__ import annotations

from dataclasses import replace

from pipelines import evaluate, render, train, tryon
from pipelines.chaining.models import maker_of, makes_models, model_of, parentage, stands_alone, trained_people
from pipelines.chaining.request import Request
from pipelines.chaining.stages import (
    DERIVING,
    EXAMINED_BY,
    OBJECT_STAGES,
    PERSON_STAGES,
    STAGES,
    TAUGHT_BY,
    label_of,
    needed,
    of_person,
    place_of,
)
from pipelines.core.errors import AnrError
from pipelines.core.stage import Stage
from pipelines.core.workspace import Version, Workspace, checked_name, newest_version


def steps(workspace: Workspace, stage_name: str, request: Request) -> list[tuple[Stage, str]]:
    """(stage, owner) in the order they run; the owner is a person, the avatar for avatar stages, or an object."""
    stage = STAGES[stage_name]
    if stage in OBJECT_STAGES:
        return [(each, request.avatar) for each in OBJECT_STAGES[:OBJECT_STAGES.index(stage) + 1]]
    if of_person(stage):
        _check_known(workspace, request.person, request)
        return [(each, request.person) for each in needed(stage)]
    if stage in (render.STAGE, tryon.STAGE) and not request.people and stands_alone(workspace, request):
        return [(stage, request.avatar)]
    maker = stage if makes_models(stage) else maker_of(workspace, request.avatar)
    return list(dict.fromkeys([*_model_steps(workspace, maker, request), (stage, request.avatar)]))


def input_places(workspace: Workspace, stage: Stage, owner: str, request: Request) -> dict[str, tuple[Stage, str]]:
    """{name of the input: (stage, owner) that makes it}."""
    if of_person(stage) or stage in OBJECT_STAGES:
        return {name: (STAGES[name], owner) for name in stage.inputs}
    if stage in DERIVING:
        base, person = parentage(workspace, stage, owner, request)
        return {"train": (maker_of(workspace, base), base),
                **{f"{person}/{name}": (STAGES[name], person) for name in stage.inputs}}
    model = {"train": (maker_of(workspace, owner), owner)}
    if stage not in (train.STAGE, evaluate.STAGE):
        return model
    wanted = TAUGHT_BY if stage is train.STAGE else EXAMINED_BY
    of_people = {f"{person}/{name}": (STAGES[name], person)
                 for person in trained_people(workspace, request) for name in wanted}
    return of_people if stage is train.STAGE else {**model, **of_people}


def inputs_there(workspace: Workspace, stage: Stage, owner: str, request: Request) -> dict[str, Version | None]:
    """The newest version of each input; None where there is none yet."""
    return {key: newest_version(place_of(workspace, source, of))
            for key, (source, of) in input_places(workspace, stage, owner, request).items()}


def inputs_needed(workspace: Workspace, stage: Stage, owner: str, request: Request) -> dict[str, Version]:
    """The newest version of each input; AnrError where there is none yet."""
    found: dict[str, Version] = {}
    for key, version in inputs_there(workspace, stage, owner, request).items():
        if version is None:
            raise AnrError(f"{label_of(stage, owner)} has no {key} yet.", hint="Run `anr status` to see what is there.")
        found[key] = version
    return found


def _model_steps(workspace: Workspace, maker: Stage, request: Request) -> list[tuple[Stage, str]]:
    """All that a model rests on, and what makes it; a model that others were made from is brought up to date too."""
    if maker not in DERIVING:
        people = trained_people(workspace, request)
        for person in people:
            _check_known(workspace, person, request)
        taught = [(each, person) for person in people for each in PERSON_STAGES]
        return [*taught, (maker, request.avatar)]
    base, person = parentage(workspace, maker, request.avatar, request)
    if model_of(workspace, base) is None:
        if model_of(workspace, request.avatar) and maker.name not in request.typed:
            return []                           # what it was made from is gone: it is taken as it is
        raise AnrError(f"There is no avatar {base!r} in the workspace {workspace.root} yet.",
                       hint="Train it first: anr train" + ("" if base == "main" else f" --avatar {base}"))
    _check_known(workspace, person, request)
    own = [(each, person) for name in maker.inputs for each in needed(STAGES[name])]
    of_base = replace(request.asked_of(train.STAGE, base), avatar=base)
    before = [] if stands_alone(workspace, of_base) else _model_steps(workspace, maker_of(workspace, base), of_base)
    return [*before, *own, (maker, request.avatar)]


def _check_known(workspace: Workspace, person: str, request: Request) -> None:
    known = workspace.people()
    checked_name(person, "person")
    if person in known or "source" in request.typed.get("capture", {}):
        return
    there = f"there is {', '.join(known)}" if known else "nobody is there yet"
    hint = f"Record them with `anr capture --source YOUR_CLIP.mp4 --person {person}`, or name somebody else."
    raise AnrError(f"There is no {person!r} in the workspace {workspace.root}; {there}.", hint)
