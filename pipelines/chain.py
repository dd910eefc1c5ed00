"""The chain: every stage in order, and how a result is brought up to date.

Start reading here. A result knows what made it (`made_from` in its manifest: stage version, options, digests of
its inputs); it is out of date when that differs from what it would be made from now, walked through the whole
chain. Whether a file exists decides nothing.
"""

from __future__ import annotations

import os.path
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

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
    rasterize,
    render,
    train,
    tryon,
    unwrap,
)
from pipelines.core.errors import AnrError, UsageError
from pipelines.core.options import identity_of, recorded_of
from pipelines.core.stage import Job, Outcome, Progress, Stage
from pipelines.core.storage import read_json
from pipelines.core.workspace import (
    SCHEMA,
    Version,
    Workspace,
    commit,
    content_digest,
    newest_version,
    partial_folder,
    partial_folders,
    record,
    versions,
    writing,
)

PERSON_STAGES: tuple[Stage, ...] = (
    capture.STAGE, keypoints.STAGE, fit.STAGE, rasterize.STAGE, matte.STAGE, keyframes.STAGE)
DERIVING: tuple[Stage, ...] = (finetune.STAGE, enroll.STAGE, edit.STAGE)     # a model from another model
AVATAR_STAGES: tuple[Stage, ...] = (train.STAGE, *DERIVING, render.STAGE, tryon.STAGE, evaluate.STAGE)
EXPORT_STAGES: tuple[Stage, ...] = (export.STAGE, unwrap.STAGE)   # of a person, for other programs
STAGES: dict[str, Stage] = {stage.name: stage for stage in (*PERSON_STAGES, *AVATAR_STAGES, *EXPORT_STAGES)}
TAUGHT_BY = ("capture", "fit", "raster", "matte", "keyframes")    # what training reads of each person
EXAMINED_BY = ("capture", "raster", "matte")                      # what evaluation reads of each person


@dataclass(frozen=True)
class Request:
    """What somebody asked for: options typed now, by stage and option name."""

    person: str = "me"                  # whose person stages
    people: tuple[str, ...] = ()        # who trains; () = those of the newest model, or everybody
    avatar: str = "main"
    typed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    fresh: bool = False                 # begin an interrupted training anew


@dataclass(frozen=True)
class Result:
    """One stage of one owner, up to date."""

    stage: Stage
    owner: str                          # "ada" or "avatar main"
    version: Version
    made: bool                          # False: nothing had to be done
    seconds: float = 0.0


@dataclass(frozen=True)
class Row:
    """One line of `anr status`."""

    owner: str
    stage: str
    version: str                        # "v002", or "" where there is none
    state: str                          # "up to date", "out of date", "missing", "interrupted"
    why: str
    figures: dict[str, float]


def bring_up_to_date(workspace: Workspace, stage_name: str, request: Request,
                     progress: Progress | None = None) -> list[Result]:
    """Makes what is missing or out of date, up to and including a stage; the last result is the stage's own.

    Raises AnrError for bad input; a stage that fails leaves the results before it.
    """
    progress = progress or Progress()
    results: list[Result] = []
    ahead = steps(workspace, stage_name, request)
    for stage, owner in ahead:
        if stage.check:
            kept = _newest_of(stage, _place(workspace, stage, owner)) if stage.keeps_options else None
            stage.check(_options(stage, kept, _asked_of(request, stage, owner).typed.get(stage.name, {})))
    for stage, owner in ahead:
        results.append(_make(workspace, stage, owner, _asked_of(request, stage, owner), progress))
    return results


def steps(workspace: Workspace, stage_name: str, request: Request) -> list[tuple[Stage, str]]:
    """(stage, owner) in the order they run; the owner is a person, or the avatar for avatar stages."""
    stage = STAGES[stage_name]
    if of_person(stage):
        _check_known(workspace, request.person, request)
        return [(each, request.person) for each in _needed(stage)]
    if stage in (render.STAGE, tryon.STAGE) and not request.people and _stands_alone(workspace, request):
        return [(stage, request.avatar)]
    maker = stage if stage in (train.STAGE, *DERIVING) else maker_of(workspace, request.avatar)
    return list(dict.fromkeys([*_model_steps(workspace, maker, request), (stage, request.avatar)]))


