"""`anr clean`: removes results that newer ones replaced."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from anrcli.commands.command import Command, Parameter, Report
from pipelines.chain import owners
from pipelines.core.errors import explained_os_errors
from pipelines.core.stage import Progress, Stage
from pipelines.core.workspace import Version, Workspace, newest_version, partial_folders, versions


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
    """Version folders nothing needs any more, and leftovers; what a training can resume from only on request.

    Of benchmarks leftovers alone: each page is a request of its own.
    """
    old = [folder for place_of, stages in owners(workspace) for folder in _old_of(place_of, stages, interrupted)]
    return old + [folder for which in workspace.benchmarks()
                  for folder in partial_folders(workspace.benchmark_place(which))]


def _old_of(place_of: Callable[[str], Path], stages: Sequence[Stage], interrupted: bool) -> list[Path]:
    """Of one owner; a folder may be shared by stages (all that make models, all that make videos)."""
    now = {stage.name: newest_version(place_of(stage.folder)) for stage in stages if stage.keeps_options}
    found: list[Path] = []
    for folder in dict.fromkeys(stage.folder for stage in stages):
        place, sharing = place_of(folder), [stage for stage in stages if stage.folder == folder]
        if sharing[0].keeps_options:
            found += [version.folder for version in versions(place)[:-1]]
        else:                           # videos, exports: each is a request of its own, old when what it shows is
            found += [version.folder for version in versions(place) if _outlived(version, now)]
        if interrupted or not any(stage.resumable for stage in sharing):
            found += partial_folders(place)
    return found


def _outlived(version: Version, now: Mapping[str, Version | None]) -> bool:
    """Whether a result was made from what is no longer the newest."""
    made_from = version.made_from["inputs"]
    return any(newest is not None and name in made_from and made_from[name] != newest.digest
               for name, newest in now.items())


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
