"""Models in a workspace: what made one, whom it knows, and from which other it was made."""

from __future__ import annotations

from pipelines import train
from pipelines.chaining.identity import options_of
from pipelines.chaining.request import Request
from pipelines.chaining.stages import DERIVING, STAGES, newest_of, place_of
from pipelines.core.errors import AnrError, UsageError
from pipelines.core.stage import Stage
from pipelines.core.storage import read_json
from pipelines.core.workspace import Version, Workspace, newest_version


def model_of(workspace: Workspace, avatar: str) -> Version | None:
    """The newest model of an avatar, whichever stage made it."""
    return newest_version(workspace.avatar_place(avatar, train.STAGE.folder))


def trained_avatars(workspace: Workspace) -> list[str]:
    """The avatars that have a model."""
    return [avatar for avatar in workspace.avatars() if model_of(workspace, avatar)]


def maker_of(workspace: Workspace, avatar: str) -> Stage:
    """The stage that made a model: `train`, also where there is none yet, or one that derived it from another."""
    model = model_of(workspace, avatar)
    return STAGES.get(model.made_from["stage"], train.STAGE) if model else train.STAGE


def makes_models(stage: Stage) -> bool:
    """Whether a model is what a stage makes."""
    return stage in (train.STAGE, *DERIVING)


def people_of_model(model: Version) -> tuple[str, ...]:
    """Who a trained model knows."""
    if model.made_from["stage"] in {stage.name for stage in DERIVING}:
        return tuple(read_json(model.folder / "avatar.json")["people"])
    return tuple(dict.fromkeys(key.split("/")[0] for key in model.made_from["inputs"]))


def trained_people(workspace: Workspace, request: Request) -> tuple[str, ...]:
    """Who a model is, or will be, trained on."""
    if request.people:
        return tuple(sorted(dict.fromkeys(request.people)))
    model = model_of(workspace, request.avatar)
    if model:
        return people_of_model(model)
    people = tuple(workspace.people())
    if not people:
        raise AnrError(f"There is nobody in the workspace {workspace.root} yet.",
                       hint="Record somebody first: anr capture --source YOUR_CLIP.mp4")
    return people


def stands_alone(workspace: Workspace, request: Request) -> bool:
    """Whether there is a model whose recordings are elsewhere: it is taken as it is."""
    return bool(_recorded_elsewhere(workspace, request.avatar))


def kept_as_it_is(workspace: Workspace, avatar: str) -> str:
    """What of that a model was made from is elsewhere, so that it is not made again; "" for one made here."""
    model, away = model_of(workspace, avatar), _recorded_elsewhere(workspace, avatar)
    if model and not away and maker_of(workspace, avatar) in DERIVING:
        base, _ = parentage(workspace, maker_of(workspace, avatar), avatar, Request(avatar=avatar))
        return "" if model_of(workspace, base) else f"the avatar {base}"
    return f"the recording of {away[0]}" if away else ""


def _recorded_elsewhere(workspace: Workspace, avatar: str) -> list[str]:
    model, here = model_of(workspace, avatar), workspace.people()
    return [person for person in people_of_model(model) if person not in here] if model else []


def parentage(workspace: Workspace, maker: Stage, avatar: str, request: Request) -> tuple[str, str]:
    """From which avatar, and for whom, another is derived; UsageError where it would replace what it is made from."""
    kept = newest_of(maker, place_of(workspace, maker, avatar))
    options = options_of(maker, kept, request.typed_for(maker))
    there = newest_version(place_of(workspace, maker, avatar))
    if avatar == options.avatar or (there and there.made_from["stage"] != maker.name):
        how = f"made by anr {there.made_from['stage']}" if there else "what it is made from"
        raise UsageError(f"The avatar {avatar!r} is {how}, and would no longer be that.",
                         hint="Choose another name with --to.")
    older, ancestor = options.avatar, maker_of(workspace, options.avatar)
    while ancestor in DERIVING:
        older = parentage(workspace, ancestor, older, Request(avatar=older))[0]
        if older == avatar:
            raise UsageError(f"The avatar {options.avatar!r} was made from {avatar!r}, which cannot be made from it.",
                             hint="Choose another name with --to.")
        ancestor = maker_of(workspace, older)
    return options.avatar, options.person


def parents_first(workspace: Workspace) -> list[str]:
    """All avatars, those that others were made from before these."""
    def ancestors(avatar: str) -> int:
        maker = maker_of(workspace, avatar)
        if maker not in DERIVING:
            return 0
        return 1 + ancestors(parentage(workspace, maker, avatar, Request(avatar=avatar))[0])

    return sorted(workspace.avatars(), key=ancestors)
