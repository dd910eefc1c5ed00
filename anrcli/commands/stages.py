"""One command per stage, made from the stage's options; what `run` and `demo` share with them is here too."""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from anrcli.commands.command import Command, Parameter, Report, parameters_of
from pipelines.chain import (
    AVATAR_STAGES,
    DERIVING,
    STAGES,
    Request,
    Result,
    bring_up_to_date,
    of_person,
    trained_avatars,
    trained_people,
    work_ahead,
)
from pipelines.core.errors import AnrError
from pipelines.core.stage import Progress, Stage
from pipelines.core.workspace import Workspace, content_digest, newest_version

HELP = {
    "capture": "Brings a recording into the workspace (record only people who agreed).",
    "keypoints": "Finds the person's landmarks and mask in every frame.",
    "fit": "Fits one body shape and a pose per frame; look at the overlay video it makes.",
    "raster": "Draws the fitted body's surface maps (UV, normals, depth) for every frame.",
    "matte": "Cuts the person out of every frame.",
    "keyframes": "Chooses the few frames that teach the texture.",
    "train": "Trains one model for all named people.",
    "render": "Makes a video of an avatar: --motion FILE.bvh, --orbit or --replay.",
    "tryon": "Swaps garments between the people of one model.",
    "eval": "Measures a model on held-out frames.",
    "export": "Writes what a person did as a file for other programs: --bvh.",
}
PERSON = Parameter("person", str, "Whose: small letters, digits, - and _.", "me, or the only person there is")
PEOPLE = Parameter("person", str, "Who is in the model; may be given several times.", "everybody", repeat=True)
AVATAR = Parameter("avatar", str, "Name of the model.", "main")
FRESH = Parameter("fresh", bool, "Begin an interrupted training anew instead of resuming it.", flag="--fresh/--resume")
# Seconds for 247 frames of 1280x720 on two processors; only said where a stage cannot look at its input yet.
TYPICAL_S = {"capture": 5, "keypoints": 12, "fit": 20, "raster": 5, "matte": 30, "keyframes": 3, "train": 555,
             "render": 40, "tryon": 40, "eval": 60, "export": 2, "unwrap": 30, "edit": 60, "enroll": 90,
             "finetune": 200, "object-views": 10, "object-train": 560, "object-render": 20}
SOME_S = 30.0                           # for a stage that is not among them
REHEARSED_FRAMES = 12                   # of a motion, to see whether it can drive the body
PARTS_OF_COMMANDS = ("unwrap", "finetune", "enroll", "edit",      # see anrcli/commands/models.py, objects.py
                     "object-views", "object-train", "object-render")
NAMES_A_PERSON = ("person", "face", "shirt", "hair", "trousers", "shoes", "skin", "shape", "mask_from")


def _command(stage: Stage) -> Command:
    own: tuple[Parameter, ...] = (PERSON,) if of_person(stage) else (AVATAR,)
    if stage.name == "train":
        own = (PEOPLE, AVATAR, FRESH)

    def call(workspace: Workspace, progress: Progress, **typed: Any) -> Report:
        shown = offered(workspace, typed) if stage.name == "capture" else None
        return shown or run_stage(workspace, stage.name, progress, typed)

    names = {parameter.name for parameter in own}
    return Command(
        stage.name,
        HELP.get(stage.name, f"{stage.doing}."),
        (*own, *(p for p in parameters_of(stage.Options) if p.name not in names)),
        call)


def run_stage(workspace: Workspace, name: str, progress: Progress, typed: Mapping[str, Any]) -> Report:
    """What `anr STAGE` does: says what is ahead, brings the stage up to date, reports it."""
    if name in ("render", "tryon", "eval") and "avatar" in typed:
        _check_avatar(workspace, typed["avatar"])
    results = bring(workspace, name, request_for(workspace, name, typed), progress)
    last = results[-1]
    outputs = {**last.version.outputs, "folder": last.version.folder}
    done = f"{name} of {last.owner}: {last.version.name}" + ("" if last.made else ", nothing had to be done")
    return Report(outputs, dict(last.version.figures), (done, *_verdict_again(last)))