def _model_steps(workspace: Workspace, maker: Stage, request: Request) -> list[tuple[Stage, str]]:
    """All that a model rests on, and what makes it; a model that others were made from is brought up to date too."""
    if maker not in DERIVING:
        people = trained_people(workspace, request)
        for person in people:
            _check_known(workspace, person, request)
        taught = [(each, person) for person in people for each in PERSON_STAGES]
        return [*taught, (maker, request.avatar)]
    base, person = parentage(workspace, maker, request.avatar, request)
    if newest_version(workspace.avatar_place(base, _folder(train.STAGE))) is None:
        made = newest_version(workspace.avatar_place(request.avatar, _folder(train.STAGE)))
        if made and maker.name not in request.typed:
            return []                           # what it was made from is gone: it is taken as it is
        raise AnrError(f"There is no avatar {base!r} in the workspace {workspace.root} yet.",
                       hint="Train it first: anr train" + ("" if base == "main" else f" --avatar {base}"))
    _check_known(workspace, person, request)
    own = [(each, person) for name in maker.inputs for each in _needed(STAGES[name])]
    of_base = replace(_asked_of(request, train.STAGE, base), avatar=base)
    before = [] if _stands_alone(workspace, of_base) else _model_steps(workspace, maker_of(workspace, base), of_base)
    return [*before, *own, (maker, request.avatar)]


def maker_of(workspace: Workspace, avatar: str) -> Stage:
    """The stage that made a model: `train`, also where there is none yet, or one that derived it from another."""
    model = newest_version(workspace.avatar_place(avatar, _folder(train.STAGE)))
    return STAGES.get(model.made_from["stage"], train.STAGE) if model else train.STAGE


def parentage(workspace: Workspace, maker: Stage, avatar: str, request: Request) -> tuple[str, str]:
    """From which avatar, and for whom, another is derived; UsageError where it would replace what it is made from."""
    kept = _newest_of(maker, _place(workspace, maker, avatar))
    options = _options(maker, kept, request.typed.get(maker.name, {}))
    there = newest_version(_place(workspace, maker, avatar))
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


def _asked_of(request: Request, stage: Stage, owner: str) -> Request:
    """What was asked of a stage of an owner: options typed for an avatar are not for the one it was made from."""
    if of_person(stage) or owner == request.avatar:
        return request
    of_avatars = {each.name for each in AVATAR_STAGES}
    typed = {name: options for name, options in request.typed.items() if name not in of_avatars}
    return replace(request, avatar=owner, people=(), typed=typed, fresh=False)


def of_person(stage: Stage) -> bool:
    """Whether a stage belongs to a person, not to an avatar."""
    return stage in PERSON_STAGES or stage in EXPORT_STAGES


def _stands_alone(workspace: Workspace, request: Request) -> bool:
    """Whether there is a model whose recordings are elsewhere: it is taken as it is."""
    model = newest_version(workspace.avatar_place(request.avatar, _folder(train.STAGE)))
    here = workspace.people()
    return model is not None and any(person not in here for person in people_of_model(model))


def people_of_model(model: Version) -> tuple[str, ...]:
    """Who a trained model knows."""
    if model.made_from["stage"] in {stage.name for stage in DERIVING}:
        return tuple(read_json(model.folder / "avatar.json")["people"])
    return tuple(dict.fromkeys(key.split("/")[0] for key in model.made_from["inputs"]))


def work_ahead(workspace: Workspace, stage_name: str, request: Request) -> list[tuple[Stage, str, str, float | None]]:
    """What `bring_up_to_date` would do now: (stage, owner, why, seconds or None where there is no idea)."""
    ahead: list[tuple[Stage, str, str, float | None]] = []
    redone: set[tuple[str, str]] = set()
    for stage, owner in steps(workspace, stage_name, request):
        asked = _asked_of(request, stage, owner)
        sources = _input_places(workspace, stage, owner, asked)
        waiting = [key for key, (source, of) in sources.items() if (source.name, of) in redone]
        why = f"{waiting[0]} will be made first" if waiting else _why_outdated(workspace, stage, owner, asked)
        if why:
            redone.add((stage.name, owner))
            ahead.append((stage, owner, why, _estimate(workspace, stage, owner, asked, sources)))
    return ahead


