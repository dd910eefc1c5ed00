"""`anr status`: what is in a workspace, and what is out of date."""

from __future__ import annotations

from anrcli.commands.command import Command, Parameter, Report
from pipelines.chain import AVATAR_STAGES, PERSON_STAGES, status
from pipelines.core.errors import AnrError
from pipelines.core.stage import Progress
from pipelines.core.workspace import Version, Workspace, damaged_files, versions


def show_status(workspace: Workspace, progress: Progress, verify: bool = False) -> Report:
    """A row per stage of everybody; with `verify` AnrError when a file differs from its digest."""
    if not workspace.root.exists() or not (workspace.people() or workspace.avatars()):
        return Report(figures={"results": 0, "out_of_date": 0}, lines=(
            f"Nothing here yet ({workspace.root}). Begin with `anr demo`, or `anr run --source YOUR_CLIP.mp4`.",))
    rows = status(workspace)
    table = [("whose", "stage", "version", "state", "why")]
    table += [(row.owner, row.stage, row.version, row.state, row.why) for row in rows]
    lines: list[str] = []
    if verify:
        checked = every_version(workspace)
        damage = [f"{version.folder / name}" for version in progress.track(checked, "Checking digests", len(checked))
                  for name in damaged_files(version)]
        if damage:
            shown = ", ".join(damage[:5]) + (f" and {len(damage) - 5} more" if len(damage) > 5 else "")
            raise AnrError(f"{len(damage)} files are missing or differ from what was written: {shown}.",
                           hint="Remove those version folders; the next command makes them again.")
        lines.append(f"Every file of {len(checked)} results is as it was written.")
    outdated = sum(row.state == "out of date" for row in rows)
    if outdated:
        lines.append(f"{outdated} out of date: the next command that needs them makes them again.")
    return Report(figures={"results": len(rows), "out_of_date": outdated}, lines=tuple(lines), table=tuple(table))


def every_version(workspace: Workspace) -> list[Version]:
    """All complete versions of everybody, old ones too."""
    folders = [workspace.person_place(person, stage.folder_name or stage.name)
               for person in workspace.people() for stage in PERSON_STAGES]
    folders += [workspace.avatar_place(avatar, name) for avatar in workspace.avatars()
                for name in dict.fromkeys(stage.folder_name or stage.name for stage in AVATAR_STAGES)]
    return [version for folder in folders for version in versions(folder)]


STATUS = Command(
    "status",
    "Shows what is in the workspace and what is out of date.",
    (Parameter("verify", bool, "Compare every file with the digest written when it was made.", flag="--verify"),),
    show_status,
)
