"""`anr clean`: removes results that newer ones replaced."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from anrcli.commands.command import Command, Parameter, Report
from pipelines.chain import AVATAR_STAGES, EXPORT_STAGES, OBJECT_STAGES, PERSON_STAGES
from pipelines.core.errors import explained_os_errors
from pipelines.core.stage import Progress, Stage
from pipelines.core.workspace import Workspace, newest_version, partial_folders, versions


def clean(workspace: Workspace, progress: Progress, dry_run: bool = False, interrupted: bool = False) -> Report:
    """Keeps the newest version of every stage, and every video of the newest model."""
    found = old_folders(workspace, interrupted)
    with ExitStack() as locks:          # held until everything is gone, so that no run begins in between
        busy = _busy_places(dict.fromkeys(folder.parent for folder in found), locks)
        for place in busy:
            progress.warn(f"Another anr is writing to {place}: what is old there is left alone.")
        doomed = [folder for folder in found if folder.parent not in busy]
        size = sum(file.stat().st_size for folder in doomed for file in folder.rglob("*") if file.is_file())
        for folder in () if dry_run else progress.track(doomed, "Removing", len(doomed)):
            with explained_os_errors(folder):
                shutil.rmtree(folder)
    verb = "would be removed" if dry_run else "removed"
    listing = tuple(f"  {folder}" for folder in doomed)
    told = (
        (f"{len(doomed)} old results {verb}, {size / 1e6:.1f} MB.", *listing)
        if doomed
        else ("There is nothing to remove.",)
    )
    return Report(figures={"removed": 0 if dry_run else len(doomed), "bytes": float(size)}, lines=told)


def _busy_places(places: Iterable[Path], locks: ExitStack) -> list[Path]:
    """Those that another process is writing to; the others are locked until `locks` closes."""
    busy: list[Path] = []
    for place in places:
        if not (place / ".lock").exists():
            continue
        with explained_os_errors(place):
            lock = locks.enter_context((place / ".lock").open("r+"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                busy.append(place)
    return busy


def old_folders(workspace: Workspace, interrupted: bool) -> list[Path]:
    """Version folders nothing needs any more, and leftovers; what a training can resume from only on request."""
    found: list[Path] = []
    for person in workspace.people():
        for stage in PERSON_STAGES:
            found += _old_of(workspace.person_place(person, _folder(stage)), stage, interrupted)
        for stage in EXPORT_STAGES:     # each is a request of its own, old when what it tells of is
            place = workspace.person_place(person, _folder(stage))
            now = {name: newest_version(workspace.person_place(person, name)) for name in stage.inputs}
            found += [version.folder for version in versions(place)
                      if any(made and version.made_from["inputs"].get(name) != made.digest
                             for name, made in now.items())]
            found += partial_folders(place)
    for avatar in workspace.avatars():
        model = newest_version(workspace.avatar_place(avatar, "train"))
        for stage in AVATAR_STAGES:
            place = workspace.avatar_place(avatar, _folder(stage))
            if stage.keeps_options:
                found += _old_of(place, stage, interrupted)
            else:                       # videos: each is a request of its own, old only when its model is
                found += [version.folder for version in versions(place) if version.made_from["stage"] == stage.name
                          and model and version.made_from["inputs"].get("train") != model.digest]
                found += partial_folders(place)
    for thing in workspace.objects():
        model = newest_version(workspace.object_place(thing, "train"))
        for stage in OBJECT_STAGES:
            place = workspace.object_place(thing, _folder(stage))
            if stage.keeps_options:
                found += _old_of(place, stage, interrupted)
            else:
                found += [version.folder for version in versions(place)
                          if model and version.made_from["inputs"].get("object-train") != model.digest]
                found += partial_folders(place)
    return list(dict.fromkeys(found))


def _old_of(place: Path, stage: Stage, interrupted: bool) -> list[Path]:
    leftovers = partial_folders(place) if interrupted or not stage.resumable else []
    return [version.folder for version in versions(place)[:-1]] + leftovers


def _folder(stage: Stage) -> str:
    return stage.folder_name or stage.name


CLEAN = Command(
    "clean",
    "Removes old versions: results that newer ones replaced.",
    (
        Parameter("dry_run", bool, "Only say what would be removed.", flag="--dry-run"),
        Parameter(
            "interrupted", bool, "Also remove interrupted trainings that could be resumed.", flag="--interrupted"
        ),
    ),
    clean,
)