def _check_known(workspace: Workspace, person: str, request: Request) -> None:
    known = workspace.people()
    if person in known or "source" in request.typed.get("capture", {}):
        return
    there = f"there is {', '.join(known)}" if known else "nobody is there yet"
    hint = f"Record them with `anr capture --source YOUR_CLIP.mp4 --person {person}`, or name somebody else."
    raise AnrError(f"There is no {person!r} in the workspace {workspace.root}; {there}.", hint)


def trained_people(workspace: Workspace, request: Request) -> tuple[str, ...]:
    """Who a model is, or will be, trained on."""
    if request.people:
        return tuple(sorted(dict.fromkeys(request.people)))
    model = newest_version(workspace.avatar_place(request.avatar, _folder(train.STAGE)))
    if model:
        return people_of_model(model)
    people = tuple(workspace.people())
    if not people:
        raise AnrError(f"There is nobody in the workspace {workspace.root} yet.",
                       hint="Record somebody first: anr capture --source YOUR_CLIP.mp4")
    return people


def status(workspace: Workspace) -> list[Row]:
    """The state of every stage of everybody, from the manifests alone."""
    rows: list[Row] = []
    stale: set[tuple[str, str]] = set()
    owners = [(stage, person) for person in workspace.people() for stage in (*PERSON_STAGES, *EXPORT_STAGES)]
    owners += [(stage, avatar) for avatar in _parents_first(workspace) for stage in AVATAR_STAGES
               if stage not in (train.STAGE, *DERIVING) or stage == maker_of(workspace, avatar)]
    for stage, owner in owners:
        request = Request(avatar=owner) if stage in AVATAR_STAGES else Request(person=owner)
        row = _row(workspace, stage, owner, request, stale)
        if row:
            rows.append(row)
            if row.state != "up to date":
                stale.add((stage.name, owner))
    return rows


def _parents_first(workspace: Workspace) -> list[str]:
    """All avatars, those that others were made from before these."""
    def ancestors(avatar: str) -> int:
        maker = maker_of(workspace, avatar)
        if maker not in DERIVING:
            return 0
        return 1 + ancestors(parentage(workspace, maker, avatar, Request(avatar=avatar))[0])

    return sorted(workspace.avatars(), key=ancestors)


def _row(workspace: Workspace, stage: Stage, owner: str, request: Request, stale: set[tuple[str, str]]) -> Row | None:
    place = _place(workspace, stage, owner)
    version = _newest_of(stage, place)
    label = f"avatar {owner}" if stage in AVATAR_STAGES else owner
    if version is None:
        if not stage.keeps_options and not partial_folders(place):
            return None
        state = "interrupted" if partial_folders(place) else "missing"
        return Row(label, stage.name, "", state, "", {})
    waiting = [key for key, (source, of) in _input_places(workspace, stage, owner, request).items()
               if (source.name, of) in stale]
    why = f"{waiting[0]} is out of date" if waiting else _why_differs(
        version.made_from, _made_from(workspace, stage, owner, request, version))
    return Row(label, stage.name, version.name, "out of date" if why else "up to date", why, version.figures)


def _make(workspace: Workspace, stage: Stage, owner: str, request: Request, progress: Progress) -> Result:
    place = _place(workspace, stage, owner)
    typed = request.typed.get(stage.name, {})
    anew = stage in (train.STAGE, *DERIVING) and request.fresh
    current = None if anew else _current_version(workspace, stage, owner, request)
    if current:
        current = record(current, _recorded_now(stage, typed))
        if stage.deliver:
            stage.deliver(current.folder, _options(stage, current if stage.keeps_options else None, typed))
        return Result(stage, _label(stage, owner), current, made=False)
    kept = _newest_of(stage, place) if stage.keeps_options else None
    options = _options(stage, kept, typed)
    made_from = _made_from(workspace, stage, owner, request, kept)
    _check_same_files(stage, options, made_from, typed)
    inputs = _input_versions(workspace, stage, owner, request)
    workspace.create()
    progress.note(f"{stage.doing} ({_label(stage, owner)})")
    started = time.monotonic()
    with writing(place, made_from, resumable=stage.resumable, fresh=request.fresh) as folder:
        outcome: Outcome = stage.run(Job(folder, options, {key: v.folder for key, v in inputs.items()}, progress,
                                         person=owner if of_person(stage) else ""))
        version = commit(folder, {"made_from": made_from, "recorded": _recorded(stage, options, kept, typed),
                                  "figures": outcome.figures, "outputs": outcome.outputs, "facts": outcome.facts,
                                  "seconds": round(time.monotonic() - started, 2)})
    if stage.deliver:
        stage.deliver(version.folder, options)
    return Result(stage, _label(stage, owner), version, made=True, seconds=time.monotonic() - started)


