"""Every stage in order, and where its results lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from pipelines import (
    capture,
    edit,
    enroll,
    evaluate,
    export,
    finetune,
    fit,
    keyframes,
    keypoints,
    matte,
    objects_render,
    objects_train,
    objects_views,
    rasterize,
    render,
    train,
    tryon,
    unwrap,
)
from pipelines.core.stage import Stage
from pipelines.core.workspace import Version, Workspace, versions

PERSON_STAGES: tuple[Stage, ...] = (
    capture.STAGE, keypoints.STAGE, fit.STAGE, rasterize.STAGE, matte.STAGE, keyframes.STAGE)
DERIVING: tuple[Stage, ...] = (finetune.STAGE, enroll.STAGE, edit.STAGE)     # a model from another model
AVATAR_STAGES: tuple[Stage, ...] = (train.STAGE, *DERIVING, render.STAGE, tryon.STAGE, evaluate.STAGE)
EXPORT_STAGES: tuple[Stage, ...] = (export.STAGE, unwrap.STAGE)   # of a person, for other programs
OBJECT_STAGES: tuple[Stage, ...] = (objects_views.STAGE, objects_train.STAGE, objects_render.STAGE)   # a rigid thing
STAGES: dict[str, Stage] = {
    stage.name: stage for stage in (*PERSON_STAGES, *AVATAR_STAGES, *EXPORT_STAGES, *OBJECT_STAGES)}
TAUGHT_BY = ("capture", "fit", "raster", "matte", "keyframes")    # what training reads of each person
EXAMINED_BY = ("capture", "raster", "matte")                      # what evaluation reads of each person


def of_person(stage: Stage) -> bool:
    """Whether a stage belongs to a person, not to an avatar."""
    return stage in PERSON_STAGES or stage in EXPORT_STAGES


def needed(stage: Stage) -> list[Stage]:
    """The person stages a person stage rests on, in the order of the chain, and itself."""
    wanted = {stage.name, *stage.inputs}
    for each in reversed(PERSON_STAGES):
        if each.name in wanted:
            wanted.update(each.inputs)
    chain = [each for each in PERSON_STAGES if each.name in wanted]
    return chain if stage in PERSON_STAGES else [*chain, stage]


def place_of(workspace: Workspace, stage: Stage, owner: str) -> Path:
    """The folder of a stage's versions; the owner is a person, the avatar for avatar stages, or an object."""
    if stage in OBJECT_STAGES:
        return workspace.object_place(owner, stage.folder)
    return (workspace.person_place if of_person(stage) else workspace.avatar_place)(owner, stage.folder)


def owners(workspace: Workspace) -> Iterator[tuple[Callable[[str], Path], tuple[Stage, ...]]]:
    """Everybody and everything results belong to: where the folder of a name is, and which stages there may be."""
    for person in workspace.people():
        yield partial(workspace.person_place, person), (*PERSON_STAGES, *EXPORT_STAGES)
    for avatar in workspace.avatars():
        yield partial(workspace.avatar_place, avatar), AVATAR_STAGES
    for thing in workspace.objects():
        yield partial(workspace.object_place, thing), OBJECT_STAGES


def label_of(stage: Stage, owner: str) -> str:
    """The owner as people read it: `ada`, `avatar main` or `object toy`."""
    return owner if of_person(stage) else f"{'object' if stage in OBJECT_STAGES else 'avatar'} {owner}"


def newest_of(stage: Stage, place: Path) -> Version | None:
    """The newest version this stage made (render and tryon share a folder)."""
    own = [v for v in versions(place) if v.made_from["stage"] == stage.name]
    return own[-1] if own else None
