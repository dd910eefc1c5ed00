"""Commands that make a model from a model: `enroll`, `edit`, and `train --finetune`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from anrcli.commands.command import Command, Parameter, Report, parameters_of
from anrcli.commands.stages import FRESH, STAGE_COMMANDS, bring, person_or_default, run_stage
from pipelines.chain import STAGES, Request, people_of_model, trained_avatars
from pipelines.core.errors import AnrError, UsageError
from pipelines.core.stage import Progress
from pipelines.core.workspace import Workspace, newest_version

TO = {"enroll": "{avatar}-with-{person}", "edit": "{avatar}-edited-{person}", "finetune": "{avatar}-for-{person}"}
EXPORT = Parameter("export", bool, "Write the person's texture as a picture to paint on, and its regions by name.",
                   flag="--export")
FINETUNE = Parameter("finetune", str, "Go on from the model --avatar for one of its people, as another model (--to).")


def derive(workspace: Workspace, name: str, progress: Progress, typed: Mapping[str, Any]) -> Report:
    """Makes another model by a stage that derives it, and says how to use it."""
    options = {each.name: typed[each.name] for each in fields(STAGES[name].Options) if each.name in typed}
    options.setdefault("avatar", "main")
    check_person(workspace, name, options["avatar"], options["person"])
    to = typed.get("to") or TO[name].format(**options)
    request = Request(avatar=to, typed={name: options}, fresh=typed.get("fresh", False))
    last = bring(workspace, name, request, progress)[-1]
    done = f"avatar {to}: {last.version.name}" + ("" if last.made else ", nothing had to be done")
    use = f"See it: anr render --avatar {to} --person {options['person']} --orbit"
    return Report({**last.version.outputs, "folder": last.version.folder}, dict(last.version.figures), (done, use))


def check_person(workspace: Workspace, name: str, avatar: str, person: str) -> None:
    """AnrError for a model that is not there, somebody it does not know, or, to enrol, somebody it knows."""
    model = newest_version(workspace.avatar_place(avatar, "train"))
    if model is None:
        there = ", ".join(trained_avatars(workspace))
        raise AnrError(f"There is no avatar {avatar!r} in the workspace {workspace.root} yet.",
                       hint=f"There is {there}." if there else "Train one first: anr train")
    known = people_of_model(model)
    if name == "enroll" and person in known:
        raise AnrError(f"The model {avatar!r} knows {person!r} already.",
                       hint=f"For higher quality: anr train --finetune {person} --avatar {avatar}")
    if name != "enroll" and person not in known:
        raise AnrError(f"The model {avatar!r} does not know {person!r}; it knows {', '.join(known)}.",
                       hint=f"Add them to it: anr enroll --avatar {avatar} --person {person}")


def enroll(workspace: Workspace, progress: Progress, **typed: Any) -> Report:
    if not typed.get("person"):
        raise UsageError("Nothing was said about who is new.", hint="For example: anr enroll --person cleo")
    return derive(workspace, "enroll", progress, typed)


def edit(workspace: Workspace, progress: Progress, **typed: Any) -> Report:
    typed["person"] = person_or_default(workspace, typed)
    if bool(typed.get("export")) == bool(typed.get("texture")):
        raise UsageError("Either --export writes the texture, or --texture brings it back painted.",
                         hint="First: anr edit --export --out texture.png, then: anr edit --texture texture.png")
    if typed.get("export"):
        asked = {key: value for key, value in typed.items() if key in ("person", "out")}
        report = run_stage(workspace, "unwrap", progress, asked)
        return replace(report, lines=(*report.lines, "Paint on a copy of texture.png, then: "
                                      f"anr edit --person {typed['person']} --texture YOUR_COPY.png"))
    if typed.get("out"):
        raise UsageError("--out is where --export writes the texture.", hint="Leave it away.")
    read_before(Path(typed["texture"]))
    return derive(workspace, "edit", progress, typed)


def read_before(texture: Path) -> None:
    """Refuses a painted file that cannot be one before any work."""
    from pipelines.training.painted import read_painted
    from pipelines.training.proxy import PROXY_SIZE

    read_painted(texture, PROXY_SIZE)


def train(workspace: Workspace, progress: Progress, **typed: Any) -> Report:
    """`anr train`, or what `--finetune` makes of it."""
    person = typed.pop("finetune", "")
    if not person:
        if typed.pop("to", ""):
            raise UsageError("--to names the model that --finetune makes.",
                             hint="A model trained from the start is named by --avatar.")
        if "rehearse" in typed:
            raise UsageError("--rehearse is for --finetune: a model trained from the start sees everybody anyway.",
                             hint="Leave it away, or add --finetune PERSON.")
        return _TRAIN.call(workspace, progress, **typed)
    meant = {each.name for each in fields(STAGES["finetune"].Options)} | {"to", "fresh"}
    foreign = sorted(set(typed) - (meant - {"person"}))
    if foreign:
        raise UsageError(f"--{foreign[0].replace('_', '-')} cannot be changed when a model is fine-tuned.",
                         hint="It keeps the size and losses of the model it goes on from.")
    return derive(workspace, "finetune", progress, {**typed, "person": person})


def to_parameter(name: str) -> Parameter:
    shown = TO[name].format(avatar="AVATAR", person="PERSON")
    return Parameter("to", str, "Name of the model that is made.", shown)


_TRAIN = next(command for command in STAGE_COMMANDS if command.name == "train")
REHEARSE = next(each for each in parameters_of(STAGES["finetune"].Options) if each.name == "rehearse")
TRAIN = replace(_TRAIN, parameters=(*_TRAIN.parameters, FINETUNE, REHEARSE, to_parameter("finetune")), call=train)
ENROLL = Command("enroll", "Adds a new person to a trained model by learning only their texture.",
                 (*parameters_of(STAGES["enroll"].Options), to_parameter("enroll"), FRESH), enroll)
EDIT = Command("edit", "Shows what you paint on a person's texture: first --export, then --texture FILE.",
               (EXPORT, *parameters_of(STAGES["edit"].Options), *parameters_of(STAGES["unwrap"].Options),
                to_parameter("edit")), edit)
MODEL_COMMANDS: tuple[Command, ...] = (TRAIN, ENROLL, EDIT)