def _check_same_files(stage: Stage, options: Any, made_from: dict[str, Any], typed: Mapping[str, Any]) -> None:
    """Refuses to read a file again that is no longer what it was when its name was typed."""
    for each in fields(stage.Options):
        if each.metadata.get("file") and each.name not in typed:
            name, then = getattr(options, each.name), made_from["options"][each.name]
            if name not in each.metadata["words"] and _file_identity(name) != then:
                flag = f"--{each.name.replace('_', '-')}"
                raise AnrError(f"{name} has changed or is gone since it was read for {stage.name}.",
                               hint=f"Name the file again: {flag} {name}")


def _current_version(workspace: Workspace, stage: Stage, owner: str, request: Request) -> Version | None:
    """The version that is what would be made now; None when there is none."""
    place = _place(workspace, stage, owner)
    newest = _newest_of(stage, place)
    if newest is None:
        return None
    if stage.keeps_options:
        wanted = _made_from(workspace, stage, owner, request, newest)
        begun_anew = stage.resumable and partial_folder(place, wanted).exists()     # --fresh, then interrupted
        return newest if newest.made_from == wanted and not begun_anew else None
    wanted = _made_from(workspace, stage, owner, request, None)
    return next((v for v in reversed(versions(place)) if v.made_from == wanted), None)


def _why_outdated(workspace: Workspace, stage: Stage, owner: str, request: Request) -> str:
    """"" when there is nothing to do."""
    if stage in (train.STAGE, *DERIVING) and request.fresh:
        return "begun anew"
    if _current_version(workspace, stage, owner, request):
        return ""
    newest = _newest_of(stage, _place(workspace, stage, owner))
    if newest is None or not stage.keeps_options:
        return "not made yet"
    now = _made_from(workspace, stage, owner, request, newest)
    return _why_differs(newest.made_from, now) or "interrupted"


def _why_differs(then: dict[str, Any], now: dict[str, Any]) -> str:
    """A few words on the first difference between two `made_from`; "" when they are equal."""
    if then == now:
        return ""
    if then["stage_version"] != now["stage_version"] or then["schema"] != now["schema"]:
        return "made by another version of anr"
    for group, what in (("options", "option"), ("inputs", "input")):
        for key in sorted({*then[group], *now[group]}):
            if then[group].get(key) != now[group].get(key):
                return f"{what} {key} changed"
    return "changed"


def _made_from(workspace: Workspace, stage: Stage, owner: str, request: Request,
               kept: Version | None) -> dict[str, Any]:
    """What the stage would be made from now; a missing input counts as the empty digest."""
    typed = request.typed.get(stage.name, {})
    inputs = {key: version.digest if version else "" for key, version in
              _input_versions(workspace, stage, owner, request, missing_ok=True).items()}
    return {"schema": SCHEMA, "stage": stage.name, "stage_version": stage.version,
            "options": _identity(stage, _options(stage, kept, typed), kept, typed), "inputs": inputs}