def _check_avatar(workspace: Workspace, avatar: str) -> None:
    """AnrError for an avatar that nothing is known of where there are others: a slip would train for many minutes."""
    there = trained_avatars(workspace)
    if there and avatar not in workspace.avatars():
        raise AnrError(f"There is no avatar {avatar!r} in the workspace {workspace.root}; there is {', '.join(there)}.",
                       hint=f"To train it: anr train --avatar {avatar}")


def _verdict_again(capture: Result) -> tuple[str, ...]:
    """What the coach said of a recording that was there already; a new one's verdict has just been told."""
    from pipelines.coaching.telling import read_verdict, summary

    stored = None if capture.made or capture.stage.name != "capture" else read_verdict(capture.version.folder)
    return () if stored is None else (f"Verdict: {summary(stored)} (`anr status` says more).",)


def offered(workspace: Workspace, typed: Mapping[str, Any]) -> Report | None:
    """What `--source NAME:list` shows instead of recording; None for anything that can be recorded."""
    from pipelines.sources import catalogue_of

    catalogue = catalogue_of(typed.get("source", ""), workspace.root)
    if catalogue is None:
        return None
    return Report({"picture": catalogue.picture}, {"offered": float(len(catalogue.table) - 1)}, table=catalogue.table)


def bring(workspace: Workspace, name: str, request: Request, progress: Progress) -> list[Result]:
    """`bring_up_to_date`, after checking what can be checked at once and saying what will be done."""
    request = with_one_budget(request)
    check_request(workspace, request)
    say_ahead(workspace, name, request, progress)
    return bring_up_to_date(workspace, name, request, progress)


def request_for(workspace: Workspace, name: str, typed: Mapping[str, Any]) -> Request:
    """What was typed behind a stage's name, as the chain wants it."""
    stage = STAGES[name]
    options = {each.name for each in fields(stage.Options)}
    of_stage = {key: value for key, value in typed.items() if key in options}
    if name == "capture":
        of_stage = with_new_recording(workspace, person_or_default(workspace, typed), of_stage)
    request: dict[str, Any] = {"typed": {name: of_stage} if of_stage else {}, "avatar": typed.get("avatar", "main")}
    if of_person(stage):
        request["person"] = person_or_default(workspace, typed)
    if name == "train":
        people = tuple(typed.get("person", ())) or tuple(workspace.people())
        request.update(people=people, fresh=typed.get("fresh", False))
    return Request(**request)


def person_or_default(workspace: Workspace, typed: Mapping[str, Any]) -> str:
    """Who was typed, else the only person there is, else `me`."""
    people = workspace.people()
    return typed.get("person") or (people[0] if len(people) == 1 else "me")


def with_new_recording(workspace: Workspace, person: str, typed: dict[str, Any]) -> dict[str, Any]:
    """Another recording does not inherit --start, --height-m and so on from the one before it."""
    if "source" not in typed:
        return typed
    before = newest_version(workspace.person_place(person, "capture"))
    source = typed["source"]
    identity = f"sha256:{content_digest(Path(source))}" if os.path.exists(source) else source
    if before is None or before.made_from["options"]["source"] == identity:
        return typed
    return {**{each.name: each.default for each in fields(STAGES["capture"].Options)}, **typed}


def with_one_budget(request: Request) -> Request:
    """--minutes typed now replaces an --images typed for an earlier model, and the other way round."""
    typed = request.typed.get("train", {})
    if ("minutes" in typed) == ("images" in typed):
        return request
    other = {"images": 0} if "minutes" in typed else {"minutes": 0.0}
    return replace(request, typed={**request.typed, "train": {**typed, **other}})


def check_request(workspace: Workspace, request: Request) -> None:
    """Refuses at once what a stage would refuse after the long work before it."""
    for name, options in request.typed.items():
        if options.get("motion"):
            rehearse(Path(options["motion"]), options.get("joint_map", ""))
        stage = STAGES[name]
        if stage in AVATAR_STAGES and stage not in DERIVING:
            _check_people(workspace, request, options, alone=name == "render")
        if stage.check:
            stage.check(stage.Options(**options))