def _options(stage: Stage, kept: Version | None, typed: Mapping[str, Any]) -> Any:
    """The stage's options: its defaults, then those of the version kept, then what was typed now."""
    names = {f.name for f in fields(stage.Options)}
    unknown = set(typed) - names
    if unknown:
        raise ValueError(f"{stage.name} has no option {sorted(unknown)[0]!r}")
    lasting = {f.name for f in fields(stage.Options) if not f.metadata.get("once")}
    stored = {**kept.made_from["options"], **kept.manifest["recorded"]} if kept else {}
    values = {**{k: v for k, v in stored.items() if k in lasting}, **typed}
    return stage.Options(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def _identity(stage: Stage, options: Any, kept: Version | None, typed: Mapping[str, Any]) -> dict[str, Any]:
    """The options that decide the result; a file counts by its content, as it was when it was read."""
    identity = identity_of(options)
    for each in fields(stage.Options):
        if each.metadata.get("file"):
            before = kept.made_from["options"].get(each.name) if kept else None
            now = identity[each.name]
            if kept and each.name not in typed:
                identity[each.name] = now if now in each.metadata["words"] else before
            elif isinstance(now, str) and now.split(":")[0] in each.metadata["devices"]:
                identity[each.name] = f"{now} at {datetime.now().isoformat(timespec='milliseconds')}"
            elif now not in each.metadata["words"]:
                identity[each.name] = _file_identity(now)
    return identity


def _file_identity(value: Any) -> Any:
    there = isinstance(value, str) and value and os.path.exists(value)
    return f"sha256:{content_digest(Path(value))}" if there else value


def _recorded(stage: Stage, options: Any, kept: Version | None, typed: Mapping[str, Any]) -> dict[str, Any]:
    named = {f.name: getattr(options, f.name) for f in fields(stage.Options) if f.metadata.get("file")}
    if kept:
        named.update({k: v for k, v in kept.manifest["recorded"].items() if k in named and k not in typed})
    return {**recorded_of(options), **named}


def _recorded_now(stage: Stage, typed: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed now of the options that are only written down, and last."""
    return {f.name: typed[f.name] for f in fields(stage.Options)
            if f.name in typed and f.metadata.get("recorded_only") and not f.metadata.get("once")}


def _input_places(workspace: Workspace, stage: Stage, owner: str, request: Request) -> dict[str, tuple[Stage, str]]:
    """{name of the input: (stage, owner) that makes it}."""
    if of_person(stage):
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


def _input_versions(workspace: Workspace, stage: Stage, owner: str, request: Request,
                    missing_ok: bool = False) -> dict[str, Any]:
    found = {key: newest_version(_place(workspace, source, of))
             for key, (source, of) in _input_places(workspace, stage, owner, request).items()}
    for key, version in found.items():
        if version is None and not missing_ok:
            raise AnrError(f"{_label(stage, owner)} has no {key} yet.", hint="Run `anr status` to see what is there.")
    return found


def _needed(stage: Stage) -> list[Stage]:
    """The person stages a person stage rests on, in the order of the chain, and itself."""
    wanted = {stage.name, *stage.inputs}
    for each in reversed(PERSON_STAGES):
        if each.name in wanted:
            wanted.update(each.inputs)
    chain = [each for each in PERSON_STAGES if each.name in wanted]
    return chain if stage in PERSON_STAGES else [*chain, stage]


def _estimate(workspace: Workspace, stage: Stage, owner: str, request: Request,
              sources: Mapping[str, tuple[Stage, str]]) -> float | None:
    found = {key: newest_version(_place(workspace, source, of)) for key, (source, of) in sources.items()}
    if stage.estimate_s is None or any(version is None for version in found.values()):
        return None
    kept = _newest_of(stage, _place(workspace, stage, owner)) if stage.keeps_options else None
    options = _options(stage, kept, request.typed.get(stage.name, {}))
    return stage.estimate_s({key: version.folder for key, version in found.items() if version}, options)


def _newest_of(stage: Stage, place: Path) -> Version | None:
    """The newest version this stage made (render and tryon share a folder)."""
    own = [v for v in versions(place) if v.made_from["stage"] == stage.name]
    return own[-1] if own else None


def _place(workspace: Workspace, stage: Stage, owner: str) -> Path:
    return (workspace.person_place if of_person(stage) else workspace.avatar_place)(owner, _folder(stage))


def _folder(stage: Stage) -> str:
    return stage.folder_name or stage.name


def _label(stage: Stage, owner: str) -> str:
    return owner if of_person(stage) else f"avatar {owner}"


def people_in_chain(results: Sequence[Result]) -> list[str]:
    """The people whose stages a list of results passed through."""
    return sorted({result.owner for result in results if of_person(result.stage)})