def _check_people(workspace: Workspace, request: Request, options: Mapping[str, Any], alone: bool) -> None:
    """AnrError for somebody the model does not know, and where one must be named (alone) and is not."""
    somebody = request.people or workspace.people() or workspace.avatars()
    in_model = trained_people(workspace, request) if somebody else ()
    if alone and len(in_model) > 1 and "me" not in in_model and not options.get("person"):
        raise AnrError(f"The model {request.avatar!r} knows several people.",
                       hint=f"Say who with --person: {', '.join(in_model)}.")
    for person in _named_in(options):
        if person not in in_model:
            raise _not_in_model(workspace, request, person, in_model)


def _named_in(options: Mapping[str, Any]) -> list[str]:
    """Everybody whom options name, the owners of `--region NAME=OWNER` included."""
    found: list[str] = []
    for key in NAMES_A_PERSON:
        asked = options.get(key) or ()
        found += (asked,) if isinstance(asked, str) else asked
    found += (region.partition("=")[2] for region in options.get("region", ()))
    return [person for person in found if person]


def rehearse(motion: Path, joint_map: str = "") -> None:
    """Drives the mean body with a few frames of a BVH file; AnrError where it cannot be read or cannot drive it.

    joint_map  a file that mends what the names of the joints do not tell
    """
    import numpy as np

    from pipelines.body.model import load_body
    from pipelines.motion.bvh import read_bvh
    from pipelines.motion.jointmap import read_joint_map
    from pipelines.motion.retarget import retarget_fully

    bvh = read_bvh(motion)
    few = np.unique(np.linspace(0, bvh.frame_count - 1, REHEARSED_FRAMES).astype(int))
    body = load_body()
    mended = read_joint_map(Path(joint_map)) if joint_map else None
    retarget_fully(replace(bvh, values=bvh.values[few]), body, np.zeros(len(body.shape_dirs)), mended)


def _not_in_model(workspace: Workspace, request: Request, person: str, in_model: tuple[str, ...]) -> AnrError:
    if person in workspace.people():
        names = " ".join(f"--person {each}" for each in sorted({*in_model, person}))
        return AnrError(f"The model {request.avatar!r} does not know {person!r}; it knows {', '.join(in_model)}.",
                        hint=f"Add them: anr enroll --avatar {request.avatar} --person {person}. "
                             f"Or train it on everybody: anr train --avatar {request.avatar} {names}")
    known = sorted({*workspace.people(), *in_model})     # a model may come without its recordings
    there = f"there is {', '.join(known)}" if known else "nobody is there yet"
    return AnrError(
        f"There is no {person!r} in the workspace {workspace.root}; {there}.",
        hint=f"Record them with `anr capture --source YOUR_CLIP.mp4 --person {person}`, or name somebody else.",
    )


def say_ahead(workspace: Workspace, name: str, request: Request, progress: Progress) -> None:
    """One line: which stages will run, and about how long they take here."""
    ahead = work_ahead(workspace, name, request)
    if not ahead:
        progress.note("Everything is up to date.")
        return
    steps = ", ".join(f"{stage.name} of {owner}" for stage, owner, _, _ in ahead)
    expected = [_typical_s(stage, request) if seconds is None else seconds for stage, _, _, seconds in ahead]
    guessed = any(seconds is None for *_, seconds in ahead)
    progress.note(
        f"To do: {steps} (about {duration(sum(expected))}{' with a clip of ten seconds' if guessed else ''})."
    )


def _typical_s(stage: Stage, request: Request) -> float:
    """What a stage whose input is not there yet will probably take."""
    minutes = request.typed.get("train", {}).get("minutes")
    return 60 * minutes if stage.name == "train" and minutes else TYPICAL_S.get(stage.name, SOME_S)


def duration(seconds: float) -> str:
    """A length of time as people say it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


STAGE_COMMANDS: tuple[Command, ...] = tuple(_command(stage) for stage in STAGES.values()
                                            if stage.name not in PARTS_OF_COMMANDS)
